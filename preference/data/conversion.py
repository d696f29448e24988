"""Converting preference data: from any table, or a data set of the Hub, to our CSV, or to pairs and lists."""

import itertools
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from preference.console import make_console, say
from preference.data.comparisons import gather, read_comparisons
from preference.data.dialogues import ASSISTANT, USER, as_turns
from preference.data.rankings import Ranking
from preference.data.records import Record
from preference.data.table_writing import STREAM, write_table
from preference.data.tables import KINDS, Table, keys_of, kind_of, read_table
from preference.durable_files import back_up, prepare_file
from preference.errors import InputError
from preference.wording import counted, plain, shorten

ALL, BEST_WORST = "all", "best-worst"  # which pairs
TARGETS = {  # what --to names, and what one record of it is called
    "csv": "ranked answer", "trl": "TRL preference pair", "trl-conversational": "TRL preference pair",
    "lists": "labelled list", "rewardbench": "RewardBench row",
}  # fmt: skip
PAIRED = ("trl", "trl-conversational", "rewardbench")

Pair = tuple[str, str]  # better, worse


@dataclass(frozen=True)
class Target:
    """Where the rankings go, and as what."""

    path: str  # "-" is standard output
    format: str  # one of TARGETS
    kind: str  # of file
    pairs: str = ALL


def choose_target(path: str, to: str | None, kind: str | None, pairs: str, *, force: bool) -> Target:
    """Return what is written where; raise InputError if it is not clear, or cannot be written."""
    is_stream = path == STREAM
    kind = kind or (("csv" if to in (None, "csv") else "jsonl") if is_stream else kind_of(path))
    if not kind:
        raise InputError(f"{path}: unrecognised file ending; use one of {', '.join(KINDS)}, or --kind")
    if to is None and not is_stream and kind not in ("csv", "xlsx"):
        raise InputError(f"{path}: choose with --to what to write: {', '.join(TARGETS)}")
    to = to or "csv"
    if kind in ("csv", "xlsx") and to in ("trl-conversational", "lists"):
        raise InputError(f"{path}: a CSV cannot hold the lists of --to {to}; write .jsonl, .json or .parquet")
    if pairs != ALL and to not in PAIRED:
        raise InputError(f"--pairs {pairs}: --to {to} writes no pairs; use one of {', '.join(PAIRED)}")
    if not is_stream and os.path.isfile(path) and not force:
        ways = "choose another TARGET, or replace it with --force (the earlier file is kept as a backup)"
        raise InputError(f"{path}: exists; {ways}")
    if not is_stream:
        prepare_file(path, "TARGET")
    return Target(path, to, kind, pairs)


def convert(
    source: str, target: Target, named: Mapping[str, str], *,
    config: str | None = None, split: str | None = None, limit: int | None = None,
) -> None:  # fmt: skip
    """Read and check all of a source, or its first `limit` records, say how it was understood, then write it.

    It is a file, "-", or the name of a data set of the Hub, of which `config` and `split` name a part. `named` are
    columns that flags name for a role, see `roles.FLAGS`.
    """
    with make_console(stderr=True).status(f"reading {plain(source)}"):  # seen in a terminal only
        if is_dataset_name(source):
            table = read_dataset(source, config, split, limit)
        elif config or split:
            what = "--config and --split are for data sets of the Hub, as nvidia/HelpSteer2"
            raise InputError(f"{source}: {what}; this is no name of one, or a file here")
        else:
            table = read_table(source)
            table.records = table.records[:limit]
        if not table.records:
            raise table.none_found("write one per ranking, or per answer")
        roles, comparisons = read_comparisons(table, named)
        rankings, left_out = gather(comparisons, roles)
    read, reasons = counted(len(table.records), "record"), ", ".join(left_out)
    to = sys.stderr if target.path == STREAM else sys.stdout
    if not rankings:
        raise InputError(f"{table.source}: {read}, and no comparison: {reasons}")
    for line in (*table.notes, f"{table.source}: {roles.in_words()}", f"first: {_shown(rankings[0])}"):
        say(line, to=to)
    backup = back_up(target.path) if target.path != STREAM and Path(target.path).is_file() else None
    wrote = counted(write_target(rankings, target), TARGETS[target.format])
    of = f"{counted(len(rankings), 'ranking')} of {counted(len({ranking.prompt for ranking in rankings}), 'prompt')}"
    where = "standard output" if target.path == STREAM else target.path
    say(f"read {read} from {table.source}, wrote {wrote} ({of}) to {where}", to=to)
    if reasons:
        say(f"left out: {reasons}", to=to)
    if backup:
        say(f"the earlier {target.path} is kept as {backup}", to=to)


def write_target(rankings: Sequence[Ranking], target: Target) -> int:
    """Write the rankings; return how many records were written."""
    paired = target.format in PAIRED
    more = [name for name in ("group", "rater", "subset") if any(getattr(ranking, name) for ranking in rankings)]
    if paired and target.pairs == ALL and "group" not in more and any(len(ranking.answers) > 2 for ranking in rankings):
        more.insert(0, "group")
    if target.format == "rewardbench" and "subset" not in more:
        more.append("subset")
    records: list[Record] = []
    for ranking in rankings:
        about = {name: getattr(ranking, name) for name in more}
        made = records_of(ranking, target.format, pairs_of(ranking, target.pairs) if paired else ())
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
    levels: dict[int, list[str]] = {}
    for rank, answer in sorted(zip(ranking.ranks, ranking.answers, strict=True), key=lambda pair: pair[0]):
        levels.setdefault(rank, []).append(shorten(answer, 40))
    parts = [" = ".join(level[:2]) + " = ..." * (len(level) > 2) for level in levels.values()]
    return f"{shorten(ranking.prompt)}: {' is above '.join([*parts[:3], *['...'] * (len(parts) > 3)])}"


def pairs_of(ranking: Ranking, which: str = ALL) -> list[Pair]:
    """Return all untied pairs of a ranking, or its best answer with its worst (the first of each where there are ties).

    >>> pairs_of(Ranking("p", ["a", "b", "c"], [2, 1, 2]))
    [('b', 'a'), ('b', 'c')]
    """
    by_rank = sorted(zip(ranking.ranks, ranking.answers, strict=True), key=lambda pair: pair[0])
    if which == BEST_WORST:
        return [(by_rank[0][1], next(answer for rank, answer in by_rank if rank == by_rank[-1][0]))]
    pairs = itertools.combinations(by_rank, 2)
    return [(better, worse) for (rank, better), (other, worse) in pairs if rank < other]


def records_of(ranking: Ranking, target: str, pairs: Iterable[Pair] = ()) -> list[Record]:
    """Return what is written of a ranking, or of its pairs, as one of TARGETS.

    The CSV and labelled lists hold every comparison and tie; pairs of one ranking share its `group`, by which the
    ranking is made of them again. In conversational pairs, a prompt that was made of a chat becomes that chat again.
    https://huggingface.co/docs/trl/dataset_formats#preference, which RewardBench reads, too;
    https://sbert.net/docs/cross_encoder/loss_overview.html for lists, which allow no further column.
    """
    if target == "csv":
        ranked = zip(ranking.answers, ranking.ranks, strict=True)
        return [{"prompt": ranking.prompt, "answer": answer, "rank": rank} for answer, rank in ranked]
    if target == "lists":
        levels = sorted(set(ranking.ranks), reverse=True)
        labels = [levels.index(rank) for rank in ranking.ranks]
        return [{"query": ranking.prompt, "docs": ranking.answers, "labels": labels}]
    records = [{"prompt": ranking.prompt, "chosen": better, "rejected": worse} for better, worse in pairs]
    if target != "trl-conversational":
        return records

    def messages(name: str, text: str) -> list[Record]:
        turns = as_turns(text, USER if name == "prompt" else ASSISTANT)
        return [{"role": turn.role, "content": turn.text} for turn in turns]

    return [{name: messages(name, text) for name, text in record.items()} for record in records]


# Data sets of the Hub, read through `datasets`, which runs no code of a data set.

_DATASET = re.compile(r"[\w.-]+/[\w.-]+(/[\w./-]+)?")


def is_dataset_name(source: str) -> bool:
    """Whether `source` is the name of a data set, and no file.

    >>> is_dataset_name("nvidia/HelpSteer2"), is_dataset_name("data/pairs.jsonl")
    (True, False)
    """
    is_file = kind_of(source) or Path(source).exists() or Path(source).parent.is_dir()
    return bool(_DATASET.fullmatch(source)) and not is_file


def read_dataset(name: str, config: str | None, split: str | None, limit: int | None) -> Table:
    """Read a split of a data set: OWNER/NAME, or OWNER/NAME/FOLDER for the files in one of its folders.

    With a limit only its first records are fetched; otherwise the split is downloaded, and kept in the library's cache.
    """
    owner, repository, *folder = name.split("/", 2)
    offline = os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "TRUE", "YES", "ON")
    unreachable = "" if offline else _try_to_reach(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    if unreachable:
        os.environ["HF_HUB_OFFLINE"] = "1"  # read at the import: what is in the cache is used at once
    import datasets
    import huggingface_hub

    datasets.disable_progress_bars()
    huggingface_hub.logging.set_verbosity_error()
    streaming = limit is not None and not offline and not unreachable
    try:
        where = {"data_dir": next(iter(folder), None), "split": split, "streaming": streaming}
        found = datasets.load_dataset(f"{owner}/{repository}", config, **where)
        splits = {} if split else found
        records = list(itertools.islice(next(iter(splits.values()), found), limit)) if len(splits) < 2 else []
    except Exception as error:  # many kinds: of datasets, of huggingface_hub, of HTTP, of the formats
        said = " ".join(str(error).split())[:300] or type(error).__name__
        remedy = "; --config and --split choose a part" if re.search("config|split", said, re.I) else ""
        answer = f"no file here; as a data set of the Hub: {said}{remedy}"
        raise InputError(f"{name}: {unreachable or answer}") from None
    if len(splits) > 1:
        raise InputError(f"{name} has the splits {', '.join(map(str, splits))}; choose one with --split")
    return Table(name, "parquet", keys_of(records), records, list(range(1, len(records) + 1)))


def _try_to_reach(endpoint: str) -> str:
    """Say why the Hub cannot be reached; "" where it can. The libraries would try for a minute."""
    try:
        urlopen(Request(endpoint, method="HEAD"), timeout=5).close()
    except OSError as error:
        if not isinstance(error, HTTPError):  # with that it answers
            why = f"{endpoint} cannot be reached ({getattr(error, 'reason', error)})"
            return f"no such file here, and {why}; try again, or download the files and name one"
    return ""
