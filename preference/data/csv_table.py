"""A CSV as text cells, checked for its form only.

UTF-8, with or without a byte-order mark, quoted as in RFC 4180. The reading is done by the `csv` module, which converts
nothing and knows the line a row starts on.
"""

import codecs
import csv
import hashlib
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from preference.data.text_files import OTHER_MARKS, place_of, read_bytes
from preference.errors import InputError
from preference.wording import counted, shorten

COLUMNS = ["prompt", "answer", "rank"]
MESSAGES_SHOWN = 20

_BLOCK = 1 << 20  # bytes
_UNWRITABLE = re.compile(r"[\0\ud800-\udfff]")

csv.field_size_limit(2**31 - 1)  # the module's own limit of 131,072 characters would refuse a long answer


class CsvError(InputError):
    """A CSV that breaks the contract; the text has one line per problem, each `FILE:LINE: what, value, remedy`."""

    def __init__(self, problems: list[str], count: int | None = None):
        """Show the first problems; `count` is how many there are, if `problems` does not have them all."""
        shown = problems[:MESSAGES_SHOWN]
        if more := (count or len(problems)) - len(shown):
            shown.append(f"... and {counted(more, 'more problem')}")
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


def read_table(path: str | Path, required: Sequence[str] = COLUMNS, optional: Sequence[str] = ()) -> CsvTable:
    """Read a CSV whose header holds the `required` columns, all cells as text.

    Rows of empty cells, which spreadsheets leave at the end, are skipped. The file is opened once, so that `path` may
    be a pipe.

    Raises:
        CsvError: the file cannot be read, is not UTF-8, lacks a required column, has a required or `optional` column
            twice, or a row has another number of cells than the header.
    """
    columns, rows, sha256 = iterate_table(path, required, optional)
    return CsvTable(str(path), columns, list(rows), sha256)


def iterate_table(path: str | Path, required: Sequence[str] = COLUMNS, optional: Sequence[str] = ()) -> tuple[list[str], Iterator[Row], str]:
    """Return the columns, the rows and the SHA-256 of a CSV as `read_table` does, but without holding all rows in memory.

    Raises:
        CsvError: see `read_table`; problems with rows are raised when the last row has been asked for.
    """
    data = _read_bytes(path)
    _check_encoding(path, data)
    rows = _rows(path, data, required, optional)
    return next(rows).cells, rows, hashlib.sha256(data).hexdigest()


def _rows(path: str | Path, data: bytes, required: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    """Give the header and then the rows below it."""
    for line, cells in parse_rows(
        str(path),
        _lines(data),
        lambda line, columns, text: _check_header(path, line, columns, required, optional),
        other_separator=lambda text: _has_other_separator(text, required),
        header=f"be {','.join(required)}",
    ):
        yield Row(line, cells)


def parse_rows(
    name: str,
    lines: Iterable[str],
    check_header: Callable[[int, list[str], str], None],
    *,
    other_separator: Callable[[str], bool],
    header: str,
    patient: bool = True,
    most: int | None = None,
) -> Iterator[tuple[int, list[str]]]:
    """Give the names of the columns and then each row's cells, with the line on which they start; rows of empty cells are skipped.

    Args:
        check_header: called with the header's line, the names and the text; raises CsvError.
        other_separator: tells whether a first line that is no CSV is separated by something else than commas.
        header: what the first line of an empty file must do, for the message.
        patient: read on after a row with the wrong number of cells, to name all such rows, or `most` of them and one.
    """
    columns: list[str] = []
    problems: list[str] = []
    first_lines: list[str] = []  # of the row that is being read

    def noted() -> Iterator[str]:
        for line in lines:
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
                check_header(line, columns, text)
                yield line, columns
            elif len(cells) != len(columns):
                problems.append(
                    f"{name}:{line}: {counted(len(cells), 'cell')} where the header has {len(columns)}: {shorten(','.join(cells))};"
                    f" {_remedy_for_count(cells, len(columns))}"
                )
                if not patient:
                    break
            elif not problems:
                yield line, cells
            if most is not None and len(problems) > most:
                break
    except csv.Error:
        text = first_lines[0].rstrip("\r\n") if first_lines else ""
        if not columns and other_separator(text):
            problems.append(not_commas(name, start, text))
        else:
            problems.append(f'{name}:{start}: unbalanced quotes: {shorten(text)}; write a cell that contains quotes "like ""this"" one"')
    if not columns and not problems:
        problems.append(f"{name}:1: the file is empty; its first line must {header}")
    if problems:
        raise CsvError(problems)


def check_texts(table: CsvTable, names: list[str]) -> list[str]:
    """Return a message for every cell of the columns `names` that is empty or only white space."""
    positions = [(name, table.columns.index(name)) for name in names]
    return [
        f"{table.path}:{row.line}: empty {name}: {shorten(row.cells[i])}; write the text or delete the row"
        for row in table.rows
        for name, i in positions
        if not row.cells[i].strip()
    ]


def find_unwritable(text: str) -> str:
    """Name the first character of `text` that is not in any CSV, as UTF-8 text has none such; "" where there is none.

    >>> find_unwritable("a\\0b"), find_unwritable("a\\ud83db"), find_unwritable("ab")
    ('a NUL character', 'half of a surrogate pair', '')
    """
    found = _UNWRITABLE.search(text)
    return "" if found is None else "a NUL character" if found[0] == "\0" else "half of a surrogate pair"


def format_rows(rows: list[list], *, line_end: str = "\n") -> str:
    """Return `rows` as CSV text, quoted as in RFC 4180. What the texts hold is written to the letter.

    >>> format_rows([["a, b", "two\\nlines", 1]])
    '"a, b","two\\nlines",1\\n'
    """
    lines = _Lines()
    csv.writer(lines, lineterminator="\r\n").writerows(rows)  # the module quotes only those line ends that it writes itself
    return "".join(line.removesuffix("\r\n") + line_end for line in lines)


class _Lines(list[str]):
    """A list as the file that `csv.writer` writes to, one call per row."""

    write = list.append


def _read_bytes(path: str | Path) -> bytes:
    try:
        return read_bytes(path)
    except InputError as error:  # a pipe that nobody writes to
        problem = str(error).removeprefix(f"{path}: ")
    except FileNotFoundError:
        if os.path.islink(path):
            problem = f"a link to {os.readlink(path)!r}, which does not exist; correct the link, or name another file"
        else:
            problem = "no such file; `python create_sample_data.py` writes a sample, `python generate_data.py` makes your own"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}; name a CSV file that you may read"
    raise CsvError([f"{path}: {problem}"])


def _check_encoding(path: str | Path, data: bytes) -> None:
    remedy = "save the file as 'CSV UTF-8'"
    for mark, name in OTHER_MARKS.items():
        if data.startswith(mark):
            raise CsvError([f"{path}:1: {name}, not UTF-8: the file starts with the bytes {mark.hex(' ')}; {remedy}"])
    if (nul := data.find(b"\0")) >= 0:
        line, place = place_of(data, nul)
        raise CsvError([f"{path}:{line}: not text: a NUL byte {place}; delete it, or {remedy}"])
    if (wrong := _first_not_utf8(data)) is not None:
        line, place = place_of(data, wrong)
        raise CsvError([f"{path}:{line}: not UTF-8: byte 0x{data[wrong]:02x} {place}; {remedy}"])


def _first_not_utf8(data: bytes) -> int | None:
    """Return the position of the first byte that is not UTF-8; block by block, for a whole text may take four times the memory."""
    start = 0
    while start < len(data):
        try:
            _, read = codecs.utf_8_decode(memoryview(data)[start : start + _BLOCK], "strict", start + _BLOCK >= len(data))
        except UnicodeDecodeError as error:
            return start + error.start
        start += read
    return None


def _lines(data: bytes) -> io.TextIOWrapper:
    """Return the lines of a UTF-8 file; they end with LF, CR LF or CR, which stay as they are."""
    return io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline="")


def _check_header(path: str | Path, line: int, columns: list[str], required: Sequence[str], optional: Sequence[str]) -> None:
    found = ",".join(columns)
    problems = [
        f"{path}:{line}: no column {name!r} in the header {shorten(found)}; it must name {', '.join(required)}"
        for name in required
        if name not in columns
    ]
    if problems and _has_other_separator(found, required):
        problems = [not_commas(path, line, found)]
    twice = [name for name in dict.fromkeys([*required, *optional]) if columns.count(name) > 1]
    problems += [f"{path}:{line}: two columns are named {name!r}; rename one" for name in twice]
    if problems:
        raise CsvError(problems)


def _has_other_separator(header: str, required: Sequence[str]) -> bool:
    """Whether splitting the header at semicolons, tabs or bars gives a column that splitting it at commas did not."""
    names = [[name.strip(' "') for name in header.split(separator)] for separator in ";\t|" if separator in header]
    return any(name in some for some in names for name in required)


def not_commas(path: str | Path, line: int, header: str) -> str:
    """Return the message for a header whose columns are separated by something else than commas."""
    return f"{path}:{line}: the columns are not separated by commas: {shorten(header)}; save the file as comma-separated CSV"


def _remedy_for_count(cells: list[str], columns: int) -> str:
    if len(cells) < columns:
        return "give every column a cell"
    if not any(map(str.strip, cells[columns:])):
        return "delete the commas at its end"
    return "put a cell that contains a comma in double quotes"
