"""Chats as texts, and back: the one rule by which a chat of several turns becomes a prompt.

A prompt that is one user message is that message. Any other chat is its turns, each after its role:

    System: Be brief.

    User: Name a prime number.

An answer that is one assistant message is that message; a longer one is written like a chat. The rule can be undone: a
paragraph in a turn that begins like one (`User: `) gets a backslash in front, as does a message that reads like a chat.
"""

import re
from typing import Any, NamedTuple

from preference.wording import shorten

USER, ASSISTANT = "user", "assistant"

_ROLES = {
    "system": "system", "developer": "system",
    "user": USER, "human": USER, "prompter": USER, "instruction": USER,
    "assistant": ASSISTANT, "gpt": ASSISTANT, "bot": ASSISTANT, "model": ASSISTANT, "response": ASSISTANT,
    "function_call": ASSISTANT, "tool": "tool", "function": "tool", "observation": "tool",
}  # fmt: skip
_BEGINS = {USER: ("system", USER), ASSISTANT: (ASSISTANT,)}  # how a prompt, and an answer, may begin
_LABEL = r"(?:System|User|Assistant|Tool): "
_TURN = re.compile(rf"(?:\A|\n\n)({_LABEL})")
_LIKE_A_TURN = re.compile(rf"(?<=\n\n)(?=\\*{_LABEL})")
_ESCAPED = re.compile(rf"(?<=\n\n)\\(?=\\*{_LABEL})")
_HELPSTEER = "<extra_id_1>"  # it marks all turns but the first
# How others write a dialogue as one text, by what stands before each turn.
_MARKS = (
    r"(?:\A|\n\n)(Human|Assistant):",  # HH-RLHF
    r"(?:\A|\n)(System|Human|User|Assistant):",
    r"<\|im_start\|>(\w+)\n",  # ChatML
    r"<\|start_header_id\|>(\w+)<\|end_header_id\|>\n\n",  # Llama 3
    r"(?:\A|\n)<\|(system|user|assistant)\|>\n",  # Zephyr
    r"(?:\A|\n)### (System|Instruction|Human|User|Response|Assistant):",  # Alpaca
    rf"(?:\A|\n){_HELPSTEER}(User|Assistant)\n",
)
_ENDS = re.compile(r"\s*(?:<\|(?:im_end|eot_id|end|endoftext)\|>|</s>)\s*\Z")


class Unreadable(ValueError):
    """A record is wrong; the text says what, the value, and what to do."""


class Turn(NamedTuple):
    """One message of a chat; the role is system, user, assistant or tool."""

    role: str
    text: str


def as_text(turns: list[Turn], alone: str = USER) -> str:
    """Return a chat as one text, by the rule above; a message of the role `alone` needs no label if it stands alone.

    >>> as_text([Turn("user", "Name a prime."), Turn("assistant", "7"), Turn("user", "Another?")])
    'User: Name a prime.\\n\\nAssistant: 7\\n\\nUser: Another?'
    """
    if len(turns) != 1 or turns[0].role != alone:
        return _labelled(turns)
    return "\\" * bool(_turns_of(turns[0].text.lstrip("\\"), alone)) + turns[0].text


def as_turns(text: str, alone: str = USER) -> list[Turn]:
    """Return the chat that `as_text` made a text of; any other text is one message. `as_text` undoes it, always."""
    bare = text.lstrip("\\")
    turns = _turns_of(bare, alone)
    return turns if turns and bare == text else [Turn(alone, text[1:] if turns else text)]


def read_messages(value: Any) -> list[Turn]:
    """Return the turns of a list of `{"role": …, "content": …}` or `{"from": …, "value": …}`, but no empty system ones.

    Content may be a list of parts, `{"type": "text", "text": …}`. Raises Unreadable for anything else.
    """
    messages = [value] if isinstance(value, dict) else value
    if not isinstance(messages, list) or not messages:
        raise Unreadable(f'not a list of messages: {shorten(str(value))}; write [{{"role": "user", "content": "..."}}]')
    turns = []
    for message in messages:
        names = ("role", "content") if isinstance(message, dict) and "role" in message else ("from", "value")
        if not isinstance(message, dict) or not {*names} <= message.keys():
            raise Unreadable(f'not a message: {shorten(str(message))}; write {{"role": "user", "content": "..."}}')
        given, content = (message[name] for name in names)
        role = _ROLES.get(str(given).lower())
        if role is None:
            raise Unreadable(f"unknown role {shorten(str(given))}; write one of {', '.join(_ROLES)}")
        parts = content if isinstance(content, list) else [{"text": "" if content is None else content}]
        if not all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in parts):
            raise Unreadable(f"content that is not text: {shorten(str(content))}; leave the row out")
        turns.append(Turn(role, "\n\n".join(part["text"] for part in parts)))
    turns = [turn for turn in turns if turn.text.strip() or turn.role != "system"]
    if not turns:
        raise Unreadable("no message with a text; write at least one")
    return turns


def is_chat(value: Any) -> bool:
    """Say whether a value is a list of messages, or one message, with roles that `read_messages` knows."""
    messages = value if isinstance(value, list) else [value]
    dicts = [item for item in messages if isinstance(item, dict) and ("content" in item or "value" in item)]
    roles = {str(item.get("role", item.get("from"))).lower() for item in dicts}
    return 0 < len(messages) == len(dicts) and roles <= _ROLES.keys()


def read_dialogue(text: str) -> list[Turn] | None:
    """Return the turns of a dialogue that is written as one text, or None if `text` is not one.

    >>> read_dialogue("\\n\\nHuman: Hi!\\n\\nAssistant:")
    [Turn(role='user', text='Hi!'), Turn(role='assistant', text='')]
    """
    if len(turns := as_turns(text)) > 1:
        return turns
    text = f"{_HELPSTEER}User\n{text}" if f"\n{_HELPSTEER}" in text else text.strip()
    for mark in _MARKS:
        first, *pieces = re.split(mark, text)
        roles = [_ROLES.get(role.lower(), "") for role in pieces[::2]]
        if not first.strip() and ASSISTANT in roles[1:] and roles[0] in _BEGINS[USER]:
            turns = [Turn(role, _ENDS.sub("", said).strip()) for role, said in zip(roles, pieces[1::2], strict=True)]
            return [turn for turn in turns if turn.text or turn.role != "system"] if "" not in roles else None
    return None


def _labelled(turns: list[Turn]) -> str:
    return "\n\n".join(f"{turn.role.capitalize()}: " + _LIKE_A_TURN.sub(r"\\", turn.text) for turn in turns)


def _turns_of(text: str, alone: str) -> list[Turn]:
    """Return the chat that is written as this text, if that is more than one message of the role `alone`; else none."""
    _, *pieces = _TURN.split(text) if _TURN.match(text) else [""]
    turns = [Turn(label[:-2].lower(), _ESCAPED.sub("", said)) for label, said in zip(pieces[::2], pieces[1::2])]
    is_more = len(turns) > 1 or [turn.role for turn in turns] == ["system"]
    if any(turn.role == "system" and not turn.text.strip() for turn in turns):  # `read_messages` drops it
        return []
    return turns if is_more and turns[0].role in _BEGINS[alone] and _labelled(turns) == text else []
