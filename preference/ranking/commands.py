"""What a person can type at the terminal: a ranking, or one of the commands in `COMMANDS`."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from preference.data.candidates import distinct
from preference.data.csv_table import find_unwritable
from preference.errors import InputError
from preference.ranking import terminal
from preference.ranking.order import OrderError, example, parse_order
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


TOO_FEW = "A ranking needs two answers: write one with w, sample new ones with r, or discard the prompt with x."


class RankingDialogue:
    """What one person at the terminal and a `RankingSession` say to each other.

    Args:
        sample: takes a prompt and the number of the attempt, and returns newly sampled answers.
        guidelines: what `?` shows above the keys.
    """

    def __init__(self, session: RankingSession, sample: Callable[[str, int], list[str]], guidelines: str = GUIDELINES):
        self.session, self.sample, self.guidelines = session, sample, guidelines
        self.console = terminal.make_console()
        self.notice = ""
        self.attempts = int(time.time())  # another number in every session, so that `r` never samples the same answers again

    def run(self) -> None:
        """Show one prompt after another and carry out what the person types, until everything is ranked or they quit."""
        try:
            if self.session.current:
                self.notice = how_to_rank(len(self.session.current.answers))
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
        if command := find_command(line):
            return command.run(self, line.partition(" ")[2].strip())
        return confirm_ranking(self, line) if line else ""


def how_to_rank(count: int) -> str:
    """Return what to type when `count` answers are first shown."""
    return f"Type the numbers best first, like {example(count)}, or ? for help." if count > 1 else TOO_FEW


def find_command(line: str) -> "Command | None":
    """Return the command that `line` gives, or None if it is to be read as a ranking."""
    key, _, argument = line.partition(" ")
    command = COMMANDS.get(key)
    return command if command and (command.takes_number or not argument) else None


def confirm_ranking(dialogue: RankingDialogue, line: str) -> str | None:
    """Say how `line` was understood and save it on Enter; another line is a new ranking or a command."""
    answers = dialogue.session.shown.answers
    ranks = understand(dialogue, line)
    while ranks is not None:

        def show_again(ranks=ranks) -> None:
            dialogue.show()
            terminal.show_order(dialogue.console, answers, ranks)

        terminal.show_order(dialogue.console, answers, ranks)
        line = terminal.ask("Press Enter to save, type another ranking, or n to cancel: ", on_resize=show_again).strip()
        if line == "n":
            return None
        if line == "":
            try:
                dialogue.session.confirm(ranks)
            except (InputError, OSError) as error:  # the CSV was broken by hand meanwhile, or the disk is full
                dialogue.say(f"not saved: {error}")
                return None
            print("saved", flush=True)
            return ""
        if not find_command(line):
            ranks = understand(dialogue, line)
        elif (notice := dialogue.carry_out(line)) is not None:  # else it only showed something, and the ranking still waits
            return notice
    return None


def understand(dialogue: RankingDialogue, line: str) -> list[int] | None:
    """Return the ranks that `line` gives to the answers on the screen; say what is wrong with it and return None if it gives none."""
    count = len(dialogue.session.shown.answers)
    try:
        if count > 1:
            return parse_order(line, count)
        dialogue.say(TOO_FEW)
    except OrderError as error:
        dialogue.say(str(error))
    return None


def undo(dialogue: RankingDialogue, argument: str) -> str:
    """Undo the last ranking."""
    try:
        return dialogue.session.undo()
    except (InputError, OSError) as error:
        return f"not undone: {error}"


def skip(dialogue: RankingDialogue, argument: str) -> str:
    """Leave the prompt for the next session."""
    dialogue.session.skip()
    return ""


def discard(dialogue: RankingDialogue, argument: str) -> str:
    """Discard the prompt, once the person has pressed Enter; anything else keeps it."""
    if terminal.ask("Press Enter to discard this prompt for good, or n to keep it: ") == "":
        dialogue.session.discard()
    return ""


def edit(dialogue: RankingDialogue, argument: str) -> str:
    """Let the person edit one answer in their editor."""
    answers = list(dialogue.session.shown.answers)
    number = _number(argument, len(answers))
    if number is None:
        return f"e needs the number of an answer, 1 to {len(answers)}, like e 2"
    text = terminal.edit_text(answers[number - 1])
    if text is None:
        return "the editor could not be run; set $EDITOR to one that is installed"
    if not text:
        return "an answer must not be empty; nothing was changed"
    if what := find_unwritable(text):
        return f"the answer has {what}, which cannot be saved; nothing was changed"
    answers[number - 1] = text
    if len(distinct(answers)) < len(answers):
        return "this duplicates another answer; nothing was changed"
    dialogue.session.change(answers)
    return ""


def view(dialogue: RankingDialogue, argument: str) -> None:
    """Show one answer whole, or the prompt."""
    shown = dialogue.session.shown
    number = _number(argument, len(shown.answers))
    if number is not None:
        terminal.show_answer(dialogue.console, number, shown.answers[number - 1])
        terminal.show_reminder(dialogue.console, shown.prompt)
    elif not argument:
        dialogue.say(terminal.safe_text(shown.prompt))
    else:
        dialogue.say(f"v needs the number of an answer, 1 to {len(shown.answers)}, like v 2; v alone shows the prompt")


def write(dialogue: RankingDialogue, argument: str) -> str:
    """Add an answer that the person writes."""
    answers = dialogue.session.shown.answers
    written = terminal.ask("Your answer (empty to cancel): ").strip()
    if not written:
        return ""
    if what := find_unwritable(written):
        return f"the answer has {what}, which cannot be saved; nothing was changed"
    if len(distinct([*answers, written])) == len(answers):
        return "that answer already exists; nothing was changed"
    dialogue.session.change([*answers, written])
    return ""


def resample(dialogue: RankingDialogue, argument: str) -> str:
    """Replace the sampled answers by new ones; what the person wrote or edited stays."""
    print("sampling new answers …", flush=True)
    dialogue.attempts += 1
    try:
        sampled = dialogue.sample(dialogue.session.shown.prompt, dialogue.attempts)
    except InputError as error:
        return f"no new answers: {error}"
    if not sampled:
        return "the model gave no new answers; the old ones are kept"
    stay = dialogue.session.resample(sampled)
    return "new answers" + ("; what you wrote or edited stays" if stay else "")


def show_help(dialogue: RankingDialogue, argument: str) -> None:
    """Show the guidelines and what can be typed."""
    dialogue.say(f"\n{dialogue.guidelines}\n\n{help_text()}\n")
    terminal.show_reminder(dialogue.console, dialogue.session.shown.prompt)


def leave(dialogue: RankingDialogue, argument: str) -> str:
    """End the session."""
    raise terminal.EndOfInput


@dataclass(frozen=True)
class Command:
    """What a key does: the line of help, and a function that returns what `RankingDialogue.carry_out` does."""

    help: str
    run: Callable[[RankingDialogue, str], str | None]
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
