"""Ranking again at the terminal: the same answers, and after each ranking the three orders side by side."""

from typing import ClassVar

from preference.ranking import terminal
from preference.ranking.again import AgainSession, Outcome
from preference.ranking.dialogue import HELP, QUIT, SKIP, VIEW, Command, Dialogue, undo
from preference.ranking.order import format_order
from preference.wording import counted, name_some, shorten

SAME_ANSWERS = "This is about the same answers: w, e and r do nothing here."


def keep(dialogue: "AgainDialogue", argument: str) -> str:
    """Keep the earlier ranking for good, once the person has pressed Enter; anything else changes nothing."""
    if terminal.ask("Press Enter to keep your earlier ranking for good, or n to rank it now: ") == "":
        dialogue.session.keep()
    return ""


def refuse(dialogue: Dialogue, argument: str) -> None:
    """Say that the answers stay as they are."""
    dialogue.say(SAME_ANSWERS)


COMMANDS = {
    "u": Command("bring the earlier ranking back; again: the one before", undo),
    "s": SKIP,
    "x": Command("keep your earlier ranking, and do not ask again", keep),
    "v": VIEW,
    "?": HELP,
    "q": QUIT,
}
REFUSED = Command("", refuse, takes_number=True)


class AgainDialogue(Dialogue):
    """The dialogue about rankings that models dispute. Only when a new ranking is saved does it show the earlier one and the models'."""

    session: AgainSession
    commands: ClassVar = COMMANDS

    def __init__(self, session: AgainSession, guidelines: str):
        super().__init__(session, guidelines)
        self.notice = not_shown(session)

    def find_command(self, line: str) -> Command | None:
        """Return the command that `line` gives; also what takes new answers elsewhere, to say that it does not here."""
        return super().find_command(line) or (REFUSED if line.partition(" ")[0] in ("w", "e", "r") else None)

    def after_saving(self) -> str:
        """Show the three orders, while the answers are still on the screen, until the person goes on."""
        self.say(compare(self.session.outcome(self.session.log.reranked[-1])))
        while self.session.queue:  # after the last one, the closing question follows
            line = terminal.ask("Press Enter for the next one, or u to bring the earlier ranking back: ").strip()
            if line == "q":
                raise terminal.EndOfInput
            if line in ("", "u"):
                return undo(self, "") if line else ""
        return ""


def compare(outcome: Outcome) -> str:
    """Return the three orders in one line, and whose the new one is nearer to.

    >>> compare(Outcome(before=[1, 2, 3], now=[2, 1, 3], models=[3, 1, 2]))
    'earlier 1 2 3 · now 2 1 3 · models 2 3 1 · halfway between'
    """
    orders = f"earlier {format_order(outcome.before)} · now {format_order(outcome.now)} · models {format_order(outcome.models)}"
    side = {1: "nearer to the models' order", -1: "nearer to your earlier order", 0: "halfway between"}[outcome.side]
    return f"{orders} · {side if outcome.changed else 'unchanged'}"


def not_shown(session: AgainSession) -> str:
    """Say which disputed rankings are not shown, and why; "" if all are."""
    reasons = [("their rows are gone", session.missing), ("they were edited since the review", session.edited)]
    return "\n".join(f"not shown, as {why}: {counted(len(some), 'ranking')} ({name_some(map(shorten, some))})" for why, some in reasons if some)
