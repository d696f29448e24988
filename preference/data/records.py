"""Tables of any size, read record by record: CSV, JSONL, JSON and Parquet, from a file, a pipe or standard input.

One record is a dict. CSV cells are texts as they were typed; the values of JSON and Parquet keep their types. Memory does not
grow with the number of records.
"""

import codecs
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from preference.data.csv_table import MESSAGES_SHOWN, CsvError, not_commas, parse_rows
from preference.data.json_list import iterate_json_list
from preference.data.text_files import OTHER_MARKS, open_pipe, place_of
from preference.errors import InputError
from preference.wording import shorten

STREAM = "-"  # standard input, standard output
KINDS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".parquet": "parquet"}
_BLOCK = 1 << 16  # bytes read at once
_ROWS_READ = 256  # at once, of a Parquet file
_SEPARATORS = ";\t|"


class Records:
    """The records of one source, read as they are iterated over.

    Attributes:
        source: the name of the file, for messages; "standard input" for "-".
        kind: csv, jsonl, json or parquet.
        columns: the names of the columns; None for JSONL and JSON, whose records may differ.
        schema: the types of a Parquet file's columns (a `pyarrow.Schema`), else None.
        rereadable: whether `read_records` of the same source gives the same records once more: no pipe.
        cut_short: the place of a last line that was cut short and left out, known when all records are read; "" where there is none.
    """

    def __init__(
        self,
        source: str,
        kind: str,
        columns: list[str] | None,
        numbered: Iterator[tuple[int, dict[str, Any]]] | Iterator[tuple[int, dict[str, Any] | None]],
        *,
        rereadable: bool,
        schema: Any = None,
    ):
        self.source, self.kind, self.columns, self.schema, self.rereadable = source, kind, columns, schema, rereadable
        self._numbered = numbered
        self.cut_short = ""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (record for _, record in self.numbered())

    def numbered(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Iterate over (number, record); the number is the line on which the record starts, or its row in JSON and Parquet."""
        for number, record in self._numbered:
            if record is None:
                self.cut_short = self.at(number)
            else:
                yield number, record

    def none_found(self, remedy: str) -> InputError:
        """Return the error to raise where the source turned out to hold no record."""
        cut = f"; line {self.cut_short.rpartition(':')[2]} was cut short" if self.cut_short else ""
        return InputError(f"{self.source}: has no records{cut}; {remedy}")

    def at(self, number: int) -> str:
        """Name the place of a record in messages.

        >>> Records("a.csv", "csv", [], iter([]), rereadable=True).at(3), Records("a.parquet", "parquet", [], iter([]), rereadable=True).at(3)
        ('a.csv:3', 'a.parquet, row 3')
        """
        return f"{self.source}:{number}" if self.kind in ("csv", "jsonl") else f"{self.source}, row {number}"


def read_records(source: str | Path, kind: str | None = None) -> Records:
    """Open a table. The kind is told by the ending of the name; of a pipe and of standard input ("-") by the first bytes.

    The header of a CSV is read at once, the records as they are iterated over. Errors in them are raised where they stand; in a
    CSV file, the next ones are collected first.

    Raises:
        InputError: the source cannot be read or is not of its kind, with file and line or row.
    """
    name = "standard input" if str(source) == STREAM else str(source)
    path, kind = Path(source), kind or KINDS.get(Path(source).suffix.lower())
    file = _open(source, name)
    rereadable = str(source) != STREAM and path.is_file()
    if kind in (None, "json"):
        file, start = _peek(file)
        kind = _kind_of(start, kind)
    if kind == "csv":
        rows = _csv_rows(name, file, patient=rereadable)
        _, columns = next(rows)
        return Records(name, kind, columns, ((line, dict(zip(columns, cells, strict=True))) for line, cells in rows), rereadable=rereadable)
    if kind == "jsonl":
        return Records(name, kind, None, _json_lines(name, file), rereadable=rereadable)
    if kind == "json":
        return Records(name, kind, None, iterate_json_list(name, file), rereadable=rereadable)
    file, table = _open_parquet(name, file)
    schema = table.schema_arrow
    return Records(name, kind, schema.names, _parquet_rows(name, file, table), rereadable=rereadable, schema=schema)


def _open(source: str | Path, name: str) -> BinaryIO:
    try:
        if str(source) == STREAM:
            return open(sys.stdin.fileno(), "rb", closefd=False)  # noqa: SIM115  (not sys.stdin, which two threads cannot share at the end)
        return _put_back(*open_pipe(source)) if Path(source).is_fifo() else open(source, "rb")  # noqa: SIM115  (read to its end, lazily)
    except FileNotFoundError:
        if os.path.islink(source):
            raise InputError(f"{name}: a link to {os.readlink(source)!r}, which does not exist; correct the link, or name another file") from None
        raise InputError(f"{name}: no such file; check the name") from None
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}; name a file that you may read") from None


class _PutBack(io.RawIOBase):
    """Bytes that were read already, and then the rest of the file that they came from, which is closed with this one."""

    def __init__(self, start: bytes, rest: Any):
        self.start, self.rest = start, rest

    def close(self) -> None:
        super().close()
        self.rest.close()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self.start:
            self.start = self.rest.read1(len(buffer)) if hasattr(self.rest, "read1") else self.rest.read(len(buffer))
        size = min(len(buffer), len(self.start))
        buffer[:size], self.start = self.start[:size], self.start[size:]
        return size


def _put_back(start: bytes, rest: Any) -> BinaryIO:
    return io.BufferedReader(_PutBack(start, rest), _BLOCK)  # type: ignore[return-value]


def _peek(file: Any) -> tuple[BinaryIO, bytes]:
    """Return the file and its first bytes, enough to tell its kind."""
    start = b""
    while len(start.removeprefix(codecs.BOM_UTF8).lstrip()) < 4 and (more := file.read1(_BLOCK)):
        start += more
    return _put_back(start, file), start


def _kind_of(start: bytes, kind: str | None) -> str:
    """Tell the kind by the first bytes. A file that is called .json often holds JSON lines."""
    if kind is None and start.startswith(b"PAR1"):
        return "parquet"
    first = start.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
    return "jsonl" if first == b"{" else "json" if kind or first == b"[" else "csv"


def _lines(name: str, file: Any) -> Iterator[str]:
    """Give the lines of a UTF-8 file as soon as they are read; they end with LF, CR LF or CR, which stay as they are."""
    with file:
        yield from _decoded(name, _byte_lines(file))


def _byte_lines(file: Any) -> Iterator[bytes]:
    pending: list[bytes] = []
    while True:
        block = file.read1(_BLOCK)
        if block and b"\n" not in block and b"\r" not in block and not (pending and pending[-1].endswith(b"\r")):
            pending.append(block)
            continue
        lines = b"".join([*pending, block]).splitlines(keepends=True)
        # The last line may go on in the next block, and a CR at its end may be half of CR LF.
        pending = [lines.pop()] if block and lines and not lines[-1].endswith(b"\n") else []
        yield from lines
        if not block:
            return


def _decoded(name: str, lines: Iterator[bytes]) -> Iterator[str]:
    remedy = "save the file as UTF-8"
    for number, line in enumerate(lines, 1):
        if number == 1:
            for mark, encoding in OTHER_MARKS.items():
                if line.startswith(mark):
                    raise InputError(f"{name}:1: {encoding}, not UTF-8: the file starts with the bytes {mark.hex(' ')}; {remedy}")
        if b"\0" in line:
            raise InputError(f"{name}:{number}: not text: a NUL byte {place_of(line, line.find(0))[1]}; delete it, or {remedy}")
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            place = place_of(line, error.start)[1]
            raise InputError(f"{name}:{number}: not UTF-8: byte 0x{line[error.start]:02x} {place}; {remedy}") from None


def _csv_rows(name: str, file: Any, *, patient: bool) -> Iterator[tuple[int, list[str]]]:
    """Give the names of the columns, then the cells of each row, each with its line (see `parse_rows`)."""

    def check_header(line: int, columns: list[str], text: str) -> None:
        if len(columns) == 1 and any(separator in columns[0] for separator in _SEPARATORS):
            raise CsvError([not_commas(name, line, text.rstrip("\r\n"))])
        if twice := [column for column in dict.fromkeys(columns) if columns.count(column) > 1]:
            raise CsvError([f"{name}:{line}: two columns are named {column!r}; rename or delete one" for column in twice])

    def other_separator(text: str) -> bool:
        return any(separator in text for separator in _SEPARATORS) and "," not in text

    return parse_rows(
        name, _lines(name, file), check_header, other_separator=other_separator, header="name the columns", patient=patient, most=MESSAGES_SHOWN
    )


def _json_lines(name: str, file: Any) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Give each line's number and object; None for a last line without its end, as a crash leaves it."""
    for number, line in enumerate(_lines(name, file), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            if number > 1 and not line.endswith(("\n", "\r", "}")):
                yield number, None
                return
            remedy = "an object over several lines; write each on one line, or all as a list" if line.strip() == "{" else "write one object per line"
            raise InputError(f"{name}:{number}: not JSON: {shorten(line.rstrip())}; {remedy}") from None
        if not isinstance(record, dict):
            raise InputError(f"{name}:{number}: not a JSON object: {shorten(line.rstrip())}; write one object per line")
        yield number, record


def _open_parquet(name: str, file: Any) -> tuple[Any, Any]:
    import pyarrow
    from pyarrow import parquet

    try:
        if not file.seekable():  # its table of contents stands at the end
            spool = tempfile.TemporaryFile()  # noqa: SIM115  (gone when it is closed, at the latest with this process)
            shutil.copyfileobj(file, spool)
            spool.seek(0)
            file.close()
            file = spool
        # Unbuffered, a whole row group would be held in memory, which may be the whole file.
        return file, parquet.ParquetFile(file, buffer_size=1 << 20, pre_buffer=False)
    except (pyarrow.ArrowException, OSError) as error:
        file.close()
        raise InputError(f"{name}: not a Parquet file, or a damaged one ({first_line(error)}); make it again") from None


def _parquet_rows(name: str, file: Any, table: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow

    number = 0
    try:
        with file:
            for batch in table.iter_batches(batch_size=_ROWS_READ):
                for record in batch.to_pylist():
                    number += 1
                    yield number, record
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{name}, row {number + 1}: damaged ({first_line(error)}); make the file again") from None


def first_line(error: Exception) -> str:
    """Return the first line of an error's text."""
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__
