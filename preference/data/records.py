"""Tables of any size, record by record: CSV, JSONL, JSON and Parquet, from a file or standard input to a file or standard output.

One record is a dict. CSV cells are texts as they were typed; the values of JSON and Parquet keep their types. Memory does not
grow with the number of records.
"""

import codecs
import contextlib
import csv
import io
import json
import os
import select
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from preference.data.csv_table import (
    _OTHER_MARKS,
    MESSAGES_SHOWN,
    PIPE_PATIENCE,
    CsvError,
    _not_commas,
    _place,
    _remedy_for_count,
    find_unwritable,
    format_rows,
)
from preference.data.json_list import iterate_json_list
from preference.durable_files import sync_folder
from preference.errors import InputError
from preference.wording import counted, plain, shorten

STREAM = "-"  # standard input, standard output
KINDS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".parquet": "parquet"}
_BLOCK = 1 << 16  # bytes read at once
_ROWS_READ, _ROWS_WRITTEN = 256, 1024  # at once, of a Parquet file
_SEPARATORS = ";\t|"


class Records:
    """The records of one source, read as they are iterated over.

    Attributes:
        source: the name of the file, for messages; "standard input" for "-".
        kind: csv, jsonl, json or parquet.
        columns: the names of the columns; None for JSONL and JSON, whose records may differ.
        schema: the types of a Parquet file's columns (a `pyarrow.Schema`), else None.
        rereadable: whether `read_records` of the same source gives the same records once more: no pipe.
    """

    def __init__(
        self,
        source: str,
        kind: str,
        columns: list[str] | None,
        numbered: Iterator[tuple[int, dict[str, Any]]],
        *,
        rereadable: bool,
        schema: Any = None,
    ):
        self.source, self.kind, self.columns, self.schema, self.rereadable = source, kind, columns, schema, rereadable
        self._numbered = numbered

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (record for _, record in self._numbered)

    def numbered(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Iterate over (number, record); the number is the line on which the record starts, or its row in JSON and Parquet."""
        return self._numbered

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
        columns = next(rows)
        return Records(name, kind, columns, ((line, dict(zip(columns, cells, strict=True))) for line, cells in rows), rereadable=rereadable)
    if kind == "jsonl":
        return Records(name, kind, None, _json_lines(name, file), rereadable=rereadable)
    if kind == "json":
        return Records(name, kind, None, iterate_json_list(name, file), rereadable=rereadable)
    file, table = _open_parquet(name, file)
    schema = table.schema_arrow
    return Records(name, kind, schema.names, _parquet_rows(name, file, table), rereadable=rereadable, schema=schema)


# Reading


def _open(source: str | Path, name: str) -> BinaryIO:
    try:
        if str(source) == STREAM:
            return open(sys.stdin.fileno(), "rb", closefd=False)  # noqa: SIM115  (not sys.stdin, which two threads cannot share at the end)
        return _open_pipe(name) if Path(source).is_fifo() else open(source, "rb")  # noqa: SIM115  (read to its end, lazily)
    except FileNotFoundError:
        if os.path.islink(source):
            raise InputError(f"{name}: a link to {os.readlink(source)!r}, which does not exist; correct the link, or name another file") from None
        raise InputError(f"{name}: no such file; check the name") from None
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}; name a file that you may read") from None


def _open_pipe(name: str) -> BinaryIO:
    """Open a pipe; opening it the usual way would wait for a writer for ever."""
    pipe = open(name, "rb", buffering=0, opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK))  # noqa: SIM115
    select.select([pipe], [], [], PIPE_PATIENCE)
    start = pipe.read(1)  # None: a program has opened the pipe and is still busy
    if start == b"":
        pipe.close()
        raise InputError(f"{name}: a pipe that no program has written to; start the program that writes it first, or name a file")
    os.set_blocking(pipe.fileno(), True)
    return _put_back(start or b"", pipe)


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
            for mark, encoding in _OTHER_MARKS.items():
                if line.startswith(mark):
                    raise InputError(f"{name}:1: {encoding}, not UTF-8: the file starts with the bytes {mark.hex(' ')}; {remedy}")
        if b"\0" in line:
            raise InputError(f"{name}:{number}: not text: a NUL byte {_place(line, line.find(0))[1]}; delete it, or {remedy}")
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            place = _place(line, error.start)[1]
            raise InputError(f"{name}:{number}: not UTF-8: byte 0x{line[error.start]:02x} {place}; {remedy}") from None


def _csv_rows(name: str, file: Any, *, patient: bool) -> Iterator[Any]:
    """Give the names of the columns, then (line, cells) of each row; rows of empty cells are skipped.

    Args:
        patient: read on after a row with the wrong number of cells, to name all such rows.
    """
    columns: list[str] = []
    problems: list[str] = []
    first_lines: list[str] = []  # of the row that is being read

    def noted() -> Iterator[str]:
        for line in _lines(name, file):
            if not first_lines:
                first_lines.append(line)
            yield line

    reader, start = csv.reader(noted(), strict=True), 1
    try:
        for cells in reader:
            line, start = start, reader.line_num + 1
            text = first_lines.pop()
            if not any(cells) or (columns and not any(map(str.strip, cells))):
                continue
            if not columns:
                columns = [cell.strip() for cell in cells]
                _check_columns(name, line, columns, text)
                yield columns
            elif len(cells) != len(columns):
                problems.append(
                    f"{name}:{line}: {counted(len(cells), 'cell')} where the header has {len(columns)}: {shorten(','.join(cells))};"
                    f" {_remedy_for_count(cells, len(columns))}"
                )
                if not patient:
                    break
            elif not problems:
                yield line, cells
            if len(problems) > MESSAGES_SHOWN:
                break
    except csv.Error:
        text = first_lines[0].rstrip("\r\n") if first_lines else ""
        if not columns and any(separator in text for separator in _SEPARATORS) and "," not in text:
            problems.append(_not_commas(name, start, text))
        else:
            problems.append(f'{name}:{start}: unbalanced quotes: {shorten(text)}; write a cell that contains quotes "like ""this"" one"')
    if not columns and not problems:
        problems.append(f"{name}:1: the file is empty; its first line must name the columns")
    if problems:
        raise CsvError(problems)


def _check_columns(name: str, line: int, columns: list[str], text: str) -> None:
    if len(columns) == 1 and any(separator in columns[0] for separator in _SEPARATORS):
        raise CsvError([_not_commas(name, line, text.rstrip("\r\n"))])
    if twice := [column for column in dict.fromkeys(columns) if columns.count(column) > 1]:
        raise CsvError([f"{name}:{line}: two columns are named {column!r}; rename or delete one" for column in twice])


def _json_lines(name: str, file: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_lines(name, file), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            if not line.endswith(("\n", "\r")):
                return  # no line end: a crash cut it short
            raise InputError(f"{name}:{number}: not JSON: {shorten(line.rstrip())}; write one object per line") from None
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
        raise InputError(f"{name}: not a Parquet file, or a damaged one ({_first_line(error)}); make it again") from None


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
        raise InputError(f"{name}, row {number + 1}: damaged ({_first_line(error)}); make the file again") from None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__


# Writing


class Writer:
    """Writes records one by one; made by `open_writer`."""

    def __init__(self, name: str, file: Any, columns: list[str] | None, schema: Any, *, flushes: bool):
        self.name, self.file, self.columns, self.schema, self.flushes = name, file, columns, schema, flushes
        self.rows = 0

    def write(self, record: dict[str, Any]) -> None:
        """Write one record; to standard output, it is passed on at once.

        Raises:
            InputError: the kind cannot hold it, or the disk is full. What closes standard output early raises BrokenPipeError.
        """
        self.rows += 1
        with _writing(self.name):
            self.write_row(record)
            if self.flushes:
                self.file.flush()

    def begin(self) -> None:
        """Write what stands before the first record, as far as it is known."""

    def write_row(self, record: dict[str, Any]) -> None:
        raise NotImplementedError

    def end(self) -> None:
        """Write what stands after the last record."""

    def check_columns(self, record: dict[str, Any]) -> list[str]:
        """Return the columns: those given, or of the first record; a later record must not have others."""
        if self.columns is None:
            self.columns = list(record)
        if unknown := [column for column in record if column not in self.columns]:
            raise InputError(f"{self.name}, row {self.rows}: {unknown[0]!r} is not among the columns of the first row; write JSONL instead")
        return self.columns


class _CsvWriter(Writer):
    def begin(self) -> None:
        if self.columns is not None:
            self._put(self.columns)

    def write_row(self, record: dict[str, Any]) -> None:
        first = self.columns is None
        columns = self.check_columns(record)
        if first:
            self._put(columns)
        self._put([_cell(record.get(column)) for column in columns])

    def _put(self, cells: list[str]) -> None:
        for cell in cells:
            if what := find_unwritable(cell):
                raise InputError(f"{self.name}, row {self.rows}: {what} in {shorten(cell)}; remove it")
        self.file.write(format_rows([cells]).encode())


def _cell(value: Any) -> str:
    """Return a value as the text of a CSV cell; what is not flat becomes JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (bool, list, dict)) else str(value)


class _JsonLinesWriter(Writer):
    def write_row(self, record: dict[str, Any]) -> None:
        self.file.write(_as_json(record) + b"\n")


class _JsonListWriter(Writer):
    def begin(self) -> None:
        self.file.write(b"[")

    def write_row(self, record: dict[str, Any]) -> None:
        self.file.write((b",\n " if self.rows > 1 else b"\n ") + _as_json(record))

    def end(self) -> None:
        self.file.write(b"\n]\n")


def _as_json(record: dict[str, Any]) -> bytes:
    try:
        return json.dumps(record, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can write
        return json.dumps(record, default=str).encode()


class _ParquetWriter(Writer):
    """Writes row groups; types that `schema` does not tell are those of the first row group."""

    def begin(self) -> None:
        self.waiting: list[dict[str, Any]] = []
        self.writer: Any = None

    def write_row(self, record: dict[str, Any]) -> None:
        self.check_columns(record)
        self.waiting.append(record)
        if len(self.waiting) == _ROWS_WRITTEN:
            self._write_group()

    def end(self) -> None:
        if self.waiting or self.writer is None:
            self._write_group()
        self.writer.close()

    def _write_group(self) -> None:
        import pyarrow
        from pyarrow import parquet

        try:
            if self.writer is None:
                self.schema = self._types(pyarrow)
                self.writer = parquet.ParquetWriter(self.file, self.schema)
            self.writer.write_table(pyarrow.Table.from_pylist(self.waiting, self.schema))
        except (pyarrow.ArrowException, UnicodeEncodeError) as error:
            first = self.rows - len(self.waiting) + 1
            raise InputError(
                f"{self.name}, rows {first} to {self.rows}: a value does not fit its column ({_first_line(error)}); write JSONL instead"
            ) from None
        self.waiting = []

    def _types(self, pyarrow: Any) -> Any:
        text, columns = pyarrow.string(), self.columns or []
        found = pyarrow.Table.from_pylist([{column: record.get(column) for column in columns} for record in self.waiting]).schema
        types = {field.name: field.type for field in [*found, *(self.schema or [])]}
        # A column that has no value so far holds texts.
        return pyarrow.schema([(column, text if pyarrow.types.is_null(types.get(column, pyarrow.null())) else types[column]) for column in columns])


_WRITERS: dict[str, type[Writer]] = {"csv": _CsvWriter, "jsonl": _JsonLinesWriter, "json": _JsonListWriter, "parquet": _ParquetWriter}


@contextlib.contextmanager
def open_writer(target: str | Path, kind: str, columns: list[str] | None = None, *, schema: Any = None) -> Iterator[Writer]:
    """Write records to a file, which appears whole at the end or not at all, or to standard output ("-"), where each is passed on at once.

    Args:
        kind: csv, jsonl, json or parquet (see `kind_of_target`). Parquet goes out in row groups of `_ROWS_WRITTEN`.
        columns: of a CSV or Parquet file; default: the keys of the first record.
        schema: the types of Parquet columns that are known (see `Records.schema`).

    Raises:
        InputError: the target cannot be written. What closes standard output early raises BrokenPipeError.
    """
    streams = str(target) == STREAM
    name = "standard output" if streams else str(target)
    with contextlib.ExitStack() as stack:
        with _writing(name):
            if streams:
                sys.stdout.flush()
            file = _standard_output(kind) if streams else stack.enter_context(_open_atomically(Path(target)))
            writer = _WRITERS[kind](name, file, columns, schema, flushes=streams)
            writer.begin()
            file.flush()
        yield writer
        with _writing(name):
            writer.end()
            file.flush()
            stack.close()


@contextlib.contextmanager
def _writing(name: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"{name}: cannot be written: {error.strerror or error}") from None


def kind_of_target(target: str | Path, kind: str) -> str:
    """Return the kind that the ending of a file's name tells, or else `kind`.

    >>> kind_of_target("scored.jsonl", "csv"), kind_of_target("-", "csv")
    ('jsonl', 'csv')
    """
    return KINDS.get(Path(target).suffix.lower(), kind)


def _standard_output(kind: str) -> Any:
    if not sys.stdout.isatty():
        return sys.stdout.buffer
    if kind == "parquet":
        raise InputError("standard output: a terminal cannot show Parquet; name a file, or pass it on through a pipe")
    return _Terminal()


class _Terminal(io.RawIOBase):
    """Standard output that is a terminal: it is shown no characters that it would obey."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        sys.stdout.write(plain(bytes(data).decode("utf-8")))
        return len(data)

    def flush(self) -> None:
        sys.stdout.flush()


@contextlib.contextmanager
def _open_atomically(path: Path) -> Iterator[Any]:
    """Open a file that takes its name when all is written and on the disk; a device or a pipe is written to as it is."""
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        with open(path, "wb") as file:
            yield file
        return
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    file = os.fdopen(descriptor, "wb")
    try:
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~umask)
        yield file
        file.flush()
        os.fsync(file.fileno())
        file.close()
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):  # the disk is full
            file.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_folder(path.parent)
