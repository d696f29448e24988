"""What a record gives to be scored, in three layouts, and what is added to it.

rows: `prompt`, `answer`. lists: `prompt` and `answers`, a list of texts, as in candidates.jsonl. pairs: `prompt`, `chosen`, `rejected`.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preference.data.records import Records, read_records
from preference.errors import InputError
from preference.wording import name_some, shorten

ADDED = {
    "rows": ["reward", "rank_in_prompt", "percentile"],
    "lists": ["rewards", "ranks_in_prompt", "percentiles"],
    "pairs": ["reward_chosen", "reward_rejected", "margin", "probability"],
}
_NEEDED = {"rows": ["answer"], "lists": ["answers"], "pairs": ["chosen", "rejected"]}


@dataclass(frozen=True, slots=True)
class Scorable:
    """One record, and the answers in it; `place` names it in messages."""

    record: dict[str, Any]
    prompt: str
    answers: list[str]
    place: str


@dataclass(frozen=True, slots=True)
class Scores:
    """What the model says of the answers of one record, in their order.

    Attributes:
        ranks: among the answers to the prompt; 1 is the best.
        best: of each answer, whether it is the one best answer to its prompt: of equal ones the first.
        percentiles: None where the model's folder lacks them.
        probability: that a person prefers the first answer to the second; None where that is not known.
    """

    rewards: Sequence[float]
    ranks: Sequence[int]
    best: Sequence[bool]
    percentiles: Sequence[int] | None = None
    probability: float | None = None


class Answers:
    """The answers of a table, record by record.

    Attributes:
        layout: rows, lists or pairs.
        columns: of the table; for JSONL and JSON the keys of the first record.
        labelled: whether the records say which answer is better: the column rank, or ranks beside a list, or pairs.
    """

    def __init__(self, source: str | Path):
        """Open a file, or "-".

        Raises:
            InputError: it cannot be read, is empty, or there is nothing to score in it.
        """
        self.records: Records = read_records(source)
        self._numbered = self.records.numbered()
        if self.records.columns is not None:
            self.columns, place = self.records.columns, self.records.at(1) if self.records.kind == "csv" else self.records.source
        elif first := next(self._numbered, None):
            self.columns, place = list(first[1]), self.records.at(first[0])
            self._numbered = itertools.chain([first], self._numbered)
        else:
            raise InputError(f"{self.records.source}: has no records; write one object per prompt or per answer")
        self.layout = find_layout(self.columns, place)
        self.labelled = self.layout == "pairs" or {"rows": "rank", "lists": "ranks"}[self.layout] in self.columns

    def __iter__(self) -> Iterator[Scorable]:
        """Read on. InputError is raised for a record that lacks a text, with its place."""
        return (scorable(record, self.layout, self.records.at(number)) for number, record in self._numbered)

    def check(self) -> tuple[int, list[str]]:
        """Read to the end; return the number of answers and a message for every record that cannot be scored."""
        answers, problems = 0, []
        for number, record in self._numbered:
            try:
                answers += len(scorable(record, self.layout, self.records.at(number)).answers)
            except InputError as error:
                problems.append(str(error))
        return answers, problems


def find_layout(names: Sequence[str], place: str) -> str:
    """Return the layout of records with the columns, or keys, `names`.

    >>> find_layout(["prompt", "answer", "id"], "a.csv:1"), find_layout(["prompt", "chosen", "rejected"], "a.csv:1")
    ('rows', 'pairs')

    Raises:
        InputError: there is nothing to score in them, or a name that is to be added is taken.
    """
    found = [layout for layout, needed in _NEEDED.items() if {"prompt", *needed} <= set(names)]
    if not found:
        lacking = next(name for name in ("prompt", "answer") if name not in names)
        raise InputError(
            f"{place}: no {lacking!r} among {shorten(','.join(names))};"
            " it must have prompt and answer, or prompt and a list of answers, or prompt, chosen and rejected"
        )
    if taken := [name for name in ADDED[found[0]] if name in names]:
        raise InputError(f"{place}: {taken[0]!r} exists already; rename or delete it")
    return found[0]


def scorable(record: dict[str, Any], layout: str, place: str) -> Scorable:
    """Return the answers of one record.

    >>> scorable({"prompt": "p", "answers": ["a", "b"]}, "lists", "a.jsonl:1").answers
    ['a', 'b']
    """
    prompt = _text(record, "prompt", place)
    if taken := [name for name in ADDED[layout] if name in record]:
        raise InputError(f"{place}: {taken[0]!r} exists already; rename or delete it")
    if layout != "lists":
        return Scorable(record, prompt, [_text(record, name, place) for name in _NEEDED[layout]], place)
    answers = record.get("answers")
    if not isinstance(answers, list) or not answers or not all(isinstance(answer, str) and answer.strip() for answer in answers):
        raise InputError(f'{place}: answers is not a list of texts: {shorten(str(answers))}; write ["one", "two"]')
    return Scorable(record, prompt, answers, place)


def _text(record: dict[str, Any], name: str, place: str) -> str:
    value = record.get(name)
    if value is None and name not in record:
        raise InputError(f"{place}: no {name} among {name_some(record, 6)}; give every record the same keys")
    if value is not None and not isinstance(value, str):
        raise InputError(f"{place}: {name} is not a text: {shorten(str(value))}; convert the file first with `python convert_rankings.py`")
    if not (value or "").strip():
        raise InputError(f"{place}: empty {name}: {shorten(value or '')}; write the text or delete the row")
    return value or ""


def with_scores(item: Scorable, layout: str, scores: Scores) -> dict[str, Any]:
    """Return the record with the scores added (see `ADDED`), without what is None."""
    rewards = [round(float(reward), 6) for reward in scores.rewards]
    added: list[Any]
    if layout == "pairs":
        added = [*rewards, round(rewards[0] - rewards[1], 6), None if scores.probability is None else round(float(scores.probability), 4)]
    elif layout == "lists":
        added = [rewards, [int(rank) for rank in scores.ranks], None if scores.percentiles is None else list(scores.percentiles)]
    else:
        added = [rewards[0], int(scores.ranks[0]), None if scores.percentiles is None else scores.percentiles[0]]
    return item.record | {name: value for name, value in zip(ADDED[layout], added, strict=True) if value is not None}


def one_per_answer(item: Scorable, scores: Scores) -> Iterator[tuple[Scorable, Scores]]:
    """Split a record with a list of answers into one record per answer, as in a CSV; `ranks` beside the list become `rank`."""
    given = item.record.get("ranks")
    ranks = given if isinstance(given, list) and len(given) == len(item.answers) else [None] * len(item.answers)
    rest = {name: value for name, value in item.record.items() if name not in ("prompt", "answers", "ranks")}
    for i, answer in enumerate(item.answers):
        record = {"prompt": item.prompt, "answer": answer, **({"rank": ranks[i]} if "ranks" in item.record else {}), **rest}
        own = Scores(
            scores.rewards[i : i + 1],
            scores.ranks[i : i + 1],
            scores.best[i : i + 1],
            scores.percentiles[i : i + 1] if scores.percentiles is not None else None,
        )
        yield Scorable(record, item.prompt, [answer], item.place), own


def columns_per_answer(columns: Sequence[str]) -> list[str]:
    """Return the columns of what `one_per_answer` makes of records with `columns`.

    >>> columns_per_answer(["id", "prompt", "answers", "ranks"])
    ['prompt', 'answer', 'rank', 'id']
    """
    return ["prompt", "answer", *(["rank"] if "ranks" in columns else []), *(name for name in columns if name not in ("prompt", "answers", "ranks"))]
