"""The CSV contract: `prompt,answer,rank`, rank 1 is best.

The file is UTF-8, with or without a byte-order mark, quoted as in RFC 4180. Its columns may stand in any
order beside others. A cell is the text that was typed: `N/A`, `nan` and `007` are answers, so the reading
is done by the `csv` module, which converts nothing and knows the line a row starts on.
"""

import csv
import hashlib
import io
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from preference.durable_files import write_atomically
from preference.errors import InputError

COLUMNS = ["prompt", "answer", "rank"]
MESSAGES_SHOWN = 20
_RANK = re.compile(r"\+?0*([1-9][0-9]{0,8})(?:\.0*)?")

csv.field_size_limit(2**31 - 1)  # the module's own limit of 131,072 characters would refuse a long answer


class RankingsError(InputError):
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
class Table:
    """A CSV as it stands in the file."""

    path: str
    columns: list[str]
    rows: list[Row]
    sha256: str

    def column(self, name: str) -> list[str]:
        position = self.columns.index(name)
        return [row.cells[position] for row in self.rows]


@dataclass(frozen=True, slots=True)
class Ranking:
    """One prompt's ranked answers, in the file's order; `ranks[i]` (1 = best) belongs to `answers[i]`."""

    prompt: str
    answers: list[str]
    ranks: list[int]


@dataclass(frozen=True)
class Rankings:
    """What a CSV holds for training: rankings with at least two distinct ranks, and what was left out."""

    path: str
    sha256: str
    rows: int
    rankings: list[Ranking]
    left_out_prompts: dict[str, str] = field(default_factory=dict)  # prompt -> why
    duplicate_rows: list[int] = field(default_factory=list)  # lines

    def __len__(self) -> int:
        return len(self.rankings)

    def warnings(self) -> list[str]:
        """One line for each kind of thing left out, with its count and the first few by name."""
        lines = []
        for reason in sorted(set(self.left_out_prompts.values())):
            prompts = [prompt for prompt, why in self.left_out_prompts.items() if why == reason]
            lines.append(f"{self.path}: left out {counted(len(prompts), 'prompt')} with {reason}: {name_some(map(shorten, prompts))}")
        if self.duplicate_rows:
            rows = self.duplicate_rows
            lines.append(f"{self.path}: left out {counted(len(rows), 'exact duplicate row')}: line {name_some(map(str, rows))}")
        return lines


def read_table(path: str | Path, required: list[str] = COLUMNS) -> Table:
    """Read a CSV whose header holds the `required` columns, all cells as text.

    Rows of empty cells, which spreadsheets leave at the end, are skipped.

    Raises:
        RankingsError: the file cannot be read, is not UTF-8, lacks a column, or a row has another number of
            cells than the header.
    """
    data = _read_bytes(path)
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RankingsError([f"{path}:{line}: not UTF-8: byte 0x{data[error.start]:02x}; save the file as 'CSV UTF-8'"]) from None

    reader = csv.reader(io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline=""), strict=True)
    columns, rows, problems = None, [], []
    start = 1
    try:
        for cells in reader:
            line, start = start, reader.line_num + 1
            if not any(cells):
                continue
            if columns is None:
                columns = [name.strip() for name in cells]
                _check_header(path, line, columns, required)
            elif len(cells) != len(columns):
                remedy = "put a cell that contains a comma in double quotes" if len(cells) > len(columns) else "give every column a cell"
                problems.append(f"{path}:{line}: {len(cells)} cells where the header has {len(columns)}: {shorten(','.join(cells))}; {remedy}")
            else:
                rows.append(Row(line, cells))
    except csv.Error as error:
        problems.append(
            f'{path}:{start}: the quotes are not closed as CSV wants them ({error}); a cell with a quote in it is written "like ""this"" one"'
        )
    if columns is None and not problems:
        problems.append(f"{path}:1: the file is empty; its first line must be {','.join(required)}")
    if problems:
        raise RankingsError(problems)
    return Table(str(path), columns, rows, hashlib.sha256(data).hexdigest())


def check_texts(table: Table, names: list[str]) -> list[str]:
    """Return a message for every cell of the columns `names` that is empty or only white space."""
    positions = [(name, table.columns.index(name)) for name in names]
    return [
        f"{table.path}:{row.line}: empty {name}: {shorten(row.cells[i])}; write the text or delete the row"
        for row in table.rows
        for name, i in positions
        if not row.cells[i].strip()
    ]


def read_rankings(path: str | Path) -> Rankings:
    """Read a CSV of ranked answers and group it by prompt, in the order of first appearance.

    White space around a prompt, an answer or a rank does not count. Ties, gaps between ranks, and different
    numbers of answers are fine.

    Raises:
        RankingsError: see `read_table`; also an empty prompt or answer, a rank that is no positive whole
            number, the same answer to one prompt with two different ranks, or no prompt with two distinct ranks.

    Example:
        >>> read_rankings("training_data.csv").rankings[0].ranks
        [1, 2, 3, 4]
    """
    table = read_table(path)
    problems = check_texts(table, ["prompt", "answer"])
    at = [table.columns.index(name) for name in COLUMNS]
    groups: dict[str, dict[str, tuple[int, int]]] = {}  # prompt -> answer -> (rank, line)
    duplicate_rows = []
    for row in table.rows:
        prompt, answer, rank_text = (row.cells[i].strip() for i in at)
        rank = parse_rank(rank_text)
        if rank is None:
            problems.append(f"{path}:{row.line}: rank is no positive whole number: {shorten(rank_text)}; write 1 for the best answer, 2 for the next")
        if rank is None or not prompt or not answer:
            continue
        answers = groups.setdefault(prompt, {})
        if answer not in answers:
            answers[answer] = (rank, row.line)
        elif answers[answer][0] == rank:
            duplicate_rows.append(row.line)
        else:
            other_rank, other_line = answers[answer]
            problems.append(
                f"{path}:{row.line}: the same answer to one prompt has rank {rank} here and rank {other_rank} on line"
                f" {other_line}: {shorten(answer)}; keep one of the two rows"
            )
    if problems:
        raise RankingsError(sorted(problems, key=_line_of))

    kept, left_out = [], {}
    for prompt, answers in groups.items():
        ranks = [rank for rank, _ in answers.values()]
        if len(ranks) == 1:
            left_out[prompt] = "only one answer"
        elif len(set(ranks)) == 1:
            left_out[prompt] = "only ties"
        else:
            kept.append(Ranking(prompt, list(answers), ranks))
    if not kept:
        raise RankingsError(
            [
                f"{path}:1: no prompt has two answers with different ranks: {counted(len(table.rows), 'row')}, {counted(len(groups), 'prompt')};"
                " rank at least two answers to one prompt"
            ]
        )
    return Rankings(str(path), table.sha256, len(table.rows), kept, left_out, duplicate_rows)


def split_by_prompt(rankings: Sequence[Ranking], fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Split the positions of `rankings` into a training and a validation part, both in rising order.

    All rankings of a prompt go to the same part. The validation part gets the rounded `fraction` of the prompts,
    and is empty where that rounds to none; at least one prompt is left to train on.

    >>> split_by_prompt([Ranking(prompt, ["x", "y"], [1, 2]) for prompt in "aabcd"], 0.25, seed=42)
    ([2, 3, 4], [0, 1])
    """
    prompts = list(dict.fromkeys(ranking.prompt for ranking in rankings))
    held_out = min(int(len(prompts) * fraction + 0.5), len(prompts) - 1)
    validation = set(random.Random(seed).sample(prompts, held_out))
    return (
        [i for i, ranking in enumerate(rankings) if ranking.prompt not in validation],
        [i for i, ranking in enumerate(rankings) if ranking.prompt in validation],
    )


def parse_rank(text: str) -> int | None:
    """Return the rank that `text` writes, or None. Spreadsheets write 1 as `1.0`.

    >>> [parse_rank(text) for text in ("1", "2.0", "0", "1.5", "-1", "best")]
    [1, 2, None, None, None, None]
    """
    match = _RANK.fullmatch(text.strip())
    return int(match[1]) if match else None


def format_rows(rows: list[list], *, line_end: str = "\n") -> str:
    """Return `rows` as CSV text, quoted as in RFC 4180.

    >>> format_rows([["a, b", "two\\nlines", 1]])
    '"a, b","two\\nlines",1\\n'
    """
    out = io.StringIO()
    csv.writer(out, lineterminator=line_end).writerows(rows)
    return out.getvalue()


def write_rankings(path: str | Path, rankings: list[Ranking]) -> None:
    """Write `rankings` as a new CSV, atomically; an existing file is replaced."""
    rows = [[r.prompt, answer, rank] for r in rankings for answer, rank in zip(r.answers, r.ranks, strict=True)]
    write_atomically(path, format_rows([COLUMNS, *rows]))


def _read_bytes(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        problem = "no such file; `python create_sample_data.py` writes a sample, `python generate_data.py` makes your own"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}; name a CSV file that you may read"
    raise RankingsError([f"{path}: {problem}"])


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
        raise RankingsError(problems)


def _line_of(problem: str) -> int:
    return int(re.search(r":(\d+): ", problem)[1])


def shorten(value: str, width: int = 60) -> str:
    """Return `value` in quotes, on one line, cut at `width` characters."""
    return repr(value if len(value) <= width else value[: width - 3] + "...")


def counted(number: int, noun: str) -> str:
    """Put a number before its noun.

    >>> counted(1, "prompt"), counted(0, "prompt")
    ('1 prompt', '0 prompts')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def name_some(items: Iterable[str], most: int = 3) -> str:
    """Join the first few items and count the rest.

    >>> name_some("abcde")
    'a, b, c and 2 more'
    """
    items = list(items)
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")
