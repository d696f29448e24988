"""What a table gives to be scored, in three layouts, and what is added to it.

rows: one answer in a record. lists: several answers to a prompt. pairs: one chosen and one rejected answer.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from preference.data.dialogues import ASSISTANT, Unreadable, as_text, read_messages
from preference.data.rankings import GROUP, dense_ranks, parse_rank, text_of
from preference.data.source_formats import Compared, NoComparison, find_format
from preference.data.source_values import answer_text, from_cells, listed, prompt_text
from preference.data.tables import COLUMNS, RATERS, Table, TableError, find_unwritable
from preference.errors import InputError
from preference.wording import shorten

ADDED = {
    "rows": ["reward", "rank_in_prompt", "percentile"],
    "lists": ["rewards", "ranks_in_prompt", "percentiles"],
    "pairs": ["reward_chosen", "reward_rejected", "margin", "probability"],
}
NEEDED = (
    "it needs a prompt (prompt, question, query, instruction or input) and an answer (answer, response, completion or output), a list of answers"
    " (answers, responses, completions, candidates or outputs), messages whose last one is the answer, chosen and rejected, or another format of"
    " docs/formats.md (scored answers with --score NAME)"
)
_PROMPTS = ("prompt", "question", "query", "instruction", "input")
_ANSWERS = ("answer", "response", "completion", "output")
_LISTS = ("answers", "responses", "completions", "candidates", "outputs")
_CHATS = ("messages", "conversations")

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scorable:
    """The answers in one record.

    Attributes:
        answers: an empty one is not scored; none where the record compares nothing, for the reason in `left_out`.
        ranks: what a person said of each answer: lower is better, None is nothing.
        group: keeps rankings of one prompt apart; of records with one answer.
        rater: who ranked.
    """

    prompt: str
    answers: list[str]
    ranks: Sequence[float | None]
    group: str = ""
    rater: str = ""
    left_out: str = ""


@dataclass
class Answers:
    """The answers of a table.

    Attributes:
        layout: rows, lists or pairs.
        labelled: whether the records say which answer is better: by ranks, by scores, or as pairs.
        replaced: the columns instead of which there is a row for each answer, where lists become rows.
        items: one for each record.
    """

    table: Table
    layout: str
    labelled: bool
    replaced: set[str]
    items: list[Scorable] = field(default_factory=list)


class _Said(NamedTuple):
    """What a record says: answers to a prompt, and a rank for each (lower is better; None is nothing)."""

    prompt: str
    answers: list[str]
    ranks: Sequence[float | None]


@dataclass(frozen=True)
class _Layout:
    name: str
    read: Callable[[Record], _Said]
    replaced: set[str]
    labelled: bool


def read_answers(table: Table, score: str | None = None) -> Answers:
    """Return what there is to score in a table.

    Args:
        score: the column of scores, where the records are scored answers.

    Raises:
        InputError: there is nothing, or records cannot be scored: one line for each.
    """
    if not table.records:
        raise table.none_found("write one per prompt or per answer")
    in_cells = "csv" if table.kind in ("csv", "xlsx") else table.kind
    layout = _layout_of(table, in_cells, score)
    group, rater = table.find(GROUP), table.find(*RATERS)
    answers, problems = Answers(table, layout.name, layout.labelled, layout.replaced), []
    for i, record in enumerate(table.records):
        who = [text_of(record.get(column)) if column else "" for column in (group, rater)]
        try:
            said = layout.read(from_cells(record, in_cells))
            if what := next(filter(None, map(find_unwritable, (said.prompt, *said.answers))), ""):
                raise Unreadable(f"{what} in {shorten(said.prompt)} or an answer to it; remove it")
            if not said.prompt.strip():
                raise Unreadable(f"empty prompt: {shorten(said.prompt)}; write the text or delete the row")
            if layout.name == "pairs" and not all(map(str.strip, said.answers)):
                raise NoComparison("an empty text")
            answers.items.append(Scorable(said.prompt, said.answers, said.ranks, *who))
        except NoComparison as reason:
            answers.items.append(Scorable("", [], [], who[0], who[1], str(reason)))
        except Unreadable as problem:
            problems.append(f"{table.at(i)}: {problem}")
    if problems:
        raise TableError(problems)
    return answers


def _layout_of(table: Table, in_cells: str, score: str | None) -> _Layout:
    """Find out what the records hold: rows of the contract, another format that says which answer is better, or answers alone."""
    prompt, answer, rank = (table.find(*names) for names in (_PROMPTS, _ANSWERS, ["rank"]))
    first = table.records[0]
    with contextlib.suppress(Unreadable):  # reading it will say so
        first = from_cells(first, in_cells)
    if score is not None or not all(map(table.find, COLUMNS)):
        try:
            known = find_format(table.columns, first, score)
        except InputError as error:
            if score is not None:
                raise InputError(f"{table.top}: {error}") from None
        else:
            if known.read is not None:
                return _Layout(known.layout, partial(_read_known, known.read, known.layout), {*known.columns}, True)
    several, chat = table.find(*_LISTS), table.find(*_CHATS)
    if prompt and several and isinstance(first.get(several), list):
        ranks = table.find("ranks")

        def read_list(record: Record) -> _Said:
            texts = [answer_text(one) if one else "" for one in listed(record, several)]
            given: Any = record.get(ranks) if ranks else None
            valid = isinstance(given, list) and len(given) == len(texts)
            return _Said(_prompt(record, prompt), texts, [parse_rank(text_of(one)) for one in given] if valid else [None] * len(texts))

        return _Layout("lists", read_list, {prompt, several, *([ranks] if ranks else [])}, bool(ranks))
    if prompt and answer and prompt != answer:
        return _Layout(
            "rows",
            lambda record: _Said(
                _prompt(record, prompt), [answer_text(record.get(answer) or "")], [parse_rank(text_of(record.get(rank))) if rank else None]
            ),
            set(),
            bool(rank),
        )
    if chat and isinstance(first.get(chat), list):

        def read_chat(record: Record) -> _Said:
            turns = read_messages(listed(record, chat))
            if turns[-1].role != ASSISTANT:
                raise Unreadable(f"the last of its {chat} is not an answer; end with one of the assistant")
            return _Said(as_text(turns[:-1]), [turns[-1].text], [None])

        return _Layout("rows", read_chat, set(), False)
    raise InputError(f"{table.top}: nothing to score in the columns {shorten(', '.join(table.columns), 100)}; {NEEDED}")


def _prompt(record: Record, column: str) -> str:
    if column not in record:
        raise Unreadable(f"no {column!r}; give every record the same keys")
    text = prompt_text(record[column] or "")
    more = record.get("input") if column == "instruction" else None
    return f"{text}\n{more}" if isinstance(more, str) and more else text


def _read_known(read: Callable[[Record], Compared], layout: str, record: Record) -> _Said:
    compared = read(record)
    return _Said(compared.prompt, compared.answers, dense_ranks(compared.ranks) if layout == "lists" else compared.ranks)


def names_of(layout: str, reward: str, columns: Sequence[str]) -> list[str]:
    """Return the names of what is added (see `ADDED`), where the rewards are called `reward`.

    >>> names_of("rows", "mine", ["prompt", "answer", "reward", "percentile"])
    ['mine', 'rank_in_prompt', 'mine_percentile']
    """
    named = [name.replace("reward", reward, 1) for name in ADDED[layout]]
    return [f"{reward}_{name}" if name in columns and reward != "reward" else name for name in named]


def per_answer(answers: Answers) -> Iterator[tuple[Record, Scorable, int]]:
    """Split records with several answers into one record for each, as in a CSV; their ranks become `rank`."""
    for record, item in zip(answers.table.records, answers.items, strict=True):
        rest = {name: value for name, value in record.items() if name not in answers.replaced}
        for i, answer in enumerate(item.answers):
            yield {"prompt": item.prompt, "answer": answer, **({"rank": item.ranks[i]} if answers.labelled else {}), **rest}, item, i
