"""Scoring a table: rewards, the rank within each prompt and the percentile for each answer, and how they agree with a person's labels."""

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from preference.console import make_console, say
from preference.data.answers import Answers, Record, names_of, per_answer, read_answers
from preference.data.tables import STREAM, Table, kind_of, read_table, write_table
from preference.errors import InputError
from preference.evaluation.judging import judge
from preference.evaluation.metrics import rank_within
from preference.evaluation.record import Record as ModelRecord
from preference.evaluation.record import read_record
from preference.evaluation.tables import print_report
from preference.machine import avoid_busy_waiting
from preference.training.seen_prompts import prompt_digest
from preference.wording import counted, name_some, plain, shorten

if TYPE_CHECKING:
    from preference.model.reward_model import RewardModel

FEW = 64  # answers; to score so few takes less time than to measure in which precision the processor is faster


@dataclass(frozen=True)
class ScoringSettings:
    """With what answers are scored, and where the result goes."""

    model: str = "reward_model_final"
    output: str = STREAM
    force: bool = False  # replace an existing output
    device: str = "cpu"
    precision: str = "auto"
    best: bool = False  # write only each prompt's best answer
    column: str = "reward"  # what the column of rewards is called
    named: Mapping[str, str] = field(default_factory=dict)  # columns that flags name for a role, see `roles.FLAGS`


@dataclass(frozen=True)
class _Scores:
    """Of all answers of a table in order, each of shape (answers,); an empty answer has none, and its reward is NaN."""

    rewards: np.ndarray
    ranks: np.ndarray  # among the answers to the prompt; 1 is the best
    best: np.ndarray  # whether it is the one best answer to its prompt: of equal ones the first
    percentiles: list[int] | None  # None where the model's folder lacks them

    def of(self, k: int) -> tuple[float | None, int | None, int | None]:
        """Return what is written for answer `k`: reward, rank and percentile."""
        if np.isnan(self.rewards[k]):
            return None, None, None
        return round(float(self.rewards[k]), 6), int(self.ranks[k]), self.percentiles[k] if self.percentiles else None


def score_file(source: str, settings: ScoringSettings) -> None:
    """Score a file or a pipe ("-"), write it with the scores, and say how the rewards agree with the labels, where there are any."""
    _check_output(settings)
    with _results_apart(settings):
        table = read_table(source)
    _score_table(table, settings)


def _score_table(table: Table, settings: ScoringSettings) -> None:
    with _results_apart(settings):
        answers = read_answers(table, settings.named)
        if settings.best and answers.roles.layout == "pairs":
            raise InputError("--best needs answers to choose from, not pairs of chosen and rejected")
        for note in answers.notes:
            say(note)
        kind = kind_of(settings.output, table.kind)
        flat = answers.roles.layout == "lists" and (kind in ("csv", "xlsx") or settings.best)
        names = _added_names(answers, settings.column, flat)
        model, known = _load(settings, sum(len(item.answers) for item in answers.items))
        scores = _score(answers, settings, model, known)
        if table.cut_short:
            say(f"warning: {table.cut_short}: the last line was cut short, and is left out")
        if answers.roles.how:
            _print_agreement(answers, scores.rewards, known)
    records = list(_with_scores(answers, scores, known, names, flat=flat, best=settings.best))
    names = [name for name in names if any(name in record for record in records)]
    columns = list(dict.fromkeys(name for record in records for name in record)) if flat else [*table.columns, *names]
    write_table(settings.output, kind, columns, records, form=table.form, schema=table.schema)
    if settings.output != STREAM:
        say(f"{settings.output}: {counted(len(records), 'row')} with {name_some(names, 4)}")


def _results_apart(settings: ScoringSettings) -> contextlib.AbstractContextManager:
    """Say what there is to say on standard error where the records go to standard output."""
    return contextlib.redirect_stdout(sys.stderr) if settings.output == STREAM else contextlib.nullcontext()


def score_by_hand(prompt: str, texts: Sequence[str], settings: ScoringSettings) -> None:
    """Print the answers to one prompt, best first, and how likely the best one is to be preferred to the second."""
    if not prompt.strip() or not all(text.strip() for text in texts):
        raise InputError("--prompt and --answer must not be empty")
    _check_output(settings)
    import torch

    torch.set_num_threads(1)  # a few texts gain nothing from more
    records = [{"prompt": prompt, "answer": text} for text in texts]
    table = Table("command line", "csv", ["prompt", "answer"], records, list(range(1, len(texts) + 1)))
    if settings.output != STREAM:
        return _score_table(table, settings)
    with contextlib.redirect_stdout(sys.stderr):
        model, known = _load(settings, len(texts))
        scores = _score(read_answers(table), settings, model, known)
    order = np.argsort(scores.ranks, kind="stable")
    say("rank   reward" + "  percentile" * (scores.percentiles is not None) + "  answer")
    for i in order[: 1 if settings.best else None]:
        percentile = "" if scores.percentiles is None else f"{scores.percentiles[i]:12d}"
        numbers = f"{scores.ranks[i]:4d}  {scores.rewards[i]:+.4f}{percentile}  "
        say(numbers + _one_line(texts[i]), hanging=len(numbers))
    if len(order) > 1:
        first, second = (shorten(_one_line(texts[i]), 40) for i in order[:2])
        odds = known.probability(scores.rewards[order[0]] - scores.rewards[order[1]])
        if odds is not None:
            say(f"\nA person is expected to prefer {first} to {second} {odds:.0%} of the time.")
        elif known.reward_quantiles is not None:
            say(
                f"{settings.model}: no odds between answers: {known.no_odds or 'its metrics.json has no calibration'}",
                to=sys.stderr,
            )


def _one_line(text: str) -> str:
    return plain(" ".join(text.split()))


def _check_output(settings: ScoringSettings) -> None:
    """Raise InputError if the result could not be written, before any work is done."""
    path = Path(settings.output)
    if settings.output == STREAM:
        return
    if path.is_dir():
        raise InputError(f"{path}: a folder, not a file; choose another --output")
    if path.is_file() and not settings.force:
        raise InputError(f"{path}: exists; choose another --output, or replace it with --force")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: there is no such folder; make it, or choose another --output")


def _added_names(answers: Answers, reward: str, flat: bool) -> list[str]:
    """Return the names of the columns that are added; raise InputError where there is one already."""
    table, layout = answers.table, "rows" if flat else answers.roles.layout
    kept = [name for name in table.columns if not (flat and name in answers.roles.columns)]
    names = names_of(layout, reward, kept)
    if taken := [name for name in names if name in kept]:
        raise InputError(
            f"{table.top}: {taken[0]!r} exists already; give ours another name with --column NAME, or rename or delete it"
        )
    if flat and (taken := [name for name in kept if name in ("prompt", "answer", *["rank"] * bool(answers.roles.how))]):
        raise InputError(
            f"{table.top}: {taken[0]!r} exists already, and each answer would get one; rename or delete it"
        )
    return names


def _load(settings: ScoringSettings, answers: int) -> tuple["RewardModel", ModelRecord]:
    """Load the model, and what its folder knows about its rewards."""
    from preference.model.reward_model import RewardModel

    avoid_busy_waiting()
    precision = "fp32" if settings.precision == "auto" and answers < FEW else settings.precision
    return RewardModel.load(settings.model, device=settings.device, precision=precision), read_record(settings.model)


def _score(answers: Answers, settings: ScoringSettings, model: "RewardModel", known: ModelRecord) -> _Scores:
    """Score and rank all answers; say what is not known, what was not scored, and what was cut."""
    from rich.progress import Progress

    if answers.roles.layout != "pairs" and known.reward_quantiles is None:
        say(f"{settings.model}: its metrics.json has no rewards of the training answers; no percentile is given")
    if answers.roles.layout == "pairs" and known.calibration is None:
        say(f"{settings.model}: its metrics.json has no calibration; no probability is given")

    texts = [
        (answers.table.at(i), item.prompt.strip(), answer.strip())
        for i, item in enumerate(answers.items)
        for answer in item.answers
    ]
    scored = [k for k, (_, _, answer) in enumerate(texts) if answer]
    if empty := [place for place, _, answer in texts if not answer]:
        say(f"not scored: {counted(len(empty), 'empty answer')} ({name_some(empty)})")
    texts = [texts[k] for k in scored]
    console = make_console(stderr=True)
    cut: dict[int, tuple[int, ...]] = {}
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("scoring", total=len(texts))
        some = model.score(
            [prompt for _, prompt, _ in texts], [answer for *_, answer in texts],
            on_progress=lambda count: progress.advance(task, count), cut=cut,
        )  # fmt: skip
    _settle_cut(some, cut, texts, model.tokenizer.model_max_length)
    rewards = np.full(sum(len(item.answers) for item in answers.items), np.nan, dtype=np.float32)
    rewards[scored] = some
    keys: dict[tuple[str, ...], int] = {}
    numbers = [
        [keys.setdefault(key, len(keys)) for key in ((prompt,), (prompt, answer))] for _, prompt, answer in texts
    ]
    of_prompt, of_answer = np.asarray(numbers, dtype=np.int64).reshape(-1, 2).T
    ranks, best = np.zeros(len(rewards), dtype=np.int64), np.zeros(len(rewards), dtype=bool)
    ranks[scored], best[scored] = rank_within(of_prompt, some, of_answer)
    return _Scores(rewards, ranks, best, known.percentiles(np.nan_to_num(rewards)))


def _settle_cut(
    rewards: np.ndarray, cut: dict[int, tuple[int, ...]], texts: Sequence[tuple[str, str, str]], limit: int
) -> None:
    """Say how many answers were cut at the model's length, and give those that became identical by it the same reward.

    Args:
        cut: the token ids that are left, by position.
        texts: place, prompt and answer of each.
    """
    if not cut:
        return
    say(f"{counted(len(cut), 'answer')} of {len(texts)} cut at the model's length of {limit} tokens")
    alike: dict[tuple[int, ...], list[int]] = {}
    for k, ids in sorted(cut.items()):
        alike.setdefault(ids, []).append(k)
    groups = []
    for positions in alike.values():
        rewards[positions] = rewards[positions[0]]  # in a batch of another length its last digits differ
        first_of = {texts[k][1:]: texts[k][0] for k in reversed(positions)}
        if len(first_of) > 1:
            groups.append(" = ".join(reversed(first_of.values())))
    if groups:
        say(f"warning: answers that became identical by the cut have the same reward: {name_some(groups)}")


def _with_scores(
    answers: Answers, scores: _Scores, known: ModelRecord, names: list[str], *, flat: bool, best: bool
) -> Iterator[Record]:
    """Give the records with their scores, or one for each answer; without what is not known."""
    layout, records = ("rows", per_answer(answers)) if flat else (answers.roles.layout, answers.table.records)
    end = 0
    for record, count in zip(
        records, [1] * len(scores.rewards) if flat else [len(item.answers) for item in answers.items], strict=True
    ):
        start, end = end, end + count
        each: list[Any] = [scores.of(k) for k in range(start, end)]
        values: Sequence[Any] = [None] * len(names)
        if layout == "rows" and each:
            if best and not scores.best[start]:
                continue
            values = each[0]
        elif layout == "lists" and each:
            values = [
                list(column) if any(value is not None for value in column) else None
                for column in zip(*each, strict=True)
            ]
        elif each:
            margin = float(scores.rewards[start]) - float(scores.rewards[start + 1])
            odds = None if np.isnan(margin) else known.probability(margin)
            values = (
                each[0][0],
                each[1][0],
                None if np.isnan(margin) else round(margin, 6),
                None if odds is None else round(odds, 4),
            )
        yield record | {name: value for name, value in zip(names, values, strict=True) if value is not None}


def _print_agreement(answers: Answers, rewards: np.ndarray, known: ModelRecord) -> None:
    """Print the trainer's agreement table, checks and closing sentence for the labelled answers that the model was not trained on."""
    seen = None if known.seen_prompts is None else set(known.seen_prompts)
    evaluation, notes = judge(
        answers.items, answers.roles, rewards, lambda prompt: seen is not None and prompt_digest(prompt) in seen
    )
    if seen is None:
        notes.append(
            "its metrics.json does not say which prompts the model was trained on; on those the table proves nothing"
        )
    if evaluation:
        print_report([evaluation], answers=False)
    for note in notes:
        say(note)
