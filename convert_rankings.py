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
from preference.console import make_console, say
from preference.data.csv_table import MESSAGES_SHOWN, CsvError, find_unwritable
from preference.data.dialogues import Unreadable
from preference.data.gathering import Gathered, Gathering
from preference.data.rankings import GROUP, RankedRows
from preference.data.record_writers import kind_of_target, open_writer
from preference.data.records import KINDS, STREAM, Records, read_records
from preference.data.source_formats import RANKED, SUBSET, NoComparison, SourceFormat, find_format, rater_of, subset_of
from preference.data.source_values import from_cells, name_of
from preference.data.target_formats import ALL, BEST_WORST, PAIRED, TARGETS, pairs_of
from preference.durable_files import back_up
from preference.errors import InputError
from preference.scripts import run_script
from preference.wording import shorten

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
        kind = kind or kind_of_target(path, "")
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
    records = read_records(source)
    numbered = records.numbered()
    number, first = next(numbered, (0, None))
    if first is None:
        raise records.none_found("write one per ranking, or per answer")
    try:
        known = find_format(records.columns or list(first), from_cells(first, records.kind), score)
    except Unreadable as problem:
        raise InputError(f"{records.at(number)}: {problem}") from None
    except InputError as error:
        raise InputError(f"{records.source}: {error}") from None
    numbered = _with_progress(itertools.chain([(number, first)], numbered))
    found = _read_ranked(records, numbered) if known is RANKED else _read_compared(records, numbered, known, stack)
    if records.cut_short:
        found.left_out[f"an end that was cut short ({records.cut_short})"] += 1
    return found


def _read_ranked(records: Records, numbered: Iterable[tuple[int, dict[str, Any]]]) -> Found:
    """Read the rows of the CSV contract, which may come from any kind of file."""
    rows = RankedRows(records.at, "line" if records.kind in ("csv", "jsonl") else "row")
    subsets: dict[tuple[str, str], str] = {}
    for number, record in numbered:
        texts = {name: record.get(name) for name in ("prompt", "answer", "rank", SUBSET)} | {GROUP: rater_of(record)}
        given = {name: "" if value is None else name_of(value) if isinstance(value, float) else str(value) for name, value in texts.items()}
        for name, text in given.items():
            if name in ("prompt", "answer") and texts[name] is not None and not isinstance(texts[name], str):
                rows.report(number, f"{name} is not a text: {shorten(text)}; write a text")
            elif what := find_unwritable(text):
                rows.report(number, f"{what} in {shorten(text)}; remove it")
        rows.add(number, given["prompt"], given["answer"], given["rank"], given[GROUP])
        if given[SUBSET]:
            subsets.setdefault((given["prompt"].strip(), given[GROUP].strip()), given[SUBSET])
    rankings, left_out = rows.rankings()
    reasons = Counter(left_out.values())
    if rows.duplicate_rows:
        reasons["an exact duplicate"] = len(rows.duplicate_rows)
    return Found(
        records.source,
        RANKED.name,
        RANKED.note,
        rows.count,
        [Gathered(ranking, subsets.get((ranking.prompt, ranking.group), "")) for ranking in rankings],
        has_groups=any(ranking.group for ranking in rankings),
        has_subsets=bool(subsets),
        most_answers=max(len(ranking.answers) for ranking in rankings),
        left_out=reasons,
    )


def _read_compared(records: Records, numbered: Iterable[tuple[int, dict[str, Any]]], known: SourceFormat, stack: contextlib.ExitStack) -> Found:
    """Read the records of another format."""
    assert known.read is not None
    problems: list[str] = []
    count, wrong = 0, 0
    try:
        gathering = stack.enter_context(Gathering(one_answer=known.layout == "rows"))
        for number, record in numbered:
            count += 1
            try:
                compared = known.read(from_cells(record, records.kind))
                of_a_ranking = GROUP in record and "chosen" in known.columns
                gathering.add(compared, rater_of(record), subset_of(record), of_a_ranking=of_a_ranking)
            except NoComparison as reason:
                gathering.left_out[str(reason)] += 1
            except Unreadable as problem:
                wrong += 1
                if wrong <= MESSAGES_SHOWN:
                    problems.append(f"{records.at(number)}: {problem}")
        rankings = gathering.rankings()
        one = next(rankings, None)
    except OSError as error:
        raise InputError(f"{tempfile.gettempdir()}: cannot be written ({error.strerror}); make room there, or set TMPDIR to another folder") from None
    if problems:
        raise CsvError(problems, wrong)
    if one is None:
        raise InputError(f"{records.source}: {_count(count, 'record')}, and no comparison: {_reasons(gathering.left_out)}")
    return Found(
        records.source,
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
            prompts.add(hash(ranking.key))
            for record in records_of(ranking, pairs_of(ranking, target.pairs) if paired else []):
                count += 1
                if target.format != "lists":
                    if with_group:
                        record[GROUP] = ranking.group
                    if with_subset:
                        record[SUBSET] = subset
                if target.format == "rewardbench":
                    record["id"] = count
                yield record

    made = records()
    first = next(made)
    with open_writer(target.path, target.kind, list(first)) as writer:
        for record in itertools.chain([first], made):
            writer.write(record)
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
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    terminal = make_console(stderr=True)
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
    say(summary(found, target, written), to=report)
    if backup:
        say(f"the earlier {target.path} is kept as {backup}", to=report)


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
