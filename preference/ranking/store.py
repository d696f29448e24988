"""Where confirmed rankings go: rows of the CSV, changed one ranking at a time, and events of the log beside it."""

import contextlib
import csv
import io
import os
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from preference.data.csv_table import COLUMNS, CsvTable, find_unwritable, format_rows, read_table
from preference.data.jsonl import prepare_file
from preference.data.rankings import GROUP, parse_rank
from preference.durable_files import append_durably, locked, write_atomically
from preference.errors import InputError
from preference.ranking.log import RankingLog
from preference.wording import shorten

TAKEN = "another ranker is working on this file; finish that one first, or choose another --data"

Key = tuple[str, str]  # prompt and group


class RankingStore:
    """The CSV that a person's rankings go to, and its log.

    The CSV is what counts, so it comes first: the rows of a new ranking are appended in one write, and are on the disk before
    the log says when they were ranked and before the person reads "saved". Whatever is undone or ranked again replaces the
    whole file, old by new in one rename, and is logged then. A crash in between leaves a CSV that has everything that was
    confirmed, and a log that lacks its last event: that ranking can no longer be undone with `u`. Nothing is completed at
    the next start, so nothing that a person deleted comes back; a row that a power failure cut short is an error with its
    line there. Where the log cannot be written, the CSV is left as it was.

    Rows that others wrote stay byte for byte as they are, with their extra columns. They may be edited while this runs:
    when the file's size or time of change is not what this left behind, the file is read again. A lock file keeps a
    second ranker out.

    Raises:
        InputError: another ranker is working on the CSV, it breaks the contract, or one of the two files cannot be written.
    """

    def __init__(self, path: str | Path, log: str | Path):
        self.path = Path(path)
        self._known: tuple | None = None  # the file's state when the next three were right
        self._columns, self._line_end = COLUMNS, "\n"
        self._ranks: dict[Key, dict[str, float | None]] = {}  # of each answer
        prepare_file(self.path, "--data")
        prepare_file(log, "--log")
        with contextlib.ExitStack() as until_closed:
            until_closed.enter_context(locked(self.path, TAKEN))
            self.log = RankingLog(log, path)
            self._read()
            self._lock = until_closed.pop_all()

    def close(self) -> None:
        """Let other rankers work on the CSV."""
        self._lock.close()

    def prompts(self) -> set[str]:
        """Return the prompts that have rows."""
        self._read()
        return {prompt for prompt, _ in self._ranks}

    def ranks(self, prompt: str, group: str) -> dict[str, float | None]:
        """Return the rank of each answer of a ranking as the CSV has it now; nothing if it has no rows."""
        self._read()
        return self._ranks.get((prompt.strip(), group.strip()), {})

    def add(self, prompt: str, answers: list[str], ranks: list[int], **details) -> None:
        """Save one prompt's ranking: its rows, best first, and a `ranked` event with `details`.

        Raises:
            InputError: the CSV was broken by hand meanwhile, or cannot hold one of the texts.
        """
        for text in (prompt, *answers):
            if what := find_unwritable(text):
                raise InputError(f"{self.path}: {what} in {shorten(text)}; remove it")
        self._read()
        rows = [] if self._known and self._known[2] else [self._columns]
        for rank, answer in sorted(zip(ranks, answers, strict=True)):
            values = {"prompt": prompt, "answer": answer, "rank": str(rank)}
            rows.append([values.get(name, "") for name in self._columns])
        size = append_durably(self.path, format_rows(rows, line_end=self._line_end).removesuffix(self._line_end), self._line_end)
        try:
            self.log.add("ranked", prompt=prompt, answers=answers, ranks=ranks, **details)
        except OSError:
            os.truncate(self.path, size)
            raise
        ranked = self._ranks.setdefault((prompt.strip(), ""), {})
        ranked |= dict(zip(map(str.strip, answers), ranks, strict=True))
        self._known = self._state()

    def undo(self, ranked: dict) -> bool:
        """Undo a ranking, given its `ranked` event: remove exactly the rows that `add` wrote, and log it.

        If one of them is not there any more, none is removed; that is logged too, so that the one before can be undone.

        Returns:
            Whether they were there. Those of a second showing, which has none, always are.
        """
        edits: dict[int, list[str] | None] = {}
        if not ranked.get("recheck"):
            found = self._own_rows(ranked) if self.path.exists() else {}
            edits = dict.fromkeys(found.values()) if len(found) == len(ranked["answers"]) else {}
        self._rewrite(edits, "undone", prompt=ranked["prompt"], recheck=ranked.get("recheck", False))
        return bool(edits) or ranked.get("recheck", False)

    def change_ranks(self, event: str, prompt: str, group: str, answers: list[str], ranks: list[int], old_ranks: list[int], **details) -> None:
        """Give the answers of a ranking that is in the CSV other ranks, in the rows where they are, and log it.

        Args:
            event: `reranked` or `restored`.
            old_ranks: those that the CSV must have now.
            details: go to the log.

        Raises:
            InputError: the CSV has other answers or ranks now, or was broken by hand.
        """
        table = read_table(self.path, optional=[GROUP])
        if self.ranks(prompt, group) != dict(zip(answers, old_ranks, strict=True)):
            raise InputError(f"{self.path}: the rows of {shorten(prompt)} have been changed since; press s to go on")
        new, edits, rank_at = dict(zip(answers, ranks, strict=True)), {}, table.columns.index("rank")
        for row in table.rows if ranks != old_ranks else []:
            key, answer, _ = _content(table, row.cells)
            if key == (prompt.strip(), group.strip()):
                edits[row.line] = [*row.cells[:rank_at], str(new[answer]), *row.cells[rank_at + 1 :]]
        self._rewrite(edits, event, prompt=prompt, group=group, answers=answers, ranks=ranks, old_ranks=old_ranks, **details)

    def _own_rows(self, ranked: dict) -> dict[tuple[str, float | None], int]:
        """Return the line of each answer and rank of a ranking, of rows as `add` writes them: without a group, or anything else."""
        wanted = set(zip(map(str.strip, ranked["answers"]), ranked["ranks"], strict=True))
        table, found = read_table(self.path, optional=[GROUP]), {}
        for row in table.rows:
            (prompt, _), answer, rank = _content(table, row.cells)
            if prompt == ranked["prompt"].strip() and (answer, rank) in wanted and sum(bool(cell.strip()) for cell in row.cells) == len(COLUMNS):
                found[answer, rank] = row.line
        return found

    def _rewrite(self, edits: Mapping[int, list[str] | None], event: str, **values) -> None:
        """Give the rows that begin on these lines other cells, or remove them (None), and log it. Other rows keep every byte."""
        before = self.path.read_bytes() if edits else b""
        if edits:
            lines = list(io.StringIO(before.decode("utf-8"), newline=""))
            for line, cells in edits.items():
                reader = csv.reader(islice(lines, line - 1, None), strict=True)
                next(reader)
                last = lines[line + reader.line_num - 2]
                line_end = last[len(last.rstrip("\r\n")) :]
                new = "" if cells is None else format_rows([cells], line_end=line_end)
                lines[line - 1 : line - 1 + reader.line_num] = [new] + [""] * (reader.line_num - 1)  # later lines keep their numbers
            write_atomically(self.path, "".join(lines))
        try:
            self.log.add(event, **values)
        except OSError:
            if edits:
                write_atomically(self.path, before)
            raise

    def _read(self) -> None:
        """Read the CSV, unless it is as it was left."""
        state = self._state()
        if self._known is not None and state == self._known:
            return
        self._columns, self._line_end, self._ranks = COLUMNS, "\n", {}
        if state and state[2]:
            table = read_table(self.path, optional=[GROUP])
            self._columns = table.columns
            with open(self.path, "rb") as file:
                self._line_end = "\r\n" if file.readline().endswith((b"\r\n", b"\r")) else "\n"
            for row in table.rows:
                key, answer, rank = _content(table, row.cells)
                self._ranks.setdefault(key, {})[answer] = rank
        self._known = state

    def _state(self) -> tuple | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _content(table: CsvTable, cells: list[str]) -> tuple[Key, str, float | None]:
    """Return a row's prompt and group, its answer and its rank."""
    prompt, answer, rank = (cells[table.columns.index(name)].strip() for name in COLUMNS)
    group = cells[table.columns.index(GROUP)].strip() if GROUP in table.columns else ""
    return (prompt, group), answer, parse_rank(rank)
