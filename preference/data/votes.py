"""What a vote says: which of the answers to a prompt won."""

import re
from collections.abc import Sequence
from typing import Any

from preference.data.dialogues import Unreadable
from preference.data.roles import SIDES, Roles, plain_name
from preference.data.values import NoComparison, Record, number, opened, says_nothing, text_of
from preference.wording import shorten

_TIES = re.compile(r"(tie|tied|both|bothbad|equal|equally|same|draw|neither|none|even|no_preference)(_|$)")
_COMPARED = re.compile(r"\W*(\w+)\s*(>+|<+|=+)\s*(\w+)\W*")  # A>B


def read_vote(
    value: Any, roles: Roles, names: Sequence[str], answers: Sequence[str], record: Record
) -> list[float | None]:
    """Return ranks from a vote: 1 for the answers that won, 2 for the others; or from a number between the two `roles.ends`.

    A vote names an answer by its number, letter, side or id, by the name of its column or of the model, by its text, or says `A>B`.

    Raises:
        NoComparison: there is none.
        Unreadable: it is none of these.
    """
    won = opened(value)
    if says_nothing(value) or won == []:
        raise NoComparison("no vote")
    if roles.ends and (given := number(value)) is not None:
        if given == 0 and roles.ends == (1, 2):  # AlpacaFarm
            return [1.0, 1.0]
        if not min(roles.ends) <= given <= max(roles.ends):
            raise Unreadable(
                f"{roles.said[0]} is {shorten(str(value))}; it must be from {min(roles.ends):g} to {max(roles.ends):g}"
            )
        return [*(abs(given - end) for end in roles.ends)]
    winners = {_winner(one, roles, names, answers, record) for one in (won if isinstance(won, list) else [value])}
    return [1.0 if i in winners or -1 in winners else 2.0 for i in range(len(answers))]


def _winner(value: Any, roles: Roles, names: Sequence[str], answers: Sequence[str], record: Record) -> int:
    """Return the position of the answer that a vote names, or -1 for a tie."""
    text = text_of(value)
    if roles.first and len(answers) == 2 and not _TIES.match(plain_name(text)):
        return 0 if text.casefold() == roles.first.strip().casefold() else 1
    for i, answer in enumerate(answers):
        if text and (text == answer.strip() or (i < len(names) and text.casefold() == names[i].casefold())):
            return i
    for column in roles.models:
        if text and text == text_of(record.get(column)):
            return roles.models.index(column)
    if _TIES.match(plain_name(text)):
        return -1
    if compared := _COMPARED.fullmatch(text):
        one, sign, other = compared.groups()
        return -1 if "=" in sign else _winner(one if ">" in sign else other, roles, names, answers, record)
    words = plain_name(text).split("_")
    named = {names.index(word) for word in words if word in names} or {SIDES[word] for word in words if word in SIDES}
    if len(named) == 1 and (found := named.pop()) < len(answers):
        return found
    raise Unreadable(f"{roles.said[0]} is {shorten(str(value))}; write one of {', '.join(names)}, tie")
