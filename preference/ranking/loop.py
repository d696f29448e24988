"""The loop at the terminal: a prompt on the screen, a ranking or a key in return, one prompt after another."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from preference.console import say
from preference.errors import InputError
from preference.ranking import terminal
from preference.ranking.order import OrderError, example, parse_order
from preference.ranking.session import Session
from preference.scripts import interrupt_in

GUIDELINES = """\
Rank by what you would rather get as an answer to the prompt: right before
wrong, to the point before rambling, clear before clever. Longer is not better.
Let answers tie if you cannot tell which is better."""

RANKINGS = {
    "2 1 4 3": "best first; 2143 means the same",
    "2 1=4 3": "1 and 4 tie",
    "2 1": "2 is best, then 1; those that you leave out tie below",
    "=": "all are equally good",
    "Enter": "show the prompt and its answers again",
}

TOO_FEW = "A ranking needs two answers: write one with w, sample new ones with r, or discard the prompt with x."


@dataclass(frozen=True)
class Key:
    """What a key does: the line of help, and a function of the loop and of what follows the key.

    The function returns what the next screen says about it ("" for nothing), or None to leave the screen as it is.
    """

    help: str
    run: Callable[..., str | None]
    takes_number: bool = False


class Loop:
    """Shows one prompt after another and carries out what the person types.

    Args:
        guidelines: what `?` shows above the keys.

    Attributes:
        keys: what each key does.
        notice: what the next screen says about the line before.
        interrupted: the person ended the loop by Ctrl-C.
    """

    keys: ClassVar[Mapping[str, Key]] = {}

    def __init__(self, session: Session, guidelines: str = GUIDELINES):
        self.session, self.guidelines = session, guidelines
        self.notice, self.interrupted = "", False

    def run(self) -> None:
        """Go on until everything is ranked or the person quits."""
        terminal.accept_any_bytes()
        try:
            if self.session.current:
                self.notice = "\n".join(filter(None, [self.notice, how_to_rank(len(self.session.current.answers))]))
            while True:
                if self.session.current is None:
                    if terminal.ask("All done. Press Enter to finish, or u to undo the last step: ").strip() != "u":
                        return
                    self.notice = undo(self, "")
                    if self.session.current is None:
                        say(self.notice)
                    continue
                self.show()
                notice = None
                while notice is None:
                    notice = self.carry_out(terminal.ask("> ", on_resize=self.show).strip())
                self.notice = notice
        except terminal.EndOfInput as end:
            self.interrupted = end.interrupted
        except KeyboardInterrupt:
            self.interrupted = True
        except Exception as error:
            if not interrupt_in(error):
                raise
            self.interrupted = True

    def show(self) -> None:
        """Show the prompt and its answers, and what there is to say about the line before."""
        terminal.show_prompt(self.session.shown, self.session.counts(), self.notice)

    def carry_out(self, line: str) -> str | None:
        """Do what `line` says; return what the key returns (see `Key`)."""
        if key := self.find_key(line):
            try:
                return key.run(self, line.partition(" ")[2].strip())
            except OSError as error:
                say(f"nothing was changed: {reason(error)}")
                return None
        return self.confirm_ranking(line) if line else ""

    def find_key(self, line: str) -> Key | None:
        """Return the key that `line` begins with, or None if it is to be read as a ranking."""
        name, _, argument = line.partition(" ")
        key = self.keys.get(name)
        return key if key and (key.takes_number or not argument) else None

    def confirm_ranking(self, line: str) -> str | None:
        """Say how `line` was understood and save it on Enter; another line is a new ranking or a key."""
        answers = self.session.shown.answers
        ranks = self.understand(line)
        while ranks is not None:

            def show_again(ranks=ranks) -> None:
                self.show()
                terminal.show_order(answers, ranks)

            terminal.show_order(answers, ranks)
            line = terminal.ask(
                "Press Enter to save, type another ranking, or n to cancel: ", on_resize=show_again
            ).strip()
            if line == "n":
                return None
            if line == "":
                try:
                    self.session.confirm(ranks)
                except (InputError, OSError) as error:  # the CSV was changed by hand meanwhile, or the disk is full
                    say(f"not saved: {reason(error)}")
                    return None
                say("saved")
                return self.after_saving()
            if not self.find_key(line):
                ranks = self.understand(line)
            elif (
                notice := self.carry_out(line)
            ) is not None:  # else it only showed something, and the ranking still waits
                return notice
        return None

    def understand(self, line: str) -> list[int] | None:
        """Return the ranks that `line` gives to the answers on the screen; say what is wrong with it and return None if it gives none."""
        count = len(self.session.shown.answers)
        try:
            if count > 1:
                return parse_order(line, count)
            say(TOO_FEW)
        except OrderError as error:
            say(error)
        return None

    def after_saving(self) -> str:
        """Do what follows a confirmed ranking; return what the next screen says."""
        return ""

    @classmethod
    def help_text(cls) -> str:
        """Return one line for each thing that can be typed."""
        lines = RANKINGS | {name + " N" * key.takes_number: key.help for name, key in cls.keys.items()}
        return "\n".join(f"{typed:<9} {help}" for typed, help in lines.items())


def how_to_rank(count: int) -> str:
    """Return what to type when `count` answers are first shown."""
    return f"Type the numbers best first, like {example(count)}, or ? for help." if count > 1 else TOO_FEW


def reason(error: Exception) -> str:
    """Return why something failed, in plain words.

    >>> reason(OSError(28, "No space left on device", "data.csv"))
    'data.csv: No space left on device'
    """
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def undo(loop: Loop, argument: str) -> str:
    """Undo the last step."""
    try:
        said = loop.session.undo()
        terminal.remember(loop.session.recalled)
        return said
    except (InputError, OSError) as error:
        return f"not undone: {reason(error)}"


def skip(loop: Loop, argument: str) -> str:
    """Leave the prompt for the next session."""
    loop.session.skip()
    return ""


def view(loop: Loop, argument: str) -> None:
    """Show one answer whole, or all of them, or the prompt."""
    shown = loop.session.shown
    number = number_in(argument, len(shown.answers))
    if not argument:
        say(shown.prompt)
    elif number is None and argument != "all":
        say(f"v needs the number of an answer, 1 to {len(shown.answers)}, like v 2, or v all; v alone shows the prompt")
    else:
        for i, answer in enumerate(shown.answers, 1):
            if number in (None, i):
                terminal.show_answer(i, answer)
        terminal.show_reminder(shown.prompt)


def show_help(loop: Loop, argument: str) -> None:
    """Show the guidelines and what can be typed."""
    say(f"\n{loop.guidelines}\n\n{loop.help_text()}\n")
    terminal.show_reminder(loop.session.shown.prompt)


def leave(loop: Loop, argument: str) -> str:
    """End the session."""
    raise terminal.EndOfInput


def number_in(argument: str, most: int) -> int | None:
    """Return the number from 1 to `most` that follows a key, or None."""
    return next((number for number in range(1, most + 1) if argument == str(number)), None)


SKIP = Key("skip for later", skip)
VIEW = Key("show answer N whole; v all shows all of them, v alone the prompt", view, takes_number=True)
HELP, QUIT = Key("this help", show_help), Key("save and quit, like Ctrl-D; Ctrl-C ends without the statistics", leave)
