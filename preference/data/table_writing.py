"""Tables, written whole: CSV, JSONL, JSON, Parquet and .xlsx, each also as `.gz`."""

import codecs
import csv
import gzip
import io
import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from preference.durable_files import write_atomically
from preference.errors import InputError
from preference.wording import plain, shorten

STREAM = "-"  # standard input, standard output
_UNWRITABLE = re.compile(r"[\0\ud800-\udfff]")
_CELL_LIMIT, _ROW_LIMIT = 32_767, 1_048_576  # of a sheet: characters, rows


@dataclass(frozen=True)
class Form:
    """How a CSV is written, so that it can be written again the same way.

    Attributes:
        mark: whether it begins with a byte-order mark.
        above: what stands above the header, with its line ends: `sep=;`, a title.
        names: the names of columns as they were typed, where their keys differ: columns without a name, or of one name.
    """

    separator: str = ","
    mark: bool = False
    line_end: str = "\n"
    above: str = ""
    names: dict[str, str] = field(default_factory=dict)


def first_line(error: Exception) -> str:
    """Return the first line of an error's text."""
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__


def write_table(
    target: str | Path,
    kind: str,
    columns: Sequence[str],
    records: Iterable[dict[str, Any]],
    *,
    form: Form | None = None,
    schema: Any = None,
) -> None:
    """Write records to a file, which appears whole or not at all, or to standard output ("-").

    Args:
        kind: csv, jsonl, json, parquet or xlsx (see `kind_of`); a name that ends in .gz is compressed, too.
        columns: of a CSV, Parquet file or sheet, in this order.
        form: how a CSV is written (`Table.form` of the one that was read).
        schema: the types of Parquet columns that are known (`Table.schema`).

    Raises:
        InputError: the kind cannot hold a value, or the target cannot be written.
    """
    streams = str(target) == STREAM
    name = "standard output" if streams else str(target)
    records, form = list(records), form or Form()
    if str(target).lower().removesuffix(".gz").endswith((".tsv", ".tab")):
        form = replace(form, separator="\t", above="")
    if kind == "csv":
        data = format_csv(name, columns, records, form)
    elif kind == "jsonl":
        data = b"".join(_as_json(record) + b"\n" for record in records)
    elif kind == "json":
        data = b"[" + b",".join(b"\n " + _as_json(record) for record in records) + b"\n]\n"
    elif kind == "parquet":
        data = _as_parquet(name, columns, records, schema)
    else:
        data = _as_xlsx(
            name,
            [
                [form.names.get(column, column) for column in columns],
                *([record.get(column) for column in columns] for record in records),
            ],
        )
    if str(target).lower().endswith(".gz"):
        data = gzip.compress(data, mtime=0)
    if not streams:
        try:
            write_atomically(target, data)
        except OSError as error:
            raise InputError(f"{name}: cannot be written: {error.strerror or error}") from None
    elif not sys.stdout.isatty():
        sys.stdout.flush()
        rest = memoryview(data)
        while rest:  # with PYTHONUNBUFFERED the buffer is a raw file, which writes a part
            rest = rest[sys.stdout.buffer.write(rest) :]
        sys.stdout.buffer.flush()
    elif kind in ("parquet", "xlsx"):
        raise InputError(f"standard output: a terminal cannot show {kind}; name a file, or pass it on through a pipe")
    else:
        sys.stdout.write(plain(data.decode("utf-8")))  # no characters that a terminal would obey


def find_unwritable(text: str) -> str:
    """Name the first character of `text` that is not in any CSV, as UTF-8 text has none such; "" where there is none.

    >>> find_unwritable("a\\0b"), find_unwritable("a\\ud83db"), find_unwritable("ab")
    ('a NUL character', 'half of a surrogate pair', '')
    """
    found = _UNWRITABLE.search(text)
    return "" if found is None else "a NUL character" if found[0] == "\0" else "half of a surrogate pair"


def format_rows(rows: Iterable[Sequence[Any]], *, line_end: str = "\n", separator: str = ",") -> str:
    """Return `rows` as CSV text, quoted as in RFC 4180. What the texts hold is written to the letter.

    >>> format_rows([["a, b", "two\\nlines", 1]])
    '"a, b","two\\nlines",1\\n'
    """
    lines = _Lines()
    csv.writer(lines, delimiter=separator, lineterminator="\r\n").writerows(
        rows
    )  # the module quotes only those line ends that it writes itself
    return "".join(line.removesuffix("\r\n") + line_end for line in lines)


class _Lines(list[str]):
    """A list as the file that `csv.writer` writes to, one call per row."""

    write = list.append


def format_csv(name: str, columns: Sequence[str], records: Sequence[dict[str, Any]], form: Form) -> bytes:
    """Return a CSV; raise InputError, which begins with `name`, where no CSV can hold a value."""
    rows = [
        [form.names.get(column, column) for column in columns],
        *([_cell(record.get(column)) for column in columns] for record in records),
    ]
    text = format_rows(rows, line_end=form.line_end, separator=form.separator)
    if find_unwritable(text):
        row, cell = next((row, cell) for row, cells in enumerate(rows) for cell in cells if find_unwritable(cell))
        raise InputError(f"{name}, row {row}: {find_unwritable(cell)} in {shorten(cell)}; remove it")
    return codecs.BOM_UTF8 * form.mark + (form.above + text).encode()


def _cell(value: Any) -> str:
    """Return a value as the text of a cell; what is not flat becomes JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (bool, list, dict)) else str(value)


def _as_json(record: dict[str, Any]) -> bytes:
    try:
        return json.dumps(record, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can write
        return json.dumps(record, default=str).encode()


def _as_parquet(name: str, columns: Sequence[str], records: list[dict[str, Any]], schema: Any) -> bytes:
    import pyarrow
    from pyarrow import parquet

    arrays = []
    for column in columns:
        known = schema.field(column).type if schema is not None and column in schema.names else None
        values = [record.get(column) for record in records]
        try:
            array = pyarrow.array(values, known)
            # A column that has no value so far holds texts.
            arrays.append(array.cast(pyarrow.string()) if pyarrow.types.is_null(array.type) else array)
        except (pyarrow.ArrowException, UnicodeEncodeError, OverflowError, ValueError, TypeError) as error:
            raise InputError(
                f"{name}: the column {column!r} holds what Parquet cannot ({first_line(error)}); write JSONL instead"
            ) from None
    file = io.BytesIO()
    parquet.write_table(pyarrow.table(arrays, names=list(columns)), file)
    return file.getvalue()


def _as_xlsx(name: str, rows: list[list[Any]]) -> bytes:
    import openpyxl
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.utils.exceptions import IllegalCharacterError

    if len(rows) > _ROW_LIMIT:
        raise InputError(f"{name}: a sheet holds {_ROW_LIMIT:,} rows, not {len(rows):,}; write CSV instead")
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    for row, values in enumerate(rows, 1):
        cells = []
        for value in values:
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            try:
                cell = WriteOnlyCell(sheet, value if number else _cell(value))
            except (IllegalCharacterError, ValueError):
                raise InputError(
                    f"{name}, row {row}: a sheet cannot hold {shorten(str(value))}; write CSV instead"
                ) from None
            if not number:
                if len(_cell(value)) > _CELL_LIMIT:
                    raise InputError(
                        f"{name}, row {row}: a cell of a sheet holds {_CELL_LIMIT:,} characters; write CSV instead"
                    )
                cell.data_type = "s"  # also where a text begins with "=": it is no formula
            cells.append(cell)
        sheet.append(cells)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()
