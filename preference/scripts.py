"""What every script shares: its arguments and their types, commands to type next, and how it ends, whatever happens."""

import argparse
import contextlib
import errno
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import field, fields
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from preference.console import filled, width
from preference.errors import InputError
from preference.wording import flag_with, plain

SCRIPTS = Path(__file__).resolve().parent.parent  # the folder in which they lie
MOST = 10**9
FAILED, INTERRUPTED, BROKEN_PIPE = 2, 130, 141  # the last two as shells count what a signal ended

_stops: list[int] = []  # Ctrl-C that was typed at the terminal
Main = Callable[[Sequence[str] | None], int]
Settings = TypeVar("Settings")


class Parser(argparse.ArgumentParser):
    """Says what it refuses as other errors are said, below the usage."""

    def __init__(self, prog: str, description: str, **options: Any):
        super().__init__(prog=prog, description=description, formatter_class=HelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(fail(f"{self.prog}: error: {message}"))

    def given(self, args: argparse.Namespace, *names: str) -> list[str]:
        """Return the arguments of `names` that differ from their defaults, as words of a command."""
        words = []
        for name in names:
            flag, value = _flag(name), getattr(args, name)
            if value != self.get_default(name):
                is_switch, off = isinstance(value, bool), f"--no-{flag[2:]}"
                words += [flag if value else off] if is_switch else flag_with(flag, value)
        return words


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows every default but None, whose meaning the help text says; the usage does not list the flags."""

    def __init__(self, prog: str):
        super().__init__(prog, width=width())

    def _format_usage(self, usage, actions, groups, prefix) -> str:
        places = [action for action in actions if not action.option_strings]
        names = [self._format_args(action, action.metavar or action.dest) for action in places]
        return super()._format_usage(" ".join(["%(prog)s [options]", *names]), actions, groups, prefix)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return self._fill_text(text, width, "").split("\n")

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return filled(" ".join(text.split()), width)

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


def setting(default: Any, kind: Callable | None, help_text: str, *, group: str = "", **options: Any) -> Any:
    """Return a field of a settings dataclass that is a flag, too: its title in `--help`, and what argparse takes."""
    options |= {"type": kind} if kind else {}
    return field(default=default, metadata={"group": group, "argument": {"help": help_text, **options}})


def add_settings(parser: argparse.ArgumentParser, *kinds: type, without: str = "") -> None:
    """Add the flags of settings dataclasses to `parser`, each under the title of its group, but for one group."""
    places: dict[str, Any] = {"": parser}
    for each in [each for kind in kinds for each in fields(kind) if each.metadata]:
        group = each.metadata["group"]
        if not group or group != without:
            place = places.get(group) or places.setdefault(group, parser.add_argument_group(group))
            place.add_argument(_flag(each.name), default=each.default, **each.metadata["argument"])


def settings_from(kind: type[Settings], args: argparse.Namespace, **others: Any) -> Settings:
    """Return a settings dataclass of type `kind`, each field from the argument of the same name, where there is one."""
    names = [each.name for each in fields(kind) if each.name in args]  # type: ignore[arg-type]
    return kind(**{name: getattr(args, name) for name in names}, **others)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def command_line(script: str, words: Iterable[str]) -> str:
    """Return a shell command that runs `script`, with its path if it does not lie in the current folder."""
    return shlex.join(["python", script if Path.cwd() == SCRIPTS else str(SCRIPTS / script), *words])


def _ranged(kind: type, ranges: dict[str, Callable[[Any], bool]]) -> Callable[[str], Any]:
    """Return an argparse type that reads a number, and refuses one outside a range in its words."""

    def check(text: str) -> Any:
        """Read the number."""
        number = kind(text)
        for words, holds in ranges.items():
            if not holds(number):
                raise argparse.ArgumentTypeError(f"must be {words}, not {text}")
        return number

    check.__name__ = "whole number" if kind is int else "number"  # argparse says it of what is none
    return check


def at_least(least: int, most: int = MOST) -> Callable[[str], int]:
    """Return an argparse type: a whole number from `least` to `most`."""
    return _ranged(int, {f"at least {least}": lambda n: n >= least, f"at most {most}": lambda n: n <= most})


def above(limit: float, most: float = MOST) -> Callable[[str], float]:
    """Return an argparse type: a number above `limit`, and at most `most`."""
    return _ranged(float, {f"above {limit:g}": lambda n: n > limit, f"at most {most:g}": lambda n: n <= most})


def from_to(least: float, most: float, *, below: bool = False) -> Callable[[str], float]:
    """Return an argparse type: a number from `least` to `most`, or to below `most`."""
    words = f"from {least:g} to {'below ' if below else ''}{most:g}"
    return _ranged(float, {words: lambda n: least <= n <= most and not (below and n == most)})


random_seed = at_least(0, 2**32 - 1)  # what NumPy takes


def run_script(main: Main) -> NoReturn:
    """Run a script with the arguments of this process, and end the process with its status."""
    if sys.stdin and sys.stdin.isatty():  # even where Ctrl-C was ignored by what started it
        signal.signal(signal.SIGINT, _stop)
    status = call(main)
    if status == INTERRUPTED:
        os._exit(status)  # at once: Python takes seconds to take a loaded model and its libraries apart
    raise SystemExit(status)


def call(main: Main, argv: Sequence[str] | None = None) -> int:
    """Call a script's `main` and return its exit status.

    An InputError or an OSError becomes `error: ...` on standard error and status 2, Ctrl-C `stopped` (with what the
    KeyboardInterrupt says) and 130. A reader of standard output that has gone away is no error: status 141, silently.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # what the terminal's encoding lacks becomes a question mark
    try:
        status = main(argv)
        sys.stdout.flush()
        return status
    except (Exception, KeyboardInterrupt) as error:
        if stop := interrupt_in(error):
            return _say_stopped(str(stop))
        if isinstance(error, InputError):
            return fail(f"error: {error}")
        if not isinstance(error, OSError):
            raise
        if error.filename is None:
            _drop_output()
        if isinstance(error, BrokenPipeError):
            return BROKEN_PIPE
        where = error.filename or ("standard output" if error.errno == errno.ENOSPC else "")
        return fail(f"error: {where}{': ' if where else ''}{error.strerror or error}")


def _drop_output() -> None:
    """Send standard output to nowhere: what waits in its buffer would fail once more when Python ends."""
    with contextlib.suppress(OSError, ValueError):  # no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stop(signum: int, frame: object) -> NoReturn:
    _stops.append(signum)
    raise KeyboardInterrupt


def interrupt_in(error: BaseException | None) -> KeyboardInterrupt | None:
    """Return the Ctrl-C that `error` is, or that a library made `error` of, as in the middle of an import."""
    while error:
        if isinstance(error, KeyboardInterrupt):
            return error
        error = error.__cause__ or error.__context__
    return KeyboardInterrupt() if _stops else None  # what C code was importing says something else


def in_thread(work: Callable[[], Any], seconds: float | None = None) -> Any:
    """Return what `work` returns, at most after `seconds`; Ctrl-C ends the waiting, and breaks nothing in between."""
    outcome: Future = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # handed to the caller
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome.result(timeout=seconds)


def fail(message: str, status: int = FAILED) -> int:
    """Print `message` on standard error, broken to the width of a terminal but one line in a pipe; return `status`."""
    text = plain(message)
    with contextlib.suppress(OSError):
        print(filled(text, width(sys.stderr)) if sys.stderr.isatty() else text, file=sys.stderr, flush=True)
    return status


def _say_stopped(why: str) -> int:
    text, _, command = why.partition("\n")
    fail(f"\nstopped; {text}" if text else "\nstopped")
    with contextlib.suppress(OSError):
        if command:
            print(plain(command), file=sys.stderr, flush=True)  # to be copied: it is not broken
        sys.stdout.flush()
    return INTERRUPTED
