"""A CSV as rows of cells with their lines, as the ranker changes it in place."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from preference.data.tables import COLUMNS, find_unwritable, format_rows
from preference.data.tables import TableError as CsvError
from preference.data.tables import read_table as read_whole
from preference.wording import shorten

__all__ = ["COLUMNS", "CsvError", "CsvTable", "Row", "check_texts", "find_unwritable", "format_rows", "read_table"]


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


def read_table(path: str | Path, required: Sequence[str] = COLUMNS, optional: Sequence[str] = ()) -> CsvTable:
    """Read a CSV whose header holds the `required` columns, which have these names whatever their case in the file.

    Raises:
        InputError: see `preference.data.tables`.
    """
    table = read_whole(path)
    known = dict(zip(table.need(*required), required, strict=True)) | {found: name for name in optional if (found := table.find(name))}
    rows = [Row(number, list(record.values())) for number, record in zip(table.numbers, table.records, strict=True)]
    return CsvTable(str(path), [known.get(column, column) for column in table.columns], rows, table.sha256)


def check_texts(table: CsvTable, names: list[str]) -> list[str]:
    """Return a message for every cell of the columns `names` that is empty or only white space."""
    positions = [(name, table.columns.index(name)) for name in names]
    return [
        f"{table.path}:{row.line}: empty {name}: {shorten(row.cells[i])}; write the text or delete the row"
        for row in table.rows
        for name, i in positions
        if not row.cells[i].strip()
    ]
