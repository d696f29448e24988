"""Converting preference data: from any table, or a data set of the Hub, to the CSV of this project, or to pairs and lists."""

import os
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preference.console import filled, make_console, width
from preference.data.comparisons import Gathered, gather, read_comparisons
from preference.data.hub_datasets import is_dataset_name, read_dataset
from preference.data.rankings import GROUP, Ranking, rankings_of
from preference.data.roles import Roles
from preference.data.tables import COLUMNS, KINDS, RATERS, STREAM, Table, kind_of, read_table, write_table
from preference.data.target_formats import ALL, PAIRED, TARGETS, pairs_of, size_of_pairs
from preference.data.values import text_of
from preference.durable_files import back_up
from preference.errors import InputError
from preference.wording import as_size, plain, shorten

CONVERSATIONAL = "trl-conversational"
MOST_BYTES = 2_000_000_000  # of pairs, which are made in memory


@dataclass(frozen=True)
class Target:
    """Where the rankings go, and as what."""

    path: str  # "-" is standard output
    format: str  # one of TARGETS
    kind: str  # of file
    pairs: str = ALL


def choose_target(path: str, to: str | None, kind: str | None, pairs: str, *, force: bool) -> Target:
    """Return what is written where; raise InputError if it is not clear, or cannot be written."""
    kind = kind or (("csv" if to in (None, "csv") else "jsonl") if path == STREAM else kind_of(path))
    if not kind:
        raise InputError(f"{path}: unrecognised file ending; use one of {', '.join(KINDS)}, or --kind")
    if to is None and path != STREAM and kind not in ("csv", "xlsx"):
        raise InputError(f"{path}: choose with --to what to write: {', '.join(TARGETS)}")
    to = to or "csv"
    if kind in ("csv", "xlsx") and to in (CONVERSATIONAL, "lists"):
        raise InputError(f"{path}: a CSV cannot hold the lists of --to {to}; write .jsonl, .json or .parquet")
    if pairs != ALL and to not in PAIRED:
        raise InputError(f"--pairs {pairs}: --to {to} writes no pairs; use one of {', '.join(PAIRED)}")
    if path != STREAM:
        if os.path.isdir(path) or not Path(path).resolve().parent.is_dir():
            raise InputError(
                f"{path}: {'a folder' if os.path.isdir(path) else 'its folder does not exist'}; name a file"
            )
        if os.path.isfile(path) and not force:
            raise InputError(
                f"{path}: exists; choose another TARGET, or replace it with --force (the earlier file is kept as a backup)"
            )
    return Target(path, to, kind, pairs)


def convert(
    source: str,
    target: Target,
    named: Mapping[str, str],
    *,
    config: str | None = None,
    split: str | None = None,
    limit: int | None = None,
) -> None:
    """Read and check all of a source, say how it was understood, then write it.

    Args:
        source: a file, "-", or the name of a data set of the Hub.
        named: columns that flags name for a role, see `roles.FLAGS`.
        config, split: of a data set of the Hub.
        limit: how many records are read.
    """
    with make_console(stderr=True).status(f"reading {plain(source)}"):  # seen in a terminal only
        table = _read(source, config, split, limit)
        if not table.records:
            raise table.none_found("write one per ranking, or per answer")
        if not named and all(table.find(name) for name in COLUMNS):
            roles, gathered = _read_contract(table)
        else:
            roles, comparisons = read_comparisons(table, named)
            gathered = gather(comparisons, roles)
    if table.cut_short:
        gathered.left_out[f"an end that was cut short ({table.cut_short})"] += 1
    if not gathered.rankings:
        raise InputError(
            f"{table.source}: {_count(len(table.records), 'record')}, and no comparison: {_reasons(gathered)}"
        )
    _check_size(gathered.rankings, target)
    for line in (*table.notes, f"{table.source}: {roles.told()}", f"first: {_shown(gathered.rankings[0])}"):
        _report(line, target)
    backup = back_up(target.path) if target.path != STREAM and Path(target.path).is_file() else None
    written = write_target(gathered, target)
    _report(
        f"read {_count(len(table.records), 'record')} from {table.source}, wrote {_count(written, TARGETS[target.format][0])}"
        f" ({_count(len(gathered.rankings), 'ranking')} of {_count(len({ranking.prompt for ranking in gathered.rankings}), 'prompt')})"
        f" to {'standard output' if target.path == STREAM else target.path}",
        target,
    )
    if reasons := _reasons(gathered):
        _report(f"left out: {reasons}", target)
    if backup:
        _report(f"the earlier {target.path} is kept as {backup}", target)


def _read(source: str, config: str | None, split: str | None, limit: int | None) -> Table:
    if is_dataset_name(source):
        return read_dataset(source, config=config, split=split, limit=limit)
    if config or split:
        raise InputError(
            f"{source}: --config and --split are for data sets on the Hub, like nvidia/HelpSteer2; this is a file here, or not such a name"
        )
    table = read_table(source)
    table.records = table.records[:limit]
    return table


def _read_contract(table: Table) -> tuple[Roles, Gathered]:
    """Read rows of prompt, answer and rank, as the trainer does."""
    ranked = rankings_of(table)
    prompt, answer, rank = table.need(*COLUMNS)
    group, rater, subset = (table.find(*names) or "" for names in ([GROUP], RATERS, ["subset"]))
    subsets = {
        tuple(text_of(record.get(column)) for column in (prompt, group, rater)): text_of(record.get(subset))
        for record in table.records
    }
    left_out = Counter(ranked.left_out.values()) + Counter({"an exact duplicate": len(ranked.duplicate_rows)})
    roles = Roles(
        (prompt,), (answer,), how="rank", said=(rank,), layout="rows", rater=rater, group=group, subset=subset
    )
    return roles, Gathered(
        ranked.rankings,
        [subsets.get(ranking.identity, "") for ranking in ranked.rankings],
        left_out,
        len(ranked.unranked_rows),
    )


def _check_size(rankings: list[Ranking], target: Target) -> None:
    """Refuse pairs that would fill the memory: 20,000 ranked answers to a prompt are 200 million pairs."""
    if target.format in PAIRED and target.pairs == ALL:
        counts, sizes = zip(*map(size_of_pairs, rankings), strict=True)
        if sum(sizes) > MOST_BYTES:
            longest = max(rankings, key=lambda ranking: len(ranking.answers))
            raise InputError(
                f"--to {target.format}: all {sum(counts):,} pairs would be about {as_size(sum(sizes))} of text, too much for one file;"
                f" {shorten(longest.prompt)} alone has {len(longest.answers):,} answers; write --pairs best-worst"
            )


def write_target(gathered: Gathered, target: Target) -> int:
    """Write the rankings; return how many records were written."""
    rankings, paired = gathered.rankings, target.format in PAIRED
    records_of = TARGETS[target.format][1]
    more = [name for name in ("group", "rater") if any(getattr(ranking, name) for ranking in rankings)]
    if paired and target.pairs == ALL and "group" not in more and any(len(ranking.answers) > 2 for ranking in rankings):
        more.insert(0, "group")
    with_subset = any(gathered.subsets) or target.format == "rewardbench"
    records: list[dict[str, Any]] = []
    for ranking, subset in zip(rankings, gathered.subsets, strict=True):
        about = {name: getattr(ranking, name) for name in more} | ({"subset": subset} if with_subset else {})
        made = records_of(ranking, pairs_of(ranking, target.pairs) if paired else ())
        records += (record if target.format == "lists" else record | about for record in made)
    if target.format == "rewardbench":
        records = [record | {"id": i} for i, record in enumerate(records, 1)]
    write_table(target.path, target.kind, list(records[0]), records)
    return len(records)


def _shown(ranking: Ranking) -> str:
    """Return a ranking as it was read, from the best answer to the worst.

    >>> _shown(Ranking("Name a prime.", ["8", "7", "9"], [2, 1, 2]))
    "'Name a prime.': '7' is above '8' = '9'"
    """
    levels = [
        [shorten(a, 40) for a, rank in zip(ranking.answers, ranking.ranks, strict=True) if rank == level]
        for level in sorted(set(ranking.ranks))
    ]
    some = [" = ".join(level[:2]) + " = ..." * (len(level) > 2) for level in levels[:3]]
    return f"{shorten(ranking.prompt)}: {' is above '.join(some)}{' is above ...' if len(levels) > 3 else ''}"


def _report(text: str, target: Target) -> None:
    stream = sys.stderr if target.path == STREAM else sys.stdout
    print(filled(plain(text), width(stream)), file=stream, flush=True)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _reasons(gathered: Gathered) -> str:
    unranked = [f"{_count(gathered.unranked, 'answer')} without a rank or score"] if gathered.unranked else []
    return ", ".join([*unranked, *(f"{count:,} with {why}" for why, count in (+gathered.left_out).most_common())])
