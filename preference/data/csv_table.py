"""A CSV as text cells, checked for its form only.

UTF-8, with or without a byte-order mark, quoted as in RFC 4180. The reading is done by the `csv` module, which converts
nothing and knows the line a row starts on.
"""

import csv
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

from preference.errors import InputError
from preference.wording import shorten

COLUMNS = ["prompt", "answer", "rank"]


MESSAGES_SHOWN = 20

csv.field_size_limit(2**31 - 1)  # the module's own limit of 131,072 characters would refuse a long answer


class CsvError(InputError):
    """A CSV that breaks the contract; the text has one line per problem, each `FILE:LINE: what, value, remedy`."""

    def __init__(self, problems: list[str]):
        shown = problems[:MESSAGES_SHOWN]
        if len(problems) > len(shown):
            shown.append(f"... and {len(problems) - len(shown)} more problems")
        super().__init__("\n".join(shown))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a CSV: the line it starts on (1 is the header's) and its cells in the file's column order."""

    line: int
    cells: list[str]


@dataclass(frozen=True)
class CsvTable:
    """The rows of a CSV, as they are in the file."""

    path: str
    columns: list[str]
    rows: list[Row]
    sha256: str

    def column(self, name: str) -> list[str]:
        position = self.columns.index(name)
        return [row.cells[position] for row in self.rows]


def read_table(path: str | Path, required: list[str] = COLUMNS) -> CsvTable:
    """Read a CSV whose header holds the `required` columns, all cells as text.

    Rows of empty cells, which spreadsheets leave at the end, are skipped.

    Raises:
        CsvError: the file cannot be read, is not UTF-8, lacks a column, or a row has another number of
            cells than the header.
    """
    data = _read_bytes(path)
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CsvError([f"{path}:{line}: not UTF-8: byte 0x{data[error.start]:02x}; save the file as 'CSV UTF-8'"]) from None

    reader = csv.reader(io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline=""), strict=True)
    columns: list[str] = []
    rows, problems = [], []
    start = 1
    try:
        for cells in reader:
            line, start = start, reader.line_num + 1
            if not any(cells):
                continue
            if not columns:
                columns = [name.strip() for name in cells]
                _check_header(path, line, columns, required)
            elif len(cells) != len(columns):
                remedy = "put a cell that contains a comma in double quotes" if len(cells) > len(columns) else "give every column a cell"
                problems.append(f"{path}:{line}: {len(cells)} cells where the header has {len(columns)}: {shorten(','.join(cells))}; {remedy}")
            else:
                rows.append(Row(line, cells))
    except csv.Error as error:
        problems.append(f'{path}:{start}: unbalanced quotes ({error}); write a cell that contains quotes "like ""this"" one"')
    if not columns and not problems:
        problems.append(f"{path}:1: the file is empty; its first line must be {','.join(required)}")
    if problems:
        raise CsvError(problems)
    return CsvTable(str(path), columns, rows, hashlib.sha256(data).hexdigest())


def check_texts(table: CsvTable, names: list[str]) -> list[str]:
    """Return a message for every cell of the columns `names` that is empty or only white space."""
    positions = [(name, table.columns.index(name)) for name in names]
    return [
        f"{table.path}:{row.line}: empty {name}: {shorten(row.cells[i])}; write the text or delete the row"
        for row in table.rows
        for name, i in positions
        if not row.cells[i].strip()
    ]


def format_rows(rows: list[list], *, line_end: str = "\n") -> str:
    """Return `rows` as CSV text, quoted as in RFC 4180.

    >>> format_rows([["a, b", "two\\nlines", 1]])
    '"a, b","two\\nlines",1\\n'
    """
    out = io.StringIO()
    csv.writer(out, lineterminator=line_end).writerows(rows)
    return out.getvalue()


def _read_bytes(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        problem = "no such file; `python create_sample_data.py` writes a sample, `python generate_data.py` makes your own"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}; name a CSV file that you may read"
    raise CsvError([f"{path}: {problem}"])


def _check_header(path: str | Path, line: int, columns: list[str], required: list[str]) -> None:
    found = ",".join(columns)
    problems = [
        f"{path}:{line}: no column {name!r}; the header is {shorten(found)}, it must name {', '.join(required)}"
        for name in required
        if name not in columns
    ]
    if problems and (";" in found or "\t" in found):
        problems = [f"{path}:{line}: the columns are not separated by commas: {shorten(found)}; save the file as comma-separated CSV"]
    problems += [f"{path}:{line}: two columns are named {name!r}; rename one" for name in dict.fromkeys(required) if columns.count(name) > 1]
    if problems:
        raise CsvError(problems)
