"""The CSV contract: `prompt,answer,rank`, rank 1 is best.

The columns may come in any order, with others between them. A cell is the text that was typed: `N/A`, `nan` and `007`
are answers.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from preference.data.csv_table import COLUMNS, CsvError, check_texts, format_rows, read_table
from preference.durable_files import write_atomically
from preference.wording import counted, name_some, shorten

_RANK = re.compile(r"\+?0*([1-9][0-9]{0,8})(?:\.0*)?")


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


def read_rankings(path: str | Path) -> Rankings:
    """Read a CSV of ranked answers and group it by prompt, in the order of first appearance.

    White space around a prompt, an answer or a rank does not count. Ties, gaps between ranks, and different
    numbers of answers are fine.

    Raises:
        CsvError: see `read_table`; also an empty prompt or answer, a rank that is not a positive whole
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
            problems.append(
                f"{path}:{row.line}: rank must be a positive whole number, not {shorten(rank_text)}; write 1 for the best answer, 2 for the next"
            )
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
        raise CsvError(sorted(problems, key=_line_of))

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
        raise CsvError(
            [
                f"{path}:1: no prompt has two answers with different ranks: {counted(len(table.rows), 'row')}, {counted(len(groups), 'prompt')};"
                " rank at least two answers to one prompt"
            ]
        )
    return Rankings(str(path), table.sha256, len(table.rows), kept, left_out, duplicate_rows)


def parse_rank(text: str) -> int | None:
    """Return the rank that `text` writes, or None. Spreadsheets write 1 as `1.0`.

    >>> [parse_rank(text) for text in ("1", "2.0", "0", "1.5", "-1", "best")]
    [1, 2, None, None, None, None]
    """
    match = _RANK.fullmatch(text.strip())
    return int(match[1]) if match else None


def write_rankings(path: str | Path, rankings: list[Ranking]) -> None:
    """Write `rankings` as a new CSV, atomically; an existing file is replaced."""
    rows = [[r.prompt, answer, rank] for r in rankings for answer, rank in zip(r.answers, r.ranks, strict=True)]
    write_atomically(path, format_rows([COLUMNS, *rows]))


def _line_of(problem: str) -> int:
    match = re.search(r":(\d+): ", problem)
    return int(match[1]) if match else 0
