"""What a record gives to be scored, in three layouts, and what is added to it.

rows: `prompt`, `answer`. lists: `prompt` and `answers`, a list of texts, as in candidates.jsonl. pairs: `prompt`, `chosen`, `rejected`.
Records of the other formats that `preference.data.source_formats` knows have the same layouts, under other names.
"""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from preference.data.csv_table import find_unwritable
from preference.data.dialogues import HUMAN, Unreadable
from preference.data.rankings import dense_ranks, parse_rank
from preference.data.records import Records, read_records
from preference.data.source_formats import NoComparison, SourceFormat, find_format, rater_of
from preference.data.source_values import SIDES, from_cells
from preference.errors import InputError
from preference.wording import name_some, shorten

ADDED = {
    "rows": ["reward", "rank_in_prompt", "percentile"],
    "lists": ["rewards", "ranks_in_prompt", "percentiles"],
    "pairs": ["reward_chosen", "reward_rejected", "margin", "probability"],
}
_NEEDED = {"rows": ["answer"], "lists": ["answers"], "pairs": [*SIDES]}
_SCORES_OF_PAIRS = {"score_chosen", "score_rejected"}  # equal ones are a tie, which only the reader of that format knows


@dataclass(frozen=True, slots=True)
class Scorable:
    """One record, and the answers in it.

    Attributes:
        answers: none where the record compares nothing, for the reason in `left_out`.
        place: names the record in messages.
        ranks: what a person said of each answer: lower is better, None is nothing.
        group: keeps rankings of one prompt apart; of records with one answer.
    """

    record: dict[str, Any]
    prompt: str
    answers: list[str]
    place: str
    ranks: Sequence[float | None] = ()
    group: str = ""
    left_out: str = ""


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
        labelled: whether the records say which answer is better: by ranks, by scores, or as pairs.
        known: the format, where it is somebody else's.
    """

    def __init__(self, source: str | Path, score: str | None = None):
        """Open a file, or "-".

        Args:
            score: the column of scores, where the records are scored answers.

        Raises:
            InputError: it cannot be read, is empty, or there is nothing to score in it.
        """
        self.records: Records = read_records(source)
        numbered = self.records.numbered()
        first = next(numbered, None)
        if first is None:
            raise self.records.none_found("write one per prompt or per answer")
        self._numbered = itertools.chain([first], numbered)
        self.columns, place = list(first[1]), self.records.at(first[0])
        if self.records.columns is not None:
            self.columns, place = self.records.columns, self.records.at(1) if self.records.kind == "csv" else self.records.source
        told = first[1]
        with contextlib.suppress(Unreadable):  # which reading it will say
            told = from_cells(told, self.records.kind)
        self.known = _other_format(self.columns, told, score, place)
        self.layout = self.known.layout if self.known else find_layout(self.columns, place)
        if taken := [name for name in ADDED[self.layout] if name in self.columns]:
            raise InputError(f"{place}: {taken[0]!r} exists already; rename or delete it")
        self.labelled = bool(self.known) or self.layout == "pairs" or {"rows": "rank", "lists": "ranks"}[self.layout] in self.columns

    def _read(self, number: int, record: dict[str, Any]) -> Scorable:
        place = self.records.at(number)
        try:
            told = record if self.layout == "rows" and not self.known else from_cells(record, self.records.kind)
            item = scorable_of(told, self.known, place) if self.known else scorable(told, self.layout, place)
        except Unreadable as problem:
            raise InputError(f"{place}: {problem}") from None
        for text in (item.prompt, *item.answers):
            if what := find_unwritable(text):
                raise InputError(f"{place}: {what} in {shorten(text)}; remove it")
        return replace(item, record=record) if told is not record else item

    def __iter__(self) -> Iterator[Scorable]:
        """Read on. InputError is raised for a record that lacks a text, with its place."""
        return itertools.starmap(self._read, self._numbered)

    def check(self) -> tuple[int, list[str]]:
        """Read to the end; return the number of answers and a message for every record that cannot be scored."""
        answers, problems = 0, []
        for number, record in self._numbered:
            try:
                answers += len(self._read(number, record).answers)
            except InputError as error:
                problems.append(str(error))
        return answers, problems


def _other_format(columns: Sequence[str], first: dict[str, Any], score: str | None, place: str) -> SourceFormat | None:
    """Return the format of a table in other people's format, or None where its columns and its first record are in one of the layouts."""
    names = set(columns)
    layouts = {layout for layout, needed in _NEEDED.items() if {"prompt", *needed} <= names}
    if score is None and ("rows" in layouts or (layouts and _holds_texts(first) and not names >= _SCORES_OF_PAIRS)):
        return None
    try:
        return find_format(list(columns), first, score)
    except InputError as error:
        if score is None and not layouts:
            return None  # find_layout says what is missing
        raise InputError(f"{place}: {error}") from None


def _holds_texts(first: dict[str, Any]) -> bool:
    """Say whether prompt and answers of a record are meant to be plain texts: no messages, no dialogue, no answers that have ranks."""
    listed = first.get("answers")
    parts = [*map(first.get, ("prompt", *SIDES)), *(listed if isinstance(listed, list) else [])]
    return not any(isinstance(part, (list, dict)) for part in parts) and not str(first.get("prompt")).startswith(HUMAN)


def find_layout(names: Sequence[str], place: str) -> str:
    """Return the layout of records with the columns, or keys, `names`.

    >>> find_layout(["prompt", "answer", "id"], "a.csv:1"), find_layout(["prompt", "chosen", "rejected"], "a.csv:1")
    ('rows', 'pairs')

    Raises:
        InputError: there is nothing to score in them.
    """
    found = [layout for layout, needed in _NEEDED.items() if {"prompt", *needed} <= set(names)]
    if not found:
        lacking = next(name for name in ("prompt", "answer") if name not in names)
        raise InputError(
            f"{place}: no {lacking!r} among {shorten(','.join(names))}; it must have prompt and answer, or prompt and a list of answers,"
            " or prompt, chosen and rejected, or be in another format of docs/formats.md (scored answers with --score NAME)"
        )
    return found[0]


def scorable(record: dict[str, Any], layout: str, place: str) -> Scorable:
    """Return the answers of one record in one of the layouts, and their labels.

    >>> scorable({"prompt": "p", "answers": ["a", "b"], "ranks": [2, 1]}, "lists", "a.jsonl:1").ranks
    [2, 1]
    """
    prompt = _text(record, "prompt", place)
    _check_names(record, layout, place)
    if layout == "rows":
        return Scorable(record, prompt, [_text(record, "answer", place)], place, [_rank(record.get("rank"))], rater_of(record))
    if layout == "pairs":
        if any(side in record and not (record[side] or "") for side in SIDES):
            return Scorable(record, prompt, [], place, left_out="an empty text")
        return Scorable(record, prompt, [_text(record, side, place) for side in SIDES], place, [1, 2])
    answers, ranks = record.get("answers"), record.get("ranks")
    if not isinstance(answers, list) or not answers or not all(isinstance(answer, str) and answer.strip() for answer in answers):
        raise InputError(f'{place}: answers is not a list of texts: {shorten(str(answers))}; write ["one", "two"]')
    given = ranks if isinstance(ranks, list) and len(ranks) == len(answers) else [None] * len(answers)
    return Scorable(record, prompt, answers, place, [_rank(rank) for rank in given])


def scorable_of(record: dict[str, Any], known: SourceFormat, place: str) -> Scorable:
    """Return the answers of one record in somebody else's format, and what it says of them.

    Raises:
        Unreadable: the record is not as it should be.
    """
    assert known.read is not None
    _check_names(record, known.layout, place)
    try:
        compared = known.read(record)
    except NoComparison as reason:
        return Scorable(record, "", [], place, left_out=str(reason))
    if not compared.prompt.strip() or not all(answer.strip() for answer in compared.answers):
        return Scorable(record, compared.prompt, [], place, left_out="an empty text")
    ranks = compared.ranks if known.layout == "rows" else dense_ranks(compared.ranks)
    return Scorable(record, compared.prompt, compared.answers, place, ranks, rater_of(record))


def _check_names(record: dict[str, Any], layout: str, place: str) -> None:
    if taken := [name for name in ADDED[layout] if name in record]:
        raise InputError(f"{place}: {taken[0]!r} exists already; rename or delete it")


def _rank(value: Any) -> int | None:
    return None if value is None or isinstance(value, bool) else parse_rank(str(value))


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
    """Return the record with the scores added (see `ADDED`), without what is None; a record without answers as it is."""
    if not item.answers:
        return item.record
    rewards = [round(float(reward), 6) for reward in scores.rewards]
    added: list[Any]
    if layout == "pairs":
        added = [*rewards, round(rewards[0] - rewards[1], 6), None if scores.probability is None else round(float(scores.probability), 4)]
    elif layout == "lists":
        added = [rewards, [int(rank) for rank in scores.ranks], None if scores.percentiles is None else list(scores.percentiles)]
    else:
        added = [rewards[0], int(scores.ranks[0]), None if scores.percentiles is None else scores.percentiles[0]]
    return item.record | {name: value for name, value in zip(ADDED[layout], added, strict=True) if value is not None}


def one_per_answer(item: Scorable, scores: Scores, known: SourceFormat | None = None) -> Iterator[tuple[Scorable, Scores]]:
    """Split a record with several answers into one record per answer, as in a CSV; ranks beside the list become `rank`."""
    ranked = known is not None or "ranks" in item.record
    columns_per_answer(list(item.record), known, item.place)
    rest = {name: value for name, value in item.record.items() if name not in _replaced(known)}
    for i, answer in enumerate(item.answers):
        record = {"prompt": item.prompt, "answer": answer, **({"rank": item.ranks[i]} if ranked else {}), **rest}
        own = Scores(
            scores.rewards[i : i + 1],
            scores.ranks[i : i + 1],
            scores.best[i : i + 1],
            scores.percentiles[i : i + 1] if scores.percentiles is not None else None,
        )
        yield Scorable(record, item.prompt, [answer], item.place), own


def columns_per_answer(columns: Sequence[str], known: SourceFormat | None = None, place: str = "") -> list[str]:
    """Return the columns of what `one_per_answer` makes of records with `columns`.

    >>> columns_per_answer(["id", "prompt", "answers", "ranks"])
    ['prompt', 'answer', 'rank', 'id']

    Raises:
        InputError: one of the records' own columns would have the name of a new one.
    """
    new = ["prompt", "answer", *(["rank"] if known or "ranks" in columns else [])]
    rest = [name for name in columns if name not in _replaced(known)]
    if taken := [name for name in rest if name in {*new, *ADDED["rows"]}]:
        raise InputError(f"{place}: {taken[0]!r} exists already, and each answer would get one; rename or delete it")
    return new + rest


def _replaced(known: SourceFormat | None) -> set[str]:
    """Return the columns instead of which there is a row per answer."""
    return {"prompt", "answers", "ranks", *(known.columns if known else ())}
