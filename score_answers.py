#!/usr/bin/env python3
"""Score answers with a trained reward model.

    python score_answers.py answers.csv --output scored.csv
    python score_answers.py --prompt "How do I boil an egg?" --answer "Eight minutes in boiling water." --answer "No."

Reads CSV, JSONL, JSON, Parquet or .xlsx (each also as .gz), from a file or a pipe ("-"), and writes the same records
in the same order and format, with
- reward (higher is better), rank_in_prompt (1 is the best) and percentile (how many per cent of the training answers
  have a lower reward) for one answer in a record; lists of them for a list of answers, of which a CSV or a sheet gets
  one row each;
- reward_chosen, reward_rejected, margin, and the probability that a person prefers the chosen one for a pair.
Where the file says which answer is better, how the rewards agree with it is printed at the end. docs/formats.md names
the columns that are understood.
"""

import argparse

from preference.data.roles import add_role_arguments, named_roles
from preference.machine import avoid_busy_waiting
from preference.scripts import HelpFormatter, Parser, run_script
from preference.training.settings import PRECISIONS


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="score_answers.py", description="Score answers with a trained reward model.", formatter_class=HelpFormatter
    )
    parser.add_argument(
        "data", metavar="answers.csv", nargs="?",
        help="prompts with one answer, a list of answers, or chosen and rejected; - is standard input",
    )  # fmt: skip
    parser.add_argument("--model", default="reward_model_final", help="the folder that reward_model_trainer.py wrote")
    parser.add_argument(
        "--output", default="-", help="where the scored records go, in the format of its ending; - is standard output"
    )
    parser.add_argument("--force", action="store_true", help="replace an existing --output")
    parser.add_argument("--best", action="store_true", help="write only the best answer to each prompt")
    parser.add_argument("--column", metavar="NAME", default="reward", help="name of the column of rewards")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto", help="auto: bf16 where it is faster")
    columns = parser.add_argument_group("columns with unrecognised names (also --prompt)")
    add_role_arguments(columns, "prompt")
    by_hand = parser.add_argument_group("scoring by hand")
    by_hand.add_argument("--prompt", help="the prompt; beside a file, its column")
    by_hand.add_argument("--answer", action="append", help="an answer to it; give several to compare them")
    return parser


def main(argv: list[str] | None = None) -> int:
    parser = build_parser()
    args = parser.parse_args(argv)
    if (args.data is None) != bool(args.answer) or (args.answer and (args.prompt is None or args.output != "-")):
        parser.error("give either a file, or --prompt and --answer, and then no --output")
    avoid_busy_waiting()
    from preference.jobs.scoring import ScoringSettings, score_by_hand, score_file

    settings = ScoringSettings(
        args.model, args.output, args.force, args.device, args.precision, args.best, args.column, named_roles(args)
    )
    score_by_hand(args.prompt, args.answer, settings) if args.data is None else score_file(args.data, settings)
    return 0


if __name__ == "__main__":
    run_script(main)
