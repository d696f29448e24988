"""The loop at the terminal: a prompt on the screen, a ranking or a command in return, one prompt after another."""

import re
import time
from collections.abc import Callable
from typing import NamedTuple

from preference.console import say
from preference.data.candidates import distinct
from preference.data.table_writing import find_unwritable
from preference.errors import InputError
from preference.ranking import terminal
from preference.ranking.again import AgainSession
from preference.ranking.session import RankingSession
from preference.scripts import interrupt_in
from preference.wording import counted, name_some, shorten

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
NOT_AGAIN = (
    "These answers are in your CSV already, so w, e and r do nothing here. Rank them as they are; if none of them is"
    " good, keep your earlier ranking with x, and add a row with a better answer to the CSV."
)
NO_EDITOR = "the editor could not be run; set $EDITOR to one that is installed"


def parse_order(line: str, count: int) -> list[int]:
    """Return the rank of each of `count` answers: 1 is best, ties share a rank, the next rank follows without a gap.

    Those that are not named tie below the others. Numbers may be run together where `count` is below 10.

    >>> parse_order("2 1=4 3", 4), parse_order("2 1", 4), parse_order("=", 4)
    ([2, 1, 3, 2], [2, 1, 3, 3], [1, 1, 1, 1])
    """
    if count < 2:
        raise InputError(TOO_FEW)
    text = re.sub(r"\s*=\s*", "=", line.replace(",", " ").replace(">", " ").strip())
    if text == "=":
        return [1] * count
    if not re.fullmatch(r"[0-9=\s]+", text):
        ways = f"write the numbers best first, like {example(count)}, or ? for help"
        raise InputError(f"{shorten(line.strip())} is not a ranking: {ways}")
    if count < 10:
        text = re.sub(r"(?<=[0-9])(?=[0-9])", " ", text)
    groups = [group.split("=") for group in text.split()]
    if any("" in group for group in groups):
        raise InputError("write '=' between two numbers that tie, like 1=2")
    ranks: dict[str, int] = {}
    for rank, group in enumerate(groups, 1):
        for number in (number.lstrip("0") or "0" for number in group):
            if number not in map(str, range(1, count + 1)):
                raise InputError(f"no answer {shorten(number)[1:-1]}; answers are numbered 1 to {count}")
            if number in ranks:
                raise InputError(f"answer {number} is listed twice; name an answer only once")
            ranks[number] = rank
    return [ranks.get(str(n), len(groups) + 1) for n in range(1, count + 1)]


def example(count: int) -> str:
    """Return a line that ranks `count` answers, for messages: 2 3 4 1, or 2 3 … 12 1."""
    numbers = [str(n) for n in [*range(2, count + 1), 1]]
    return " ".join(numbers if count < 10 else [*numbers[:2], "…", *numbers[-2:]])


class Loop:
    """Shows one prompt after another and carries out what the person types.

    Commands are methods that take what follows the command, and return what the next screen says, or None to leave the
    screen as it is.

    Attributes:
        guidelines: what `?` shows above the commands.
        sample: takes a prompt and the number of the attempt, and returns newly sampled answers.
        notice: what the next screen says about the line before.
        interrupted: the person ended the loop by Ctrl-C.
    """

    def __init__(self, session: RankingSession | AgainSession, guidelines: str,
                 sample: Callable[[str, int], list[str]] | None = None):  # fmt: skip
        self.session, self.guidelines, self.sample = session, guidelines, sample
        self.attempts = int(time.time())  # another in every session: `r` never samples the same answers again
        self.notice = not_shown(session) if isinstance(session, AgainSession) else ""
        self.interrupted = False

    def run(self) -> None:
        """Go on until everything is ranked or the person quits."""
        terminal.prepare_input()
        try:
            if shown := self.session.current:
                count = len(shown.answers)
                hint = f"Type the numbers best first, like {example(count)}, or ? for help." if count > 1 else TOO_FEW
                self.notice = "\n".join(filter(None, [self.notice, hint]))
            while self.session.current or self.is_undone():
                if not self.session.current:
                    say(self.notice)
                    continue
                terminal.show_prompt(self.session.shown, self.session.counts(), self.notice)
                notice = None
                while notice is None:
                    notice = self.carry_out(terminal.ask("> ").strip())
                self.notice = notice
        except terminal.EndOfInput:
            pass
        except (Exception, KeyboardInterrupt) as error:
            if not interrupt_in(error):
                raise
            self.interrupted = True

    def is_undone(self) -> bool:
        """Ask whether to undo the last step, where all is done."""
        rest = "Only what you skipped is left." if self.session.skipped else "All done."
        while (line := terminal.ask(f"{rest} Press Enter to finish, or u to undo the last step: ").strip()) != "u":
            if line in ("", "q"):
                return False
        self.notice = self.undo()
        return True

    def carry_out(self, line: str) -> str | None:
        """Do what `line` says; return what the next screen says about it, or None to leave the screen as it is."""
        if run := self.find_command(line):
            try:
                return run(self, line.partition(" ")[2].strip())
            except OSError as error:
                say(f"nothing was changed: {reason(error)}")
                return None
        return self.confirm_ranking(line) if line else ""

    def find_command(self, line: str) -> "Callable[[Loop, str], str | None] | None":
        """Return the command that `line` begins with, or None if it is to be read as a ranking."""
        name, _, argument = line.partition(" ")
        command = COMMANDS.get(name)
        if command and self.session.again and not command.again:
            return Loop.refuse if name in ("w", "e", "r") else None
        return command.run if command and (command.takes_number or not argument) else None

    def confirm_ranking(self, line: str) -> str | None:
        """Say how `line` was understood and save it on Enter; another line is a new ranking or a command."""
        ranks = self.understand(line)
        while ranks is not None:
            terminal.show_order(self.session.shown.answers, ranks)
            line = terminal.ask("Press Enter to save, type another ranking, or n to cancel: ").strip()
            if line in ("n", "u"):  # nothing is saved yet, and what was written with w stays
                return None
            if line == "":
                try:
                    self.session.confirm(ranks)
                except (InputError, OSError) as error:  # the CSV was changed by hand meanwhile, or the disk is full
                    say(f"not saved: {reason(error)}")
                    return None
                say("saved")
                return self.show_outcome(self.session) if isinstance(self.session, AgainSession) else ""
            if not self.find_command(line):
                ranks = self.understand(line)
            elif (notice := self.carry_out(line)) is not None:
                return notice  # else it only showed something, and the ranking still waits
        return None

    def understand(self, line: str) -> list[int] | None:
        """Return the ranks that `line` gives to the answers on the screen; say what is wrong where it gives none."""
        try:
            return parse_order(line, len(self.session.shown.answers))
        except InputError as error:
            say(error)
            return None

    def show_outcome(self, session: AgainSession) -> str:
        """Show the three orders, while the answers are still on the screen, until the person asks for the next one."""
        say(session.outcome(session.log.looked_at[-1]).in_words())
        while session.queue:  # after the last one, the closing question follows
            line = terminal.ask("Press Enter for the next one, or u to bring the earlier ranking back: ").strip()
            if line == "q":
                raise terminal.EndOfInput
            if line in ("", "u"):
                return self.undo() if line else ""
            say("Your new ranking is saved: Enter shows the next one, u brings the earlier ranking back, q quits.")
        return ""

    def undo(self, argument: str = "") -> str:
        """Undo the last step."""
        try:
            return self.session.undo()
        except (InputError, OSError) as error:
            return f"not undone: {reason(error)}"

    def skip(self, argument: str) -> str:
        """Leave the prompt for the next session."""
        self.session.skip()
        return ""

    def discard(self, argument: str) -> str:
        """Discard the prompt, or keep the earlier ranking for good, once the person has pressed Enter."""
        if self.session.again:
            question = "keep your earlier ranking for good, or n to rank it now"
            not_done = "nothing is decided; rank it, or s to skip it"
            done = "your earlier ranking is kept; u takes that back"
        else:
            question, not_done = "discard this prompt for good, or n to keep it", "the prompt is kept"
            done = "the previous prompt is discarded; u brings it back"
        if terminal.ask(f"Press Enter to {question}: ") != "":
            return not_done
        self.session.discard()
        return done

    def edit(self, argument: str) -> str:
        """Let the person edit one answer in their editor."""
        answers = list(self.session.shown.answers)
        number = number_in(argument, len(answers))
        if number is None:
            return f"e needs the number of an answer, 1 to {len(answers)}, like e 2"
        text = terminal.edit_text(answers[number - 1])
        if not text:
            return NO_EDITOR if text is None else "an answer must not be empty; nothing was changed"
        answers[number - 1] = text
        return self.change(answers, text)

    def write(self, argument: str) -> str:
        """Add an answer that the person writes, of one line or several."""
        question = "Your answer (paste several lines, or e for your editor; empty cancels): "
        written: str | None = terminal.ask_for_lines(question)
        if written == "e" and terminal.is_person():
            written = terminal.edit_text("")
        if written is None:
            return NO_EDITOR
        return self.change([*self.session.shown.answers, written], written) if written.strip() else ""

    def change(self, answers: list[str], new: str) -> str:
        """Show the prompt with these answers, unless the new one is there already or cannot be saved."""
        if what := find_unwritable(new):
            return f"the answer has {what}, which cannot be saved; nothing was changed"
        if len(distinct(answers)) < len(answers):
            return "that answer is there already; nothing was changed"
        assert isinstance(self.session, RankingSession)
        self.session.change(answers)
        return "u undoes this"

    def resample(self, argument: str) -> str:
        """Replace the sampled answers by new ones; what the person wrote or edited stays."""
        assert isinstance(self.session, RankingSession) and self.sample
        say("sampling new answers …")
        self.attempts += 1
        try:
            sampled = self.sample(self.session.shown.prompt, self.attempts)
        except InputError as error:
            return f"no new answers: {error}"
        if not sampled:
            return "the model gave no new answers; the old ones are kept"
        return "new answers" + ("; what you wrote or edited stays" if self.session.resample(sampled) else "")

    def view(self, argument: str) -> None:
        """Show one answer whole, or all of them, or the prompt."""
        shown = self.session.shown
        number = number_in(argument, len(shown.answers))
        if not argument:
            say(shown.prompt)
        elif number is None and argument != "all":
            numbers = f"1 to {len(shown.answers)}, like v 2"
            say(f"v needs the number of an answer, {numbers}, or v all; v alone shows the prompt")
        else:
            for i, answer in enumerate(shown.answers, 1):
                if number in (None, i):
                    terminal.show_answer(i, answer)
            terminal.show_reminder(shown.prompt)

    def show_growth(self, argument: str) -> None:
        """Say how well the growing model does."""
        say(self.session.growing.in_words())
        terminal.show_reminder(self.session.shown.prompt)

    def show_help(self, argument: str) -> None:
        """Show the guidelines, and one line for each thing that can be typed."""
        commands = {name + " N" * command.takes_number: command for name, command in COMMANDS.items()}
        helps = {name: command.again if self.session.again else command.help for name, command in commands.items()}
        lines = [f"{typed:<9} {help}" for typed, help in (RANKINGS | helps).items() if help]
        say("\n".join(["", self.guidelines, "", *lines, ""]))
        terminal.show_reminder(self.session.shown.prompt)

    def leave(self, argument: str) -> str:
        """End the session."""
        raise terminal.EndOfInput

    def refuse(self, argument: str) -> None:
        """Say that the answers stay as they are, and what can be done instead."""
        say(NOT_AGAIN)


def reason(error: Exception) -> str:
    """Return why something failed, in plain words: data.csv: No space left on device."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def not_shown(session: AgainSession) -> str:
    """Say which disputed rankings are not shown, and why; "" if all are."""
    reasons = {"whose rows are gone": session.missing, "edited since the review": session.edited}
    return "\n".join(
        f"skipped {counted(len(prompts), 'ranking')} {why} ({name_some(map(shorten, prompts))})"
        for why, prompts in reasons.items()
        if prompts
    )


def number_in(argument: str, most: int) -> int | None:
    """Return the number from 1 to `most` that follows a command, or None."""
    return next((number for number in range(1, most + 1) if argument == str(number)), None)


class Command(NamedTuple):
    """What can be typed: its help, its method, and its help where rankings are shown again ("": it does nothing)."""

    help: str
    run: Callable[[Loop, str], str | None]
    again: str
    takes_number: bool = False


_UNDO = "undo w, e or r on this screen, else the last ranking or x"
_SKIP, _VIEW = "skip for later", "show answer N whole; v all shows all of them, v alone the prompt"
_HELP, _QUIT = "this help", "save and quit, like Ctrl-D; Ctrl-C ends without the statistics"
COMMANDS = {
    "u": Command(_UNDO, Loop.undo, "bring the earlier ranking back, or undo x; again: the one before"),
    "s": Command(_SKIP, Loop.skip, _SKIP),
    "x": Command("discard the prompt for good", Loop.discard, "keep your earlier ranking, and do not ask again"),
    "e": Command("edit answer N in your editor ($EDITOR)", Loop.edit, "", takes_number=True),
    "v": Command(_VIEW, Loop.view, _VIEW, takes_number=True),
    "w": Command("write an answer of your own", Loop.write, ""),
    "r": Command("sample new answers; what you wrote or edited stays", Loop.resample, ""),
    "m": Command("how well a model that learns as you rank predicts your rankings", Loop.show_growth, ""),
    "?": Command(_HELP, Loop.show_help, _HELP),
    "q": Command(_QUIT, Loop.leave, _QUIT),
}
