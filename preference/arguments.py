"""Command-line arguments: types that have a range, help that shows the defaults, and commands to type next."""

import argparse
import sys
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from preference.console import filled, width
from preference.scripts import fail
from preference.wording import as_command

SCRIPTS = Path(__file__).resolve().parent.parent  # the folder in which they lie
MOST = 10**9

Settings = TypeVar("Settings")


class Parser(argparse.ArgumentParser):
    """Says what it refuses as other errors are said, below the usage."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(fail(f"{self.prog}: error: {message}"))


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows every default but None, whose meaning the help text says; the usage leaves the flags to the list below
    it."""

    def __init__(self, prog: str):
        super().__init__(prog, width=width())

    def _format_usage(self, usage, actions, groups, prefix) -> str:
        places = [action for action in actions if not action.option_strings]
        names = [self._format_args(action, action.metavar or action.dest) for action in places]
        return super()._format_usage(" ".join(["%(prog)s [options]", *names]), actions, groups, prefix)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return filled(" ".join(text.split()), width).split("\n")

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return filled(" ".join(text.split()), width)

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


def settings_from(kind: type[Settings], args: argparse.Namespace) -> Settings:
    """Return a settings dataclass of type `kind`, each field from the argument of the same name, where there is one."""
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: getattr(args, name) for name in names if hasattr(args, name)})


def command_line(script: str, words: Iterable[str]) -> str:
    """Return a shell command that runs `script`, named with its path if it lies in another folder than the current
    one."""
    return as_command(["python", script if Path.cwd() == SCRIPTS else str(SCRIPTS / script), *words])


def file_name(text: str) -> str:
    """An argparse type: the name of a file or a folder. An empty one, as of an unset variable, would be the current
    folder."""
    if not text:
        raise argparse.ArgumentTypeError("must be a name, not ''")
    return text


def file_path(text: str) -> Path:
    """An argparse type: see `file_name`."""
    return Path(file_name(text))


def _ranged(read: Callable[[str], Any], name: str, *ranges: tuple[Callable[[Any], bool], str]) -> Callable[[str], Any]:
    """Return an argparse type that reads a number and refuses what one of `ranges` does not hold; `name` is for what is
    none."""

    def check(text: str) -> Any:
        """Read the number."""
        number = read(text)
        for holds, words in ranges:
            if not holds(number):
                raise argparse.ArgumentTypeError(f"must be {words}, not {text}")
        return number

    check.__name__ = name
    return check


def at_least(least: int, most: int = MOST) -> Callable[[str], int]:
    """Return an argparse type: a whole number from `least` to `most`."""
    ranges = (lambda number: number >= least, f"at least {least}"), (lambda number: number <= most, f"at most {most}")
    return _ranged(int, "whole number", *ranges)


def above(limit: float, most: float = MOST) -> Callable[[str], float]:
    """Return an argparse type: a number above `limit`, and at most `most`."""
    ranges = (lambda number: number > limit, f"above {limit:g}"), (lambda number: number <= most, f"at most {most:g}")
    return _ranged(float, "number", *ranges)


def from_to(least: float, most: float, *, below: bool = False) -> Callable[[str], float]:
    """Return an argparse type: a number from `least` to `most`, or to below `most`."""
    words = f"from {least:g} to {'below ' if below else ''}{most:g}"
    return _ranged(float, "number", (lambda number: least <= number <= most and not (below and number == most), words))


random_seed = at_least(0, 2**32 - 1)  # what NumPy takes
