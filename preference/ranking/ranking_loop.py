"""Ranking new answers at the terminal: what a person can type besides a ranking."""

import time
from collections.abc import Callable
from typing import ClassVar

from preference.console import say
from preference.data.candidates import distinct
from preference.data.tables import find_unwritable
from preference.errors import InputError
from preference.ranking import terminal
from preference.ranking.loop import GUIDELINES, HELP, QUIT, SKIP, VIEW, Key, Loop, number_in, undo
from preference.ranking.session import RankingSession

NO_EDITOR = "the editor could not be run; set $EDITOR to one that is installed"


def discard(loop: "RankingLoop", argument: str) -> str:
    """Discard the prompt, once the person has pressed Enter; anything else keeps it."""
    if terminal.ask("Press Enter to discard this prompt for good, or n to keep it: ") != "":
        return "the prompt is kept"
    loop.session.discard()
    return "the previous prompt is discarded; u brings it back"


def edit(loop: "RankingLoop", argument: str) -> str:
    """Let the person edit one answer in their editor."""
    answers = list(loop.session.shown.answers)
    number = number_in(argument, len(answers))
    if number is None:
        return f"e needs the number of an answer, 1 to {len(answers)}, like e 2"
    text = terminal.edit_text(answers[number - 1])
    if text is None:
        return NO_EDITOR
    if not text:
        return "an answer must not be empty; nothing was changed"
    answers[number - 1] = text
    return change(loop, answers, text)


def write(loop: "RankingLoop", argument: str) -> str:
    """Add an answer that the person writes, of one line or several."""
    written: str | None = terminal.ask_for_lines(
        "Your answer (paste several lines, or e for your editor; empty cancels): "
    )
    if written == "e" and terminal.is_person():
        written = terminal.edit_text("")
    if written is None:
        return NO_EDITOR
    return change(loop, [*loop.session.shown.answers, written], written) if written.strip() else ""


def change(loop: "RankingLoop", answers: list[str], new: str) -> str:
    """Show the prompt with these answers, unless the new one is there already or cannot be saved."""
    if what := find_unwritable(new):
        return f"the answer has {what}, which cannot be saved; nothing was changed"
    if len(distinct(answers)) < len(answers):
        return "that answer is there already; nothing was changed"
    loop.session.change(answers)
    return "u takes it back"


def resample(loop: "RankingLoop", argument: str) -> str:
    """Replace the sampled answers by new ones; what the person wrote or edited stays."""
    say("sampling new answers …")
    loop.attempts += 1
    try:
        sampled = loop.sample(loop.session.shown.prompt, loop.attempts)
    except InputError as error:
        return f"no new answers: {error}"
    if not sampled:
        return "the model gave no new answers; the old ones are kept"
    stay = loop.session.resample(sampled)
    return "new answers" + ("; what you wrote or edited stays" if stay else "")


def show_growth(loop: "RankingLoop", argument: str) -> None:
    """Say how well the growing model does."""
    say(loop.session.growing.in_words())
    terminal.show_reminder(loop.session.shown.prompt)


class RankingLoop(Loop):
    """The loop over prompts that are not ranked yet.

    Args:
        sample: takes a prompt and the number of the attempt, and returns newly sampled answers.
    """

    session: RankingSession
    keys: ClassVar = {
        "u": Key("undo w, e or r on this screen, else the last ranking or x", undo),
        "s": SKIP,
        "x": Key("discard the prompt for good", discard),
        "e": Key("edit answer N in your editor ($EDITOR)", edit, takes_number=True),
        "v": VIEW,
        "w": Key("write an answer of your own", write),
        "r": Key("sample new answers; what you wrote or edited stays", resample),
        "m": Key("how well a model that learns as you rank predicts your rankings", show_growth),
        "?": HELP,
        "q": QUIT,
    }

    def __init__(self, session: RankingSession, sample: Callable[[str, int], list[str]], guidelines: str = GUIDELINES):
        super().__init__(session, guidelines)
        self.sample = sample
        self.attempts = int(
            time.time()
        )  # another number in every session, so that `r` never samples the same answers again
