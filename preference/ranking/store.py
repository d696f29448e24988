"""Where confirmed rankings go: rows of a table, and events of the log beside it."""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from preference.data.rankings import Key, identities, parse_rank, whole_ranks
from preference.data.table_writing import Form, find_unwritable, format_rows, save_table, write_table
from preference.data.tables import COLUMNS, GZIP, Table, kind_of, read_table
from preference.data.values import text_of
from preference.durable_files import append_durably, locked, prepare_file, write_atomically
from preference.errors import InputError
from preference.ranking.log import Event, RankingLog
from preference.wording import shorten

TAKEN = "another ranker is working on this file; finish that one first, or choose another --data"


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
        self._table, self._compressed = Table("", "csv", [], [], []), False
        self._ranks: dict[Key, dict[str, int]] = {}  # of each answer that has one
        self._last_prompt = ""
        prepare_file(self.path, "--data")
        prepare_file(log, "--log")
        with contextlib.ExitStack() as until_closed:
            until_closed.enter_context(locked(self.path, TAKEN))
            self.log = RankingLog(log, path)
            self._read()
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
        """Save a new ranking: its rows, best first, and a `ranked` event.

        Raises:
            InputError: the table was broken by hand meanwhile, or cannot hold one of the texts.
        """
        for text in (prompt, *answers):
            if what := find_unwritable(text):
                raise InputError(f"{self.path}: {what} in {shorten(text)}; remove it")
        self._read()
        names, key, above, rows = self._table.need(*COLUMNS), (prompt.strip(), "", ""), self._last_prompt, []
        for rank, answer in sorted(zip(ranks, answers, strict=True)):
            merged, above = self._table.merged and above == key[0], key[0]
            rows.append(dict(zip(names, ("" if merged else prompt, answer, rank), strict=True)))
        appends = self._table.kind == "csv" and not self._compressed
        restore = self._append(rows) if appends else self._rewrite(self._fresh(), {}, added=rows)
        self._note(restore, "ranked", key, answers=list(answers), ranks=list(ranks), seconds=seconds)
        if appends:
            self._ranks.setdefault(key, {}).update(zip(map(str.strip, answers), ranks, strict=True))
            self._last_prompt, self._known = above, self._state()

    def undo(self, ranked: Event) -> bool:
        """Remove exactly the rows that `add` wrote for a `ranked` event, and log that.

        If one of them is not there any more, none is removed; that is logged too, so that the one before can be undone.

        Returns:
            Whether they were there. Those of a second showing, which has none, always are.
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

        Args:
            old_ranks: those that the table must have now.
            details: go to the log.

        Raises:
            InputError: the table has other answers or ranks now, or was broken by hand.
        """
        if self.ranks(key) != dict(zip(answers, old_ranks, strict=True)):
            raise InputError(f"{self.path}: the rows of {shorten(key[0])} have been changed since; press s to continue")
        table, new = self._fresh(), dict(zip(answers, ranks, strict=True))
        rows = enumerate(_contents(table)) if list(ranks) != list(old_ranks) else ()
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
        table, end = self._table, self._table.form.line_end
        cells = [[row.get(name, "") for name in table.places] for row in rows]
        text = format_rows(
            cells if self._known else [table.places, *cells], line_end=end, separator=table.form.separator
        )
        return partial(os.truncate, self.path, append_durably(self.path, text.removesuffix(end), end))

    def _rewrite(
        self, table: Table, changes: Mapping[int, int], *, removed: Sequence[int] = (), added: Sequence[dict] = ()
    ) -> Callable[[], object]:
        """Replace the file by one with other ranks and without or with some records; return what undoes that."""
        rank = table.need(*COLUMNS)[2]
        texts = table.kind != "xlsx" and any(isinstance(record.get(rank), str) for record in table.records)
        changed = {i: {rank: str(new) if texts else new} for i, new in changes.items()}
        added = [row | {rank: str(row[rank]) if texts else row[rank]} for row in added]
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
        table = read_table(self.path, whole=True)  # a line that was cut short would be lost
        return replace(table, columns=table.columns or COLUMNS) if table.kind in ("json", "jsonl") else table

    def _read(self) -> None:
        """Read the table, unless it is as it was left; of its records only the ranks are kept."""
        if (state := self._state()) == self._known:
            return
        table, self._compressed = self._fresh(), self.path.suffix.lower() == ".gz"
        if state:
            with open(self.path, "rb") as file:
                self._compressed = file.read(2) == GZIP
        found: dict[Key, dict[str, float]] = {}
        self._last_prompt = ""
        for (prompt, group, rater), answer, rank in _contents(table):
            self._last_prompt = prompt
            if rank is not None:
                found.setdefault((prompt, group, rater), {})[answer] = rank
        self._ranks = {key: dict(zip(of, whole_ranks(list(of.values())), strict=True)) for key, of in found.items()}
        self._table, self._known = replace(table, records=[], numbers=[], rows=[]), state

    def _state(self) -> tuple | None:
        """Return what tells whether the file was changed; None where it holds nothing."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns) if status.st_size else None


def _contents(table: Table) -> list[tuple[Key, str, float | None]]:
    """Return the ranking that each record is part of, its answer and its rank."""
    _, answer, rank = table.need(*COLUMNS)
    texts = [(text_of(record.get(answer)), text_of(record.get(rank))) for record in table.records]
    return [(key, text, parse_rank(given)) for key, (text, given) in zip(identities(table), texts, strict=True)]


def _own_rows(table: Table, ranked: Event) -> list[int]:
    """Return which records are a ranking's, if all are as `add` writes them: without a group, or anything else."""
    wanted, found = set(zip(map(str.strip, ranked.answers), ranked.ranks, strict=True)), {}
    for i, (key, answer, rank) in enumerate(_contents(table)):
        filled = sum(bool(text_of(value)) for value in table.records[i].values())
        if key == ranked.key and (answer, rank) in wanted and filled == len(COLUMNS):
            found[answer, rank] = i
    return [] if found.keys() != wanted else sorted(found.values())
