"""What one person at the terminal and a session say to each other: a prompt on the screen, a ranking or a command in return."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from preference.errors import InputError
from preference.ranking import terminal
from preference.ranking.order import OrderError, example, parse_order
from preference.ranking.session import Session
from preference.wording import plain

GUIDELINES = """\
Rank by what you would rather get as an answer to the prompt: right before
wrong, to the point before rambling, clear before clever. Longer is not better.
Let answers tie if you cannot tell which is better."""

RANKINGS = {
    "2 1 4 3": "best first; 2143 means the same",
    "2 1=4 3": "1 and 4 tie",
    "2": "only the best is sure; the rest tie below it",
    "Enter": "show the prompt and its answers again",
}

TOO_FEW = "A ranking needs two answers: write one with w, sample new ones with r, or discard the prompt with x."


@dataclass(frozen=True)
class Command:
    """What a key does: the line of help, and a function of the dialogue and of what follows the key.

    The function returns what the next screen says about it ("" for nothing), or None to leave the screen as it is.
    """

    help: str
    run: Callable[..., str | None]
    takes_number: bool = False


class Dialogue:
    """Shows one prompt after another and carries out what the person types.

    Args:
        guidelines: what `?` shows above the keys.

    Attributes:
        commands: what each key does.
        notice: what the next screen says about the line before.
        interrupted: the person ended the dialogue by Ctrl-C.
    """

    commands: ClassVar[Mapping[str, Command]] = {}

    def __init__(self, session: Session, guidelines: str = GUIDELINES):
        self.session, self.guidelines = session, guidelines
        self.console = terminal.make_console()
        self.notice, self.interrupted = "", False

    def run(self) -> None:
        """Go on until everything is ranked or the person quits."""
        try:
            if self.session.current:
                self.notice = "\n".join(filter(None, [self.notice, how_to_rank(len(self.session.current.answers))]))
            while True:
                if self.session.current is None:
                    if terminal.ask("All done. Press Enter to finish, or u to undo the last ranking: ").strip() != "u":
                        return
                    self.notice = undo(self, "")
                    if self.session.current is None:
                        self.say(self.notice)
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

    def show(self) -> None:
        """Show the prompt and its answers, and what there is to say about the line before."""
        terminal.show_prompt(self.console, self.session.shown, self.session.counts(), self.notice)

    def say(self, text: str) -> None:
        """Print text, wrapped to the width of the terminal."""
        self.console.print(plain(text), width=terminal.width_of(self.console))

    def carry_out(self, line: str) -> str | None:
        """Do what `line` says; return what a command returns (see `Command`)."""
        if command := self.find_command(line):
            try:
                return command.run(self, line.partition(" ")[2].strip())
            except OSError as error:
                self.say(f"nothing was changed: {reason(error)}")
                return None
        return self.confirm_ranking(line) if line else ""

    def find_command(self, line: str) -> Command | None:
        """Return the command that `line` gives, or None if it is to be read as a ranking."""
        key, _, argument = line.partition(" ")
        command = self.commands.get(key)
        return command if command and (command.takes_number or not argument) else None

    def confirm_ranking(self, line: str) -> str | None:
        """Say how `line` was understood and save it on Enter; another line is a new ranking or a command."""
        answers = self.session.shown.answers
        ranks = self.understand(line)
        while ranks is not None:

            def show_again(ranks=ranks) -> None:
                self.show()
                terminal.show_order(self.console, answers, ranks)

            terminal.show_order(self.console, answers, ranks)
            line = terminal.ask("Press Enter to save, type another ranking, or n to cancel: ", on_resize=show_again).strip()
            if line == "n":
                return None
            if line == "":
                try:
                    self.session.confirm(ranks)
                except (InputError, OSError) as error:  # the CSV was changed by hand meanwhile, or the disk is full
                    self.say(f"not saved: {reason(error)}")
                    return None
                print("saved", flush=True)
                return self.after_saving()
            if not self.find_command(line):
                ranks = self.understand(line)
            elif (notice := self.carry_out(line)) is not None:  # else it only showed something, and the ranking still waits
                return notice
        return None

    def understand(self, line: str) -> list[int] | None:
        """Return the ranks that `line` gives to the answers on the screen; say what is wrong with it and return None if it gives none."""
        count = len(self.session.shown.answers)
        try:
            if count > 1:
                return parse_order(line, count)
            self.say(TOO_FEW)
        except OrderError as error:
            self.say(str(error))
        return None

    def after_saving(self) -> str:
        """Do what follows a confirmed ranking; return what the next screen says."""
        return ""

    @classmethod
    def help_text(cls) -> str:
        """Return one line for each thing that can be typed."""
        lines = RANKINGS | {key + " N" * command.takes_number: command.help for key, command in cls.commands.items()}
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


def undo(dialogue: Dialogue, argument: str) -> str:
    """Undo the last ranking."""
    try:
        return dialogue.session.undo()
    except (InputError, OSError) as error:
        return f"not undone: {reason(error)}"


def skip(dialogue: Dialogue, argument: str) -> str:
    """Leave the prompt for the next session."""
    dialogue.session.skip()
    return ""


def view(dialogue: Dialogue, argument: str) -> None:
    """Show one answer whole, or the prompt."""
    shown = dialogue.session.shown
    number = number_in(argument, len(shown.answers))
    if number is not None:
        terminal.show_answer(dialogue.console, number, shown.answers[number - 1])
        terminal.show_reminder(dialogue.console, shown.prompt)
    elif not argument:
        dialogue.say(shown.prompt)
    else:
        dialogue.say(f"v needs the number of an answer, 1 to {len(shown.answers)}, like v 2; v alone shows the prompt")


def show_help(dialogue: Dialogue, argument: str) -> None:
    """Show the guidelines and what can be typed."""
    dialogue.say(f"\n{dialogue.guidelines}\n\n{dialogue.help_text()}\n")
    terminal.show_reminder(dialogue.console, dialogue.session.shown.prompt)


def leave(dialogue: Dialogue, argument: str) -> str:
    """End the session."""
    raise terminal.EndOfInput


def number_in(argument: str, most: int) -> int | None:
    """Return the number from 1 to `most` that follows a key, or None."""
    return int(argument) if argument.isascii() and argument.isdigit() and 1 <= int(argument) <= most else None


UNDO, SKIP = Command("undo the last ranking; again: the one before", undo), Command("skip for later", skip)
VIEW = Command("show answer N whole; v alone shows the prompt", view, takes_number=True)
HELP, QUIT = Command("this help", show_help), Command("save and quit, like Ctrl-D; Ctrl-C ends without the statistics", leave)
