#!/usr/bin/env python3
"""Say how far your rankings can be trusted, and which of them to look at again.

    python review_rankings.py --data my_rankings.csv
    python review_rankings.py --data my_rankings.csv --learning-curve

Fits five models, each without a fifth of the prompts, and asks each about the prompts that it never saw. Prints the
agreement on all prompts and the rankings that the models dispute most; writes review.csv (all rankings, most disputed
first: the CSV's own columns, and reward, predicted_rank, dispute). With --learning-curve it also says whether more
rankings would help, and by how much, and draws learning_curve.png. Nothing in the rankings is changed.
"""

import argparse
import os
from pathlib import Path

from preference.machine import avoid_busy_waiting
from preference.scripts import HelpFormatter, Parser, at_least, run_script, settings_from
from preference.training.settings import TrainingSettings, add_settings


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="review_rankings.py",
        description="Say how far your rankings can be trusted, and which to look at again.",
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--data", default="training_data.csv", help="the rankings")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("review.csv"),
        help="all rankings, most disputed first; an earlier review is replaced",
    )
    parser.add_argument("--top", type=at_least(0), default=10, help="how many of the most disputed rankings to print")
    parser.add_argument(
        "--log",
        type=Path,
        help="what was shown, and when, for the prompts shown twice (default: ranking_log.jsonl beside --data)",
    )
    curve = parser.add_argument_group("learning curve")
    curve.add_argument(
        "--learning-curve", action="store_true",
        help="also learn from many smaller parts of the rankings, to tell whether more would help",
    )  # fmt: skip
    curve.add_argument(
        "--curve-plot",
        type=Path,
        default=Path("learning_curve.png"),
        help="the picture of it; an earlier one is replaced",
    )
    add_settings(parser, "model", "machine")
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    avoid_busy_waiting()
    from preference.jobs.review import ReviewFiles, review_rankings

    settings = settings_from(TrainingSettings, args)
    review_rankings(
        settings_from(ReviewFiles, args), args.base_model, settings, top=args.top, learning_curve=args.learning_curve
    )
    return 0


if __name__ == "__main__":
    run_script(main)
