"""What scripts print: as wide as the terminal, with control characters escaped."""

import os
import sys
import textwrap
from typing import TYPE_CHECKING, TextIO

from preference.wording import plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

NARROWEST, WIDEST, IN_A_PIPE = 40, 120, 100  # columns


def width(stream: TextIO | None = None, least: int = NARROWEST) -> int:
    """Return how many columns to use on `stream` (default: standard output): the terminal's, else $COLUMNS or 100."""
    try:
        columns = os.get_terminal_size((stream or sys.stdout).fileno()).columns
    except (OSError, ValueError, AttributeError):  # no terminal, or no file
        wanted = os.environ.get("COLUMNS", "")
        columns = int(wanted) if wanted.isdecimal() else IN_A_PIPE
    return max(least, min(WIDEST, columns or IN_A_PIPE))  # 0: a terminal that does not know


def filled(text: str, columns: int, *, hanging: int = 0) -> str:
    """Break each line of `text` at spaces, and indent what follows by `hanging`; a word that is longer stays whole."""
    options = {"subsequent_indent": " " * hanging, "break_long_words": False, "break_on_hyphens": False}
    return "\n".join(textwrap.fill(line, columns, **options) for line in text.split("\n"))  # type: ignore[arg-type]


def fitted(text: str, columns: int) -> str:
    """Return `text` on one line, escaped, and cut to `columns`; wide characters count as two.

    >>> fitted("one  two\\nthree", 9)
    'one two …'
    """
    from rich.text import Text

    line = Text(plain(" ".join(text.split())))
    line.truncate(columns, overflow="ellipsis")
    return line.plain


def say(text: object = "", *, wrap: bool = True, hanging: int = 0, to: TextIO | None = None) -> None:
    """Print text of any origin: escaped, at once, and broken at spaces to the width of the terminal.

    On standard error a message stays one line where that is no terminal, as an error does.

    Args:
        wrap: False for what is copied and pasted, as a command is.
        hanging: by how much the lines after the first are indented.
    """
    wrap = wrap and (to is not sys.stderr or to.isatty())
    shown = plain(text)
    print(filled(shown, width(to), hanging=hanging) if wrap else shown, file=to, flush=True)


def make_console(*, stderr: bool = False, least: int = NARROWEST) -> "Console":
    """Return a rich console of the width to use, in colour only if that is wanted; texts are printed as they are."""
    from rich.console import Console

    class PlainConsole(Console):
        def on_broken_pipe(self) -> None:
            raise  # what was caught; rich would end the process with another status

    stream = sys.stderr if stderr else sys.stdout
    return PlainConsole(stderr=stderr, width=width(stream, least), highlight=False, markup=False, emoji=False)


def make_bar(title: str) -> "Progress":
    """Return a progress bar on standard error, where that is a terminal: steps, time left, the task's description."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = title, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), "{task.description}"
    terminal = make_console(stderr=True)
    return Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal)
