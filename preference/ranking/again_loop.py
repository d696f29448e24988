"""Ranking again at the terminal: the same answers, and after each ranking the three orders side by side."""

from typing import ClassVar

from preference.console import say
from preference.ranking import terminal
from preference.ranking.again import AgainSession, Outcome
from preference.ranking.loop import HELP, QUIT, SKIP, VIEW, Key, Loop, undo
from preference.ranking.order import format_order
from preference.wording import counted, name_some, shorten


def keep(loop: "AgainLoop", argument: str) -> str:
    """Keep the earlier ranking for good, once the person has pressed Enter; anything else changes nothing."""
    if terminal.ask("Press Enter to keep your earlier ranking for good, or n to rank it now: ") != "":
        return "nothing is decided; rank it, or s to skip it"
    loop.session.keep()
    return "your earlier ranking before is kept; u takes that back"


def refuse(loop: Loop, argument: str) -> None:
    """Say that the answers stay as they are, and what can be done instead."""
    say(
        "These answers are in your CSV already, so w, e and r do nothing here. Rank them as they are; if none of them is good,"
        " keep your earlier ranking with x, and add a row with a better answer to the CSV."
    )


class AgainLoop(Loop):
    """The loop over rankings that models dispute. Only when a new ranking is saved does it show the earlier one and the models'."""

    session: AgainSession
    keys: ClassVar = {
        "u": Key("bring the earlier ranking back, or undo x; again: the one before", undo),
        "s": SKIP,
        "x": Key("keep your earlier ranking, and do not ask again", keep),
        "v": VIEW,
        "?": HELP,
        "q": QUIT,
    }

    def __init__(self, session: AgainSession, guidelines: str):
        super().__init__(session, guidelines)
        self.notice = not_shown(session)

    def find_key(self, line: str) -> Key | None:
        """Return the key that `line` begins with; also what takes new answers elsewhere, to say that it does not here."""
        return super().find_key(line) or (Key("", refuse) if line.partition(" ")[0] in ("w", "e", "r") else None)

    def after_saving(self) -> str:
        """Show the three orders, while the answers are still on the screen, until the person goes on."""
        say(compare(self.session.outcome(self.session.log.looked_at[-1])))
        while self.session.queue:  # after the last one, the closing question follows
            line = terminal.ask("Press Enter for the next one, or u to bring the earlier ranking back: ").strip()
            if line == "q":
                raise terminal.EndOfInput
            if line in ("", "u"):
                return undo(self, "") if line else ""
            say("Your new ranking is saved: Enter shows the next one, u brings the earlier ranking back, q quits.")
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
    return "\n".join(
        f"not shown, as {why}: {counted(len(some), 'ranking')} ({name_some(map(shorten, some))})"
        for why, some in reasons
        if some
    )
