"""The terminal side of ranking: boxes, one line of input at a time, the editor."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from preference.ranking.session import SessionCounts, Shown
from preference.wording import counted, plain, shorten

NARROWEST, WIDEST = 40, 200
BOX = 4  # columns that a box takes from its text
PROMPT_LINES, REMINDER_LINES = 3, 2  # of a long prompt, above folded answers and below them


class EndOfInput(Exception):
    """Ctrl-C (`interrupted`), Ctrl-D, or the end of a pipe."""

    def __init__(self, interrupted: bool = False):
        self.interrupted = interrupted


def make_console() -> Console:
    """Return a console as wide as the terminal, from 40 to 200 columns, in colour only if that is wanted."""
    console = Console(highlight=False, markup=False, emoji=False)
    console.size  # noqa: B018  (reads the terminal's size now, so that a failure shows here)
    return console


def width_of(console: Console) -> int:
    """Return the width to use: the terminal's, from 40 to 200 columns."""
    return max(NARROWEST, min(WIDEST, console.width))


def show_prompt(console: Console, shown: Shown, counts: SessionCounts, notice: str = "") -> None:
    """Show a prompt, its numbered answers and a notice, on a clean screen if the terminal can clear it.

    Where the terminal is not high enough, long answers are folded to what fits, each box says how many lines it lacks,
    and the prompt is repeated in short above the line of input. In a pipe nothing is folded.
    """
    width, notice = width_of(console), plain(notice)
    group = f" · group {shorten(shown.group, 30)}" if shown.group else ""
    screen = console.is_terminal and not console.is_dumb_terminal
    prompt, answers = _wrap(console, shown.prompt, width), [_wrap(console, answer, width - BOX) for answer in shown.answers]
    lengths, free = [len(lines) for lines in answers], console.height - 2 - len(_wrap(console, notice, width)) * bool(notice)
    folded = screen and len(prompt) + sum(lengths) + 2 * len(answers) > free  # the other two lines: the counts and the input
    if folded:
        prompt_lines = min(len(prompt), PROMPT_LINES)
        free -= prompt_lines + min(len(prompt), REMINDER_LINES) + 2 * len(answers)
        lengths = share_lines(lengths, free)
    else:
        prompt_lines = len(prompt)

    if screen:
        console.clear()
    else:
        console.print()
    console.print(Text(counts_line(counts) + group, style="dim"), width=width)
    console.print(_joined(prompt, prompt_lines, "bold"), width=width)
    for number, (lines, length) in enumerate(zip(answers, lengths, strict=True), 1):
        show_box(console, number, lines[:length], hidden=len(lines) - length)
    if notice:
        console.print(notice, width=width)
    if folded:
        show_reminder(console, shown.prompt)


def show_answer(console: Console, number: int, answer: str) -> None:
    """Show one answer whole."""
    show_box(console, number, _wrap(console, answer, width_of(console) - BOX))


def show_box(console: Console, number: int, lines: list[Text], hidden: int = 0) -> None:
    """Show the lines of an answer in a box with its number, and say how many more lines there are."""
    panel = Panel(
        _joined(lines, len(lines)),
        title=Text(f" {number} ", style="bold cyan"),
        title_align="left",
        subtitle=f"… {counted(hidden, 'more line')}, v {number} shows it whole" if hidden else None,
        subtitle_align="left",
        width=width_of(console),
        box=box.ROUNDED,
    )
    console.print(panel, width=width_of(console))


def show_reminder(console: Console, prompt: str) -> None:
    """Repeat a prompt above the line of input, in at most two lines."""
    if console.is_terminal:
        console.print(_joined(_wrap(console, prompt, width_of(console)), REMINDER_LINES, "bold"), width=width_of(console))


def share_lines(lengths: list[int], lines: int) -> list[int]:
    """Share `lines` lines of the screen among answers of these lengths: short ones are whole, long ones get equal parts.

    Each gets at least one line.

    >>> share_lines([2, 10, 30], 20)
    [2, 9, 9]
    """
    shares = [0] * len(lengths)
    for done, i in enumerate(sorted(range(len(lengths)), key=lambda i: lengths[i])):
        shares[i] = min(lengths[i], max(1, lines // (len(lengths) - done)))
        lines -= shares[i]
    return shares


def _wrap(console: Console, text: str, width: int) -> list[Text]:
    return list(Text(plain(text)).wrap(console, width))


def _joined(lines: list[Text], most: int, style: str = "") -> Text:
    """Join wrapped lines; where there are more than `most`, the last one ends with an ellipsis."""
    text = Text("\n", style=style, no_wrap=True).join(lines[:most])
    if len(lines) > most:
        text.right_crop(min(2, len(lines[most - 1])))
        text.append(" …")
    return text


def show_order(console: Console, answers: list[str], ranks: list[int]) -> None:
    """Show a ranking as it was understood, best first, one line per answer."""
    for number in sorted(range(len(ranks)), key=lambda i: ranks[i]):
        tie = " (tie)" if ranks.count(ranks[number]) > 1 else ""
        text = " ".join(plain(answers[number]).split())
        line = Text(f"  rank {ranks[number]}{tie}: [{number + 1}] {text}")
        line.truncate(width_of(console), overflow="ellipsis")
        console.print(line, no_wrap=True)


def counts_line(counts: SessionCounts) -> str:
    """Return the line above every prompt.

    >>> counts_line(SessionCounts(done=3, left=7, skipped=1, median_seconds=12.0))
    'done 3 · left 7 · skipped 1 · 12 s per prompt (median) · about 1.4 min left'
    """
    line = f"done {counts.done} · left {counts.left} · skipped {counts.skipped}"
    seconds = counts.seconds_left
    if counts.median_seconds is None or seconds is None:
        return line
    left = f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
    return f"{line} · {counts.median_seconds:.0f} s per prompt (median) · about {left} left"


def ask(question: str, *, on_resize: Callable[[], object] | None = None) -> str:
    """Read one line from the person or the pipe, without its line end.

    When the terminal changes its size, `on_resize` shows the screen again; what was typed so far stays.

    Raises:
        EndOfInput: Ctrl-C, Ctrl-D, or the end of the pipe.
    """
    readline, typed = _line_editor(), ""
    with _watch_resizes(bool(on_resize) and sys.stdin.isatty()) as size:
        try:
            while True:
                if readline and typed:
                    readline.set_startup_hook(lambda text=typed: readline.insert_text(text))
                try:
                    return _read_line(question, size)
                except _Resized:
                    typed = readline.get_line_buffer() if readline else ""
                size.changed = False
                if on_resize:
                    on_resize()
        except (EOFError, KeyboardInterrupt) as end:
            print()
            raise EndOfInput(isinstance(end, KeyboardInterrupt)) from None
        finally:
            if readline:
                readline.set_startup_hook(None)


def _line_editor() -> ModuleType | None:
    if not sys.stdin.isatty():
        return None
    try:
        import readline
    except ImportError:  # Windows has none
        return None
    return readline


class _Resized(Exception):
    """Leaves `_read_line`; raised nowhere else."""


def _read_line(question: str, size: SimpleNamespace) -> str:
    if size.changed:  # before this call, perhaps while the screen was being shown; from here on the signal interrupts
        raise _Resized
    return input(question)


@contextlib.contextmanager
def _watch_resizes(wanted: bool) -> Iterator[SimpleNamespace]:
    """Set `changed` when the terminal changes its size, and interrupt the wait for input, but no other code."""
    size = SimpleNamespace(changed=False)

    def note(number, frame) -> None:
        size.changed = True
        if frame is not None and frame.f_code is _read_line.__code__:
            raise _Resized

    if not wanted or not hasattr(signal, "SIGWINCH"):
        yield size
        return
    previous = signal.signal(signal.SIGWINCH, note)
    try:
        yield size
    finally:
        signal.signal(signal.SIGWINCH, previous or signal.SIG_DFL)


def edit_text(text: str) -> str | None:
    """Let the person change `text` in $VISUAL or $EDITOR; return the new text, or None if the editor failed."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ("notepad" if os.name == "nt" else "vi")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answer.txt"
        path.write_text(text, encoding="utf-8")
        try:
            status = subprocess.run([*shlex.split(editor), str(path)]).returncode
        except (OSError, ValueError):
            return None
        return path.read_text(encoding="utf-8", errors="replace").strip() if status == 0 else None
