"""Ranking new answers at the terminal: what a person can type besides a ranking."""

import time
from collections.abc import Callable
from typing import ClassVar

from preference.data.candidates import distinct
from preference.data.csv_table import find_unwritable
from preference.errors import InputError
from preference.ranking import terminal
from preference.ranking.dialogue import GUIDELINES, HELP, QUIT, SKIP, UNDO, VIEW, Command, Dialogue, number_in
from preference.ranking.session import RankingSession


def discard(dialogue: "RankingDialogue", argument: str) -> str:
    """Discard the prompt, once the person has pressed Enter; anything else keeps it."""
    if terminal.ask("Press Enter to discard this prompt for good, or n to keep it: ") == "":
        dialogue.session.discard()
    return ""


def edit(dialogue: "RankingDialogue", argument: str) -> str:
    """Let the person edit one answer in their editor."""
    answers = list(dialogue.session.shown.answers)
    number = number_in(argument, len(answers))
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


def write(dialogue: "RankingDialogue", argument: str) -> str:
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


def resample(dialogue: "RankingDialogue", argument: str) -> str:
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


COMMANDS = {
    "u": UNDO,
    "s": SKIP,
    "x": Command("discard the prompt for good", discard),
    "e": Command("edit answer N in your editor ($EDITOR)", edit, takes_number=True),
    "v": VIEW,
    "w": Command("write an answer of your own", write),
    "r": Command("sample new answers; what you wrote or edited stays", resample),
    "?": HELP,
    "q": QUIT,
}


class RankingDialogue(Dialogue):
    """The dialogue about prompts that are not ranked yet.

    Args:
        sample: takes a prompt and the number of the attempt, and returns newly sampled answers.
    """

    session: RankingSession
    commands: ClassVar = COMMANDS

    def __init__(self, session: RankingSession, sample: Callable[[str, int], list[str]], guidelines: str = GUIDELINES):
        super().__init__(session, guidelines)
        self.sample = sample
        self.attempts = int(time.time())  # another number in every session, so that `r` never samples the same answers again
