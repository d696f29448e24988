"""Command-line arguments: types that have a range, help that shows the defaults, errors with control characters escaped, and commands to type next."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import NoReturn, TypeVar

from preference.console import filled, width
from preference.scripts import fail
from preference.wording import as_command

SCRIPTS = Path(__file__).resolve().parent.parent  # the folder in which they lie

Settings = TypeVar("Settings")


class Parser(argparse.ArgumentParser):
    """Refuses arguments that are not UTF-8, and says of every argument that it refuses what other errors say, below the usage."""

    def parse_known_args(self, args=None, namespace=None):
        for word in sys.argv[1:] if args is None else args:
            try:
                word.encode()
            except UnicodeEncodeError:
                self.error(
                    f"argument {ascii(os.fsencode(word))[1:]}: not UTF-8; rename the file, or type the text in UTF-8"
                )
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(fail(f"{self.prog}: error: {message}"))


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows every default but None, which stands for something that the help text describes; the usage leaves the flags to the list below it."""

    def __init__(self, prog: str):
        super().__init__(prog, width=width())

    def _format_usage(self, usage, actions, groups, prefix) -> str:
        named = [
            self._format_args(action, action.metavar or action.dest) for action in actions if not action.option_strings
        ]
        return super()._format_usage(" ".join(["%(prog)s [options]", *named]), actions, groups, prefix)

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
    """Return a shell command that runs `script` with these arguments; one in another folder than the current one is named with its path."""
    return as_command(["python", script if Path.cwd() == SCRIPTS else str(SCRIPTS / script), *words])


def file_name(text: str) -> str:
    """An argparse type: the name of a file or a folder. An empty one, as of an unset variable, would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("must be a name, not ''")
    return text


def file_path(text: str) -> Path:
    """An argparse type: see `file_name`."""
    return Path(file_name(text))


def at_least(least: int, most: int = 10**9) -> Callable[[str], int]:
    """Return an argparse type: a whole number from `least` to `most`."""

    def check(text: str) -> int:
        """Read the number."""
        if (number := int(text)) < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, not {text}")
        if number > most:
            raise argparse.ArgumentTypeError(f"must be at most {most}, not {text}")
        return number

    check.__name__ = "whole number"  # argparse names it where int() fails
    return check


def above(limit: float, most: float = 1e9) -> Callable[[str], float]:
    """Return an argparse type: a number above `limit`, and at most `most`."""

    def check(text: str) -> float:
        if not (number := float(text)) > limit:
            raise argparse.ArgumentTypeError(f"must be above {limit:g}, not {text}")
        if number > most:
            raise argparse.ArgumentTypeError(f"must be at most {most:g}, not {text}")
        return number

    check.__name__ = "number"
    return check


random_seed = at_least(0, 2**32 - 1)  # what NumPy takes


def from_to(least: float, most: float, *, below: bool = False) -> Callable[[str], float]:
    """Return an argparse type: a number from `least` to `most`, or to below `most`."""

    def check(text: str) -> float:
        number = float(text)
        if not least <= number <= most or (below and number == most):
            raise argparse.ArgumentTypeError(
                f"must be from {least:g} to {'below ' if below else ''}{most:g}, not {text}"
            )
        return number

    check.__name__ = "number"
    return check
