"""Words for messages: counts before nouns, texts cut short, lists named in part, control characters escaped."""

import unicodedata
from collections.abc import Iterable

_PICTURES = {code: 0x2400 + code for code in range(0x20) if code != ord("\n")} | {0x7F: "␡"}  # of control characters
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # categories
_HARMLESS = set("\n\u200c\u200d")  # the latter two shape letters and emoji


def counted(number: int, noun: str) -> str:
    """Put a number before its noun: 1 prompt, 0 prompts, 2,000 prompts."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def as_size(size: float) -> str:
    """Return a number of bytes in MB or GB, as in 2.5 MB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def shorten(value: str, width: int = 60) -> str:
    """Return `value` in quotes, on one line, cut at `width` characters."""
    return repr(value if len(value) <= width else value[: width - 3] + "...")


def name_some(items: Iterable[str], most: int = 3) -> str:
    """Join the first few items and count the rest: a, b, c and 2 more."""
    items = list(items)
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")


def plain(text: object) -> str:
    """Escape in text of unknown origin what a terminal would obey or hide.

    Control characters become their pictures (ESC is ␛), and invisible characters, such as bidirectional overrides,
    become their codes (\\u202e). Line ends stay, tabs become spaces.

    >>> plain("a\\x1b[31mb\\u202ec")
    'a␛[31mb\\\\u202ec'
    """
    shown = str(text).replace("\r\n", "\n").expandtabs(4).translate(_PICTURES)
    invisible = {character for character in shown if unicodedata.category(character) in _INVISIBLE} - _HARMLESS
    return shown.translate({ord(c): c.encode("unicode_escape").decode("ascii") for c in invisible})


def flag_with(name: str, value: object) -> list[str]:
    """Return a flag and its value as words of a command; one that looks like a flag is joined, as in --data=-my.csv."""
    return [f"{name}={value}"] if str(value).startswith("-") else [name, str(value)]
