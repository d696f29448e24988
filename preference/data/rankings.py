"""The CSV contract: `prompt,answer,rank`, rank 1 is best, and optionally `group`.

The columns may come in any order, with others between them. A cell is the text that was typed: `N/A`, `nan` and `007`
are answers. Rows of one prompt with the same group are ranked against each other and with no others: pairs from other
sources, or several people who ranked the same answers. Without the column a prompt is one ranking.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from preference.data.csv_table import COLUMNS, CsvError, find_unwritable, format_rows, iterate_table
from preference.durable_files import write_atomically
from preference.errors import InputError
from preference.wording import counted, name_some, shorten

GROUP = "group"

_RANK = re.compile(r"\+?0*([1-9][0-9]*)(?:\.0*)?")
_RANK_DIGITS = 9  # the largest rank is 999,999,999


@dataclass(frozen=True, slots=True)
class Ranking:
    """Ranked answers to one prompt, in the file's order; `ranks[i]` (1 = best) belongs to `answers[i]`.

    Rankings of the same prompt differ in their `group`.
    """

    prompt: str
    answers: list[str]
    ranks: list[int]
    group: str = ""
    rater: str = ""


@dataclass(frozen=True)
class Rankings:
    """What a CSV holds for training: rankings with at least two distinct ranks, and what was left out."""

    path: str
    sha256: str
    rows: int
    rankings: list[Ranking]
    left_out: dict[tuple[str, str], str] = field(default_factory=dict)  # (prompt, group) -> why
    duplicate_rows: list[int] = field(default_factory=list)  # lines

    def __len__(self) -> int:
        """Return the number of rankings: without groups, the number of prompts."""
        return len(self.rankings)

    @property
    def prompts(self) -> list[str]:
        """The prompts that have a ranking, each once."""
        return list(dict.fromkeys(ranking.prompt for ranking in self.rankings))

    @property
    def left_out_prompts(self) -> list[str]:
        """The prompts of which no ranking is left, each once."""
        kept = {ranking.prompt for ranking in self.rankings}
        return [prompt for prompt in dict.fromkeys(prompt for prompt, _ in self.left_out) if prompt not in kept]

    def warnings(self) -> list[str]:
        """One line for each kind of thing left out, with its count and the first few by name."""
        grouped = any(ranking.group for ranking in self.rankings) or any(group for _, group in self.left_out)
        lines = []
        for reason in sorted(set(self.left_out.values())):
            names = [_name(*key) for key, why in self.left_out.items() if why == reason]
            lines.append(f"{self.path}: left out {counted(len(names), 'ranking' if grouped else 'prompt')} with {reason}: {name_some(names)}")
        if self.duplicate_rows:
            rows = self.duplicate_rows
            lines.append(
                f"{self.path}: left out {counted(len(rows), 'exact duplicate row')}: {'line' if len(rows) == 1 else 'lines'}"
                f" {name_some(map(str, rows))}"
            )
        return lines


def read_rankings(path: str | Path) -> Rankings:
    """Read a CSV of ranked answers and make one ranking of each prompt and group, in the order of first appearance.

    White space around a prompt, an answer, a rank or a group does not count. Ties, gaps between ranks, and different
    numbers of answers are fine.

    Raises:
        CsvError: see `read_table`; also an empty prompt or answer, a rank that is not a positive whole
            number, the same answer in one ranking with two different ranks, or no ranking with two distinct ranks.

    Example:
        >>> read_rankings("training_data.csv").rankings[0].ranks
        [1, 2, 3, 4]
    """
    columns, rows, sha256 = iterate_table(path, optional=[GROUP])
    at = [columns.index(name) for name in COLUMNS]
    group_at = columns.index(GROUP) if GROUP in columns else None
    collected = RankedRows(lambda line: f"{path}:{line}")
    for row in rows:
        prompt, answer, rank = (row.cells[i] for i in at)
        collected.add(row.line, prompt, answer, rank, row.cells[group_at] if group_at is not None else "")
    kept, left_out = collected.rankings()
    return Rankings(str(path), sha256, collected.count, kept, left_out, collected.duplicate_rows)


class RankedRows:
    """The contract's rows, checked and put together to rankings.

    Args:
        at: names the place of a row in messages, by its number.
        unit: what the number counts.
    """

    def __init__(self, at: Callable[[int], str], unit: str = "line"):
        self.at, self.unit = at, unit
        self.count = 0  # of rows
        self.problems: list[tuple[int, str]] = []  # (number, message)
        self.duplicate_rows: list[int] = []  # numbers
        self._found: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}  # (prompt, group) -> answer -> (rank, number)

    def add(self, number: int, prompt: str, answer: str, rank: str, group: str) -> None:
        """Add a row; `number` is its line, or what else tells it from the others and rises."""
        self.count += 1
        for name, text in (("prompt", prompt), ("answer", answer)):
            if not text.strip():
                self.report(number, f"empty {name}: {shorten(text)}; write the text or delete the row")
        prompt, answer, rank, group = prompt.strip(), answer.strip(), rank.strip(), group.strip()
        value = parse_rank(rank)
        if value is None:
            what = "rank is too large:" if _RANK.fullmatch(rank) else "rank must be a positive whole number, not"
            self.report(number, f"{what} {shorten(rank)}; write 1 for the best answer, 2 for the next")
        if value is None or not prompt or not answer:
            return
        answers = self._found.setdefault((prompt, group), {})
        if answer not in answers:
            answers[answer] = (value, number)
        elif answers[answer][0] == value:
            self.duplicate_rows.append(number)
        else:
            other_rank, other = answers[answer]
            self.report(
                number,
                f"the same answer to one prompt{f' in group {shorten(group)}' if group else ''} has rank {value} here and"
                f" rank {other_rank} on {self.unit} {other}: {shorten(answer)}; keep one of the two rows",
            )

    def report(self, number: int, problem: str) -> None:
        """Keep what is wrong with a row, to be raised at the end together with all the rest."""
        self.problems.append((number, f"{self.at(number)}: {problem}"))

    def rankings(self) -> tuple[list[Ranking], dict[tuple[str, str], str]]:
        """Return the rankings with two distinct ranks, and why others, by prompt and group, are left out.

        Raises:
            CsvError: rows have problems, or no ranking is left.
        """
        if self.problems:
            raise CsvError([message for _, message in sorted(self.problems, key=lambda problem: problem[0])])
        kept, left_out = [], {}
        for (prompt, group), answers in self._found.items():
            ranks = [rank for rank, _ in answers.values()]
            if len(ranks) == 1:
                left_out[prompt, group] = "only one answer"
            elif len(set(ranks)) == 1:
                left_out[prompt, group] = "only ties"
            else:
                kept.append(Ranking(prompt, list(answers), ranks, group))
        if not kept:
            prompts = len({prompt for prompt, _ in self._found})
            grouped = any(group for _, group in self._found)
            where, groups = (" in one group", f", {counted(len(self._found), 'ranking')}") if grouped else ("", "")
            raise CsvError(
                [
                    f"{self.at(1)}: no prompt has two answers with different ranks{where}: {counted(self.count, 'row')},"
                    f" {counted(prompts, 'prompt')}{groups}; rank at least two answers to one prompt{where}"
                ]
            )
        return kept, left_out


def parse_rank(text: str) -> int | None:
    """Return the rank that `text` writes, or None. Spreadsheets write 1 as `1.0`.

    >>> [parse_rank(text) for text in ("1", "2.0", "0", "1.5", "-1", "best")]
    [1, 2, None, None, None, None]
    """
    match = _RANK.fullmatch(text.strip())
    return int(match[1]) if match and len(match[1]) <= _RANK_DIGITS else None


def dense_ranks(levels: Sequence[float]) -> list[int]:
    """Return ranks from 1 without gaps for numbers of which lower is better.

    >>> dense_ranks([-4.0, 0.5, -4.0])
    [1, 2, 1]
    """
    position = {level: i for i, level in enumerate(sorted(set(levels)), 1)}
    return [position[level] for level in levels]


def write_rankings(path: str | Path, rankings: list[Ranking]) -> None:
    """Write `rankings` as a new CSV, atomically, with a column `group` if any has one; an existing file is replaced.

    Raises:
        InputError: two rankings have the same prompt and group, so that reading would join them; or a text holds a
            character that is not UTF-8 text (NUL, half of a surrogate pair). The file is left as it was.
    """
    columns = [*COLUMNS, GROUP] if any(ranking.group for ranking in rankings) else COLUMNS
    rows, seen = [], set()
    for r in rankings:
        key = r.prompt.strip(), r.group.strip()
        if key in seen:
            raise InputError(f"{path}: two rankings of {_name(*key)}; give each its own group")
        seen.add(key)
        for text in (r.prompt, *r.answers, r.group):
            if what := find_unwritable(text):
                raise InputError(f"{path}: {what} in {shorten(text)}; remove it")
        rows += [[r.prompt, answer, rank, r.group][: len(columns)] for answer, rank in zip(r.answers, r.ranks, strict=True)]
    write_atomically(path, format_rows([columns, *rows]))


def _name(prompt: str, group: str) -> str:
    return shorten(prompt) + (f" (group {shorten(group)})" if group else "")
