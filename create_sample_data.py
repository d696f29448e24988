#!/usr/bin/env python3
"""Write the pre-ranked sample: five prompts to train on and three to test on, four answers each.

    python create_sample_data.py
    python create_sample_data.py --force      # replace files that differ, keeping a backup of each

Writes training_data.csv and test_data.csv (columns prompt, answer, rank; 1 is best). A file that differs is kept.
"""

import argparse
from pathlib import Path

from preference.console import say
from preference.data.rankings import SAMPLES, read_rankings
from preference.durable_files import back_up, write_atomically
from preference.scripts import Parser, run_script


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        "create_sample_data.py",
        "Write the pre-ranked sample: five training prompts and three test prompts, four answers each. A"
        " file that differs is kept.",
    )
    parser.add_argument(
        "--force", action="store_true", help="replace a file that differs from the sample; a backup of it is kept"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    for sample in SAMPLES:
        path, content = Path(sample.name), sample.read_bytes()
        if path.exists() and path.read_bytes() != content:
            if not args.force:
                say(f"{path}: kept, though it is not the sample (create_sample_data.py --force replaces it)")
                continue
            say(f"{path}: the old file is kept as {back_up(path)}")
        write_atomically(path, content)
        say(f"{path}: {len(read_rankings(sample))} prompts x 4 ranked answers")
    return 0


if __name__ == "__main__":
    run_script(main)
