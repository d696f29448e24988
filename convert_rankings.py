#!/usr/bin/env python3
"""Convert preference data that others made to the CSV of this project, and back.

    python convert_rankings.py ultrafeedback.parquet rankings.csv
    python convert_rankings.py training_data.csv pairs.jsonl --to trl-conversational

SOURCE may be .csv, .jsonl, .json or .parquet, or "-" for standard input; its format is known by its columns. So may TARGET be; --to
says what is written into it. Several rankings of one prompt get a `group` each. A chat of several turns becomes one prompt,
"User: ...", "Assistant: ...", "User: ..." with empty lines between, and a chat again in trl-conversational. docs/formats.md has the
columns, and what each format can hold.
"""

import argparse
import contextlib
import itertools
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from preference.arguments import HelpFormatter, Parser
from preference.data.dialogues import Unreadable
from preference.data.gathering import Gathered, Gathering
from preference.data.rankings import GROUP, RATER, rankings_of, text_of
from preference.data.source_formats import RANKED, SUBSET, NoComparison, SourceFormat, find_format, rater_of, subset_of
from preference.data.source_values import from_cells
from preference.data.tables import COLUMNS, KINDS, STREAM, Table, TableError, kind_of, read_table, write_table
from preference.data.target_formats import ALL, BEST_WORST, PAIRED, TARGETS, pairs_of
from preference.durable_files import back_up
from preference.errors import InputError
from preference.scripts import run_script
from preference.wording import plain

CONVERSATIONAL = "trl-conversational"


@dataclass(frozen=True)
class Target:
    """Where the rankings go, and as what."""

    path: str  # "-" is standard output
    format: str  # one of TARGETS
    kind: str  # of file
    pairs: str = ALL


@dataclass
class Found:
    """What a source holds."""

    source: str
    name: str  # of one record
    note: str
    records: int
    rankings: Iterable[Gathered]
    has_groups: bool
    has_subsets: bool
    most_answers: int  # to a prompt
    left_out: Counter[str] = field(default_factory=Counter)  # why -> how many


def choose_target(path: str, to: str | None, kind: str | None, pairs: str, *, force: bool) -> Target:
    """Return what is written where; raise InputError if it is not clear, or cannot be written."""
    if path == STREAM:
        to = to or "csv"
        kind = kind or ("csv" if to == "csv" else "jsonl")
    else:
        kind = kind or kind_of(path)
        if not kind:
            raise InputError(f"{path}: the ending does not say what kind of file it is; use one of {', '.join(KINDS)}, or --kind")
        if to is None and kind != "csv":
            raise InputError(f"{path}: say with --to what is written into it: {', '.join(TARGETS)}")
        to = to or "csv"
    if kind == "csv" and to in (CONVERSATIONAL, "lists"):
        raise InputError(f"{path}: a CSV cannot hold lists, as --to {to} has them; write .jsonl, .json or .parquet")
    if pairs != ALL and to not in PAIRED:
        raise InputError(f"--pairs {pairs}: --to {to} writes no pairs; use one of {', '.join(PAIRED)}")
    if path != STREAM:
        if os.path.isdir(path) or not Path(path).resolve().parent.is_dir():
            raise InputError(f"{path}: {'a folder' if os.path.isdir(path) else 'its folder does not exist'}; name a file")
        if os.path.isfile(path) and not force:
            raise InputError(f"{path}: exists; choose another TARGET, or replace it with --force (the earlier file is kept as a backup)")
    return Target(path, to, kind, pairs)


def read_source(source: str, score: str | None, stack: contextlib.ExitStack) -> Found:
    """Read all of a source; what it says is kept on the disk until `stack` is left, but for the rows of the CSV contract.

    Raises:
        InputError: it is of no known format, or some of its records are wrong: one line for each, and nothing else is done.
    """
    table = read_table(source)
    if not table.records:
        raise table.none_found("write one per ranking, or per answer")
    if all(map(table.find, COLUMNS)) and score is None:
        found = _read_ranked(table)
    else:
        try:
            known = find_format(table.columns, from_cells(table.records[0], table.kind), score)
        except Unreadable as problem:
            raise InputError(f"{table.at(0)}: {problem}") from None
        except InputError as error:
            raise InputError(f"{table.source}: {error}") from None
        found = _read_compared(table, known, stack)
    if table.cut_short:
        found.left_out[f"an end that was cut short ({table.cut_short})"] += 1
    return found


def _read_ranked(table: Table) -> Found:
    """Read the rows of the CSV contract, which may come from any kind of file."""
    read, subset, (prompt, *_) = rankings_of(table), table.find(SUBSET), table.need(*COLUMNS)
    subsets: dict[str, str] = {}
    for record in table.records if subset else []:
        subsets.setdefault(record[prompt].strip(), text_of(record[subset]))
    reasons = Counter(read.left_out.values())
    reasons["an exact duplicate"] += len(read.duplicate_rows)
    reasons["no rank"] = len(read.unranked_rows)
    return Found(
        table.source,
        RANKED.name,
        RANKED.note,
        read.rows,
        [Gathered(ranking, subsets.get(ranking.prompt, "")) for ranking in read.rankings],
        has_groups=any(ranking.group for ranking in read.rankings),
        has_subsets=any(subsets.values()),
        most_answers=max(len(ranking.answers) for ranking in read.rankings),
        left_out=+reasons,
    )


def _read_compared(table: Table, known: SourceFormat, stack: contextlib.ExitStack) -> Found:
    """Read the records of another format."""
    assert known.read is not None
    problems: list[str] = []
    count = 0
    try:
        gathering = stack.enter_context(Gathering(one_answer=known.layout == "rows"))
        for count, record in enumerate(table.records, 1):
            try:
                compared = known.read(from_cells(record, table.kind))
                of_a_ranking = GROUP in record and "chosen" in known.columns
                gathering.add(compared, rater_of(record), subset_of(record), of_a_ranking=of_a_ranking)
            except NoComparison as reason:
                gathering.left_out[str(reason)] += 1
            except Unreadable as problem:
                problems.append(f"{table.at(count - 1)}: {problem}")
        rankings = gathering.rankings()
        one = next(rankings, None)
    except OSError as error:
        raise InputError(f"{tempfile.gettempdir()}: cannot be written ({error.strerror}); make room there, or set TMPDIR to another folder") from None
    if problems:
        raise TableError(problems)
    if one is None:
        raise InputError(f"{table.source}: {_count(count, 'record')}, and no comparison: {_reasons(gathering.left_out)}")
    return Found(
        table.source,
        known.name,
        known.note,
        count,
        itertools.chain([one], rankings),
        has_groups=gathering.has_groups,
        has_subsets=gathering.has_subsets,
        most_answers=gathering.most_answers,
        left_out=gathering.left_out,
    )


def write_target(found: Found, target: Target) -> tuple[int, int, int]:
    """Write the rankings; return how many records, rankings and prompts were written."""
    records_of = TARGETS[target.format][1]
    paired = target.format in PAIRED
    with_group = found.has_groups or (paired and target.pairs == ALL and found.most_answers > 2)
    with_subset = found.has_subsets or target.format == "rewardbench"
    count = rankings = 0
    prompts: set[int] = set()  # hashes: the texts may be many

    def records() -> Iterator[dict[str, Any]]:
        nonlocal count, rankings
        for ranking, subset in found.rankings:
            rankings += 1
            prompts.add(hash(ranking.prompt))
            for record in records_of(ranking, pairs_of(ranking, target.pairs) if paired else []):
                count += 1
                if target.format != "lists":
                    if with_group:
                        record[GROUP] = ranking.group
                    if ranking.rater:
                        record[RATER] = ranking.rater
                    if with_subset:
                        record[SUBSET] = subset
                if target.format == "rewardbench":
                    record["id"] = count
                yield record

    made = list(records())
    write_table(target.path, target.kind, list(dict.fromkeys(name for record in made for name in record)), made)
    return count, rankings, len(prompts)


def summary(found: Found, target: Target, written: tuple[int, int, int]) -> str:
    """Return what was read, written and left out, in a line or two."""
    count, rankings, prompts = written
    name = TARGETS[target.format][0]
    lines = [
        f"read {_count(found.records, found.name)}{found.note} from {found.source}, wrote {_count(count, name)}"
        f" ({_count(rankings, 'ranking')} of {_count(prompts, 'prompt')}) to {'standard output' if target.path == STREAM else target.path}"
    ]
    if found.left_out:
        lines.append(f"left out: {_reasons(found.left_out)}")
    return "\n".join(lines)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _reasons(left_out: Counter[str]) -> str:
    return ", ".join(f"{count:,} with {why}" for why, count in left_out.most_common())


def _with_progress(numbered: Iterable[tuple[int, dict[str, Any]]]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give the records; where standard error is a terminal, it shows how many."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    terminal = Console(stderr=True)
    columns = [SpinnerColumn(), TextColumn("reading"), TextColumn("{task.completed:,.0f} records"), TimeElapsedColumn()]
    with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
        yield from progress.track(numbered, total=float("inf"))


def run(source: str, target: Target, score: str | None) -> None:
    """The whole job: read and check everything, then write it."""
    with contextlib.ExitStack() as stack:
        found = read_source(source, score, stack)
        backup = back_up(target.path) if target.path != STREAM and Path(target.path).is_file() else None
        written = write_target(found, target)
    report = sys.stderr if target.path == STREAM else sys.stdout
    print(plain(summary(found, target, written)), file=report)
    if backup:
        print(plain(f"the earlier {target.path} is kept as {backup}"), file=report)


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="convert_rankings.py",
        description="Convert preference data that others made to the CSV of this project, and back.",
        epilog="A chat of several turns becomes one prompt: its turns, each after User:, Assistant: or System:, with empty lines between."
        " docs/formats.md lists the formats and their columns.",
        formatter_class=HelpFormatter,
    )
    parser.add_argument("source", metavar="SOURCE", help="a .csv, .jsonl, .json or .parquet file, or - for standard input")
    parser.add_argument("target", metavar="TARGET", help="a .csv, .jsonl, .json or .parquet file, or - for standard output")
    parser.add_argument("--to", choices=list(TARGETS), help="what is written (default: csv where TARGET is .csv or -)")
    parser.add_argument(
        "--pairs", choices=[ALL, BEST_WORST], default=ALL, help="which pairs: all untied ones of a ranking, or its best answer with its worst"
    )
    parser.add_argument("--score", metavar="NAME", help="the column of scores, where each record is one answer; higher is better, equal is a tie")
    parser.add_argument(
        "--kind", choices=list(dict.fromkeys(KINDS.values())),
        help="the kind of file, where TARGET's ending does not say it (default for -: csv for --to csv, else jsonl)",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="replace an existing TARGET; it is kept as a backup")
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    target = choose_target(args.target, args.to, args.kind, args.pairs, force=args.force)
    try:
        run(args.source, target, args.score)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("nothing was written") from None
    return 0


if __name__ == "__main__":
    run_script(main)
