"""How spreadsheets save tables: which separator, which row names the columns, which sheet holds the table."""

import csv
import datetime
import io
from collections.abc import Sequence
from typing import Any

from preference.data.roles import ROLES
from preference.data.table_writing import first_line
from preference.errors import InputError

COLUMNS = ["prompt", "answer", "rank"]
RATERS = ["rater", "annotator", "annotator_id", "judge"]  # columns that say who ranked
PROMPTS = {"prompt", "question", "query", "instruction"}
ANSWERS = {"answer", "response", "completion", "output"}

Row = tuple[int, int, list[str]]  # its line in the file, its row in a spreadsheet, its cells
_SEPARATORS = ",;\t|"
_NAMES = {name for names in ROLES.values() for name in names}  # by which a header is known


def find_separator(lines: list[str]) -> str:
    """Return the character that separates the cells of a CSV, told by its first lines."""
    return max(_SEPARATORS, key=lambda separator: _fits(lines, separator))


def _fits(lines: list[str], separator: str) -> tuple[int, bool, bool, int]:
    """Say how well a separator splits the first rows: by the names that are known, by the number of cells, and without a title."""
    rows = [cells for cells in csv.reader(lines, delimiter=separator) if any(map(str.strip, cells))]
    at = find_header(rows) if rows else 0
    header = rows[at] if rows else [""]
    return _known(header), len(header) > 1, at == 0, len(header)


def _known(cells: Sequence[str]) -> int:
    return sum(cell.strip().casefold() in _NAMES for cell in cells)


def find_header(rows: Sequence[Sequence[str]]) -> int:
    """Return which of the first rows of a table names the columns: the first one, unless it is a title."""
    if _known(rows[0]):
        return 0
    if (below := next((i for i, cells in enumerate(rows[:10]) if _known(cells) > 1), 0)) or len(rows) < 2:
        return below
    filled = [sum(bool(cell.strip()) for cell in cells) for cells in rows[:2]]
    return int(filled[0] == 1 < filled[1])


def read_workbook(name: str, data: bytes) -> list[Row]:
    """Return the rows of the one sheet of a workbook that holds a table."""
    import openpyxl

    sheets = {}
    try:
        for sheet in openpyxl.load_workbook(io.BytesIO(data), data_only=True).worksheets:
            rows = [
                (row, row, list(map(_typed, cells))) for row, cells in enumerate(sheet.iter_rows(values_only=True), 1)
            ]
            if any(any(cells) for _, _, cells in rows):
                sheets[sheet.title] = rows
    except Exception as error:  # openpyxl lets through whatever the parts of a damaged workbook cause
        raise InputError(
            f"{name}: not a workbook that can be read ({first_line(error)}); save it as .xlsx or as 'CSV UTF-8'"
        ) from None
    known = [title for title, rows in sheets.items() if any(_known(cells) > 1 for _, _, cells in rows[:10])]
    if len(known) > 1:
        raise InputError(
            f"{name}: {len(known)} sheets hold such a table: {', '.join(map(repr, known))}; save the one that you mean alone"
        )
    return sheets[known[0]] if known else next(iter(sheets.values()), [])


def _typed(value: Any) -> str:
    """Return the value of a sheet's cell as a person typed it."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return str(value.date())
    return "" if value is None else str(value)
