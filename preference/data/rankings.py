"""The contract: rows of `prompt,answer,rank`, rank 1 is best, in any kind of table.

Rows are one ranking if their prompts are the same text, and their `group` (what must not be compared) and `rater` (or
`annotator`, `annotator_id`, `judge`) are the same. Prompts that only `prompt_key` makes the same stay apart: their
answers were never compared.
"""

import contextlib
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import Any

from preference.data.records import says_nothing, text_of
from preference.data.roles import COLUMNS, RATERS
from preference.data.splits import prompt_key
from preference.data.table_writing import find_unwritable
from preference.data.tables import Table, TableError, read_table
from preference.errors import InputError
from preference.wording import counted, name_some, shorten

GROUP, RATER = "group", "rater"
# Ready-made rankings to train on, and to test by. An answer of rank 1 is really good, of rank 2 decent, of rank 3 weak
# (vague, rambling or off the point), of rank 4 useless; length does not give the order away.
SAMPLES = [Path(__file__).parent / "sample" / name for name in ("training_data.csv", "test_data.csv")]
Key = tuple[str, str, str]  # prompt, group, rater

_NUMBER = re.compile(r"\+?([0-9]+)(?:[.,]([0-9]*))?")
_RANK_DIGITS = 9  # the largest rank is 999,999,999


@dataclass(frozen=True, slots=True)
class Ranking:
    """Ranked answers to one prompt, in the file's order; `ranks[i]` (1 = best) belongs to `answers[i]`."""

    prompt: str
    answers: list[str]
    ranks: list[int]
    group: str = ""
    rater: str = ""
    subset: str = ""

    @property
    def identity(self) -> Key:
        """What tells it from all others."""
        return self.prompt, self.group, self.rater

    @property
    def key(self) -> str:
        """What its prompt has in common with all that are the same prompt: see `prompt_key`."""
        return prompt_key(self.prompt)


@dataclass(frozen=True)
class Rankings:
    """What a table holds for training: rankings with at least two distinct ranks, and what was left out."""

    table: Table  # all rows as they were read
    rankings: list[Ranking]
    left_out: dict[Key, str] = field(default_factory=dict)  # why
    duplicate_rows: list[int] = field(default_factory=list)  # lines
    unranked_rows: list[int] = field(default_factory=list)  # lines

    def __len__(self) -> int:
        """Return the number of rankings: without groups, the number of prompts."""
        return len(self.rankings)

    @property
    def prompts(self) -> list[str]:
        """The prompts that have a ranking, each once, as first typed."""
        return list({ranking.key: ranking.prompt for ranking in reversed(self.rankings)}.values())[::-1]

    @property
    def left_out_prompts(self) -> list[str]:
        """The prompts of which no ranking is left, each once."""
        kept = {ranking.prompt for ranking in self.rankings}
        return [prompt for prompt in dict.fromkeys(prompt for prompt, *_ in self.left_out) if prompt not in kept]

    def warnings(self) -> list[str]:
        """One line for each kind of thing left out, with its count and the first few by name."""
        keys = [*self.left_out, *(ranking.identity for ranking in self.rankings)]
        noun = "ranking" if any(any(key[1:]) for key in keys) else "prompt"
        lines = []
        for reason in sorted(set(self.left_out.values())):
            names = [name_of(*key) for key, why in self.left_out.items() if why == reason]
            lines.append(f"{counted(len(names), noun)} with {reason}: {name_some(names)}")
        unit = self.table.unit
        kinds = (f"exact duplicate {unit}", "", self.duplicate_rows), (unit, " without a rank", self.unranked_rows)
        for what, why, numbers in kinds:
            lines += [f"{counted(len(numbers), what)}{why}: {name_some(map(str, numbers))}"] * bool(numbers)
        return self.table.notes + [f"{self.table.source}: left out {line}" for line in lines]


def read_rankings(path: str | Path) -> Rankings:
    """Read a table of ranked answers; see `rankings_of`.

    >>> read_rankings("training_data.csv").rankings[0].ranks
    [1, 2, 3, 4]
    """
    if not Path(path).exists() and not Path(path).is_symlink():
        ways = "`python create_sample_data.py` writes a sample, `python generate_data.py` makes your own"
        if re.fullmatch(r"[\w-]+/[\w.-]+", str(path)) and not Path(path).suffix:  # as the Hub names data sets
            ways += f", `{_conversion_of(str(path))}` fetches a data set of the Hub"
        raise InputError(f"{path}: no such file; {ways}")
    return rankings_of(read_table(path))


def rankings_of(table: Table) -> Rankings:
    """Make one ranking of each prompt, group and rater of a table, in the order of first appearance.

    White space around a cell does not count. Answers without a rank are left out. Raises InputError where the table
    holds other data, where rows are wrong, with a line for each, and where no ranking has two distinct ranks.
    """
    try:
        rows, problems = rows_of(table)
    except TableError as error:
        raise _other_data(table, error) from None
    duplicates, unranked = list[int](), list[int]()
    found: dict[Key, dict[str, tuple[float, int]]] = {}  # answer -> (rank, number)
    for i, (identity, answer, rank) in enumerate(rows):
        answers, number = found.setdefault(identity, {}), table.numbers[i]
        if rank is None or i in problems:
            unranked.append(number)
            continue
        other, first = answers.setdefault(answer, (rank, number))
        if other != rank:
            words = zip((" in group ", " by rater "), identity[1:])
            what = "the same answer to one prompt" + "".join(word + shorten(name) for word, name in words if name)
            ranks = f"rank {rank} here and rank {other} on {table.unit} {first}: {shorten(answer)}"
            problems.setdefault(i, []).append(f"{table.at(i)}: {what} has {ranks}; keep one of the two rows")
        elif first != number:
            duplicates.append(number)
    if problems:
        raise TableError([problem for i in sorted(problems) for problem in problems[i]])
    kept, left_out = [], {}
    for key, answers in found.items():
        levels = [rank for rank, _ in answers.values()]
        if len(set(levels)) > 1:
            kept.append(Ranking(key[0], list(answers), whole_ranks(levels), *key[1:]))
        else:
            left_out[key] = "no rank" if not levels else "only one answer" if len(levels) == 1 else "only ties"
    if not kept:
        raise TableError([_nothing_ranked(table, list(found))])
    return Rankings(table, kept, left_out, duplicates, unranked)


def rows_of(table: Table) -> tuple[list[tuple[Key, str, float | None]], dict[int, list[str]]]:
    """Return the ranking, the answer and the rank, if any, of each record; and what is wrong with those of an index."""
    columns, rows, problems = table.need(*COLUMNS), [], dict[int, list[str]]()
    for i, (record, identity) in enumerate(zip(table.records, identities(table), strict=True)):
        texts: list[Any] = ["" if record.get(column) is None else record[column] for column in columns[:2]]
        rank = parse_rank(given := text_of(record.get(columns[2])))
        if wrong := [f"{table.at(i)}: {problem}" for problem in _problems_of(texts, given, rank)]:
            problems[i] = wrong
        rows.append((identity, text_of(texts[1]), rank))
    return rows, problems


def _problems_of(texts: list[Any], given: str, rank: float | None) -> Iterator[str]:
    """Say what is wrong with the prompt, the answer and the rank of a row."""
    for name, text in zip(COLUMNS, texts):
        if not isinstance(text, str):
            yield f"{name} is not a text: {shorten(str(text))}; write a text"
        elif not text.strip():
            yield f"empty {name}: {shorten(text)}; write the text or delete the row"
        elif what := find_unwritable(text):
            yield f"{what} in {shorten(text)}; remove it"
    if rank is None and not says_nothing(given):
        wrong = "rank is too large:" if _NUMBER.fullmatch(given) else "rank must be a number, not"
        if given.startswith("-") and _NUMBER.fullmatch(given[1:]):
            wrong = "rank must not be negative:"
        yield f"{wrong} {shorten(given)}; write 1 for the best answer, 2 for the next"


def _nothing_ranked(table: Table, found: list[Key]) -> str:
    has_groups = any(any(key[1:]) for key in found)
    where = " in one group" * has_groups
    counts = [counted(len(table.records), "row"), counted(len({prompt for prompt, *_ in found}), "prompt")]
    counts += [counted(len(found), "ranking")] * has_groups
    what = f"no prompt has two answers with different ranks{where}: {', '.join(counts)}"
    return f"{table.top}: {what}; rank at least two answers to one prompt{where}"


def _other_data(table: Table, missing: TableError) -> InputError:
    """Return the error to raise for a table that lacks columns; where it holds other people's data, with a remedy."""
    from preference.data.comparisons import read_comparisons

    with contextlib.suppress(InputError):
        if "no column" in str(missing):  # otherwise one stands there twice
            what = f"not rows of prompt, answer and rank, but {read_comparisons(table)[0].in_words()}"
            return InputError(f"{table.top}: {what}; convert it first: {_conversion_of(table.source)}")
    return missing


def _conversion_of(source: str) -> str:
    return shlex.join(["python", "convert_rankings.py", source, "rankings.csv"])


def parse_rank(text: str) -> float | None:
    """Return the rank that `text` writes, or None: an int where it is whole. Spreadsheets write 1 as `1.0` or `1,0`.

    >>> [parse_rank(text) for text in ("1", "2.0", "0", "1,5", "-1", "best", "")]
    [1, 2, 0, 1.5, None, None, None]
    """
    match = _NUMBER.fullmatch(text.strip())
    if not match or len(match[1].lstrip("0")) > _RANK_DIGITS:
        return None
    return int(match[1]) if not (match[2] or "").strip("0") else float(f"{match[1]}.{match[2]}")


def whole_ranks(ranks: Sequence[float]) -> list[int]:
    """Return ranks as they are where all are whole numbers from 1; of others, as 0 or 1.5, the `dense_ranks`."""
    whole = [rank for rank in ranks if isinstance(rank, int) and rank > 0]
    return whole if len(whole) == len(ranks) else dense_ranks(ranks)


def identities(table: Table) -> list[Key]:
    """Return the prompt, group and rater of each record, which tell to what ranking it belongs."""
    columns = (*table.need("prompt"), table.find(GROUP), table.find(*RATERS))
    return [tuple(text_of(record.get(column)) if column else "" for column in columns) for record in table.records]  # type: ignore[misc]


def dense_ranks(levels: Sequence[float]) -> list[int]:
    """Return ranks from 1 without gaps for numbers of which lower is better.

    >>> dense_ranks([-4.0, 0.5, -4.0])
    [1, 2, 1]
    """
    position = {level: i for i, level in enumerate(sorted(set(levels)), 1)}
    return [position[level] for level in levels]


def ranking_of(pairs: Sequence[Sequence[str]]) -> dict[str, int] | None:
    """Return the ranks by answer whose untied pairs are exactly these (better, worse), or None where there are none.

    >>> ranking_of([["a", "b"], ["a", "c"], ["d", "b"], ["d", "c"]])
    {'a': 1, 'b': 2, 'c': 2, 'd': 1}
    """
    lost = Counter(worse for _, worse in pairs)
    answers = list(dict.fromkeys(answer for pair in pairs for answer in pair))
    ranks = dict(zip(answers, dense_ranks([lost[answer] for answer in answers])))
    untied = [(a, b) for a, b in permutations(answers, 2) if ranks[a] < ranks[b]]
    return ranks if sorted(untied) == sorted((better, worse) for better, worse in pairs) else None


def name_of(prompt: str, group: str, rater: str) -> str:
    """Name a ranking in messages."""
    return shorten(prompt) + (f" ({named_apart(group, rater)})" if group or rater else "")


def named_apart(group: str, rater: str) -> str:
    """Name what tells a ranking from others of its prompt, to be shown; "" where nothing does.

    >>> named_apart("a", "Ann"), named_apart("", "")
    ("group 'a', rater 'Ann'", '')
    """
    return ", ".join(f"{word} {shorten(name)}" for word, name in ((GROUP, group), (RATER, rater)) if name)
