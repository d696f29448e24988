"""Where confirmed rankings go: the CSV, changed row by row and never otherwise, and the log beside it."""

import contextlib
import datetime
import io
import json
from pathlib import Path

from filelock import FileLock, Timeout

from preference.data.csv_table import COLUMNS, Row, format_rows, read_table
from preference.data.jsonl import drop_cut_line, read_jsonl
from preference.data.rankings import parse_rank
from preference.durable_files import append_durably, write_atomically
from preference.errors import InputError


class RankingFile:
    """The CSV that a person's rankings go to.

    Every change is on the disk when the call returns, and a crash leaves the file as it was before or after it.
    Rows that others wrote stay byte for byte as they are, with their extra columns, also those that were added
    by hand while this runs. A lock file keeps a second ranker out.

    Raises:
        InputError: another ranker works on the CSV, or it breaks the contract.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._lock = FileLock(f"{path}.lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise InputError(f"{path}: another ranker is working on this file; finish that one first, or choose another --data") from None
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}; choose another --data") from None
        self._read()

    def close(self) -> None:
        # Removed while it is still held: afterwards another ranker may hold it, and its file is not ours to remove.
        with contextlib.suppress(PermissionError):  # Windows removes no open file; there the release does
            Path(self._lock.lock_file).unlink(missing_ok=True)
        self._lock.release()

    def prompts(self) -> set[str]:
        """Return the prompts that have rows."""
        columns, rows, _ = self._read()
        return {row.cells[columns.index("prompt")].strip() for row in rows}

    def add(self, prompt: str, answers: list[str], ranks: list[int]) -> None:
        """Append one prompt's ranked answers, best first."""
        columns, rows, text = self._read()
        line_end = "\r\n" if "\r\n" in text.partition("\n")[0] + "\n" else "\n"
        added = []
        for rank, answer in sorted(zip(ranks, answers, strict=True)):
            values = {"prompt": prompt, "answer": answer, "rank": rank}
            added.append([values.get(name, "") for name in columns])
        if not text.strip("\ufeff\r\n "):
            text = format_rows([columns], line_end=line_end)
        elif not text.endswith(("\n", "\r")):
            text += line_end
        write_atomically(self.path, text + format_rows(added, line_end=line_end))

    def remove(self, prompt: str, answers: list[str], ranks: list[int]) -> bool:
        """Remove exactly the rows that `add` wrote; where one is not there any more, remove none and return False."""
        columns, rows, text = self._read()
        at = [columns.index(name) for name in COLUMNS]
        wanted = {(prompt.strip(), answer.strip(), rank) for answer, rank in zip(answers, ranks, strict=True)}
        found = {}
        for number, row in enumerate(rows):
            cells = [row.cells[i].strip() for i in at]
            key = (cells[0], cells[1], parse_rank(cells[2]))
            if key in wanted:
                found[key] = number
        if set(found) != wanted:
            return False
        lines = list(io.StringIO(text, newline=""))
        for number in sorted(found.values(), reverse=True):
            start = rows[number].line - 1
            end = rows[number + 1].line - 1 if number + 1 < len(rows) else len(lines)
            del lines[start:end]
        write_atomically(self.path, "".join(lines))
        return True

    def _read(self) -> tuple[list[str], list[Row], str]:
        if not self.path.exists() or not self.path.stat().st_size:
            return COLUMNS, [], ""
        table = read_table(self.path)
        return table.columns, table.rows, self.path.read_bytes().decode("utf-8")


class RankingLog:
    """What was shown when and where, one JSON object per line. Several CSV files can share a log: each line names its own.

    Events: `shown` (`prompt`, `answers` in the order on the screen, `recheck`), `ranked` (the same with `ranks` and
    `seconds`), `undone` (the last `ranked` before it), `skipped`, `discarded`, `changed` (new `answers`; `sampled`,
    those of them that a model gave; older logs call it `drawn`).
    """

    def __init__(self, path: str | Path, data: str | Path):
        self.path, self.data = Path(path), Path(data).name
        events = [event for _, event in read_jsonl(path)] if self.path.exists() else []
        self.events: list[dict] = [event for event in events if event.get("data") == self.data]
        drop_cut_line(self.path)

    def add(self, event: str, **values) -> None:
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        record = {"event": event, "time": now, "data": self.data, **values}
        append_durably(self.path, json.dumps(record, ensure_ascii=False))
        self.events.append(record)

    def standing(self) -> list[dict]:
        """Return the `ranked` events that were not undone, oldest first."""
        ranked = []
        for event in self.events:
            if event["event"] == "ranked":
                ranked.append(event)
            elif event["event"] == "undone" and ranked:
                ranked.pop()
        return ranked
