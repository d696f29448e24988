#!/usr/bin/env python3
"""Convert other people's preference data to the CSV of this project, and back.

    python convert_rankings.py ultrafeedback.parquet rankings.csv
    python convert_rankings.py nvidia/HelpSteer2 rankings.csv --split train --limit 2000
    python convert_rankings.py training_data.csv pairs.jsonl --to trl-conversational

SOURCE is a table (.csv, .xlsx, .jsonl, .json or .parquet, or "-" for standard input) or a data set of the Hugging Face
Hub. What its columns mean is known by their names, and said before anything is written; flags name columns that are not
known. TARGET is a table, too; --to says what is written into it. docs/formats.md has the names and the rules.
"""

import argparse

from preference.data.conversion import ALL, BEST_WORST, TARGETS, choose_target, convert
from preference.data.roles import add_role_arguments, named_roles
from preference.data.tables import KINDS
from preference.scripts import Parser, at_least, run_script


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        "convert_rankings.py",
        "Convert other people's preference data to the CSV of this project, and back.",
        epilog="A chat of several turns becomes one prompt: its turns, each after User:, Assistant: or System:, with"
        " empty lines between. docs/formats.md lists the names by which columns are known.",
    )
    source = "a table, - for standard input, or OWNER/NAME of a data set of the Hugging Face Hub"
    parser.add_argument("source", metavar="SOURCE", help=source)
    parser.add_argument("target", metavar="TARGET", help="a table, or - for standard output")
    add_role_arguments(parser.add_argument_group("columns of SOURCE with unrecognised names"))
    parser.add_argument("--limit", type=at_least(1), metavar="N", help="read only the first N records")
    parser.add_argument("--split", metavar="NAME", help="the split of a data set of the Hub")
    parser.add_argument("--config", metavar="NAME", help="the configuration (subset) of a data set of the Hub")
    to = "what is written (default: csv where TARGET is .csv, .xlsx or -)"
    parser.add_argument("--to", choices=list(TARGETS), help=to)
    pairs = "which pairs: all untied ones of a ranking, or its best answer with its worst"
    parser.add_argument("--pairs", choices=[ALL, BEST_WORST], default=ALL, help=pairs)
    kind = "the kind of file, if TARGET's ending does not tell (default for -: csv for --to csv, else jsonl)"
    parser.add_argument("--kind", choices=list(dict.fromkeys(KINDS.values())), help=kind)
    parser.add_argument("--force", action="store_true", help="replace an existing TARGET; it is kept as a backup")
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    target = choose_target(args.target, args.to, args.kind, args.pairs, force=args.force)
    try:
        convert(args.source, target, named_roles(args), config=args.config, split=args.split, limit=args.limit)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("nothing was written") from None
    return 0


if __name__ == "__main__":
    run_script(main)
