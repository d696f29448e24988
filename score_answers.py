#!/usr/bin/env python3
"""Score answers with a trained reward model.

    python score_answers.py --model reward_model_final answers.csv --output scored.csv
    python score_answers.py --prompt "Name a prime number" --answer "7" --answer "Bananas are yellow."

Reads a CSV with the columns prompt and answer. Writes the same rows and columns in the same order with two more:
reward (higher is better) and rank_in_prompt (1 is the prompt's best), to --output or standard output.
"""

from preference.processes import end_silently, raise_on_interrupt

if __name__ == "__main__":
    end_silently()

import argparse
import sys
from pathlib import Path

from preference.arguments import HelpFormatter, Parser
from preference.data.csv_table import CsvError, CsvTable, Row, check_texts, format_rows, read_table
from preference.durable_files import write_atomically
from preference.errors import InputError
from preference.threads import settle_waiting
from preference.training.settings import PRECISIONS
from preference.wording import plain

ADDED = ["reward", "rank_in_prompt"]


def read_answers(path: Path) -> CsvTable:
    """Read the CSV `path`, whose prompts and answers must not be empty."""
    table = read_table(path, ["prompt", "answer"])
    if problems := check_texts(table, ["prompt", "answer"]):
        raise CsvError(problems)
    if taken := [name for name in ADDED if name in table.columns]:
        raise InputError(f"{path}:1: the column {taken[0]!r} exists already; rename or delete it")
    return table


def table_from_arguments(prompt: str, answers: list[str]) -> CsvTable:
    """Return the answers of the command line as if a CSV held them."""
    if not prompt.strip() or not all(answer.strip() for answer in answers):
        raise InputError("--prompt and --answer must not be empty")
    return CsvTable("command line", ["prompt", "answer"], [Row(0, [prompt, answer]) for answer in answers], "")


def score(table: CsvTable, model_folder: str, device: str, precision: str) -> list[tuple[float, int]]:
    """Return the reward and the rank within its prompt of each row of `table`."""
    settle_waiting()
    from rich.console import Console
    from rich.progress import Progress

    from preference.evaluation.metrics import predicted_ranks
    from preference.model.reward_model import RewardModel

    raise_on_interrupt()
    model = RewardModel.load(model_folder, device=device, precision=precision)
    prompts, answers = table.column("prompt"), table.column("answer")
    terminal = Console(stderr=True)
    with Progress(console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
        task = progress.add_task("scoring", total=len(answers))
        rewards = model.score(prompts, answers, on_progress=lambda scored: progress.advance(task, scored)).tolist()
    of_prompt: dict[str, list[int]] = {}
    for i, prompt in enumerate(prompts):
        of_prompt.setdefault(prompt.strip(), []).append(i)
    ranks = [0] * len(rewards)
    for rows in of_prompt.values():
        for i, rank in zip(rows, predicted_ranks([rewards[i] for i in rows]), strict=True):
            ranks[i] = rank
    return list(zip(rewards, ranks, strict=True))


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="score_answers.py", description="Score answers with a trained reward model.", formatter_class=HelpFormatter)
    parser.add_argument("data", metavar="answers.csv", nargs="?", type=Path, help="a CSV with the columns prompt and answer")
    parser.add_argument("--model", default="reward_model_final", help="the folder that reward_model_trainer.py wrote")
    parser.add_argument("--output", type=Path, help="where the scored CSV goes (default: standard output)")
    parser.add_argument("--force", action="store_true", help="replace an existing --output")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32", help="auto: bf16 where the processor is faster in it")
    by_hand = parser.add_argument_group("scoring by hand")
    by_hand.add_argument("--prompt", help="the prompt")
    by_hand.add_argument("--answer", action="append", help="an answer to it; give several to compare them")
    return parser


def main(argv: list[str] | None = None) -> int:
    parser = build_parser()
    args = parser.parse_args(argv)
    if (args.data is None) == (args.prompt is None):
        parser.error("give either a CSV or --prompt with --answer")
    if (args.answer is None) != (args.prompt is None):
        parser.error("--prompt and --answer go together")
    try:
        if args.output is not None and args.output.exists() and not args.force:
            raise InputError(f"{args.output}: exists; choose another --output, or replace it with --force")
        table = read_answers(args.data) if args.prompt is None else table_from_arguments(args.prompt, args.answer)
        scores = score(table, args.model, args.device, args.precision)
        if args.prompt is not None and args.output is None:
            for answer, (reward, rank) in sorted(zip(args.answer, scores, strict=True), key=lambda item: item[1][1]):
                print(f"{rank:2d}  {reward:+.4f}  {plain(answer)}")
            return 0
        _write(table, scores, args.output)
    except InputError as error:
        print(f"error: {plain(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; nothing was written", file=sys.stderr)
        return 130
    return 0


def _write(table: CsvTable, scores: list[tuple[float, int]], output: Path | None) -> None:
    rows = [[*row.cells, f"{reward:.6f}", rank] for row, (reward, rank) in zip(table.rows, scores, strict=True)]
    text = format_rows([[*table.columns, *ADDED], *rows])
    if output is None:
        sys.stdout.reconfigure(encoding="utf-8", newline="")
        sys.stdout.write(plain(text) if sys.stdout.isatty() else text)  # a terminal would obey what texts hold
        return
    try:
        write_atomically(output, text)
    except OSError as error:
        raise InputError(f"{output}: cannot be written: {error.strerror}") from None


if __name__ == "__main__":
    raise SystemExit(main())
