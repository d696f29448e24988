#!/usr/bin/env python3
"""Say how far your rankings can be trusted, and which to look at again.

    python review_rankings.py --data my_rankings.csv
    python review_rankings.py --data my_rankings.csv --learning-curve

Fits five models, each without a fifth of the prompts, and asks each about the prompts that it never saw. Prints the
agreement on all prompts and the rankings that the models dispute most; writes review.csv (all rankings, most disputed
first: the CSV's own columns, and reward, predicted_rank, dispute). With --learning-curve it also says whether more
rankings would help, and by how much. Nothing in the rankings is changed.
"""

import os
from dataclasses import fields

from preference.jobs.settings import ReviewSettings
from preference.machine import avoid_busy_waiting
from preference.scripts import Parser, add_settings, command_line, run_script, settings_from
from preference.training.settings import TrainingSettings
from preference.wording import flag_with


def build_parser() -> Parser:
    parser = Parser("review_rankings.py", __doc__.partition("\n")[0])
    add_settings(parser, ReviewSettings, TrainingSettings, without="training")
    return parser


def main(argv: list[str] | None = None) -> int:
    parser = build_parser()
    args = parser.parse_args(argv)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    avoid_busy_waiting()
    from preference.jobs.review import review_rankings

    data, again = flag_with("--data", args.data), flag_with("--again", args.output)
    of_model = ["base_model", *(each.name for each in fields(TrainingSettings) if each.name in args)]
    steps = {
        "look again": command_line("generate_data.py", [*data, *again, *parser.given(args, "log")]),
        "train": command_line("reward_model_trainer.py", [*data, *parser.given(args, *of_model)]),
    }
    review_rankings(settings_from(ReviewSettings, args), settings_from(TrainingSettings, args), steps)
    return 0


if __name__ == "__main__":
    run_script(main)
