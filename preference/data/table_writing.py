"""Tables, written whole: CSV, JSONL, JSON, Parquet and .xlsx, each also as `.gz`."""

import codecs
import csv
import gzip
import io
import json
import re
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from preference.durable_files import write_atomically
from preference.errors import InputError
from preference.wording import plain, shorten

if TYPE_CHECKING:
    from preference.data.tables import Table

STREAM = "-"  # standard input, standard output
_UNWRITABLE = re.compile(r"[\0\ud800-\udfff]")
_CELL_LIMIT, _ROW_LIMIT = 32_767, 1_048_576  # characters in a cell of a sheet, rows in a sheet


@dataclass(frozen=True)
class Form:
    """How a CSV is written, so that it can be written again the same way."""

    separator: str = ","
    mark: bool = False  # whether it begins with a byte-order mark
    line_end: str = "\n"
    above: str = ""  # what stands above the header, with its line ends: `sep=;`, a title
    names: dict[str, str] = field(default_factory=dict)  # as typed, where columns have no name, or the same one


def first_line(error: Exception) -> str:
    """Return the first line of an error's text."""
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__


def write_table(
    target: str | Path, kind: str, columns: Sequence[str], records: Iterable[dict[str, Any]], *,
    form: Form | None = None, schema: Any = None,
) -> None:  # fmt: skip
    """Write records to a file, which appears whole or not at all, or to standard output ("-").

    `kind` is one of `tables.KINDS`; a name that ends in .gz is compressed, too. `form` and `schema` are those of the
    `Table` that was read.
    """
    name, records, form = "standard output" if str(target) == STREAM else str(target), list(records), form or Form()
    if form.separator != "\t" and str(target).lower().removesuffix(".gz").endswith((".tsv", ".tab")):
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
        data = _as_xlsx(name, [form.names.get(column, column) for column in columns], columns, records)
    _put(target, name, data, is_text=kind not in ("parquet", "xlsx"))


def save_table(
    path: str | Path, table: "Table", *, changed: Mapping[int, dict[str, Any]] = {},
    removed: Collection[int] = (), added: Sequence[dict[str, Any]] = (),
) -> None:  # fmt: skip
    """Write a table that was read from `path` back in its form, with changes.

    Titles, separators and types stay; a prompt that stood only in the first of its rows does so again. Of a CSV or of
    JSONL, what was not changed stays byte for byte. A workbook keeps its other sheets, its formats, and the cells that
    were not changed. `changed` is what records have now in some of their columns, by their index.
    """
    from preference.data.tables import unzipped

    kept: dict[int, dict[str, Any]] = {}
    above: dict[str, Any] = {}
    different = {*changed}
    for i, record in enumerate(table.records):
        if i not in removed:
            record, filled = record | changed.get(i, {}), table.filled.get(i, [])
            same = [column for column in filled if record[column] == above.get(column)]
            different |= {i} if same != filled else set()
            kept[i], above = {key: "" if key in same else value for key, value in record.items()}, record
    if table.kind in ("json", "parquet"):
        write_table(path, table.kind, table.columns, [*kept.values(), *added], schema=table.schema)
    else:
        edit, data = _with_cells if table.kind == "xlsx" else _with_lines, unzipped(str(path), Path(path).read_bytes())
        _put(path, str(path), edit(data, table, kept, different, added))


def _with_lines(data: bytes, table: "Table", kept: dict[int, dict], changed: set[int], added: Sequence[dict]) -> bytes:
    """Return a file with the lines of the records kept, other ones for those changed, and those added."""
    text, end = data.decode(), table.form.line_end
    lines = list(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    starts = [number - 1 for number in table.numbers] + [len(lines)]
    texts = ["\ufeff"] * text.startswith("\ufeff") + ["".join(lines[: starts[0]])]

    def line_of(record: dict[str, Any]) -> str:
        if table.kind == "jsonl":
            return _as_json(record).decode()
        return format_csv(table.source, table.places, [record], table.form, header=False).decode().removesuffix(end)

    for i, record in kept.items():
        text = "".join(lines[starts[i] : starts[i + 1]])
        texts.append(line_of(record) + text[len(text.rstrip("\r\n")) :] if i in changed else text)
    for record in added:
        texts += [end] * (texts[-1] != "" and not texts[-1].endswith(("\n", "\r"))) + [line_of(record) + end]
    return "".join(texts).encode()


def _with_cells(data: bytes, table: "Table", kept: dict[int, dict], changed: set[int], added: Sequence[dict]) -> bytes:
    """Return a workbook with the changed cells of its table, without the rows not kept, and with those added."""
    import openpyxl

    from preference.data.tables import as_typed

    book = openpyxl.load_workbook(io.BytesIO(data), rich_text=True)
    shown = openpyxl.load_workbook(io.BytesIO(data), data_only=True)
    sheet, values = book[table.sheet], shown[table.sheet]
    if any(cell.data_type == "f" for row in sheet for cell in row):  # openpyxl saves no results
        raise InputError(f"{table.source}: has formulas, whose results would be lost; paste the column as values")
    gone = [number for i, number in enumerate(table.numbers) if i not in kept]
    new_rows = range(max([table.header, *table.numbers]) + 1, sys.maxsize)
    # Deleting a row would not move merged cells, and those that reach below the table take no new rows.
    changed_from = table.header + 1 if gone else new_rows.start if added else sys.maxsize
    for merged in [cells for cells in sheet.merged_cells.ranges if cells.max_row >= changed_from]:
        sheet.unmerge_cells(str(merged))
    for row, record in [*((table.numbers[i], kept[i]) for i in sorted(changed & kept.keys())), *zip(new_rows, added)]:
        for column, key in enumerate(table.places, 1):
            if key and _cell(record.get(key)) != as_typed(values.cell(row, column).value):
                _set_cell(f"{table.source}, row {row}", sheet.cell(row, column), record.get(key))
    for row in reversed(gone):
        sheet.delete_rows(row)
    book.save(file := io.BytesIO())
    return file.getvalue()


def _put(target: str | Path, name: str, data: bytes, is_text: bool = False) -> None:
    if str(target).lower().endswith(".gz"):
        data = gzip.compress(data, mtime=0)
    if str(target) != STREAM:
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
    elif is_text:
        sys.stdout.write(plain(data.decode("utf-8")))  # no characters that a terminal would obey
    else:
        raise InputError("standard output: a terminal can only show text; name a file, or pass it on through a pipe")


def find_unwritable(text: str) -> str:
    """Name the first character of `text` that is not in any CSV, as UTF-8 text has none such; "" where there is none.

    >>> find_unwritable("a\\0b"), find_unwritable("a\\ud83db"), find_unwritable("ab")
    ('a NUL character', 'half of a surrogate pair', '')
    """
    found = _UNWRITABLE.search(text)
    return "" if found is None else "a NUL character" if found[0] == "\0" else "half of a surrogate pair"


def format_rows(rows: Iterable[Sequence[Any]], *, line_end: str = "\n", separator: str = ",") -> str:
    """Return `rows` as CSV text, quoted as in RFC 4180. Texts are written verbatim.

    >>> format_rows([["a, b", "two\\nlines", 1]])
    '"a, b","two\\nlines",1\\n'
    """
    lines: list[str] = []  # one call of `write` per row
    # The module quotes only those line ends that it writes itself.
    csv.writer(SimpleNamespace(write=lines.append), delimiter=separator, lineterminator="\r\n").writerows(rows)
    return "".join(line.removesuffix("\r\n") + line_end for line in lines)


def format_csv(
    name: str, columns: Sequence[str], records: Sequence[dict[str, Any]], form: Form, *, header: bool = True
) -> bytes:
    """Return a CSV, or its rows without the header; an InputError begins with `name`."""
    rows = [[_cell(record.get(column)) for column in columns] for record in records]
    rows[:0] = [[form.names.get(column, column) for column in columns]] * header
    text = format_rows(rows, line_end=form.line_end, separator=form.separator)
    if find_unwritable(text):
        row, cell = next((row, cell) for row, cells in enumerate(rows) for cell in cells if find_unwritable(cell))
        raise InputError(f"{name}, row {row}: {find_unwritable(cell)} in {shorten(cell)}; remove it")
    return (codecs.BOM_UTF8 * form.mark + (form.above + text).encode()) if header else text.encode()


def _cell(value: Any) -> str:
    """Return a value as the text of a cell; what is not flat becomes JSON."""
    if isinstance(value, (bool, list, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return "" if value is None else str(value)


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
        try:
            array = pyarrow.array([record.get(column) for record in records], known)
            # A column that has no value so far holds texts.
            arrays.append(array.cast(pyarrow.string()) if pyarrow.types.is_null(array.type) else array)
        except (pyarrow.ArrowException, UnicodeEncodeError, OverflowError, ValueError, TypeError) as error:
            what = f"the column {column!r} holds what Parquet cannot ({first_line(error)})"
            raise InputError(f"{name}: {what}; write JSONL instead") from None
    parquet.write_table(pyarrow.table(arrays, names=list(columns)), file := io.BytesIO())
    return file.getvalue()


def _as_xlsx(name: str, header: Sequence[str], columns: Sequence[str], records: list[dict[str, Any]]) -> bytes:
    import openpyxl

    if len(records) >= _ROW_LIMIT:
        raise InputError(f"{name}: a sheet holds {_ROW_LIMIT:,} rows with its header; write CSV instead")
    book = openpyxl.Workbook()
    for row, values in enumerate([header, *([record.get(column) for column in columns] for record in records)], 1):
        for column, value in enumerate(values, 1):
            _set_cell(f"{name}, row {row}", book.active.cell(row, column), value)
    book.save(file := io.BytesIO())
    return file.getvalue()


def _set_cell(place: str, cell: Any, value: Any) -> None:
    """Set the value of a sheet's cell, a number or a text."""
    from openpyxl.utils.exceptions import IllegalCharacterError

    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    try:
        cell.value = value if is_number else _cell(value)
    except (IllegalCharacterError, ValueError):
        raise InputError(f"{place}: a sheet cannot hold {shorten(str(value))}; write CSV instead") from None
    if not is_number:
        cell.data_type = "s"  # also where a text begins with "=": it is no formula
        if len(_cell(value)) > _CELL_LIMIT:
            raise InputError(f"{place}: a cell of a sheet holds {_CELL_LIMIT:,} characters; write CSV instead")
