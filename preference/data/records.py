"""Other people's records: their values, however a table writes them, and records that hold several comparisons, or hold
one deep inside: exports of annotation tools, trees, forms. `unfold` makes plain records of them.
"""

import contextlib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Any

from preference.data.dialogues import Unreadable, is_chat
from preference.wording import shorten

NOTHING = {"", "n/a", "na", "nan", "none", "null", "-", "–", "?"}  # what a cell without a number or a vote holds
_WORDS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}
_NUMBER = re.compile(
    r"(?:rank|#)?\s*([-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[-+]?\d+)?)"
    r"\s*(?:/\s*\d+|st|nd|rd|th|stars?|\.)?(?: choice| place)?"
)
# A list as Python writes it, not JSON: of messages, or (in group 1) of texts.
_PYTHONS = re.compile(r"\s*\[\s*(?:\{\s*'(?:role|content|from|value)'\s*:|('.*'|\".*')\s*\]\s*$)", re.S)

Record = dict[str, Any]
Numbered = tuple[int, Record]  # the index of the record from which it comes
_GRID = re.compile(r"(.+?)\s*\[(.+)\]\s*", re.S)  # a row of a grid of Google Forms: "Which is best? [Answer A]"


class NoComparison(Exception):
    """A record is as it should be, but compares nothing; the text says why."""


def number(value: Any) -> float | None:
    """Return the number that a value is or writes, as people and spreadsheets do; None where it is none.

    >>> [number(value) for value in ("4,5", "5/5", "TRUE", " 1e1 ", "2nd", "Rank 3", True, "best", float("nan"), None)]
    [4.5, 5.0, 1.0, 10.0, 2.0, 3.0, 1.0, None, None, None]
    """
    if isinstance(value, str):
        match = _NUMBER.fullmatch(text := value.strip().lower())
        return float(match[1].replace(",", ".")) if match else _WORDS.get(text)
    try:
        found = float(value) if hasattr(value, "__float__") else math.nan
    except OverflowError:  # a whole number of hundreds of digits
        return None
    return None if math.isnan(found) else found


def says_nothing(value: Any) -> bool:
    """Return whether a cell is empty, or a word for that."""
    return value is None or value != value or (isinstance(value, str) and value.strip().lower() in NOTHING)


def opened(value: Any, *, is_list: bool = True) -> Any:
    """Return a list, or messages, that a cell holds as JSON text; any other value as it is. With `is_list=False` a list
    that is not one of messages is meant as the text of an answer. Raises Unreadable where Python wrote the list.

    >>> opened('["a", "b"]'), opened('["a", "b"]', is_list=False), opened('{"id": 1}')
    (['a', 'b'], '["a", "b"]', '{"id": 1}')
    """
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    found = None
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(value)
    if is_chat(found) or (is_list and isinstance(found, list)):
        return found
    if (python := _PYTHONS.match(value)) and (is_list or not python[1]):
        remedy = "write the data as JSONL or Parquet instead"
        raise Unreadable(f"a list in Python's notation, not in JSON: {shorten(value)}; {remedy}")
    return value


def flat(record: Record) -> Record:
    """Return a record with the objects in it spread out, but for messages.

    >>> flat({"info": {"post": "p"}, "chosen": {"role": "assistant", "content": "a"}})
    {'info.post': 'p', 'chosen': {'role': 'assistant', 'content': 'a'}}
    """
    found: Record = {}
    for name, value in record.items():
        if isinstance(value, dict) and not is_chat(value):
            found |= {f"{name}.{key}": inner for key, inner in flat(value).items()}
        else:
            found[name] = value
    return found


def text_of(value: Any) -> str:
    """Return the value of a cell as text. A table that lacks some whole numbers has 1.0 for 1; nothing and NaN are "".

    >>> text_of(" Ann "), text_of(2.0), text_of(2.5), text_of(None), text_of(math.nan)
    ('Ann', '2', '2.5', '', '')
    """
    if value is None or value != value:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def unfold(records: Sequence[Record]) -> list[Numbered]:
    """Return the records, flat, each with its index in `records`; those of a tool, a tree or a form as plain ones."""
    first: Record = records[0] if records else {}
    names = first.keys()
    only = list(first.values()) if len(records) == 1 else []
    if only and all(isinstance(value, dict) and all(map(str.isdecimal, value)) for value in only):  # as of pandas
        return [(0, flat({name: values.get(i) for name, values in first.items()})) for i in only[0]]
    if len(only) == 1 and _are_objects(only[0]) and not is_chat(only[0]):  # {"data": [...]}
        return [(0, record) for _, record in unfold(only[0])]
    if isinstance(first.get("prompt"), dict) and "replies" in first["prompt"]:
        trees = (_messages_of(record["prompt"], None) for record in records)
        return _trees((i, message) for i, tree in enumerate(trees) for message in tree)
    if {"message_id", "parent_id", "text", "role"} <= names:
        return _trees(enumerate(records))
    parts: Callable[[Record], Iterable[Record]] = lambda record: [record]
    if {"data", "annotations"} <= names:
        parts = _label_studio
    elif {"fields", "responses"} <= names or any(map(_are_argillas, first.items())):
        parts = _argilla
    elif {"options", "accept"} <= names:
        parts = _prodigy
    elif sum(bool(_GRID.fullmatch(name)) for name in names) > 1:
        parts = _form
    return [(i, flat(made)) for i, record in enumerate(records) for made in parts(record)]


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _messages_of(message: Record, parent: str | None) -> Iterator[Record]:
    yield {**message, "parent_id": parent}
    for reply in message.get("replies") or []:
        yield from _messages_of(reply, message.get("message_id"))


def _trees(numbered: Iterable[Numbered]) -> list[Numbered]:
    """Return a record for each message with ranked answers (0 is the best): the path to it, and them.

    https://huggingface.co/datasets/OpenAssistant/oasst1
    """
    messages = list(numbered)
    by_id = {message["message_id"]: message for _, message in messages}
    found: dict[str, Numbered] = {}
    for i, message in messages:
        parent = message.get("parent_id") or ""
        if message.get("role") == "assistant" and message.get("rank") is not None and parent in by_id:
            path, at = list[Record](), by_id.get(parent)
            while parent not in found and at and len(path) < len(by_id):  # no circle
                path.insert(0, {"role": at["role"], "content": at["text"]})
                at = by_id.get(at.get("parent_id") or "")
            _, made = found.setdefault(parent, (i, {"prompt": path, "answers": []}))
            made["answers"].append({"text": message["text"], "rank": message["rank"]})
    return list(found.values())


def _label_studio(record: Record) -> Iterator[Record]:
    """What several people said of one task. https://labelstud.io/guide/export"""
    for annotation in record["annotations"]:
        by = annotation.get("completed_by")
        made = {**record["data"], "rater": by.get("email", by.get("id")) if isinstance(by, dict) else by}
        for result in [] if annotation.get("was_cancelled") else annotation.get("result", []):
            value = result.get("value", {})
            if isinstance(order := value.get("ranker"), dict):
                ids: list[Any] = order.get("rank") or next((ids for name, ids in order.items() if name != "_"), [])
                ranks = {str(name): rank for rank, name in enumerate(ids)}
                for name, listed in record["data"].items():
                    if _are_objects(listed) and all("id" in item for item in listed):
                        made[name] = [{**item, "rank": ranks.get(str(item["id"]))} for item in listed]
            for kind in {"selected", "choices", "rating"} & value.keys():
                said = value[kind]
                name = "vote" if kind != "rating" else result.get("from_name", kind)
                made[name] = said[0] if isinstance(said, list) and said else said
        yield made


def _are_argillas(column: tuple[str, Any]) -> bool:
    name, value = column
    is_answer = lambda item: "value" in item and {"user_id", "status"} & item.keys()
    return name.endswith(".responses") or (_are_objects(value) and all(map(is_answer, value)))


def _argilla(record: Record) -> Iterator[Record]:
    """What several people answered to several questions; version 1 and the Hub have a column for each question."""
    fields, questions = record.get("fields", {}), record.get("responses")
    if not isinstance(questions, dict):
        questions = dict(filter(_are_argillas, record.items()))
        rest = {name: value for name, value in record.items() if name not in questions and ".responses" not in name}
        fields = fields or rest
    by_user: dict[str, Record] = {}
    for question, answers in questions.items():
        if question.endswith(".responses"):  # on the Hub
            columns = (record.get(question + more) or [] for more in ("", ".users", ".status"))
            answers = [dict(zip(("value", "user_id", "status"), values)) for values in zip(*columns)]
            question = question.removesuffix(".responses")
        for answer in answers or []:
            if answer.get("status", "submitted") == "submitted":
                value, user = answer["value"], answer.get("user_id")
                made = by_user.setdefault(str(user), {**fields, "rater": user})
                if isinstance(value, (list, dict)):
                    made["answers"] = _ranked_fields(fields, value)
                else:  # what is no rating is the vote
                    made[question if re.search(r"rating|score|\d$", question) else "vote"] = value
    yield from by_user.values() or [fields]


def _ranked_fields(fields: Record, value: Any) -> list[Record]:
    """Return the answers with their ranks: a value is names from best to worst, or names and ranks."""
    if isinstance(value, dict):
        ranks = dict(zip(value.get("value", []), value.get("rank", [])))
    else:
        are_ranked = all(isinstance(item, dict) for item in value)
        ranks = {item.get("value"): item.get("rank") for item in value} if are_ranked else dict(zip(value, count()))
    texts = {name.replace("-", "_"): text for name, text in fields.items()}
    return [{"text": texts.get(str(name).replace("-", "_"), ""), "rank": rank} for name, rank in ranks.items()]


def _prodigy(record: Record) -> Iterator[Record]:
    rater = next((record[name] for name in ("_annotator_id", "_session_id") if name in record), None)
    yield {**record, "rater": rater, "accept": record["accept"] if record.get("answer") == "accept" else None}


def _form(record: Record) -> Iterator[Record]:
    """A row for each person, a column for each row of a grid."""
    raters = (v for name, v in record.items() if name.casefold() in ("email address", "username", "timestamp"))
    rater, found = next(raters, None), dict[str, Record]()
    for name, value in record.items():
        if cell := _GRID.fullmatch(name):
            made = found.setdefault(cell[1], {"prompt": cell[1], "answers": [], "rater": rater})
            made["answers"].append({"text": cell[2], "rank": number(value)})
    yield from found.values()
