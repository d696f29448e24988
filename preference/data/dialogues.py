"""Chats as texts, and back: the one rule by which a chat of several turns becomes a prompt.

A prompt that is one user message is that message. Any other chat is its turns, each after its role, with an empty line between:

    System: Be brief.

    User: Name a prime number.

    Assistant: 7

    User: And an even one?

An answer that is one assistant message is that message; a longer one is written like a chat. The rule can be undone: a paragraph
inside a turn that begins like a turn (`User: `) gets a backslash in front, and so does a single message that reads like a whole chat.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from preference.wording import shorten

USER, ASSISTANT = "user", "assistant"

_ROLES = {
    "system": "system", "developer": "system",
    "user": USER, "human": USER, "prompter": USER, "instruction": USER,
    "assistant": ASSISTANT, "gpt": ASSISTANT, "bot": ASSISTANT, "model": ASSISTANT, "response": ASSISTANT, "function_call": ASSISTANT,
    "tool": "tool", "function": "tool", "observation": "tool",
}  # fmt: skip
_BEGINS = {
    USER: ("system", USER),
    ASSISTANT: (ASSISTANT,),
}  # the roles that a prompt, or an answer, of several turns may begin with
_LABEL = r"(?:System|User|Assistant|Tool): "
_TURN = re.compile(rf"(?:\A|\n\n)({_LABEL})")
_LIKE_A_TURN = re.compile(rf"(?<=\n\n)(?=\\*{_LABEL})")
_ESCAPED = re.compile(rf"(?<=\n\n)\\(?=\\*{_LABEL})")
# How others write a dialogue as one text, by what stands before each turn: HH-RLHF, with empty lines or without, ChatML, Llama 3, Zephyr, Alpaca.
_MARKS = [
    re.compile(mark)
    for mark in (
        r"(?:\A|\n\n)(Human|Assistant):",
        r"(?:\A|\n)(System|Human|User|Assistant):",
        r"<\|im_start\|>(\w+)\n",
        r"<\|start_header_id\|>(\w+)<\|end_header_id\|>\n\n",
        r"(?:\A|\n)<\|(system|user|assistant)\|>\n",
        r"(?:\A|\n)### (System|Instruction|Human|User|Response|Assistant):",
    )
]
_ENDS = re.compile(r"\s*(?:<\|(?:im_end|eot_id|end|endoftext)\|>|</s>)\s*\Z")
_HELPSTEER_TURN = re.compile(r"\n<extra_id_1>(User|Assistant)\n")


class Unreadable(ValueError):
    """A record is wrong; the text says what, the value, and what to do."""


class Turn(NamedTuple):
    """One message of a chat; the role is system, user, assistant or tool."""

    role: str
    text: str


def as_text(turns: list[Turn], alone: str = USER) -> str:
    """Return a chat as one text, by the rule above.

    Args:
        alone: the role that needs no label if it stands alone: "user" for a prompt, "assistant" for an answer.

    >>> as_text([Turn("user", "Name a prime.")])
    'Name a prime.'
    >>> as_text([Turn("user", "Name a prime."), Turn("assistant", "7"), Turn("user", "Another?")])
    'User: Name a prime.\\n\\nAssistant: 7\\n\\nUser: Another?'
    """
    if len(turns) != 1 or turns[0].role != alone:
        return _labelled(turns)
    text = turns[0].text
    return "\\" + text if _reads_like_a_chat(text.lstrip("\\"), alone) else text


def as_turns(text: str, alone: str = USER) -> list[Turn]:
    """Return the chat that `as_text` made a text of; any other text is one message of the role `alone`.

    `as_text(as_turns(text))` is `text`, whatever it is.

    >>> as_turns("Name a prime.")
    [Turn(role='user', text='Name a prime.')]
    >>> as_turns("User: Name a prime.\\n\\nAssistant: 7\\n\\nUser: Another?")[1:]
    [Turn(role='assistant', text='7'), Turn(role='user', text='Another?')]
    """
    bare = text.lstrip("\\")
    if _reads_like_a_chat(bare, alone):
        return _split(text) if bare == text else [Turn(alone, text[1:])]
    return [Turn(alone, text)]


def read_messages(value: Any) -> list[Turn]:
    """Return the turns of a list of `{"role": …, "content": …}`, or `{"from": …, "value": …}`; a system message without text is dropped.

    Content may be a list of parts, `{"type": "text", "text": …}`.

    Raises:
        Unreadable: something else, an unknown role, or a part that is no text.
    """
    messages = [value] if isinstance(value, dict) else value
    if not isinstance(messages, list) or not messages:
        raise Unreadable(f'not a list of messages: {shorten(str(value))}; write [{{"role": "user", "content": "..."}}]')
    turns = []
    for message in messages:
        if not isinstance(message, dict) or not (
            {"role", "content"} <= message.keys() or {"from", "value"} <= message.keys()
        ):
            raise Unreadable(f'not a message: {shorten(str(message))}; write {{"role": "user", "content": "..."}}')
        given, content = (
            (message["role"], message["content"]) if "role" in message else (message["from"], message["value"])
        )
        role = _ROLES.get(str(given).lower())
        if role is None:
            raise Unreadable(f"unknown role {shorten(str(given))}; write one of {', '.join(_ROLES)}")
        text = _text_of(content)
        if text.strip() or role != "system":
            turns.append(Turn(role, text))
    if not turns:
        raise Unreadable("no message with a text; write at least one")
    return turns


def are_messages(value: Any) -> bool:
    """Say whether a value is a list of messages, or one message, with roles that `read_messages` knows.

    >>> are_messages([{"role": "user", "content": "Hi"}]), are_messages([{"role": "admin", "content": "Hi"}]), are_messages(["Hi"])
    (True, False, False)
    """
    messages = value if isinstance(value, list) else [value]
    pairs = [
        (one.get("role", one.get("from")), "content" in one or "value" in one)
        for one in messages
        if isinstance(one, dict)
    ]
    return (
        bool(messages)
        and len(pairs) == len(messages)
        and all(isinstance(role, str) and role.lower() in _ROLES and told for role, told in pairs)
    )


def read_dialogue(text: str) -> list[Turn] | None:
    """Return the turns of a dialogue that is written as one text, or None if `text` is not one.

    >>> read_dialogue("\\n\\nHuman: Hi!\\n\\nAssistant:")
    [Turn(role='user', text='Hi!'), Turn(role='assistant', text='')]
    >>> read_dialogue("p\\n<extra_id_1>Assistant\\nq\\n<extra_id_1>User\\nr")[1:]  # HelpSteer2, which has no mark before the first turn
    [Turn(role='assistant', text='q'), Turn(role='user', text='r')]
    """
    if len(turns := as_turns(text)) > 1:
        return turns
    for mark in _MARKS:
        first, *pieces = mark.split(text.strip())
        roles = [_ROLES.get(role.lower(), "") for role in pieces[::2]]
        if not first.strip() and ASSISTANT in roles[1:] and roles[0] in _BEGINS[USER]:
            turns = [Turn(role, _ENDS.sub("", said).strip()) for role, said in zip(roles, pieces[1::2], strict=True)]
            return [turn for turn in turns if turn.text or turn.role != "system"] if "" not in roles else None
    first, *pieces = _HELPSTEER_TURN.split(text)
    if pieces:
        return [
            Turn(USER, first),
            *(Turn(_ROLES[role.lower()], said) for role, said in zip(pieces[::2], pieces[1::2], strict=True)),
        ]
    return None


def common_turns(chats: Sequence[list[Turn]]) -> int:
    """Return with how many equal turns all chats begin; each keeps at least one of its own."""
    most = max(min(map(len, chats)) - 1, 0)
    return next((i for i in range(most) if any(chat[i] != chats[0][i] for chat in chats)), most)


def common_words(one: str, other: str) -> int:
    """Return where the common beginning of two texts ends, between words; each text keeps at least a word.

    >>> common_words("The sky is blue.", "The sky is black.")
    10
    """
    limit = min(len(one.rstrip()), len(other.rstrip()))
    end = next((i for i in range(limit) if one[i] != other[i]), max(limit - 1, 0))
    while end and not (one[end].isspace() and other[end].isspace()):
        end -= 1
    return end


def _labelled(turns: list[Turn]) -> str:
    return "\n\n".join(f"{turn.role.capitalize()}: " + _LIKE_A_TURN.sub(r"\\", turn.text) for turn in turns)


def _split(text: str) -> list[Turn]:
    """Undo `_labelled`."""
    _, *pieces = _TURN.split(text)
    return [
        Turn(label[:-2].lower(), _ESCAPED.sub("", said)) for label, said in zip(pieces[::2], pieces[1::2], strict=True)
    ]


def _reads_like_a_chat(text: str, alone: str) -> bool:
    """Whether `as_text` writes this text for a chat that is more than one message of the role `alone`."""
    if not _TURN.match(text):
        return False
    turns = _split(text)
    if any(turn.role == "system" and not turn.text.strip() for turn in turns):  # which `read_messages` drops
        return False
    return turns[0].role in _BEGINS[alone] and (len(turns) > 1 or turns[0].role != alone) and _labelled(turns) == text


def _text_of(content: Any) -> str:
    parts = content if isinstance(content, list) else [{"text": "" if content is None else content}]
    if not all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in parts):
        raise Unreadable(f"content that is not text: {shorten(str(content))}; leave the row out")
    return "\n\n".join(part["text"] for part in parts)
