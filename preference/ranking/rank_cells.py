"""The rank cells of a CSV, changed in place: every other byte of the file stays as it is."""

import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path

from preference.data.csv_table import COLUMNS, read_table
from preference.data.rankings import GROUP, parse_rank
from preference.errors import InputError

_CELL = re.compile(r'"[^"]*(?:""[^"]*)*"|[^,\r\n]*')  # as the csv module reads it: quotes count where a cell begins with one
_NUMBER = re.compile("0*[1-9][0-9]*")


class RankCells:
    """A CSV in memory that knows where each ranking's rank cells are.

    Raises:
        InputError: see `read_table`; or the file is being changed just now.

    Attributes:
        sha256: of the file's bytes.
    """

    def __init__(self, path: str | Path):
        table = read_table(path, optional=[GROUP])
        content = Path(path).read_bytes()
        self.sha256 = hashlib.sha256(content).hexdigest()
        if self.sha256 != table.sha256:
            raise InputError(f"{path}: another program is changing it just now; try again")
        self._lines = list(io.StringIO(content.decode("utf-8"), newline=""))
        at = [table.columns.index(name) for name in COLUMNS]
        group_at = table.columns.index(GROUP) if GROUP in table.columns else None
        self._rank_at = table.columns.index("rank")
        self._rows: dict[tuple[str, str], list[tuple[int, int, str]]] = {}  # prompt and group -> first line, end and answer of each row
        self._ranks: dict[int, float | None] = {}  # by first line
        ends = [*(row.line - 1 for row in table.rows[1:]), len(self._lines)]
        for row, end in zip(table.rows, ends):  # a CSV without rows has an end too many
            prompt, answer, rank = (row.cells[i].strip() for i in at)
            group = row.cells[group_at].strip() if group_at is not None else ""
            self._rows.setdefault((prompt, group), []).append((row.line - 1, end, answer))
            self._ranks[row.line - 1] = parse_rank(rank)

    def ranks(self, prompt: str, group: str) -> dict[str, float | None]:
        """Return the rank of each answer of a ranking; nothing if it has no rows."""
        return {answer: self._ranks[start] for start, _, answer in self._rows.get((prompt.strip(), group.strip()), [])}

    def change(self, prompt: str, group: str, ranks: Mapping[str, int]) -> bytes:
        """Give the answers of a ranking these ranks; return the content of the whole file."""
        for start, end, answer in self._rows[prompt.strip(), group.strip()]:
            if self._ranks[start] != ranks[answer]:
                row = "".join(self._lines[start:end])
                cells = _spans(row, self._rank_at + 1)
                before, after = cells[-1]
                cell = _NUMBER.sub(str(ranks[answer]), row[before:after], count=1)  # 1.0 becomes 2.0, "1" becomes "2"
                self._lines[start:end] = [row[:before] + cell + row[after:]] + [""] * (end - start - 1)
                self._ranks[start] = ranks[answer]
        content = "".join(self._lines).encode("utf-8")
        self.sha256 = hashlib.sha256(content).hexdigest()
        return content


def _spans(row: str, count: int) -> list[tuple[int, int]]:
    """Return the start and end of the first `count` cells of a row of CSV text.

    >>> _spans('"a, b",c d,1', 3)
    [(0, 6), (7, 10), (11, 12)]
    """
    spans: list[tuple[int, int]] = []
    start = 0
    while len(spans) < count and (cell := _CELL.match(row, start)):
        spans.append(cell.span())
        start = cell.end() + 1
    return spans
