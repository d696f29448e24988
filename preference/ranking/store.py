"""Where confirmed rankings go: rows of the CSV, changed one ranking at a time, and events of the log beside it."""

import contextlib
import csv
import datetime
import io
import json
import os
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

from preference.data.csv_table import COLUMNS, find_unwritable, format_rows, read_table
from preference.data.jsonl import drop_cut_line, prepare_file, read_jsonl
from preference.data.rankings import parse_rank
from preference.durable_files import append_durably, locked, write_atomically
from preference.errors import InputError
from preference.wording import shorten

TAKEN = "another ranker is working on this file; finish that one first, or choose another --data"


class RankingStore:
    """The CSV that a person's rankings go to, and its log.

    Every change is on the disk when the call returns, and takes the same time however many rankings there are. A ranking
    goes to the log first, with the size of the CSV at that time. Then its rows are appended to the CSV in one write. If
    a crash comes in between, or the machine fails while the rows reach the disk, the log ends with a ranking whose rows
    are missing from the CSV or cut short; the next start completes them, so that no ranking is ever lost or half there.
    Undoing the last ranking cuts its rows off again. Rows that are no longer at the end are removed by replacing the
    file, old by new in one rename.

    Rows that others wrote stay byte for byte as they are, with their extra columns. They may be edited while this runs:
    when the file's size or time of change is not what this left behind, the file is read again. A lock file keeps a
    second ranker out.

    Raises:
        InputError: another ranker is working on the CSV, it breaks the contract, or one of the two files cannot be written.
    """

    def __init__(self, path: str | Path, log: str | Path):
        self.path = Path(path)
        self._known: tuple | None = None  # the file's state when `_layout` and `_rows_of` were right
        prepare_file(self.path, "--data")
        prepare_file(log, "--log")
        with contextlib.ExitStack() as until_closed:
            until_closed.enter_context(locked(self.path, TAKEN))
            self.log = RankingLog(log, path)
            self._complete_last_ranking()
            self._read()
            self._lock = until_closed.pop_all()

    def close(self) -> None:
        """End the session and let other rankers work on the CSV."""
        with contextlib.suppress(OSError, InputError):  # then the next start tries again
            self._complete_last_ranking()
            if self.log.events and self.log.events[-1]["event"] == "ranked":
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
        except OSError:
            with contextlib.suppress(OSError):
                self.log.add("undone", prompt=prompt)
            raise
        self._rows_of[prompt.strip()] += len(answers)

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

    def _complete_last_ranking(self) -> None:
        """Append the rows of the last ranking that a crash kept out of the CSV, wholly or in part."""
        last = self.log.events[-1] if self.log.events else {}
        if last.get("event") != "ranked" or "csv_size" not in last:
            return  # what was logged after it shows that its rows were written
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


class RankingLog:
    """What was shown when and where, one JSON object per line. Several CSV files can share a log: each line names its own.

    Events: `shown` (`prompt`, `answers` in the order on the screen, `recheck`), `ranked` (the same with `ranks` and
    `seconds`, and `csv_size`, the bytes of the CSV before its rows), `undone` (the last `ranked` before it), `skipped`,
    `discarded`, `changed` (new `answers`; `sampled`, those of them that a model gave; older logs call it `drawn`),
    `ended` (the rows of the `ranked` before it were written).

    Attributes:
        events: all events of this CSV, oldest first.
        standing: the `ranked` events that were not undone.
        rankings_of: every `ranked` event of a prompt, also the undone ones.
    """

    def __init__(self, path: str | Path, data: str | Path):
        self.path, self.data = Path(path), Path(data).name
        self.events: list[dict] = []
        self.standing: list[dict] = []
        self.rankings_of: defaultdict[str, list[dict]] = defaultdict(list)
        for _, event in read_jsonl(path) if self.path.exists() else []:
            if event.get("data") == self.data:
                self._take_in(event)
        drop_cut_line(self.path)

    def add(self, event: str, **values) -> None:
        """Append an event; it is on the disk when this returns."""
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        record = {"event": event, "time": now, "data": self.data, **values}
        try:
            append_durably(self.path, json.dumps(record, ensure_ascii=False))
        except OSError:
            with contextlib.suppress(OSError):
                drop_cut_line(self.path)
            raise
        self._take_in(record)

    def _take_in(self, event: dict) -> None:
        self.events.append(event)
        if event["event"] == "ranked":
            self.standing.append(event)
            self.rankings_of[event["prompt"]].append(event)
        elif event["event"] == "undone" and self.standing:
            self.standing.pop()
