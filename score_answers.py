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
from preference.jobs.settings import ScoringSettings
from preference.machine import avoid_busy_waiting
from preference.scripts import Parser, add_settings, run_script, settings_from


def build_parser() -> argparse.ArgumentParser:
    parser = Parser("score_answers.py", __doc__.partition("\n")[0])
    parser.add_argument(
        "data", metavar="answers.csv", nargs="?",
        help="prompts with one answer, a list of answers, or chosen and rejected; - is standard input",
    )  # fmt: skip
    add_settings(parser, ScoringSettings)
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
    from preference.jobs.scoring import score_by_hand, score_file

    settings = settings_from(ScoringSettings, args, named=named_roles(args))
    score_by_hand(args.prompt, args.answer, settings) if args.data is None else score_file(args.data, settings)
    return 0


if __name__ == "__main__":
    run_script(main)
