#!/usr/bin/env python3
"""Write the pre-ranked sample: five prompts to train on and three to test on, four answers each.

    python create_sample_data.py
    python create_sample_data.py --force      # replace files that differ, keeping a backup of each

Writes training_data.csv and test_data.csv (columns prompt, answer, rank; 1 is best).
"""

import argparse
from pathlib import Path

from preference.console import say
from preference.data.roles import COLUMNS
from preference.data.sample import TEST_SAMPLE, TRAINING_SAMPLE
from preference.data.table_writing import format_rows
from preference.durable_files import back_up, write_atomically
from preference.errors import InputError
from preference.scripts import HelpFormatter, Parser, file_path, run_script


def as_csv(sample: dict[str, list[str]]) -> str:
    """Return `sample` (prompt -> answers, best first) as the text of a CSV."""
    rows = [[prompt, answer, rank] for prompt, answers in sample.items() for rank, answer in enumerate(answers, 1)]
    return format_rows([COLUMNS, *rows])


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="create_sample_data.py",
        description="Write the pre-ranked sample: five training prompts and three test prompts, four answers each.",
        formatter_class=HelpFormatter,
    )
    parser.add_argument(
        "--training-data", type=file_path, default=Path("training_data.csv"), help="where the training sample goes"
    )
    parser.add_argument("--test-data", type=file_path, default=Path("test_data.csv"), help="where the test sample goes")
    differs = parser.add_mutually_exclusive_group()
    differs.add_argument(
        "--force", action="store_true", help="replace a file that differs from the sample; a backup of it is kept"
    )
    differs.add_argument(
        "--keep-existing", action="store_true", help="leave a file that differs from the sample as it is"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    if args.training_data.resolve() == args.test_data.resolve():
        raise InputError(
            f"--training-data {args.training_data} and --test-data {args.test_data} name the same file;"
            " give each its own"
        )
    samples = {args.training_data: TRAINING_SAMPLE, args.test_data: TEST_SAMPLE}
    contents = {path: as_csv(sample) for path, sample in samples.items()}
    differing = [path for path, text in contents.items() if path.exists() and path.read_bytes() != text.encode()]
    if differing and not (args.force or args.keep_existing):
        raise InputError(
            "\n".join(f"{path} exists and differs from the sample" for path in differing)
            + "; nothing was written. Use --force to replace it (a backup is kept) or --keep-existing to leave it."
        )
    for path, text in contents.items():
        if path in differing and args.keep_existing:
            say(f"{path}: kept as it is; it differs from the sample")
            continue
        if path in differing:
            say(f"{path}: the old file is kept as {back_up(path)}")
        write_atomically(path, text)
        say(f"{path}: {len(samples[path])} prompts x 4 ranked answers")
    return 0


if __name__ == "__main__":
    run_script(main)
