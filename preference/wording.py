"""Words for messages: counts before nouns, long texts cut short, long lists named in part."""

from collections.abc import Iterable


def counted(number: int, noun: str) -> str:
    """Put a number before its noun.

    >>> counted(1, "prompt"), counted(0, "prompt")
    ('1 prompt', '0 prompts')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def as_size(size: float) -> str:
    """Return a number of bytes in MB or GB.

    >>> as_size(2_500_000), as_size(1_234_000_000)
    ('2.5 MB', '1.2 GB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def shorten(value: str, width: int = 60) -> str:
    """Return `value` in quotes, on one line, cut at `width` characters."""
    return repr(value if len(value) <= width else value[: width - 3] + "...")


def name_some(items: Iterable[str], most: int = 3) -> str:
    """Join the first few items and count the rest.

    >>> name_some("abcde")
    'a, b, c and 2 more'
    """
    items = list(items)
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")
