"""The values of other people's records, however a table writes them: numbers, lists, messages, names."""

import contextlib
import json
import math
import re
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
            found |= {f"{name}.{inner}": one for inner, one in flat(value).items()}
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
