"""The values of one record of other people's data: texts, messages, lists, numbers and names, however a table writes them."""

import json
import math
import re
from typing import Any

from preference.data.dialogues import ASSISTANT, Turn, Unreadable, are_messages, as_text, read_hh, read_messages
from preference.wording import shorten

_PYTHONS = re.compile(r"\s*\[\s*(\{\s*'(role|content|from|value)'\s*:|'.*'\s*\]\s*$)", re.S)  # a list as Python writes it, not JSON
SIDES = ("chosen", "rejected")
SUBSET = "subset"  # a column that is kept

Record = dict[str, Any]


def from_cells(record: Record, kind: str) -> Record:
    """Return a record of a CSV with its cells as other kinds of file hold them: messages, lists of answers and their ranks are JSON there.

    Any other text stays a text, also one that happens to be JSON; and a record of another kind of file stays as it is.

    >>> from_cells({"prompt": '[{"role": "user", "content": "Hi"}]', "chosen": '{"id": 1}', "answers": '["a", "b"]'}, "csv")
    {'prompt': [{'role': 'user', 'content': 'Hi'}], 'chosen': '{"id": 1}', 'answers': ['a', 'b']}

    Raises:
        Unreadable: a cell holds such a list as Python writes it.
    """
    if kind != "csv":
        return record
    in_lists = {"answers", "ranks"} | ({*SIDES} if SUBSET in record and all(_is_bracketed(record.get(side)) for side in SIDES) else set())
    return {name: _from_cell(value, name in in_lists) if isinstance(value, str) and value[:1] in "[{ " else value for name, value in record.items()}


def _is_bracketed(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("[") and value.endswith("]")


def _from_cell(text: str, may_be_list: bool) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if are_messages(found) or (may_be_list and isinstance(found, list)):
        return found
    if (python := _PYTHONS.match(text)) and (python[2] or may_be_list):
        raise Unreadable(f"a list in Python's notation, not in JSON: {shorten(text)}; write the data as JSONL or Parquet instead")
    return text


def given(record: Record, name: str) -> Any:
    """Return a value that must be there; nothing at all counts as an empty text."""
    if name not in record:
        raise Unreadable(f"no {name!r}; give every record one")
    return "" if record[name] is None else record[name]


def listed(record: Record, name: str) -> list:
    """Return a list, which a CSV or an odd table holds as JSON text."""
    value = given(record, name)
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise Unreadable(f"{name!r} is not JSON: {shorten(value)}; write a list") from None
    if not isinstance(value, list):
        raise Unreadable(f"{name!r} is not a list: {shorten(str(value))}; write a list")
    return value


def number(record: Record, name: str) -> float:
    """Return a number; texts that write one are fine."""
    value = given(record, name)
    try:
        found = value if isinstance(value, (int, float)) else float(value if isinstance(value, str) else "")
    except ValueError:
        found = math.nan
    if found != found:
        raise Unreadable(f"{name!r} is not a number: {shorten(str(value))}; write a number")
    return found


def texts(values: list) -> list[str]:
    """Return the values, which must be texts; nothing at all counts as an empty one."""
    for value in values:
        if value is not None and not isinstance(value, str):
            raise Unreadable(f"not a text: {shorten(str(value))}; write a text")
    return [value or "" for value in values]


def prompt_text(value: Any) -> str:
    """Return a prompt as one text: it may be a text, messages, or a dialogue as HH-RLHF and Nectar write it."""
    if isinstance(value, str):
        turns = read_hh(value)
        if turns is None:
            return value
        return as_text(turns[:-1] if turns[-1] == (ASSISTANT, "") else turns)  # the answer is still to come
    if not isinstance(value, list):
        raise Unreadable(f"the prompt is not a text: {shorten(str(value))}; write a text or a list of messages")
    return as_text(read_messages(value))


def answer_text(value: Any, after: list[Turn] | None = None) -> str:
    """Return an answer as one text: it may be a text or messages, which may repeat the chat `after` which they come."""
    if isinstance(value, str):
        return value
    turns = read_messages(value)
    if after and len(turns) > len(after) and turns[: len(after)] == after:
        turns = turns[len(after) :]
    return as_text(turns, ASSISTANT)


def name_of(value: Any) -> str:
    """Return a value that names something as text. Whole numbers become 1.0 where a table lacks some of them; nothing and NaN are "".

    >>> name_of(" Ann "), name_of(2.0), name_of(2.5), name_of(None), name_of(math.nan)
    ('Ann', '2', '2.5', '', '')
    """
    if isinstance(value, float):
        value = "" if math.isnan(value) else int(value) if value.is_integer() else value
    return str(value).strip() if isinstance(value, (str, int, float)) else ""
