"""What a person can type at the terminal: a ranking, or one of the commands in `COMMANDS`."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from preference.data.candidates import distinct
from preference.errors import InputError
from preference.ranking import terminal
from preference.ranking.order import OrderError, parse_order
from preference.ranking.session import RankingSession

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


class Sitting:
    """One person at the terminal, led through a `RankingSession`.

    Args:
        sample: takes a prompt and the number of the attempt, and returns newly sampled answers.
        guidelines: what `?` shows above the keys.
    """

    def __init__(self, session: RankingSession, sample: Callable[[str, int], list[str]], guidelines: str = GUIDELINES):
        self.session, self.sample, self.guidelines = session, sample, guidelines
        self.console = terminal.make_console()
        self.notice = "Type the numbers best first, like 2 1 4 3, or ? for help."
        self.attempts = int(time.time())  # another number in every sitting, so that `r` never samples the same answers again

    def run(self) -> None:
        """Show one prompt after another and carry out what the person types, until everything is ranked or they quit."""
        try:
            while True:
                if self.session.current is None:
                    if terminal.ask("All done. Enter ends, u undoes the last ranking: ").strip() != "u":
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
        except (terminal.EndOfInput, KeyboardInterrupt):
            return

    def show(self) -> None:
        """Show the prompt and its answers, and what there is to say about the line before."""
        terminal.show_prompt(self.console, self.session.shown, self.session.counts(), self.notice)

    def say(self, text: str) -> None:
        """Print text, wrapped to the width of the terminal."""
        self.console.print(text, width=terminal.width_of(self.console))

    def carry_out(self, line: str) -> str | None:
        """Do what `line` says. Return what the next screen says about it ("" for nothing), or None to leave the screen as it is."""
        key, _, argument = line.partition(" ")
        command = COMMANDS.get(key)
        if command and (command.takes_number or not argument):
            return command.run(self, argument.strip())
        return confirm_ranking(self, line) if line else ""


def confirm_ranking(sitting: Sitting, line: str) -> str | None:
    """Say how `line` was understood and save it on Enter; another line is taken as a new ranking."""
    answers = sitting.session.shown.answers
    while True:
        try:
            if len(answers) < 2:
                raise OrderError("one answer cannot be ranked: write another with w, sample new ones with r, or discard the prompt with x")
            ranks = parse_order(line, len(answers))
        except OrderError as error:
            sitting.say(str(error))
            return None

        def show_again(ranks=ranks) -> None:
            sitting.show()
            terminal.show_order(sitting.console, answers, ranks)

        terminal.show_order(sitting.console, answers, ranks)
        line = terminal.ask("Enter saves this; or type another ranking, or n for none: ", on_resize=show_again).strip()
        if line == "n":
            return None
        if line == "":
            try:
                sitting.session.confirm(ranks)
            except (InputError, OSError) as error:  # the CSV was broken by hand meanwhile, or the disk is full
                sitting.say(f"not saved: {error}")
                return None
            print("saved", flush=True)
            return ""


def undo(sitting: Sitting, argument: str) -> str:
    """Undo the last ranking."""
    try:
        return sitting.session.undo()
    except (InputError, OSError) as error:
        return f"not undone: {error}"


def skip(sitting: Sitting, argument: str) -> str:
    """Leave the prompt for the next sitting."""
    sitting.session.skip()
    return ""


def discard(sitting: Sitting, argument: str) -> str:
    """Discard the prompt, once the person has said yes."""
    if terminal.ask("Discard this prompt for good? Enter = yes, anything else = no: ") == "":
        sitting.session.discard()
    return ""


def edit(sitting: Sitting, argument: str) -> str:
    """Let the person edit one answer in their editor."""
    answers = list(sitting.session.shown.answers)
    number = _number(argument, len(answers))
    if number is None:
        return f"e needs the number of an answer, 1 to {len(answers)}, like e 2"
    text = terminal.edit_text(answers[number - 1])
    if text is None:
        return "the editor could not be run; set $EDITOR to one that is installed"
    if not text:
        return "an answer must not be empty; nothing was changed"
    answers[number - 1] = text
    if len(distinct(answers)) < len(answers):
        return "another answer says the same; nothing was changed"
    sitting.session.change(answers)
    return ""


def view(sitting: Sitting, argument: str) -> None:
    """Show one answer whole, or the prompt."""
    shown = sitting.session.shown
    number = _number(argument, len(shown.answers))
    if number is not None:
        terminal.show_answer(sitting.console, number, shown.answers[number - 1])
        terminal.show_reminder(sitting.console, shown.prompt)
    elif not argument:
        sitting.say(terminal.safe_text(shown.prompt))
    else:
        sitting.say(f"v needs the number of an answer, 1 to {len(shown.answers)}, like v 2; v alone shows the prompt")


def write(sitting: Sitting, argument: str) -> str:
    """Add an answer that the person writes."""
    answers = sitting.session.shown.answers
    written = terminal.ask("Your answer (empty to cancel): ").strip()
    if not written:
        return ""
    if len(distinct([*answers, written])) == len(answers):
        return "there is such an answer already; nothing was changed"
    sitting.session.change([*answers, written])
    return ""


def resample(sitting: Sitting, argument: str) -> str:
    """Replace the sampled answers by new ones; what the person wrote or edited stays."""
    print("sampling new answers …", flush=True)
    sitting.attempts += 1
    try:
        sampled = sitting.sample(sitting.session.shown.prompt, sitting.attempts)
    except InputError as error:
        return f"no new answers: {error}"
    if not sampled:
        return "the model gave no new answers; the old ones stay"
    stay = sitting.session.resample(sampled)
    return "new answers" + ("; what you wrote or edited stays" if stay else "")


def show_help(sitting: Sitting, argument: str) -> None:
    """Show the guidelines and what can be typed."""
    sitting.say(f"\n{sitting.guidelines}\n\n{help_text()}\n")
    terminal.show_reminder(sitting.console, sitting.session.shown.prompt)


def leave(sitting: Sitting, argument: str) -> str:
    """End the sitting."""
    raise terminal.EndOfInput


@dataclass(frozen=True)
class Command:
    """What a key does: the line of help, and a function that returns what `Sitting.carry_out` does."""

    help: str
    run: Callable[[Sitting, str], str | None]
    takes_number: bool = False


COMMANDS = {
    "u": Command("undo the last ranking; again: the one before", undo),
    "s": Command("skip for later", skip),
    "x": Command("discard the prompt for good", discard),
    "e": Command("edit answer N in your editor ($EDITOR)", edit, takes_number=True),
    "v": Command("show answer N whole; v alone shows the prompt", view, takes_number=True),
    "w": Command("write an answer of your own", write),
    "r": Command("sample new answers; what you wrote or edited stays", resample),
    "?": Command("this help", show_help),
    "q": Command("save and quit, like Ctrl-C and Ctrl-D", leave),
}


def help_text() -> str:
    """Return one line for each thing that can be typed."""
    lines = RANKINGS | {key + " N" * command.takes_number: command.help for key, command in COMMANDS.items()}
    return "\n".join(f"{typed:<9} {help}" for typed, help in lines.items())


def _number(argument: str, most: int) -> int | None:
    return int(argument) if argument.isascii() and argument.isdigit() and 1 <= int(argument) <= most else None
