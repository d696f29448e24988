#!/usr/bin/env python3
"""Score answers with a trained reward model.

    python score_answers.py answers.csv --output scored.csv
    python score_answers.py --prompt "Name a prime number" --answer "7" --answer "Bananas are yellow."

Reads CSV, JSONL, JSON or Parquet, from a file or from a pipe ("-"), and writes the same records in the same order and format:
- prompt, answer: plus reward (higher is better), rank_in_prompt (1 is the prompt's best; an answer that stands there several times counts
  once) and percentile (how many per cent of the training answers have a lower reward);
- prompt, answers (a list, as in candidates.jsonl): plus the lists rewards, ranks_in_prompt and percentiles; in a CSV each answer
  becomes a row;
- prompt, chosen, rejected: plus reward_chosen, reward_rejected, margin, and the probability that a person prefers the chosen one;
- records of every other format that convert_rankings.py reads (HH-RLHF, UltraFeedback, RewardBench, HelpSteer, Nectar, arena votes, ...;
  scored answers with --score NAME): the same additions, for their answers in the order in which they stand.

The rows of a prompt may stand anywhere in a file, which is read three times: to check, to score and to write. A pipe is scored as it
comes; there the rows of a prompt must follow each other, and each list is ranked by itself. Any number of records takes the same
memory, but for about 100 bytes per answer of a file. Labelled answers (ranks, scores, chosen and rejected) are kept in memory, and how
the rewards agree with their labels is printed at the end.
"""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preference.arguments import HelpFormatter, Parser
from preference.console import make_console, say
from preference.data.answers import ADDED, Answers, Scorable, columns_per_answer, one_per_answer, with_scores
from preference.data.csv_table import CsvError
from preference.data.record_writers import kind_of_target, open_writer
from preference.data.records import STREAM
from preference.errors import InputError
from preference.scripts import run_script
from preference.threads import settle_waiting
from preference.training.settings import PRECISIONS
from preference.wording import plain, shorten

if TYPE_CHECKING:
    from preference.evaluation.judging import Judge
    from preference.evaluation.scale import RewardScale
    from preference.evaluation.scored_records import Score
    from preference.model.reward_model import RewardModel

FEW = 64  # answers; to score so few takes less time than to measure in which precision the processor is faster


@dataclass(frozen=True)
class Job:
    """What to score, with what, and where the result goes."""

    data: str
    output: str
    model: str
    device: str
    precision: str
    best: bool  # write only each prompt's best answer
    labels: str | None = None  # the column of scores, where each record is one answer


def run(job: Job) -> None:
    """Score a file or a pipe, and print how the rewards agree with the labels, where there are any."""
    # 1. What there is to score. A file is checked as a whole before any work is done.
    from preference.evaluation.scored_records import file_stamp, read_ahead, score_file, score_stream

    def read() -> Answers:
        return Answers(job.data, job.labels)

    answers = read()
    is_file, total, stamp = answers.records.rereadable, None, None
    if is_file:
        stamp = file_stamp(job.data)
        total = check_all(answers)
    if job.best and answers.layout == "pairs":
        raise InputError("--best needs answers to choose from, not pairs of chosen and rejected")
    kind = kind_of_target(job.output, answers.records.kind)
    flat = answers.layout == "lists" and (kind == "csv" or job.best)
    columns = columns_per_answer(answers.columns, answers.known, job.data) if flat else list(answers.columns)
    windows = None if is_file else read_ahead(answers)  # while the model is loaded

    # 2. The model.
    settle_waiting()
    precision = "fp32" if job.precision == "auto" and total is not None and total < FEW else job.precision
    model, scale = load(job.model, job.device, precision)
    with progress_bar(total) as advance:
        score = scorer(model, advance)
        scored = score_file(job.data, stamp, score, scale, read) if windows is None else score_stream(windows, answers.layout, score, scale)
        if note := not_known(scale, answers.layout):
            say(f"{job.model}: {note}", to=sys.stderr)

        # 3. Scoring and writing.
        judge = make_judge() if answers.labelled else None
        added = [name for name in ADDED["rows" if flat else answers.layout] if name not in unknown_columns(scale)]
        with open_writer(job.output, kind, [*columns, *added], schema=answers.records.schema) as writer:
            for item, scores in scored:
                if judge:
                    judge.add(item, scores.rewards)
                for own, its in one_per_answer(item, scores, answers.known) if flat else [(item, scores)]:
                    if not job.best or its.best[:1].any():
                        writer.write(with_scores(own, "rows" if flat else answers.layout, its))

    if place := answers.records.cut_short:
        say(f"warning: {place}: the last line was cut short, and is left out", to=sys.stderr)

    # 4. Judging the model by the labels.
    if judge:
        print_agreement(judge, scale, sys.stderr if job.output == STREAM else sys.stdout)


def check_all(answers: Answers) -> int:
    """Read a file to its end; return how many answers it has.

    Raises:
        CsvError: with all the records that cannot be scored.
    """
    total, problems = answers.check()
    if problems:
        raise CsvError(problems)
    return total


def load(folder: str, device: str, precision: str) -> tuple["RewardModel", "RewardScale"]:
    """Load the model, and what its folder knows about its rewards."""
    from preference.evaluation.scale import read_scale
    from preference.model.reward_model import RewardModel

    return RewardModel.load(folder, device=device, precision=precision), read_scale(folder)


def scorer(model: "RewardModel", advance: Callable[[int], object] = lambda scored: None) -> "Score":
    """Return the function that scores records; `advance` is called with the number of answers as they are scored."""

    def score(items: list[Scorable]) -> Any:
        texts = [(item.prompt, answer) for item in items for answer in item.answers]
        return model.score([prompt for prompt, _ in texts], [answer for _, answer in texts], on_progress=advance)

    return score


def not_known(scale: "RewardScale", layout: str) -> str:
    """Say which column is left out, if any, as the model's folder lacks what it takes."""
    if scale.quantiles is None and layout != "pairs":
        return "its metrics.json has no rewards of the training answers; no percentile is given"
    if scale.temperature is None and layout == "pairs":
        return f"no probability is given: {scale.no_odds}"
    return ""


def unknown_columns(scale: "RewardScale") -> list[str]:
    return [*(["percentile", "percentiles"] if scale.quantiles is None else []), *(["probability"] if scale.temperature is None else [])]


@contextlib.contextmanager
def progress_bar(total: int | None) -> Iterator[Callable[[int], object]]:
    """Show how many answers are scored, on a terminal; where it also shows the rows, they tell enough."""
    from rich.progress import Progress

    terminal = make_console(stderr=True)
    with Progress(console=terminal, transient=True, disable=not terminal.is_terminal or sys.stdout.isatty()) as progress:
        task = progress.add_task("scoring", total=total)
        yield lambda scored: progress.advance(task, scored)


def make_judge() -> "Judge":
    from preference.evaluation.judging import Judge

    return Judge()


def print_agreement(judge: "Judge", scale: "RewardScale", to: Any) -> None:
    """Print the trainer's agreement table, checks and closing sentence for the labelled answers that the model was not trained on."""
    from preference.evaluation.tables import print_report
    from preference.training.seen_prompts import prompt_digest

    seen = scale.seen_prompts
    evaluation, notes = judge.evaluate(lambda prompt: seen is not None and prompt_digest(prompt) in seen)
    if seen is None:
        notes.append("its metrics.json does not say which prompts the model was trained on; on those the table proves nothing")
    with contextlib.redirect_stdout(to):
        if evaluation:
            print_report([evaluation], answers=False)
        for note in notes:
            say(note)


def run_by_hand(prompt: str, answers: list[str], job: Job) -> None:
    """Print the answers to one prompt, best first, and how likely the best one is to be preferred to the second."""
    if not prompt.strip() or not all(answer.strip() for answer in answers):
        raise InputError("--prompt and --answer must not be empty")
    items = [Scorable({"prompt": prompt, "answer": answer}, prompt, [answer], "command line") for answer in answers]
    import torch

    from preference.evaluation.scored_records import rank_run

    torch.set_num_threads(1)  # a few texts gain nothing from more
    model, scale = load(job.model, job.device, "fp32" if job.precision == "auto" else job.precision)
    rewards = scorer(model)(items)
    scored = list(rank_run([(item, rewards[i : i + 1]) for i, item in enumerate(items)], scale))
    if note := not_known(scale, "rows"):
        say(f"{job.model}: {note}", to=sys.stderr)
    if job.output != STREAM:
        added = [name for name in ADDED["rows"] if name not in unknown_columns(scale)]
        with open_writer(job.output, kind_of_target(job.output, "csv"), ["prompt", "answer", *added]) as writer:
            for item, scores in scored:
                if scores.best[0] or not job.best:
                    writer.write(with_scores(item, "rows", scores))
        return
    scored.sort(key=lambda pair: pair[1].ranks[0])
    say("rank   reward" + "  percentile" * (scale.quantiles is not None) + "  answer")
    for item, scores in scored[: 1 if job.best else None]:
        percentile = "" if scores.percentiles is None else f"{scores.percentiles[0]:12d}"
        say(f"{scores.ranks[0]:4d}  {scores.rewards[0]:+.4f}{percentile}  {one_line(item.answers[0])}", hanging=15 + len(percentile))
    if len(scored) > 1:
        (first, one), (second, other) = scored[:2]
        odds = scale.probability(one.rewards[0] - other.rewards[0])
        if odds is not None:
            names = (shorten(one_line(item.answers[0]), 40) for item in (first, second))
            say("\n{} beats {} with {:.0%}: a person is expected to prefer it so often".format(*names, odds))
        elif scale.quantiles is not None:
            say(f"{job.model}: no odds between answers: {scale.no_odds}", to=sys.stderr)


def one_line(text: str) -> str:
    return plain(" ".join(text.split()))


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="score_answers.py",
        description="Score answers with a trained reward model. From a pipe, the rows of a prompt must follow each other: they are ranked among"
        " themselves when the next prompt begins. In a file they may stand anywhere.",
        formatter_class=HelpFormatter,
    )
    parser.add_argument(
        "data", metavar="answers.csv", nargs="?",
        help="CSV, JSONL, JSON or Parquet with prompt and answer, prompt and a list of answers, prompt, chosen and rejected, or in another"
        " format that convert_rankings.py reads; - is standard input",
    )  # fmt: skip
    parser.add_argument("--model", default="reward_model_final", help="the folder that reward_model_trainer.py wrote")
    parser.add_argument("--output", default=STREAM, help="where the scored records go; the ending may tell another format; - is standard output")
    parser.add_argument("--force", action="store_true", help="replace an existing --output")
    parser.add_argument("--best", action="store_true", help="write only the best answer to each prompt")
    parser.add_argument("--score", metavar="NAME", help="the column of a person's scores, where each record is one answer; the model is judged by it")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto", help="auto: bf16 where the processor is faster in it")
    by_hand = parser.add_argument_group("scoring by hand")
    by_hand.add_argument("--prompt", help="the prompt")
    by_hand.add_argument("--answer", action="append", help="an answer to it; give several to compare them")
    return parser


def main(argv: list[str] | None = None) -> int:
    parser = build_parser()
    args = parser.parse_args(argv)
    if (args.data is None) == (args.prompt is None):
        parser.error("give either a file or --prompt with --answer")
    if (args.answer is None) != (args.prompt is None):
        parser.error("--prompt and --answer go together")
    if args.score is not None and args.data is None:
        parser.error("--score names a column of a file")
    job = Job(args.data, args.output, args.model, args.device, args.precision, args.best, args.score)
    check_output(job.output, args.force)
    try:
        if args.prompt is None:
            run(job)
        else:
            run_by_hand(args.prompt, args.answer, job)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("" if job.output == STREAM else "nothing was written") from None
    return 0


def check_output(output: str, force: bool) -> None:
    """Raise InputError if the result could not be written, before any work is done."""
    path = Path(output)
    if output == STREAM:
        return
    if path.is_dir():
        raise InputError(f"{output}: a folder, not a file; choose another --output")
    if path.is_file() and not force:
        raise InputError(f"{output}: exists; choose another --output, or replace it with --force")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{output}: there is no such folder; make it, or choose another --output")


if __name__ == "__main__":
    run_script(main)
