"""The values of one record of other people's data: texts, messages, lists, numbers and names, however a table writes them."""

import json
import math
import re
from typing import Any

from preference.data.dialogues import ASSISTANT, Turn, Unreadable, as_text, read_hh, read_messages
from preference.wording import shorten

_LIKE_MESSAGES = re.compile(r"""\s*(\[\s*)?\{\s*(?P<quote>["'])(role|content|from|value)(?P=quote)\s*:""")

Record = dict[str, Any]


def given(record: Record, name: str) -> Any:
    """Return a value that must be there; nothing at all counts as an empty text, and messages may be written as JSON text."""
    if name not in record:
        raise Unreadable(f"no {name!r}; give every record one")
    value = record[name]
    return "" if value is None else value if (messages := messages_in(value)) is None else messages


def messages_in(value: Any) -> list | dict | None:
    """Return the messages, or the message, that a text writes as JSON, as a CSV holds them; None for any other text, and for what is no text.

    Raises:
        Unreadable: the text writes them as Python does, not as JSON.
    """
    if not isinstance(value, str) or not (start := _LIKE_MESSAGES.match(value)):
        return None
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        found = None
    several = found if isinstance(found, list) else [found]
    if all(isinstance(one, dict) and ({"role", "content"} <= one.keys() or {"from", "value"} <= one.keys()) for one in several):
        return found
    if start["quote"] == "'":
        raise Unreadable(f"messages in Python's notation, not in JSON: {shorten(value)}; write the data as JSONL or Parquet instead")
    return None


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
