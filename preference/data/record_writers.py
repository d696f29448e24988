"""Tables of any size, written record by record: CSV, JSONL, JSON and Parquet, to a file or to standard output.

A file appears whole at the end or not at all. Memory does not grow with the number of records.
"""

import contextlib
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from preference.data.csv_table import find_unwritable, format_rows
from preference.data.records import KINDS, STREAM, first_line
from preference.durable_files import open_atomically
from preference.errors import InputError
from preference.wording import plain, shorten

_ROWS_WRITTEN = 1024  # at once, to a Parquet file


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
                f"{self.name}, rows {first} to {self.rows}: a value does not fit its column ({first_line(error)}); write JSONL instead"
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
            file = _standard_output(kind) if streams else stack.enter_context(open_atomically(target))
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
