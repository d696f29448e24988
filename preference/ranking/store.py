"""Where confirmed rankings go: rows of the CSV, changed one ranking at a time, and events of the log beside it."""

import contextlib
import csv
import glob
import hashlib
import io
import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from preference.data.csv_table import COLUMNS, find_unwritable, format_rows, read_table
from preference.data.jsonl import prepare_file
from preference.data.rankings import parse_rank
from preference.durable_files import locked, write_atomically
from preference.errors import InputError
from preference.ranking.log import RankingLog
from preference.ranking.rank_cells import RankCells
from preference.wording import shorten

CHANGES = ("reranked", "restored")  # the log's events of `change_ranks`
TAKEN = "another ranker is working on this file; finish that one first, or choose another --data"


class RankingStore:
    """The CSV that a person's rankings go to, and its log.

    Every change is on the disk when the call returns, and takes the same time however many rankings there are. A ranking
    goes to the log first, with the size of the CSV at that time. Then its rows are appended to the CSV in one write. If
    a crash comes in between, or the machine fails while the rows reach the disk, the log ends with a ranking whose rows
    are missing from the CSV or cut short; the next start completes them, so that no ranking is ever lost or half there.
    Undoing the last ranking, which is logged first too, cuts its rows off again. Rows that are no longer at the end are
    removed by replacing the file, old by new in one rename.

    New ranks for rows that are there already (`change_ranks`) go to the log first too, with the digest of the CSV at that
    time. Then a CSV in which nothing but these rank cells differs replaces the old one. If a crash comes in between, the
    log ends with ranks that the CSV, still the same to the byte, does not have yet; the next start writes them.

    Rows that others wrote stay byte for byte as they are, with their extra columns. They may be edited while this runs:
    when the file's size or time of change is not what this left behind, the file is read again. A lock file keeps a
    second ranker out.

    Raises:
        InputError: another ranker is working on the CSV, it breaks the contract, or one of the two files cannot be written.
    """

    def __init__(self, path: str | Path, log: str | Path):
        self.path = Path(path)
        self._known: tuple | None = None  # the file's state when `_layout` and `_rows_of` were right
        self._cells: tuple[tuple | None, RankCells] | None = None  # the file's state, and its rank cells
        prepare_file(self.path, "--data")
        prepare_file(log, "--log")
        with contextlib.ExitStack() as until_closed:
            until_closed.enter_context(locked(self.path, TAKEN))
            self.log = RankingLog(log, path)
            self._remove_leftovers()
            self._complete_last_change()
            self._complete_last_undoing()
            self._read()
            self._lock = until_closed.pop_all()

    def close(self) -> None:
        """End the session and let other rankers work on the CSV."""
        with contextlib.suppress(OSError, InputError):  # then the next start tries again
            self._complete_last_change()
            if self.log.events and self.log.events[-1]["event"] in ("ranked", "undone", *CHANGES):
                self.log.add("ended")
        self._lock.close()

    def prompts(self) -> set[str]:
        """Return the prompts that have rows."""
        self._read()
        return {prompt for prompt, rows in self._rows_of.items() if rows}

    def add(self, prompt: str, answers: list[str], ranks: list[int], **details) -> None:
        """Save one prompt's ranking: its rows, best first, and a `ranked` event with `details`.

        Raises:
            InputError: the CSV was broken by hand meanwhile, or cannot hold one of the texts.
        """
        for text in (prompt, *answers):
            if what := find_unwritable(text):
                raise InputError(f"{self.path}: {what} in {shorten(text)}; remove it")
        self._read()
        size = self._known[2] if self._known else 0
        self.log.add("ranked", prompt=prompt, answers=answers, ranks=ranks, **details, csv_size=size)
        try:
            self._append(self._layout.start + self._layout.rows(prompt, answers, ranks))
        except OSError as error:
            error.filename = self.path
            with contextlib.suppress(OSError):
                self.log.add("undone", prompt=prompt)
            raise
        self._rows_of[prompt.strip()] += len(answers)

    def undo(self, ranked: dict) -> bool:
        """Undo a ranking, given its `ranked` event: first in the log, then in the CSV. Return False if its rows are not there any more."""
        self._read()
        self.log.add("undone", prompt=ranked["prompt"], recheck=ranked["recheck"])
        try:
            return ranked["recheck"] or self.remove(ranked["prompt"], ranked["answers"], ranked["ranks"])
        except OSError as error:
            error.filename = self.path
            with contextlib.suppress(OSError):
                self.log.add("ranked", **{name: ranked[name] for name in ("prompt", "answers", "ranks", "seconds", "recheck") if name in ranked})
            raise

    def remove(self, prompt: str, answers: list[str], ranks: list[int]) -> bool:
        """Remove exactly the rows that `add` wrote; if one is not there any more, remove none and return False."""
        self._read()
        if self._known is None:
            return False
        rows = self._layout.rows(prompt, answers, ranks)
        with open(self.path, "rb+", buffering=0) as file:
            start = max(file.seek(0, os.SEEK_END) - len(rows), 1)
            file.seek(start - 1)
            end = file.read()
            if end[:1] in (b"\n", b"\r") and end[1:] == rows:
                file.truncate(start)
                os.fsync(file.fileno())
                self._remember(start)
                self._rows_of[prompt.strip()] -= len(answers)
                return True
        return self._remove_further_up(prompt, answers, ranks)

    def ranks(self, prompt: str, group: str) -> dict[str, float | None]:
        """Return the rank of each answer of a ranking as the CSV has it now; nothing if it has no rows."""
        return self._rank_cells().ranks(prompt, group)

    def change_ranks(self, event: str, prompt: str, group: str, answers: list[str], ranks: list[int], old_ranks: list[int], **details) -> None:
        """Give the answers of a ranking that is in the CSV other ranks, in the rows where they are.

        Args:
            event: one of `CHANGES`, for the log.
            old_ranks: those that the CSV must have now.
            details: go to the log.

        Raises:
            InputError: the CSV has other answers or ranks now, or was broken by hand.
        """
        cells = self._rank_cells()
        if cells.ranks(prompt, group) != dict(zip(answers, old_ranks, strict=True)):
            raise InputError(f"{self.path}: the rows of {shorten(prompt)} have been changed since; press s to go on")
        self.log.add(event, prompt=prompt, group=group, answers=answers, ranks=ranks, old_ranks=old_ranks, **details, csv_sha256=cells.sha256)
        if ranks == old_ranks:
            return
        try:
            self._write_ranks(cells, self.log.events[-1])
        except OSError as error:
            error.filename = self.path
            self._cells = None
            opposite = CHANGES[1 - CHANGES.index(event)]
            with contextlib.suppress(OSError):
                self.log.add(opposite, prompt=prompt, group=group, answers=answers, ranks=old_ranks, old_ranks=ranks, **details)
            raise

    def _write_ranks(self, cells: RankCells, event: dict) -> None:
        write_atomically(self.path, cells.change(event["prompt"], event["group"], dict(zip(event["answers"], event["ranks"], strict=True))))
        self._cells = self._state(), cells

    def _rank_cells(self) -> RankCells:
        state = self._state()
        if self._cells is None or self._cells[0] != state:
            self._cells = state, RankCells(self.path)
        return self._cells[1]

    def _remove_leftovers(self) -> None:
        """Remove the temporary files of writers that were killed; the lock says that nobody else is writing."""
        path = Path(os.path.realpath(self.path))
        for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
            left.unlink(missing_ok=True)

    def _complete_last_change(self) -> None:
        """Do what the log's last event says, if a crash came before the CSV was written."""
        last = self.log.events[-1] if self.log.events else {}
        if last.get("event") == "ranked" and "csv_size" in last:
            self._complete_last_ranking(last)
        elif last.get("event") in CHANGES and last.get("ranks") != last.get("old_ranks") and self.path.exists():
            content = self.path.read_bytes()
            if hashlib.sha256(content).hexdigest() == last.get("csv_sha256"):
                self._write_ranks(RankCells(self.path), last)

    def _remove_further_up(self, prompt: str, answers: list[str], ranks: list[int]) -> bool:
        table, text = read_table(self.path), self.path.read_bytes().decode("utf-8")
        at = [table.columns.index(name) for name in COLUMNS]
        wanted = {(prompt.strip(), answer.strip(), rank) for answer, rank in zip(answers, ranks, strict=True)}
        found = {}
        for number, row in enumerate(table.rows):
            cells = [row.cells[i].strip() for i in at]
            key = (cells[0], cells[1], parse_rank(cells[2]))
            if key in wanted:
                found[key] = number
        if set(found) != wanted:
            return False
        lines = list(io.StringIO(text, newline=""))
        for number in sorted(found.values(), reverse=True):
            start = table.rows[number].line - 1
            end = table.rows[number + 1].line - 1 if number + 1 < len(table.rows) else len(lines)
            del lines[start:end]
        write_atomically(self.path, "".join(lines))
        return True

    def _append(self, rows: bytes) -> None:
        if self._known is None or not self._known[2]:  # a new file appears as a whole
            write_atomically(self.path, rows)
            self._remember(len(rows))
            return
        with open(self.path, "ab", buffering=0) as file:
            size, rest = os.fstat(file.fileno()).st_size, rows
            try:
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
            except OSError:  # the disk is full
                file.truncate(size)
                raise
        self._remember(size + len(rows))

    def _complete_last_undoing(self) -> None:
        """Remove the rows of a ranking that the log's last event undid, if a crash came before."""
        undone = self.log.undone if self.log.events and self.log.events[-1]["event"] == "undone" else None
        if undone and not undone.get("recheck") and self.path.exists():
            self.remove(undone["prompt"], undone["answers"], undone["ranks"])

    def _complete_last_ranking(self, last: dict) -> None:
        """Append the rows of the last ranking that a crash kept out of the CSV, wholly or in part."""
        content = self.path.read_bytes() if self.path.exists() else b""
        size = last["csv_size"]
        layout = _Layout.of(content[:size])
        if not set(COLUMNS) <= set(layout.columns):
            return  # another file
        rows = layout.start + layout.rows(last["prompt"], last["answers"], last["ranks"])
        tail = content[size:].rstrip(b"\0")  # a failing machine can leave zeros
        if len(content) < size or tail == rows or not rows.startswith(tail):
            return  # they are there, or someone edited the file since
        if content[size:]:
            with open(self.path, "rb+") as file:
                file.truncate(size)
        self._known = self._state()
        self._layout = layout
        self._append(rows)
        self._known = None

    def _read(self) -> None:
        """Read the CSV, unless it is as it was left."""
        state = self._state()
        if self._known is not None and state == self._known:
            return
        rows_of: Counter[str] = Counter()
        content = self.path.read_bytes() if state else b""
        if content:
            rows_of.update(prompt.strip() for prompt in read_table(self.path).column("prompt"))
        self._layout, self._rows_of, self._known = _Layout.of(content), rows_of, state

    def _remember(self, size: int) -> None:
        """Note the file's state after a change that left it with `size` bytes."""
        state = self._state()
        self._known = state if state and state[2] == size else None  # otherwise someone else changed it too
        self._layout = replace(self._layout, start=b"")

    def _state(self) -> tuple | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@dataclass(frozen=True)
class _Layout:
    """How rows are written into a CSV; `start` comes before the next row: the header of a new file, or a missing line end."""

    columns: list[str]
    line_end: str
    start: bytes

    @staticmethod
    def of(content: bytes) -> "_Layout":
        text = content.decode("utf-8-sig", errors="replace")
        columns = next((cells for cells in csv.reader(io.StringIO(text, newline="")) if any(cells)), None)
        if columns is None:  # a new file, or one of empty lines
            return _Layout(COLUMNS, "\n", format_rows([COLUMNS]).encode())
        line_end = "\r\n" if text.partition("\n")[0].endswith("\r") else "\n"
        return _Layout([name.strip() for name in columns], line_end, b"" if text.endswith(("\n", "\r")) else line_end.encode())

    def rows(self, prompt: str, answers: list[str], ranks: list[int]) -> bytes:
        rows = []
        for rank, answer in sorted(zip(ranks, answers, strict=True)):
            values = {"prompt": prompt, "answer": answer, "rank": rank}
            rows.append([values.get(name, "") for name in self.columns])
        return format_rows(rows, line_end=self.line_end).encode("utf-8")
