"""Tables, read whole: CSV as spreadsheets save it, JSONL, JSON, Parquet and .xlsx, each also as `.gz`.

A record is a dict. The cells of a CSV or a sheet are the texts that were typed (`N/A` and `007` stay).
"""

import codecs
import csv
import datetime
import gzip
import hashlib
import io
import json
import re
import sys
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from preference.data.roles import RATERS, ROLES
from preference.data.table_writing import STREAM, Form, first_line
from preference.errors import InputError
from preference.wording import counted, shorten

PROMPTS = {"prompt", "question", "query", "instruction"}
ANSWERS = {"answer", "response", "completion", "output"}
KINDS = {
    ".csv": "csv", ".tsv": "csv", ".tab": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json",
    ".parquet": "parquet", ".xlsx": "xlsx",
}  # fmt: skip
MESSAGES_SHOWN = 20
GZIP = b"\x1f\x8b"  # the first bytes of a .gz

_NAMES = {name for names in ROLES.values() for name in names}  # by which a header is known
_Row = tuple[int, int, list[str]]  # its line in the file, its row in a spreadsheet, its cells

csv.field_size_limit(2**31 - 1)  # the module's own limit of 131,072 characters would refuse a long answer


class TableError(InputError):
    """A table with wrong rows: one line per problem, each `PLACE: what, value, remedy`: the first 20, then a count."""

    def __init__(self, problems: list[str]):
        more = len(problems) - MESSAGES_SHOWN
        shown = [*problems[:MESSAGES_SHOWN], *[f"... and {counted(more, 'more problem')}"] * (more > 0)]
        super().__init__("\n".join(shown))


@dataclass
class Table:
    """The records of one source."""

    source: str  # the name of the file, for messages; "standard input" for "-"
    kind: str  # csv, jsonl, json, parquet or xlsx
    columns: list[str]
    records: list[dict[str, Any]]
    numbers: list[int]  # the line on which each record starts (csv, jsonl), or its row
    rows: list[int] = field(default_factory=list)  # in a spreadsheet: lines within cells make them differ from the line
    header: int = 1  # the line or row that names the columns
    form: Form = field(default_factory=Form)
    places: list[str] = field(default_factory=list)  # the columns as they stand; "" for one without name and content
    filled: dict[int, list[str]] = field(default_factory=dict)  # columns of a record that stand above, as merged cells
    sheet: str = ""  # the title of the one that was read
    schema: Any = None  # the types of a Parquet file's columns (a `pyarrow.Schema`)
    sha256: str = ""
    notes: list[str] = field(default_factory=list)  # sentences on how the table was read, to be shown

    def at(self, i: int) -> str:
        """Name the place of record `i`, with its row and its prompt where a spreadsheet does not show its line.

        >>> Table("a.csv", "csv", ["prompt"], [{"prompt": "Why?"}], [7], rows=[3]).at(0)
        "a.csv:7 (row 3, prompt 'Why?')"
        """
        place, beside = self._place(self.numbers[i]), list[str]()
        if self.kind == "csv" and self.rows and self.rows[i] != self.numbers[i]:
            beside = [f"row {self.rows[i]}"]
        if beside or self.kind == "xlsx":
            prompts = [value for name, value in self.records[i].items() if name.casefold() in PROMPTS and value]
            beside += [f"prompt {shorten(str(prompt).strip(), 40)}" for prompt in prompts[:1]]
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
        """Return the column with the first of these names that there is, in any case; two raise TableError."""
        for name in names:
            found = [column for column in self.columns if self.form.names.get(column, column).casefold() == name]
            if len(found) > 1:
                raise TableError([f"{self.top}: two columns are named {name!r}; rename one"])
            if found:
                return found[0]
        return None

    def need(self, *names: str) -> list[str]:
        """Return the columns that have these names, in any case; raise TableError if one is missing or there twice."""
        if not self.columns:
            raise TableError([f"{self.top}: the file is empty; its first line must be {','.join(names)}"])
        found = {name: column for name in names if (column := self.find(name)) is not None}
        header = shorten(",".join(self.form.names.get(column, column) for column in self.columns))
        must = f"in the header {header}; it must name {', '.join(names)}"
        if missing := [f"{self.top}: no column {name!r} {must}" for name in names if name not in found]:
            raise TableError(missing)
        return list(found.values())

    def none_found(self, remedy: str) -> InputError:
        """Return the error to raise where there is no record."""
        if not self.columns and self.kind == "csv":
            return InputError(f"{self.top}: the file is empty; its first line must name the columns")
        return InputError(f"{self.source}: has no records; {remedy}")


def read_table(source: str | Path, kind: str | None = None) -> Table:
    """Read a file, or standard input ("-"). The kind is told by the first bytes, or else by the ending of the name.

    Rows of empty cells are skipped, and so is what stands above the header: `sep=;`, a title. Columns without name and
    content are left out. Where a prompt stands only in the first of its rows, the rows below it get it, too.
    """
    name, found = "standard input" if str(source) == STREAM else str(source), read_bytes(source)
    data = unzipped(name, found)
    kind = _kind_of(data, kind or kind_of(source))
    readers = {
        "csv": _read_csv, "jsonl": _read_jsonl, "json": _read_json, "parquet": _read_parquet, "xlsx": _read_xlsx,
    }  # fmt: skip
    table = readers[kind](name, data)
    if kind in ("csv", "xlsx"):
        _fill_down(table)
    return replace(table, sha256=hashlib.sha256(found).hexdigest())


def kind_of(path: str | Path, default: str = "") -> str:
    """Return the kind that the ending of a file's name tells, or else `default`.

    >>> kind_of("scored.jsonl.gz", "csv"), kind_of("-", "csv")
    ('jsonl', 'csv')
    """
    return KINDS.get(Path(str(path).lower().removesuffix(".gz")).suffix, default)


def _kind_of(data: bytes, kind: str) -> str:
    """Tell the kind by the first bytes, which know better than the name: a file called .json often holds JSON lines."""
    if data.startswith((b"PAR1", b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return "parquet" if data.startswith(b"PAR1") else "xlsx"
    start = data.removeprefix(codecs.BOM_UTF8).lstrip()[:200].replace(b" ", b"")
    if kind in ("parquet", "xlsx") or (kind == "csv" and not start.startswith((b'{"', b'[{"', b"{\n", b"[\n"))):
        return kind
    if start.startswith(b"{"):
        return "jsonl"
    return "json" if start.startswith(b"[") and kind != "jsonl" else kind or "csv"


def read_bytes(path: str | Path) -> bytes:
    """Read a file, a pipe or standard input ("-") to its end; raise InputError if it cannot be read."""
    try:
        return sys.stdin.buffer.read() if str(path) == STREAM else Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the name") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; check its name and permissions") from None


def unzipped(name: str, data: bytes) -> bytes:
    """Return what a .gz holds, and other bytes as they are."""
    try:
        return gzip.decompress(data) if data.startswith(GZIP) else data
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name}: a damaged gzip file ({first_line(error)}); download or create it again") from None


def read_text(path: str | Path) -> str:
    """Return the text of a UTF-8 file, without a byte-order mark, its lines ended by LF."""
    return decode(str(path), read_bytes(path)).replace("\r\n", "\n").replace("\r", "\n")


def decode(name: str, data: bytes) -> str:
    """Return the text of a UTF-8 file without its byte-order mark; the error names the line of the first wrong byte."""
    remedy = "save the file as UTF-8, which spreadsheets call 'CSV UTF-8'"
    try:
        text = data.decode("utf-8").lstrip("\ufeff")
    except UnicodeDecodeError as error:
        lines = (data[: error.start] + b".").splitlines()
        before = lines[-1][:-1].decode("utf-8-sig", "replace")
        where = f"after {shorten(before[-30:])}" if before else "at the start of the line"
        what = f"not UTF-8: byte 0x{data[error.start]:02x} {where}"
        raise InputError(f"{name}:{len(lines)}: {what}; {remedy}") from None
    if (place := text.find("\0")) >= 0:
        raise InputError(f"{name}:{text.count(chr(10), 0, place) + 1}: a NUL character is no text; {remedy}")
    return text


# CSV and sheets


def _read_csv(name: str, data: bytes) -> Table:
    text = decode(name, data)
    lines = list(io.StringIO(text, newline=""))  # they keep their LF, CR LF or CR
    named = re.fullmatch(r'"?sep=(.)"?', lines[0].rstrip("\r\n"), re.I) if lines else None
    skipped = 1 if named else 0  # a line that no spreadsheet shows
    separator = named[1] if named else max(",;\t|", key=lambda mark: _fits(lines[:20], mark))
    reader, rows, start, problem = csv.reader(lines[skipped:], delimiter=separator, strict=True), [], 1 + skipped, ""
    try:
        for row, cells in enumerate(reader, 1):
            rows.append((start, row, cells))
            start = reader.line_num + 1 + skipped
    except csv.Error:
        shown = shorten(lines[start - 1].rstrip("\r\n"))
        problem = f'{name}:{start}: unbalanced quotes: {shown}; write a cell that contains quotes "like ""this"" one"'
    form = Form(separator, data.startswith(codecs.BOM_UTF8), "\r\n" if lines and lines[0].endswith("\r\n") else "\n")
    table = _from_rows(name, "csv", rows, form, problem)
    return replace(table, form=replace(table.form, above="".join(lines[: table.header - 1])))


def _fits(lines: list[str], separator: str) -> tuple[int, bool, bool, int]:
    """Say how well a separator splits the first rows: by known names, by the number of cells, and without a title."""
    rows = [cells for cells in csv.reader(lines, delimiter=separator) if any(map(str.strip, cells))] or [[""]]
    at = _find_header(rows)
    return _known(rows[at]), len(rows[at]) > 1, at == 0, len(rows[at])


def _known(cells: Sequence[str]) -> int:
    return sum(cell.strip().casefold() in _NAMES for cell in cells)


def _find_header(rows: Sequence[Sequence[str]]) -> int:
    """Return which of the first rows of a table names the columns: the first one, unless it is a title."""
    if _known(rows[0]):
        return 0
    filled = [sum(bool(cell.strip()) for cell in cells) for cells in rows[:10]]
    wider = [i for i, number in enumerate(filled) if number > filled[0]]
    return next((i for i in wider if _known(rows[i]) > 1), int(filled[0] == 1 and 1 in wider))


def _from_rows(name: str, kind: str, rows: list[_Row], form: Form, problem: str = "") -> Table:
    """Make a table of rows of cells; `problem` ended the reading, and is told after those of the rows before."""
    rows = [row for row in rows if any(map(str.strip, row[2]))]
    table, problems = Table(name, kind, [], [], [], form=form), list[str]()
    if rows:
        first = _find_header([cells for _, _, cells in rows[:10]])
        (table.header, _, cells), rows = rows[first], rows[first + 1 :]
        header = [cell.strip() for cell in cells]
        last = max((i for i, cell in enumerate(header) if cell), default=0) + 1
        has_content = {i for _, _, cells in rows for i, cell in enumerate(cells) if cell.strip()}
        keys = {
            i: cell if cell and cell not in header[:i] else f"{cell} ({i + 1})".strip()
            for i, cell in enumerate(header) if cell or i in has_content
        }  # fmt: skip
        table.columns, table.places = list(keys.values()), [keys.get(i, "") for i in range(len(header))]
        table.form = replace(form, names={key: header[i] for i, key in keys.items() if key != header[i]})
    for line, row, cells in rows:
        if last <= len(cells) and not any(map(str.strip, cells[len(header) :])):
            table.records.append({key: cells[i] if i < len(cells) else "" for i, key in keys.items()})
            table.numbers.append(line)
            table.rows.append(row)
        else:
            separator = {",": "comma", ";": "semicolon", "\t": "tab"}.get(form.separator, "separator")
            quote = f"put a cell that contains a {separator} in double quotes"
            found = f"{counted(len(cells), 'cell')} where the header has {len(header)}"
            remedy = "give every column a cell" if len(cells) < last else quote
            problems.append(f"{name}:{line}: {found}: {shorten(form.separator.join(cells))}; {remedy}")
    if problems := [*problems, *filter(None, [problem])]:
        raise TableError(problems)
    return table


def _fill_down(table: Table) -> None:
    """Give rows without a prompt the one above, its group and rater, unless a prompt stands in two rows running."""
    prompt = next((column for column in table.columns if column.casefold() in PROMPTS), None)
    if prompt is None or not any(column.casefold() in ANSWERS for column in table.columns):
        return
    prompts = [record[prompt].strip() for record in table.records]
    if any(above and above == below for above, below in pairwise(prompts)):
        return
    with_it = [prompt, *(column for column in table.columns if column.casefold() in {"group", *RATERS})]
    for i, (above, record) in enumerate(pairwise(table.records), 1):
        if not prompts[i] and above[prompt].strip():
            table.filled[i] = [column for column in with_it if not record[column].strip()]
            record.update({column: above[column] for column in table.filled[i]})
    if table.filled:
        found, start = counted(len(table.filled), table.unit), table.numbers[min(table.filled)]
        what = "belongs to the prompt above it" if len(table.filled) == 1 else "belong to the prompt above them"
        table.notes.append(f"{table.source}: {found} without a prompt {what}, from {table.unit} {start} on")


def _read_xlsx(name: str, data: bytes) -> Table:
    """Read the one sheet of a workbook that holds a table."""
    import openpyxl

    sheets: dict[str, list[_Row]] = {}
    try:
        for sheet in openpyxl.load_workbook(io.BytesIO(data), data_only=True).worksheets:
            cells = enumerate(sheet.iter_rows(values_only=True), 1)
            sheets[sheet.title] = [(row, row, list(map(as_typed, values))) for row, values in cells]
    except Exception as error:  # openpyxl lets through whatever the parts of a damaged workbook cause
        why = f"not a workbook that can be read ({first_line(error)})"
        raise InputError(f"{name}: {why}; save it as .xlsx or as 'CSV UTF-8'") from None
    used = [title for title, rows in sheets.items() if any(any(cells) for _, _, cells in rows)]
    known = [title for title in used if any(_known(cells) > 1 for _, _, cells in sheets[title][:10])]
    if len(known) > 1:
        tables = f"{len(known)} sheets hold such a table: {', '.join(map(repr, known))}"
        raise InputError(f"{name}: {tables}; keep only the sheet you mean")
    title = next(iter([*known, *used, *sheets]))
    return replace(_from_rows(name, "xlsx", sheets[title], Form()), sheet=title)


def as_typed(value: Any) -> str:
    """Return the value of a sheet's cell as a person typed it."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return str(value.date())
    return str(value).upper() if isinstance(value, bool) else "" if value is None else str(value)


# JSON and Parquet


def _read_jsonl(name: str, data: bytes) -> Table:
    records = dict[int, dict]()
    for number, line in enumerate(io.StringIO(decode(name, data), newline=""), 1):
        if not line.strip():
            continue
        place, shown = f"{name}:{number}", shorten(line.rstrip())
        remedy = "write one object per line, or delete the line"
        try:
            records[number] = json.loads(line)
        except (ValueError, RecursionError):
            if line.strip() == "{":
                remedy = "an object over several lines; write each on one line, or all as a list"
            raise InputError(f"{place}: not JSON: {shown}; {remedy}") from None
        if not isinstance(records[number], dict):
            raise InputError(f"{place}: not a JSON object: {shown}; {remedy}")
    found = list(records.values())
    return Table(name, "jsonl", keys_of(found), found, list(records))


def _read_json(name: str, data: bytes) -> Table:
    text, remedy = decode(name, data), "write [{...}, {...}]"
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: not JSON: {first_line(error)}; {remedy}") from None
    if not isinstance(found, list):
        raise InputError(f"{name}: not a list of objects: {shorten(text.strip())}; {remedy}")
    if all(isinstance(item, str) for item in found):
        found = [{"prompt": prompt} for prompt in found]
    for number, record in enumerate(found, 1):
        if not isinstance(record, dict):
            what = f"not a JSON object: {shorten(json.dumps(record))}"
            raise InputError(f"{name}, row {number}: {what}; write a list of objects")
    return Table(name, "json", keys_of(found), found, list(range(1, len(found) + 1)))


def keys_of(records: Sequence[dict[str, Any]]) -> list[str]:
    """Return the keys of all records, in the order of appearance."""
    return list(dict.fromkeys(key for record in records for key in record))


def _read_parquet(name: str, data: bytes) -> Table:
    import pyarrow
    from pyarrow import parquet

    try:
        found = parquet.ParquetFile(io.BytesIO(data)).read()
        values = [cells.to_pylist() for cells in found.columns]
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:  # as a time beyond the year 9999
        remedy = "download or create it again"
        raise InputError(f"{name}: cannot be read as Parquet ({first_line(error)}); {remedy}") from None
    columns = found.schema.names
    if twice := [column for column, count in Counter(columns).items() if count > 1]:
        raise InputError(f"{name}: two columns are named {twice[0]!r}; rename or delete one")
    records = [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]
    return Table(name, "parquet", columns, records, list(range(1, len(records) + 1)), schema=found.schema)
