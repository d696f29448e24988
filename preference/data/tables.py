"""Tables, read and written whole: CSV as spreadsheets save it, JSONL, JSON, Parquet and .xlsx, each also as `.gz`.

One record is a dict. The cells of a CSV or a sheet are the texts that were typed (`N/A` and `007` stay); the values of JSON and Parquet
keep their types. "-" is standard input, read to its end, or standard output.
"""

import codecs
import csv
import gzip
import hashlib
import io
import json
import os
import re
import select
import sys
import zlib
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from preference.data.spreadsheets import ANSWERS, PROMPTS, Row, find_header, find_separator, read_workbook
from preference.data.spreadsheets import COLUMNS as COLUMNS
from preference.data.spreadsheets import RATERS as RATERS
from preference.data.table_writing import STREAM, Form, first_line
from preference.data.table_writing import find_unwritable as find_unwritable
from preference.data.table_writing import format_csv as format_csv
from preference.data.table_writing import format_rows as format_rows
from preference.data.table_writing import write_table as write_table
from preference.errors import InputError
from preference.wording import counted, shorten

KINDS = {
    ".csv": "csv", ".tsv": "csv", ".tab": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".parquet": "parquet", ".xlsx": "xlsx",
}  # fmt: skip
MESSAGES_SHOWN = 20
GZIP = b"\x1f\x8b"  # the first bytes of a .gz
PIPE_PATIENCE = 10.0  # seconds that a named pipe may take until a program writes to it

_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}

csv.field_size_limit(2**31 - 1)  # the module's own limit of 131,072 characters would refuse a long answer


class TableError(InputError):
    """A table with wrong rows; the text has one line per problem, each `PLACE: what, value, remedy`: the first 20, then a count."""

    def __init__(self, problems: list[str]):
        shown = problems[:MESSAGES_SHOWN]
        if more := len(problems) - len(shown):
            shown.append(f"... and {counted(more, 'more problem')}")
        super().__init__("\n".join(shown))


@dataclass
class Table:
    """The records of one source.

    Attributes:
        source: the name of the file, for messages; "standard input" for "-".
        kind: csv, jsonl, json, parquet or xlsx.
        columns: the keys of the records, as they were typed; of JSONL and JSON those of all records, in the order of appearance.
        numbers: the line on which each record starts (csv, jsonl), or its row.
        rows: of a CSV, the row of each record in a spreadsheet, which lines within cells and `sep=` make differ from the line.
        header: the line or row that names the columns.
        form: how a CSV was written.
        places: the key of the column in each place of a row of a CSV or sheet; "" where there is neither a name nor content.
        merged: whether a prompt stands only in the first of its rows there.
        schema: the types of a Parquet file's columns (a `pyarrow.Schema`), else None.
        sha256: of the file.
        cut_short: the place of a last line of JSONL that was cut short and left out; "" where there is none.
        notes: sentences on how the table was read, to be shown.
    """

    source: str
    kind: str
    columns: list[str]
    records: list[dict[str, Any]]
    numbers: list[int]
    rows: list[int] = field(default_factory=list)
    header: int = 1
    form: Form = field(default_factory=Form)
    places: list[str] = field(default_factory=list)
    merged: bool = False
    schema: Any = None
    sha256: str = ""
    cut_short: str = ""
    notes: list[str] = field(default_factory=list)

    def at(self, i: int) -> str:
        """Name the place of record `i`, from 0, in messages; with its row and its prompt where a spreadsheet does not show its line.

        >>> Table("a.csv", "csv", [], [{}], [3]).at(0), Table("a.csv", "csv", ["prompt"], [{"prompt": "Why?"}], [7], rows=[3]).at(0)
        ('a.csv:3', "a.csv:7 (row 3, prompt 'Why?')")
        >>> Table("a.parquet", "parquet", [], [{}], [3]).at(0)
        'a.parquet, row 3'
        """
        place = self._place(self.numbers[i])
        row = self.rows[i] if self.rows else self.numbers[i]
        if row == self.numbers[i] and self.kind != "xlsx":
            return place
        prompt = next(
            (str(value) for name, value in self.records[i].items() if name.casefold() in PROMPTS and value), ""
        )
        beside = [f"row {row}"] * (self.kind == "csv") + [f"prompt {shorten(prompt.strip(), 40)}"] * bool(prompt)
        return f"{place} ({', '.join(beside)})" if beside else place

    @property
    def top(self) -> str:
        """The place of the header, for messages about the columns."""
        return self._place(self.header) if self.kind in ("csv", "xlsx") else self.source

    @property
    def unit(self) -> str:
        """What `numbers` count."""
        return "line" if self.kind in ("csv", "jsonl") else "row"

    def _place(self, number: int) -> str:
        return f"{self.source}:{number}" if self.unit == "line" else f"{self.source}, row {number}"

    def find(self, *names: str) -> str | None:
        """Return the column that has the first of these names that there is, in any case; None where there is none.

        Raises:
            TableError: two columns have this name.
        """
        for name in names:
            found = [column for column in self.columns if self.form.names.get(column, column).casefold() == name]
            if len(found) > 1:
                raise TableError([f"{self.top}: two columns are named {name!r}; rename one"])
            if found:
                return found[0]
        return None

    def need(self, *names: str) -> list[str]:
        """Return the columns that have these names, in any case.

        Raises:
            TableError: a name is missing or stands there twice, or the file is empty.
        """
        if not self.columns:
            raise TableError([f"{self.top}: the file is empty; its first line must be {','.join(names)}"])
        found = {name: self.find(name) for name in names}
        header = shorten(",".join(self.form.names.get(column, column) for column in self.columns))
        missing = [name for name, column in found.items() if column is None]
        if missing:
            must = f"in the header {header}; it must name {', '.join(names)}"
            raise TableError([f"{self.top}: no column {name!r} {must}" for name in missing])
        return [column for column in found.values() if column is not None]

    def none_found(self, remedy: str) -> InputError:
        """Return the error to raise where there is no record."""
        if not self.columns and self.kind == "csv":
            return InputError(f"{self.top}: the file is empty; its first line must name the columns")
        cut = f"; line {self.cut_short.rpartition(':')[2]} was cut short" if self.cut_short else ""
        return InputError(f"{self.source}: has no records{cut}; {remedy}")


# Reading


def read_table(source: str | Path, kind: str | None = None, *, whole: bool = False) -> Table:
    """Read a table whole. The kind is told by the first bytes, or else by the ending of the name.

    Rows of empty cells are skipped, and so is what stands above the header: `sep=;`, a title. Columns without a name and without
    content are left out. Where a prompt stands only in the first of its rows, as in merged cells, the rows below it get it, too.

    Args:
        whole: whether a last line of JSONL that was cut short is an error, too.

    Raises:
        InputError: the source cannot be read or is not of its kind, with file and line or row; a key or a column of a Parquet file is
            there twice. Of a CSV or sheet every wrong row is named.
    """
    name, data = "standard input" if str(source) == STREAM else str(source), read_bytes(source)
    sha256 = hashlib.sha256(data).hexdigest()
    if data.startswith(GZIP):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{name}: a damaged gzip file ({first_line(error)}); make it again") from None
    kind = _kind_of(data, kind or kind_of(source))
    if kind == "jsonl":
        table = _read_jsonl(name, data, whole)
    else:
        table = {"csv": _read_csv, "json": _read_json, "parquet": _read_parquet, "xlsx": _read_xlsx}[kind](name, data)
    table.sha256 = sha256
    if kind in ("csv", "xlsx"):
        _fill_down(table)
    return table


def kind_of(path: str | Path, default: str = "") -> str:
    """Return the kind that the ending of a file's name tells, or else `default`.

    >>> kind_of("scored.jsonl.gz", "csv"), kind_of("-", "csv")
    ('jsonl', 'csv')
    """
    return KINDS.get(Path(str(path).lower().removesuffix(".gz")).suffix, default)


def _kind_of(data: bytes, kind: str) -> str:
    """Tell the kind by the first bytes, which know better than the name: a file called .json often holds JSON lines."""
    if data.startswith(b"PAR1"):
        return "parquet"
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return "xlsx"
    start = data.removeprefix(codecs.BOM_UTF8).lstrip()[:200].replace(b" ", b"")
    if kind in ("jsonl", "json", ""):
        return (
            "json"
            if start.startswith(b"[") and kind != "jsonl"
            else "jsonl"
            if start.startswith(b"{")
            else kind or "csv"
        )
    if kind == "csv" and start.startswith((b'{"', b'[{"', b"{\n", b"[\n")):
        return "jsonl" if start.startswith(b"{") else "json"
    return kind


def read_bytes(path: str | Path) -> bytes:
    """Read a file, a pipe or standard input ("-") to its end.

    Raises InputError if it cannot be read, or no program writes to a named pipe within `PIPE_PATIENCE`.
    """
    try:
        if str(path) == STREAM:
            with open(sys.stdin.fileno(), "rb", closefd=False) as file:
                return file.read()
        if not Path(path).is_fifo():
            return Path(path).read_bytes()
        # Opened the usual way, it would wait for a writer for ever.
        with open(path, "rb", buffering=0, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as pipe:
            select.select([pipe], [], [], PIPE_PATIENCE)
            start = pipe.read(1)  # None: a program has opened the pipe and is still busy
            if start == b"":
                raise InputError(
                    f"{path}: a pipe that no program has written to; start the program that writes it first, or name a file"
                )
            os.set_blocking(pipe.fileno(), True)
            return (start or b"") + pipe.read()
    except FileNotFoundError:
        if os.path.islink(path):
            raise InputError(
                f"{path}: a link to {os.readlink(path)!r}, which does not exist; correct the link, or name another file"
            ) from None
        raise InputError(f"{path}: no such file; check the name") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; name a file that you may read") from None


def read_text(path: str | Path) -> str:
    """Return the text of a UTF-8 file, with or without a byte-order mark, its lines ended by LF; raise InputError if it cannot be read."""
    return decode(str(path), read_bytes(path)).replace("\r\n", "\n").replace("\r", "\n")


def decode(name: str, data: bytes, remedy: str = "save the file as UTF-8") -> str:
    """Return the text of a UTF-8 file, without its byte-order mark; raise InputError with the line of the first byte that is none."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            raise InputError(
                f"{name}:1: {encoding}, not UTF-8: the file starts with the bytes {mark.hex(' ')}; {remedy}"
            )
    if (nul := data.find(b"\0")) >= 0:
        line, place = _place_of(data, nul)
        raise InputError(f"{name}:{line}: not text: a NUL byte {place}; delete it, or {remedy}")
    try:
        return data.decode("utf-8").lstrip("\ufeff")
    except UnicodeDecodeError as error:
        line, place = _place_of(data, error.start)
        raise InputError(f"{name}:{line}: not UTF-8: byte 0x{data[error.start]:02x} {place}; {remedy}") from None


def _place_of(data: bytes, position: int) -> tuple[int, str]:
    """Return the line of the byte at `position`, and words for where on the line it stands."""
    lines = (data[:position] + b".").splitlines()
    before = lines[-1][:-1].decode("utf-8-sig", "replace")
    return len(lines), f"after {shorten(before[-30:])}" if before else "at the start of the line"


def _read_csv(name: str, data: bytes) -> Table:
    lines = list(
        io.StringIO(decode(name, data, "save the file as 'CSV UTF-8'"), newline="")
    )  # they keep their LF, CR LF or CR
    named = re.fullmatch(r'"?sep=(.)"?', lines[0].rstrip("\r\n"), re.I) if lines else None
    skipped = 1 if named else 0  # a line that no spreadsheet shows
    separator = named[1] if named else find_separator(lines[:20])
    reader, rows, start, problem = csv.reader(lines[skipped:], delimiter=separator, strict=True), [], 1 + skipped, ""
    try:
        for row, cells in enumerate(reader, 1):
            rows.append((start, row, cells))
            start = reader.line_num + 1 + skipped
    except csv.Error:
        text = shorten(lines[start - 1].rstrip("\r\n"))
        problem = f'{name}:{start}: unbalanced quotes: {text}; write a cell that contains quotes "like ""this"" one"'
    form = Form(separator, data.startswith(codecs.BOM_UTF8), "\r\n" if lines and lines[0].endswith("\r\n") else "\n")
    table = _from_rows(name, "csv", rows, form, problem)
    table.form = replace(table.form, above="".join(lines[: table.header - 1]))
    return table


def _from_rows(name: str, kind: str, rows: list[Row], form: Form, problem: str = "") -> Table:
    """Make a table of rows of cells; `problem` ended the reading, and is told after what is wrong with the rows before it."""
    rows = [row for row in rows if any(map(str.strip, row[2]))]
    table, problems = Table(name, kind, [], [], [], form=form), []
    if rows:
        first = find_header([cells for _, _, cells in rows[:10]])
        (table.header, _, header), rows = rows[first], rows[first + 1 :]
        header = [cell.strip() for cell in header]
        used = [
            i
            for i, cell in enumerate(header)
            if cell or any(cells[i].strip() for _, _, cells in rows if i < len(cells))
        ]
        least, most = max((i for i, cell in enumerate(header) if cell), default=0) + 1, len(header)
        keys = {
            i: header[i] if header[i] and header[i] not in header[:i] else f"{header[i]} ({i + 1})".strip()
            for i in used
        }
        table.columns = list(keys.values())
        table.form = replace(form, names={key: header[i] for i, key in keys.items() if key != header[i]})
        table.places = [keys.get(i, "") for i in range(most)]
    for line, row, cells in rows:
        if least <= len(cells) and not any(map(str.strip, cells[most:])):
            table.records.append({key: cells[i] if i < len(cells) else "" for i, key in keys.items()})
            table.numbers.append(line)
            table.rows.append(row)
        else:
            separator = {",": "comma", ";": "semicolon", "\t": "tab"}.get(form.separator, "separator")
            remedy = (
                "give every column a cell"
                if len(cells) < least
                else f"put a cell that contains a {separator} in double quotes"
            )
            found = f"{counted(len(cells), 'cell')} where the header has {most}: {shorten(form.separator.join(cells))}"
            problems.append(f"{name}:{line}: {found}; {remedy}")
    if problem:
        problems.append(problem)
    if problems:
        raise TableError(problems)
    return table


def _fill_down(table: Table) -> None:
    """Give rows without a prompt the prompt above them, and its group and rater, where no prompt stands in two rows that follow each other."""
    prompt = next((column for column in table.columns if column.casefold() in PROMPTS), None)
    if prompt is None or not any(column.casefold() in ANSWERS for column in table.columns):
        return
    prompts = [record[prompt].strip() for record in table.records]
    if all(prompts) or any(above and above == below for above, below in pairwise(prompts)):
        return
    with_it = [prompt, *(column for column in table.columns if column.casefold() in {"group", *RATERS})]
    first = next((i for i, text in enumerate(prompts) if text), len(prompts))
    filled = [i for i in range(1, len(prompts)) if not prompts[i] and i > first]
    for i in filled:
        above, record = table.records[i - 1], table.records[i]
        record.update({column: above[column] for column in with_it if not record[column].strip()})
    if filled:
        table.merged = True
        rows = "1 row without a prompt belongs" if len(filled) == 1 else f"{len(filled)} rows without a prompt belong"
        table.notes.append(
            f"{table.source}: {rows} to the prompt above {'it' if len(filled) == 1 else 'them'}, from row {table.rows[filled[0]]} on"
        )


def _read_jsonl(name: str, data: bytes, whole: bool) -> Table:
    table = Table(name, "jsonl", [], [], [])
    for number, line in enumerate(io.StringIO(decode(name, data), newline=""), 1):
        if not line.strip():
            continue
        shown = shorten(line.rstrip())
        try:
            record = json.loads(line, object_pairs_hook=_each_once)
        except _Twice as twice:
            raise InputError(
                f"{name}:{number}: the key {twice.args[0]!r} is there twice; rename or delete one"
            ) from None
        except (ValueError, RecursionError):
            if number > 1 and not whole and not line.endswith(("\n", "\r", "}")):
                table.cut_short = f"{name}:{number}"
                break
            remedy = (
                "an object over several lines; write each on one line, or all as a list"
                if line.strip() == "{"
                else "write one object per line"
            )
            raise InputError(f"{name}:{number}: not JSON: {shown}; {remedy}{', or delete the line' * whole}") from None
        if not isinstance(record, dict):
            raise InputError(f"{name}:{number}: not a JSON object: {shown}; write one object per line")
        table.records.append(record)
        table.numbers.append(number)
    table.columns = list(dict.fromkeys(key for record in table.records for key in record))
    return table


def _read_json(name: str, data: bytes) -> Table:
    text = decode(name, data)
    try:
        found = json.loads(text, object_pairs_hook=_each_once)
    except _Twice as twice:
        raise InputError(f"{name}: the key {twice.args[0]!r} is twice in one object; rename or delete one") from None
    except (ValueError, RecursionError) as error:
        where, why = name, "nested too deeply" if isinstance(error, RecursionError) else str(error)
        if isinstance(error, json.JSONDecodeError):
            where, why = f"{name}:{error.lineno}", f"{error.msg} at {shorten(text[error.pos : error.pos + 60])}"
        raise InputError(f"{where}: not JSON: {why}; write [{{...}}, {{...}}]") from None
    if not isinstance(found, list):
        raise InputError(f"{name}: not a list of objects: {shorten(text.strip())}; write [{{...}}, {{...}}]")
    if found and all(isinstance(one, str) for one in found):
        found = [{"prompt": prompt} for prompt in found]
    for number, record in enumerate(found, 1):
        if not isinstance(record, dict):
            raise InputError(
                f"{name}, row {number}: not a JSON object: {shorten(json.dumps(record))}; write a list of objects"
            )
    return Table(
        name,
        "json",
        list(dict.fromkeys(key for record in found for key in record)),
        found,
        list(range(1, len(found) + 1)),
    )


class _Twice(Exception):
    """A key that an object has twice."""


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise _Twice(next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1))
    return record


def _read_xlsx(name: str, data: bytes) -> Table:
    return _from_rows(name, "xlsx", read_workbook(name, data), Form())


def _read_parquet(name: str, data: bytes) -> Table:
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(io.BytesIO(data)).read()
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{name}: not a Parquet file, or a damaged one ({first_line(error)}); make it again") from None
    columns = table.schema.names
    if twice := [column for column, count in Counter(columns).items() if count > 1]:
        raise InputError(f"{name}: two columns are named {twice[0]!r}; rename or delete one")
    values = {}
    for column in columns:
        try:
            values[column] = table[column].to_pylist()
        except (pyarrow.ArrowException, ValueError, OverflowError) as error:  # as a time beyond the year 9999
            raise InputError(
                f"{name}: the column {column!r} holds what cannot be read ({first_line(error)}); convert or drop it"
            ) from None
    records = [dict(zip(columns, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return Table(name, "parquet", columns, records, list(range(1, len(records) + 1)), schema=table.schema)
