"""The terminal side of ranking: boxes, one line of input at a time, what is pasted, the editor."""

import contextlib
import os
import select
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from preference.console import make_console, say
from preference.data.rankings import named_apart
from preference.ranking.session import SessionCounts, Shown
from preference.wording import counted, plain

NARROWEST = 12  # columns; words would be lost in boxes that are wider than the terminal
BOX = 4  # columns that a box takes from its text
PROMPT_LINES, REMINDER_LINES = 3, 2  # of a long prompt, above folded answers and below them
FASTER_THAN_TYPED = 0.03  # seconds between two lines of a paste, at most; a person takes longer
PASTED = "That came faster than anyone types, so it was ignored. Only w accepts pasted text."


class EndOfInput(Exception):
    """Ctrl-D, q, or the end of a pipe."""


def show_prompt(shown: Shown, counts: SessionCounts, notice: str = "") -> None:
    """Show a prompt, its numbered answers and a notice, on a clean screen if the terminal can clear it.

    Where the terminal is not high enough, long answers are folded to what fits, each box says how many lines it lacks,
    and the prompt is repeated in short above the line of input. In a pipe nothing is folded.
    """
    terminal, notice = make_console(least=NARROWEST), plain(notice)
    screen, prompt = terminal.is_terminal and not terminal.is_dumb_terminal, _wrap(terminal, shown.prompt)
    lengths, prompt_lines = [len(_wrap(terminal, answer, BOX)) for answer in shown.answers], len(prompt)
    # Two lines are for the counts and the input, two of each box for its frame.
    free = terminal.height - 2 - 2 * len(lengths) - len(_wrap(terminal, notice)) * bool(notice)
    if folded := screen and prompt_lines + sum(lengths) > free:
        prompt_lines = min(prompt_lines, PROMPT_LINES)
        lengths = share_lines(lengths, free - prompt_lines - min(len(prompt), REMINDER_LINES))

    terminal.clear() if screen else terminal.print()
    line = Text(counts_line(counts, named_apart(*shown.key[1:])), style="dim")
    terminal.print(line, no_wrap=True, overflow="ellipsis")
    terminal.print(_joined(prompt, prompt_lines, "bold", more=" … v shows it whole"))
    for number, (answer, length) in enumerate(zip(shown.answers, lengths, strict=True), 1):
        show_answer(number, answer, length)
    if notice:
        terminal.print(notice)
    if folded:
        show_reminder(shown.prompt)


def show_answer(number: int, answer: str, length: int | None = None) -> None:
    """Show an answer in a box with its number; of more than `length` lines say how many are missing."""
    terminal = make_console(least=NARROWEST)
    lines = _wrap(terminal, answer, BOX)
    text, hidden = _joined(lines[:length], len(lines)), len(lines[length:]) if length else 0
    title = Text(f" {number} ", style="bold cyan")
    more = f"… {counted(hidden, 'more line')}, v {number} shows it whole" if hidden else None
    terminal.print(Panel(text, title=title, title_align="left", subtitle=more, subtitle_align="left", box=box.ROUNDED))


def show_reminder(prompt: str) -> None:
    """Repeat a prompt above the line of input, in at most two lines."""
    terminal = make_console(least=NARROWEST)
    if terminal.is_terminal:
        terminal.print(_joined(_wrap(terminal, prompt), REMINDER_LINES, "bold"))


def share_lines(lengths: list[int], lines: int) -> list[int]:
    """Share `lines` lines among answers of these lengths: short ones are whole, long ones get equal parts, at least 1.

    >>> share_lines([2, 10, 30], 20)
    [2, 9, 9]
    """
    shares = [0] * len(lengths)
    for done, i in enumerate(sorted(range(len(lengths)), key=lambda i: lengths[i])):
        shares[i] = min(lengths[i], max(1, lines // (len(lengths) - done)))
        lines -= shares[i]
    return shares


def _wrap(terminal: Console, text: str, margin: int = 0) -> list[Text]:
    return list(Text(plain(text)).wrap(terminal, terminal.width - margin))


def _joined(lines: list[Text], most: int, style: str = "", more: str = " …") -> Text:
    """Join wrapped lines; where there are more than `most`, the last one ends with `more`."""
    text = Text("\n", style=style, no_wrap=True).join(lines[:most])
    if len(lines) > most:
        text.right_crop(min(len(more), len(lines[most - 1])))
        text.append(more)
    return text


def show_order(answers: list[str], ranks: list[int]) -> None:
    """Show a ranking as it was understood, best first, one line per answer."""
    for rank, number, answer in sorted(zip(ranks, range(1, len(ranks) + 1), answers, strict=True)):
        tie = " (tie)" if ranks.count(rank) > 1 else ""
        line = Text(f"  rank {rank}{tie}: [{number}] {' '.join(plain(answer).split())}")
        make_console(least=NARROWEST).print(line, no_wrap=True, overflow="ellipsis")


def counts_line(counts: SessionCounts, group: str = "") -> str:
    """Return the line above every prompt, what matters most first: a narrow screen cuts it.

    >>> counts_line(SessionCounts(done=3, left=7, skipped=1, median_seconds=12.0))
    'done 3 · left 7 · skipped 1 · 12 s per prompt (median) · about 1.4 min left'
    """
    line = f"done {counts.done} · left {counts.left} · skipped {counts.skipped}" + (f" · {group}" if group else "")
    if counts.median_seconds is None:
        return line
    seconds = counts.left * counts.median_seconds
    minutes = f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
    left = f"{seconds:.0f} s" if seconds < 60 else minutes
    return f"{line} · {counts.median_seconds:.0f} s per prompt (median) · about {left} left"


def ask(question: str) -> str:
    """Read one line from the person or the pipe, without its line end; raise EndOfInput where there is none.

    At a terminal, what was there before the question is thrown away, and several lines at once are refused: a rest of
    something pasted must not be taken for an answer.
    """
    while True:
        _throw_away()
        line = _ask_once(question)
        if not is_person() or not ("\n" in line.strip() or _more_is_waiting()):
            return line
        while _more_is_waiting():
            _throw_away()
        say(PASTED)


def ask_for_lines(question: str) -> str:
    """Read an answer from the person, who may paste several lines, or one line from the pipe; see `ask`.

    Terminals that mark what is pasted give it as one line of input with line ends in it; from others it comes as lines
    that follow each other at once.
    """
    _throw_away()
    lines = [_ask_once(question)]
    while is_person() and _more_is_waiting():
        lines.append(_ask_once(""))
    return "\n".join(lines).strip("\n").rstrip()


def is_person() -> bool:
    """Whether a person types, not a pipe."""
    return sys.stdin.isatty()


def prepare_input() -> None:
    """Let what is pasted arrive as text; undecodable input bytes become lone surrogates, which are rejected later."""
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="surrogateescape")
    with contextlib.suppress(ImportError):  # Windows has no readline
        if is_person():
            import readline

            readline.parse_and_bind("set enable-bracketed-paste on")  # line ends in a paste do not send it off


def _more_is_waiting() -> bool:
    return os.name != "nt" and bool(select.select([sys.stdin], [], [], FASTER_THAN_TYPED)[0])


def _throw_away() -> None:
    """Discard what waits at a terminal; what waits in a pipe stays."""
    with contextlib.suppress(ImportError, OSError):  # Windows has no termios
        import termios

        if is_person():
            termios.tcflush(sys.stdin, termios.TCIFLUSH)


def _ask_once(question: str) -> str:
    try:
        return input(question)
    except (EOFError, KeyboardInterrupt) as end:
        print()
        raise (EndOfInput if isinstance(end, EOFError) else KeyboardInterrupt) from None


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
        return path.read_text(encoding="utf-8", errors="replace").strip("\n").rstrip() if status == 0 else None
