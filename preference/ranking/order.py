"""What a person types to rank: `2 1 4 3` or `2143` best first, `2 1=4 3` for ties, `2 1` when the rest tie below, `=` when all do."""

import re

from preference.wording import shorten


class OrderError(ValueError):
    """A line that is not a ranking; the text says what is wrong."""


def parse_order(line: str, count: int) -> list[int]:
    """Return the rank of each of `count` candidates (1 = best, ties share a rank, the next rank follows without a gap).

    Those that are not named tie below the others; `=` alone ties all. Numbers may be run together while `count` is below 10.

    Raises:
        OrderError: anything but numbers, spaces and `=`; a number that is repeated or out of range.

    >>> parse_order("2 1=4 3", 4)
    [2, 1, 3, 2]
    >>> parse_order("2 1", 4)
    [2, 1, 3, 3]
    >>> parse_order("=", 4)
    [1, 1, 1, 1]
    """
    text = re.sub(r"\s*=\s*", "=", line.replace(",", " ").replace(">", " ").strip())
    if text == "=":
        return [1] * count
    if not re.fullmatch(r"[0-9=\s]+", text):
        raise OrderError(
            f"{shorten(line.strip())} is not a ranking: write the numbers best first, like {example(count)}, or ? for help"
        )
    groups = [group.split("=") for group in text.split()]
    if any(number == "" for group in groups for number in group):
        raise OrderError("write '=' between two numbers that tie, like 1=2")
    if count < 10:
        groups = [one for group in groups for one in _run_together(group)]
    ranks: dict[str, int] = {}
    for rank, group in enumerate(groups, 1):
        for number in (number.lstrip("0") for number in group):
            if number not in map(str, range(1, count + 1)):
                raise OrderError(f"no answer {shorten(number or '0')[1:-1]}; answers are numbered 1 to {count}")
            if number in ranks:
                raise OrderError(f"answer {number} is listed twice; name every answer once")
            ranks[number] = rank
    return [ranks.get(str(n), len(groups) + 1) for n in range(1, count + 1)]


def example(count: int) -> str:
    """Return a line that ranks `count` answers, for messages.

    >>> example(4), example(12)
    ('2 3 4 1', '2 3 … 12 1')
    """
    numbers = [str(n) for n in [*range(2, count + 1), 1]]
    return " ".join(numbers if count < 10 else [*numbers[:2], "…", *numbers[-2:]])


def format_order(ranks: list[int]) -> str:
    """Return the line that gives these ranks.

    >>> format_order([2, 1, 3, 2])
    '2 1=4 3'
    """
    return " ".join("=".join(str(i + 1) for i, r in enumerate(ranks) if r == rank) for rank in sorted(set(ranks)))


def _run_together(group: list[str]) -> list[list[str]]:
    """Split numbers written together, below 10: ["21", "43"] of `21=43` means 2, then 1 and 4 tied, then 3."""
    groups: list[list[str]] = []
    for number in group:
        digits = [[digit] for digit in number]
        if groups and digits:
            groups[-1] += digits.pop(0)
        groups += digits
    return groups
