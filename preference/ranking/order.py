"""What a person types to rank: `2 1 4 3` or `2143`, `2 1=4 3` for ties, `2 1` if the rest tie below, `=` if all do."""

import re
from collections.abc import Sequence

from preference.errors import InputError
from preference.wording import shorten


def parse_order(line: str, count: int) -> list[int]:
    """Return the rank of each of `count` answers: 1 is best, ties share a rank, the next rank follows without a gap.

    Those that are not named tie below the others. Numbers may be run together where `count` is below 10.

    >>> parse_order("2 1=4 3", 4), parse_order("2 1", 4), parse_order("=", 4)
    ([2, 1, 3, 2], [2, 1, 3, 3], [1, 1, 1, 1])
    """
    text = re.sub(r"\s*=\s*", "=", line.replace(",", " ").replace(">", " ").strip())
    if text == "=":
        return [1] * count
    if not re.fullmatch(r"[0-9=\s]+", text):
        ways = f"write the numbers best first, like {example(count)}, or ? for help"
        raise InputError(f"{shorten(line.strip())} is not a ranking: {ways}")
    if count < 10:
        text = re.sub(r"(?<=[0-9])(?=[0-9])", " ", text)
    groups = [group.split("=") for group in text.split()]
    if any("" in group for group in groups):
        raise InputError("write '=' between two numbers that tie, like 1=2")
    ranks: dict[str, int] = {}
    for rank, group in enumerate(groups, 1):
        for number in (number.lstrip("0") or "0" for number in group):
            if number not in map(str, range(1, count + 1)):
                raise InputError(f"no answer {shorten(number)[1:-1]}; answers are numbered 1 to {count}")
            if number in ranks:
                raise InputError(f"answer {number} is listed twice; name every answer once")
            ranks[number] = rank
    return [ranks.get(str(n), len(groups) + 1) for n in range(1, count + 1)]


def example(count: int) -> str:
    """Return a line that ranks `count` answers, for messages.

    >>> example(4), example(12)
    ('2 3 4 1', '2 3 … 12 1')
    """
    numbers = [str(n) for n in [*range(2, count + 1), 1]]
    return " ".join(numbers if count < 10 else [*numbers[:2], "…", *numbers[-2:]])


def format_order(ranks: Sequence[int]) -> str:
    """Return the line that gives these ranks.

    >>> format_order([2, 1, 3, 2])
    '2 1=4 3'
    """
    return " ".join("=".join(str(i + 1) for i, r in enumerate(ranks) if r == rank) for rank in sorted(set(ranks)))
