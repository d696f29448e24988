"""Where confirmed rankings go: rows of a table, and beside it a log of what was shown, when, and what came of it."""

import contextlib
import datetime
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

from preference.data.rankings import Key, Ranking, rows_of, whole_ranks
from preference.data.records import text_of
from preference.data.roles import COLUMNS
from preference.data.table_writing import Form, find_unwritable, format_rows, save_table, write_table
from preference.data.tables import GZIP, Table, TableError, kind_of, read_table
from preference.durable_files import append_durably, locked, prepare_file, write_atomically
from preference.errors import InputError
from preference.wording import shorten

KINDS = {  # what each kind of event lists, one item per answer
    "shown": ("answers",),
    "ranked": ("answers", "ranks"),
    "discarded": (),
    "undone": (),  # the last `ranked` or `discarded` of its prompt
    "changed": ("answers",),  # the prompt has other answers now; `sampled` are those of them that a model gave
    "reranked": ("answers", "ranks", "old_ranks"),
    "kept": ("answers", "ranks"),  # the earlier ranking stays, and is not shown again
    "restored": (),  # the last `reranked` or `kept` of its ranking was undone
}
TAKEN = "another ranker is working on this file; finish that one first, or choose another --data"


@dataclass(frozen=True, eq=False)
class Event:
    """A line of the log; answers and ranks in the order on the screen. Several CSVs can share it: `data` names one."""

    kind: str
    prompt: str
    group: str = ""
    rater: str = ""
    answers: Sequence[str] = ()
    ranks: Sequence[int] = ()
    old_ranks: Sequence[int] = ()  # that `ranks` replace
    sampled: Sequence[str] = ()
    seconds: float | None = None  # from showing to confirming
    recheck: bool = False  # a second showing, to measure agreement
    data: str = ""
    time: str = ""

    @property
    def key(self) -> Key:
        """The ranking that it is about."""
        return self.prompt.strip(), self.group.strip(), self.rater.strip()

    @property
    def rank_of(self) -> dict[str, int]:
        """The rank of each answer."""
        return dict(zip(self.answers, self.ranks, strict=True))


class RankingLog:
    """What was shown when, one JSON object per line; of several CSVs that share a log, the events of one.

    Attributes:
        data: what the log calls the CSV: its path from the log's folder, so that both can be moved together.
        events: all, oldest first.
        undoable: the `ranked` and `discarded` events that were not undone.
        looked_at: the `reranked` and `kept` events that were not undone.
        screens: the orders in which the answers of each ranking were shown.
    """

    def __init__(self, path: str | Path, data: str | Path):
        self.path = Path(path)
        self.data = Path(data).resolve().as_posix()
        with contextlib.suppress(ValueError):  # Windows: it lies on another drive
            self.data = Path(os.path.relpath(self.data, self.path.resolve().parent)).as_posix()
        self.events: list[Event] = []
        self.undoable: list[Event] = []
        self.looked_at: list[Event] = []
        self.screens: defaultdict[Key, list[list[str]]] = defaultdict(list)
        self._compared: set[str] = set()  # prompts of which the person has seen the models' order
        self._informed: set[Event] = set()  # what was ranked after that
        for event in _read_events(self.path):
            if event.data == self.data:
                self._take_in(event)

    @property
    def standing(self) -> list[Event]:
        """The `ranked` events that were not undone."""
        return [event for event in self.undoable if event.kind == "ranked"]

    def shown_twice(self) -> list[tuple[Ranking, list[int]]]:
        """Return the ranking of each prompt that was shown twice at random, and the second ranks of its answers.

        Rankings that were shown again because models dispute them are the doubtful ones, and after such a showing the
        person knows the models' order, so that a later second showing says nothing either: both are left out.
        """
        first = {event.prompt: event for event in self.standing if not event.recheck}
        second = [event for event in self.standing if event.recheck and event not in self._informed]
        pairs = [(first[event.prompt], event.rank_of) for event in second if event.prompt in first]
        return [
            (Ranking(once.prompt, list(once.answers), list(once.ranks)), [ranks[answer] for answer in once.answers])
            for once, ranks in pairs
            if set(once.answers) == ranks.keys()
        ]

    def add(self, kind: str, key: Key, **values) -> Event:
        """Append an event and return it; it is on the disk then."""
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        event = Event(kind, *key, **values, data=self.data, time=now)
        given = {item.name: value for item in fields(Event) if (value := getattr(event, item.name)) != item.default}
        append_durably(self.path, json.dumps({"event": given.pop("kind"), **given}, ensure_ascii=False))
        self._take_in(event)
        return event

    def _take_in(self, event: Event) -> None:
        self.events.append(event)
        if event.kind == "shown":
            self.screens[event.key].append(list(event.answers))
        elif event.kind in ("ranked", "discarded"):
            self.undoable.append(event)
            if event.prompt in self._compared:
                self._informed.add(event)
        elif event.kind in ("reranked", "kept"):
            self.looked_at.append(event)
            if event.kind == "reranked":
                self._compared.add(event.prompt)
        elif event.kind in ("undone", "restored"):
            events = self.undoable if event.kind == "undone" else self.looked_at
            if (last := next((other for other in reversed(events) if other.key == event.key), None)) is not None:
                events.remove(last)


def _read_events(path: Path) -> Iterator[Event]:
    """Yield the events of a log, of whatever CSV, but for unknown kinds; raise InputError at a line that is none."""
    if not path.exists():
        return
    table, names = read_table(path, "jsonl"), {item.name for item in fields(Event)} - {"kind"}
    for i, record in enumerate(table.records):
        kind = record.get("event")
        if not isinstance(kind, str):
            raise InputError(f'{table.at(i)}: no "event"; this is not a ranking log: choose another --log')
        if kind not in KINDS:
            continue
        lists = [record.get(name) for name in KINDS[kind]]
        whole = all(isinstance(values, list) and len(values) == len(record["answers"]) for values in lists)
        if not (whole and isinstance(record.get("prompt"), str)):
            needs = f'{"an" if kind == "undone" else "a"} "{kind}" event needs {", ".join(("prompt", *KINDS[kind]))}'
            needs += ", lists of one length" * bool(lists)
            raise InputError(f"{table.at(i)}: {needs}; delete the line, or choose another --log")
        yield Event(kind, **{name: record[name] for name in names & record.keys()})


class RankingStore:
    """The table that a person's rankings go to, and its log.

    The table is what counts, so it comes first: a new ranking is appended to a CSV in one write, and whatever else
    changes replaces the file in one rename. That is on the disk before the log says so and before the person reads
    "saved". A crash in between leaves a table that has everything that was confirmed, and a log that lacks its last
    event. Where the log cannot be written, the table is put back as it was.

    Rows and columns of others stay, and may be edited while this runs: when the file's size or time of change is not
    what this left behind, the file is read again. A lock file keeps a second ranker out.
    """

    def __init__(self, path: str | Path, log: str | Path):
        self.path = Path(path)
        self._known: tuple | None = ()  # the state of the file when the next four were right
        self._table = Table("", "csv", [], [], [])
        self._ranks: dict[Key, dict[str, int]] = {}  # of each answer that has one
        self._last_prompt, self._takes_lines = "", False  # the latter: rows can be appended to the file
        prepare_file(self.path, "--data")
        prepare_file(log, "--log")
        with contextlib.ExitStack() as until_closed:
            until_closed.enter_context(locked(self.path, TAKEN))
            self.log = RankingLog(log, path)
            if problems := self._read():  # later on, what is edited by hand may be wrong for a while
                raise TableError(problems)
            self._lock = until_closed.pop_all()

    def close(self) -> None:
        """Let other rankers work on the table."""
        self._lock.close()

    def prompts(self) -> set[str]:
        """Return the prompts of which an answer has a rank."""
        self._read()
        return {prompt for prompt, *_ in self._ranks}

    def ranks(self, key: Key) -> dict[str, int]:
        """Return the rank of each answer of a ranking as the table has it now; nothing if it has none."""
        self._read()
        return self._ranks.get(key, {})

    def add(self, prompt: str, answers: Sequence[str], ranks: Sequence[int], seconds: float | None = None) -> None:
        """Save a new ranking, best first, and a `ranked` event; raise InputError where the table does not take it."""
        for text in (prompt, *answers):
            if what := find_unwritable(text):
                raise InputError(f"{self.path}: {what} in {shorten(text)}; remove it")
        self._read()
        names, key, above, rows = self._table.need(*COLUMNS), (prompt.strip(), "", ""), self._last_prompt, []
        for rank, answer in sorted(zip(ranks, answers, strict=True)):
            merged, above = self._table.filled and above == key[0], key[0]
            rows.append(dict(zip(names, ("" if merged else prompt, answer, rank), strict=True)))
        restore = self._append(rows) if self._takes_lines else self._rewrite(self._fresh(), {}, added=rows)
        self._note(restore, "ranked", key, answers=list(answers), ranks=list(ranks), seconds=seconds)
        if self._takes_lines:
            self._ranks.setdefault(key, {}).update(zip(map(str.strip, answers), ranks, strict=True))
            self._last_prompt, self._known = above, self._state()

    def undo(self, ranked: Event) -> bool:
        """Remove exactly the rows that `add` wrote for a `ranked` event, log that, and return whether they were there.

        If one of them is not there any more, none is removed; that is logged too, so that the one before can be undone.
        Those of a second showing, which has none, always are there.
        """
        table = self._fresh()
        own = [] if ranked.recheck else _own_rows(table, ranked)
        restore = self._rewrite(table, {}, removed=own) if own else None
        self._note(restore, "undone", ranked.key, recheck=ranked.recheck)
        return bool(own) or ranked.recheck

    def change_ranks(
        self, kind: str, key: Key, answers: Sequence[str], ranks: Sequence[int], old_ranks: Sequence[int], **details
    ) -> None:
        """Give the answers of a ranking other ranks, where they are, and log a `reranked` or `restored` event.

        Raise InputError where the table has other ranks than `old_ranks` now, or other answers, or was broken by hand.
        """
        if self.ranks(key) != dict(zip(answers, old_ranks, strict=True)):
            raise InputError(f"{self.path}: the rows of {shorten(key[0])} have been changed since; press s to continue")
        table, new = self._fresh(), dict(zip(answers, ranks, strict=True))
        rows = enumerate(rows_of(table)[0]) if list(ranks) != list(old_ranks) else ()
        changes = {i: new[text] for i, (of, text, rank) in rows if of == key and rank not in (None, new.get(text))}
        restore = self._rewrite(table, changes) if changes else None
        self._note(restore, kind, key, answers=list(answers), ranks=list(ranks), old_ranks=list(old_ranks), **details)

    def _note(self, restore: Callable[[], object] | None, kind: str, key: Key, **values) -> None:
        """Log an event; where that fails, as on a full disk, restore the table."""
        try:
            self.log.add(kind, key, **values)
        except OSError:
            if restore:
                restore()
            raise

    def _append(self, rows: Sequence[dict]) -> Callable[[], object]:
        """Append rows to a CSV in one write; return what takes them off again."""
        names, end = self._table.places, self._table.form.line_end
        cells = [names] * (not self._known) + [[row.get(name, "") for name in names] for row in rows]
        text = format_rows(cells, line_end=end, separator=self._table.form.separator)
        return partial(os.truncate, self.path, append_durably(self.path, text.removesuffix(end), end))

    def _rewrite(
        self, table: Table, changes: Mapping[int, int], *, removed: Sequence[int] = (), added: Sequence[dict] = ()
    ) -> Callable[[], object]:
        """Replace the file by one with other ranks and without or with some records; return what undoes that."""
        rank = table.need(*COLUMNS)[2]
        texts = table.kind != "xlsx" and any(isinstance(record.get(rank), str) for record in table.records)
        kind = str if texts else int
        changed = {i: {rank: kind(new)} for i, new in changes.items()}
        added = [row | {rank: kind(row[rank])} for row in added]
        before = self.path.read_bytes() if self._state() else b""  # undo has not asked what is known
        if before:
            save_table(self.path, table, changed=changed, removed=removed, added=added)
        else:
            write_table(self.path, table.kind, table.columns, added)
        return partial(write_atomically, self.path, before)

    def _fresh(self) -> Table:
        """Return the table as it is on the disk, with its records; that of a new file has none."""
        if not self._state():
            form = Form("\t" if self.path.suffix.lower() in (".tsv", ".tab") else ",")
            return Table(str(self.path), kind_of(self.path, "csv"), COLUMNS, [], [], form=form, places=COLUMNS)
        table = read_table(self.path)
        return replace(table, columns=table.columns or COLUMNS) if table.kind in ("json", "jsonl") else table

    def _read(self) -> list[str]:
        """Read the table, unless it is as it was left: the ranks of its records; return what is wrong with these."""
        if (state := self._state()) == self._known:
            return []
        table, compressed = self._fresh(), self.path.suffix.lower() == ".gz"
        if state:
            with open(self.path, "rb") as file:
                compressed = file.read(2) == GZIP
        self._last_prompt, self._takes_lines = "", table.kind == "csv" and not compressed
        found: dict[Key, dict[str, float]] = {}
        rows, problems = rows_of(table)
        for key, answer, rank in rows:
            self._last_prompt = key[0]
            if rank is not None:
                found.setdefault(key, {})[answer] = rank
        self._ranks = {key: dict(zip(of, whole_ranks(list(of.values())), strict=True)) for key, of in found.items()}
        self._table, self._known = replace(table, records=[], numbers=[], rows=[]), state
        return [problem for of_row in problems.values() for problem in of_row]

    def _state(self) -> tuple | None:
        """Return what tells whether the file was changed; None where it holds nothing."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns) if status.st_size else None


def _own_rows(table: Table, ranked: Event) -> list[int]:
    """Return which records are a ranking's, if all are as `add` writes them: without a group, or anything else."""
    wanted, found = set(zip(map(str.strip, ranked.answers), ranked.ranks, strict=True)), {}
    for i, (key, answer, rank) in enumerate(rows_of(table)[0]):
        filled = sum(bool(text_of(value)) for value in table.records[i].values())
        if key == ranked.key and (answer, rank) in wanted and filled == len(COLUMNS):
            found[answer, rank] = i
    return [] if found.keys() != wanted else sorted(found.values())
