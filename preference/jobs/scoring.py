"""Score the answers of a table, write it back in its form, and judge the rewards where it has labels."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from preference.console import make_bar, say
from preference.data.answers import ADDED, Answers, per_answer, read_answers
from preference.data.splits import prompt_digest
from preference.data.table_writing import STREAM, write_table
from preference.data.tables import Table, kind_of, read_table
from preference.durable_files import prepare_file
from preference.errors import InputError
from preference.evaluation.evaluation import evaluate
from preference.evaluation.metrics import rankings_to_judge_by
from preference.evaluation.record import Record, read_record
from preference.evaluation.tables import print_report
from preference.jobs.settings import ScoringSettings
from preference.wording import counted, name_some, plain, shorten

if TYPE_CHECKING:
    from preference.model.reward_model import RewardModel

FEW = 64  # answers; to score so few takes less time than to measure in which precision the processor is faster


def score_file(source: str, settings: ScoringSettings) -> None:
    """Score a file or a pipe ("-"), write it with the scores, and say how they agree with its labels, if it has any."""
    output = settings.output
    if output != STREAM:
        if Path(output).is_file() and not settings.force:
            raise InputError(f"{output}: exists; choose another --output, or replace it with --force")
        prepare_file(output, "--output")
    table = read_table(source)
    with contextlib.redirect_stdout(sys.stderr) if output == STREAM else contextlib.nullcontext():
        answers = read_answers(table, settings.named)
        if settings.best and answers.roles.layout == "pairs":
            raise InputError("--best needs answers to choose from, not pairs of chosen and rejected")
        for note in answers.notes:
            say(note)
        kind = kind_of(output, table.kind)
        flat = answers.roles.layout == "lists" and (kind in ("csv", "xlsx") or settings.best)  # one row per answer
        names = _added_names(answers, flat)
        scored, known = _score(answers, settings)
        if answers.roles.how:
            _judge(answers, scored, known)
    if (known.calibration if answers.roles.layout == "pairs" else known.reward_quantiles) is None:
        names.pop()
    records = list(_with_scores(answers, scored, known, names, flat=flat, best=settings.best))
    columns = list(dict.fromkeys(name for record in records for name in record)) if flat else [*table.columns, *names]
    write_table(output, kind, columns, records, form=table.form, schema=table.schema)
    if output != STREAM:
        say(f"{output}: {counted(len(records), 'row')} with {name_some(names, 4)}")


def score_by_hand(prompt: str, texts: Sequence[str], settings: ScoringSettings) -> None:
    """Print the answers to one prompt, best first, and how likely the best one is to be preferred to the second."""
    if not prompt.strip() or not all(text.strip() for text in texts):
        raise InputError("--prompt and --answer must not be empty")
    records = [{"prompt": prompt, "answer": text} for text in texts]
    table = Table("command line", "csv", ["prompt", "answer"], records, list(range(len(texts))))
    with contextlib.redirect_stdout(sys.stderr):
        scored, known = _score(read_answers(table), settings)
    rows = list(scored.sort_values("rank", kind="stable").itertuples())
    shown = [plain(" ".join(row.answer.split())) for row in rows]
    say("rank   reward" + "  percentile" * bool(known.reward_quantiles) + "  answer")
    for row, answer in list(zip(rows, shown, strict=True))[: 1 if settings.best else None]:
        percentile = "" if row.percentile is None else f"{row.percentile:12d}"
        numbers = f"{row.rank:4d}  {row.reward:+.4f}{percentile}  "
        say(numbers + answer, hanging=len(numbers))
    if len(rows) > 1:
        odds = known.probability(rows[0].reward - rows[1].reward)
        if odds is not None:
            first, second = (shorten(answer, 40) for answer in shown[:2])
            say(f"\nA person is expected to prefer {first} to {second} {odds:.0%} of the time.")
        elif known.reward_quantiles:
            why = known.no_odds or "its metrics.json has no calibration"
            say(f"{settings.model}: no odds between answers: {why}", to=sys.stderr)


def _added_names(answers: Answers, flat: bool) -> list[str]:
    """Return the names of the columns that are added; raise InputError where the table has one already."""
    table = answers.table
    kept = [name for name in table.columns if not (flat and name in answers.roles.columns)]
    names = list(ADDED["rows" if flat else answers.roles.layout])
    of_rows = ["prompt", "answer", *["rank"] * bool(answers.roles.how)] if flat else []
    if taken := [name for name in (*names, *of_rows) if name in kept]:
        raise InputError(f"{table.top}: a column {taken[0]!r} exists already; rename or delete it")
    return names


def _score(answers: Answers, settings: ScoringSettings) -> tuple[pd.DataFrame, Record]:
    """Score and rank all answers; say what the model's folder does not know, what was not scored, and what was cut.

    Returns one row per answer: `place`, `prompt`, `answer`, and, unless it is empty, `reward`, `rank` among the answers
    to the prompt, `percentile`, and `best`: whether it is the prompt's (of equal ones the first).
    """
    from preference.model.reward_model import RewardModel

    placed = ((answers.table.at(i), item) for i, item in enumerate(answers.items))
    texts = [(place, item.prompt.strip(), answer.strip()) for place, item in placed for answer in item.answers]
    rows = pd.DataFrame(texts, columns=["place", "prompt", "answer"])
    precision = "fp32" if settings.precision == "auto" and len(rows) < FEW else settings.precision
    model = RewardModel.load(settings.model, device=settings.device, precision=precision)
    known = read_record(settings.model)
    if answers.roles.layout != "pairs" and known.reward_quantiles is None:
        say(f"{settings.model}: its metrics.json has no rewards of the training answers; no percentile is given")
    if answers.roles.layout == "pairs" and known.calibration is None:
        say(f"{settings.model}: its metrics.json has no calibration; no probability is given")
    if len(empty := rows[rows["answer"] == ""]):
        say(f"not scored: {counted(len(empty), 'empty answer')} ({name_some(empty['place'])})")
    full = rows[rows["answer"] != ""].copy()
    full["reward"] = _rewards(model, full)
    once = full.drop_duplicates(["prompt", "answer"]).groupby("prompt")["reward"]
    full["rank"] = once.rank(method="min", ascending=False)
    full["rank"] = full.groupby(["prompt", "answer"])["rank"].transform("first").astype(int)
    full["percentile"] = known.percentiles(full["reward"])
    full["best"] = full.index.isin(once.idxmax())
    scored = rows.join(full[["reward", "rank", "percentile", "best"]].astype(object))
    return scored.where(scored.notna(), None), known


def _rewards(model: "RewardModel", texts: pd.DataFrame) -> np.ndarray:
    """Score texts, and say which were cut; those that became identical by it get the same reward."""
    cut: dict[tuple[int, ...], list[int]] = {}
    with make_bar("scoring") as bar:
        advance = partial(bar.advance, bar.add_task("", total=len(texts)))
        rewards = model.score(list(texts["prompt"]), list(texts["answer"]), on_progress=advance, cut=cut)
    if cut:
        length, count = model.tokenizer.model_max_length, sum(map(len, cut.values()))
        say(f"{counted(count, 'answer')} of {len(texts)} cut at the model's length of {length} tokens")
    for alike in cut.values():
        rewards[alike] = rewards[alike[0]]  # in a batch of another length its last digits differ
    different = [texts.iloc[sorted(alike)].drop_duplicates(["prompt", "answer"])["place"] for alike in cut.values()]
    if groups := [" = ".join(places) for places in different if len(places) > 1]:
        say(f"warning: answers that became identical when cut get the same reward: {name_some(groups)}")
    return rewards


def _with_scores(
    answers: Answers, scored: pd.DataFrame, known: Record, names: list[str], *, flat: bool, best: bool
) -> Iterator[dict[str, Any]]:
    """Give the records, or one for each answer, with the values that `names` name."""
    layout, records = ("rows", per_answer(answers)) if flat else (answers.roles.layout, answers.table.records)
    sizes = [1] * len(scored) if flat else [len(item.answers) for item in answers.items]
    rows = scored.itertuples()
    for record, size in zip(records, sizes, strict=True):
        own = list(islice(rows, size))
        if best and not any(row.best for row in own):
            continue
        rewards = [row.reward for row in own]
        rounded = [None if reward is None else round(reward, 6) for reward in rewards]
        values: list[Any] = [rounded, [row.rank for row in own], [row.percentile for row in own]]
        if layout == "rows":
            values = [value for each in values for value in each]
        elif layout == "pairs" and own:
            margin = None if None in rewards else round(rewards[0] - rewards[1], 6)
            odds = None if margin is None else known.probability(margin)
            values = [*rounded, margin, None if odds is None else round(odds, 4)]
        yield record | dict(zip(names, values, strict=False))


def _judge(answers: Answers, scored: pd.DataFrame, known: Record) -> None:
    """Print how the rewards agree with the labels of the prompts that the model was not trained on."""
    seen = frozenset(known.seen_prompts or ())
    rankings, notes = rankings_to_judge_by(answers.items, answers.roles, lambda prompt: prompt_digest(prompt) in seen)
    if known.seen_prompts is None:
        which = "which prompts the model was trained on; on those the table proves nothing"
        notes.append(f"its metrics.json does not say {which}")
    if rankings:
        reward_of = {(row.prompt, row.answer): row.reward for row in scored.itertuples()}
        judged = [reward_of[ranking.prompt, answer] for ranking in rankings for answer in ranking.answers]
        print_report([evaluate("test", rankings, np.asarray(judged, dtype=np.float32))], answers=False)
    for note in notes:
        say(note)
