"""A session in which a person ranks answers: what comes next, confirming, undoing."""

import contextlib
import math
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from preference.data.candidates import distinct
from preference.data.rankings import Key
from preference.ranking.growing import GrowingModel
from preference.ranking.store import Event, RankingStore
from preference.wording import shorten

RECHECK_DISTANCE = 5  # other prompts between the first and the second showing, if there are that many
AHEAD = 3  # prompts that the growing model prepares for, the one on the screen included


@dataclass(frozen=True)
class Shown:
    """A ranking on the screen, its answers in the order shown; `recheck`: a second time, to measure agreement."""

    key: Key
    answers: list[str]
    recheck: bool = False

    @property
    def prompt(self) -> str:
        return self.key[0]


@dataclass(frozen=True)
class SessionCounts:
    """How many rankings are done, left and skipped, and the median time that one took (None before the first)."""

    done: int
    left: int
    skipped: int
    median_seconds: float | None


class Session:
    """What comes next; a RankingSession or an AgainSession knows what is confirmed and undone.

    Attributes:
        answers: of each ranking, in an order that says nothing.
        queue: what is to be ranked, and whether that is a second showing.
        rechecks: how many prompts are to be shown a second time, in all sessions.
        changes: what the answers on the screen were before each `w`, `e` and `r`.
        confirmed: rankings of this session that were not undone.
    """

    again = False  # whether what is shown is in the CSV already

    def __init__(self, store: RankingStore, seed: int, growing: GrowingModel | None = None):
        self.store, self.log, self.seed, self.growing = store, store.log, seed, growing or GrowingModel()
        self.answers: dict[Key, list[str]] = {}
        self.queue: list[tuple[Key, bool]] = []
        self.skipped: set[Key] = set()
        self.changes: list[list[str]] = []
        self.rechecks, self.confirmed = 0, 0
        self._shown: Shown | None = None
        self._since = 0.0  # seconds

    @property
    def current(self) -> Shown | None:
        """What is to be ranked now, or None when all is done. Logged as shown when it is first asked for."""
        if self.queue and self._shown is None:
            key, recheck = self.queue[0]
            answers, screens = list(self.answers[key]), self.log.screens[key]
            shuffle = random.Random(f"order/{self.seed}/{key}/{len(screens)}").shuffle
            shuffle(answers)
            while screens and len(answers) > 1 and answers == screens[-1]:
                shuffle(answers)
            self._shown, self._since = Shown(key, answers, recheck), time.monotonic()
            with contextlib.suppress(OSError):  # a full disk is no reason to stop: `confirm` logs the answers too
                self.log.add("shown", key, answers=answers, recheck=recheck)
            self.growing.tell("soon", [(key[0], self.answers[key]) for key, _ in self.queue[:AHEAD]])
        return self._shown

    @property
    def shown(self) -> Shown:
        """The same, for what needs a prompt on the screen."""
        current = self.current
        assert current
        return current

    def skip(self) -> None:
        """Leave what is on the screen for the next session."""
        shown = self.shown
        self.skipped.add(shown.key)
        self.rechecks -= shown.recheck
        self._leave()

    def _leave(self) -> None:
        self.queue.pop(0)
        self._shown, self.changes = None, []

    def _seconds(self) -> float:
        return round(time.monotonic() - self._since, 1)

    def _counts(self, done: int, left: int, events: Sequence[Event]) -> SessionCounts:
        seconds = [event.seconds for event in events if event.seconds is not None]
        return SessionCounts(done, left, len(self.skipped), statistics.median(seconds) if seconds else None)


class RankingSession(Session):
    """Leads a person through the prompts that are neither ranked in the CSV nor discarded.

    Args:
        recheck: this share of the prompts, rounded up, is shown a second time, reshuffled. Where there are enough
            prompts, no second showing comes last, so that the person cannot tell one by what is left.
        seed: decides the order on the screen, and which prompts are shown twice.
        growing: learns of what is ranked and undone, but not of second showings: it has seen those prompts.
    """

    def __init__(self, candidates: Mapping[str, list[str]], store: RankingStore, *, seed: int, recheck: float = 0.0,
                 growing: GrowingModel | None = None):  # fmt: skip
        super().__init__(store, seed, growing)
        self.answers = {(prompt, "", ""): list(answers) for prompt, answers in candidates.items()}
        self.sampled = {key: set(answers) for key, answers in self.answers.items()}  # not written or edited
        for event in self.log.events:
            if event.kind == "changed" and event.key in self.answers:
                self.answers[event.key] = list(event.answers)
                self.sampled[event.key] |= set(event.sampled)
            elif event.kind == "ranked" and not self.answers.get(event.key, [""]):
                self._take_over(event)
        discarded, prompts = {event.key for event in self.log.undoable if event.kind == "discarded"}, store.prompts()
        known = [key for key in self.answers if key not in discarded]
        self.ranked = {key for key in known if key[0] in prompts}
        self.queue = [(key, False) for key in known if key not in self.ranked]
        self.rechecks = math.ceil(recheck * len(self.answers))
        once = self.ranked - {event.key for event in self.log.standing if event.recheck}
        may_come = [event.key for event in self.log.standing if event.key in once]
        for key in may_come[: max(0, self._rechecks_to_choose() - len(self.queue))]:
            self.queue.insert(min(RECHECK_DISTANCE, len(self.queue)), (key, True))

    def confirm(self, ranks: list[int]) -> None:
        """Save the ranks of the answers on the screen; they are on the disk when this returns."""
        shown, seconds = self.shown, self._seconds()
        if shown.recheck:  # its rows are in the CSV already
            self.log.add("ranked", shown.key, answers=shown.answers, ranks=ranks, seconds=seconds, recheck=True)
        else:
            self.store.add(shown.prompt, shown.answers, ranks, seconds=seconds)
            self.growing.tell("ranked", [shown.prompt, shown.answers, ranks])
            self._choose_recheck(shown.key)
        self._leave()
        self.confirmed += 1
        self.ranked.add(shown.key)

    def undo(self) -> str:
        """Undo the last step, also of an earlier session, and show its screen again; say what happened."""
        if self.changes:
            self.change(self.changes[-1])
            del self.changes[-2:]  # that change and this one
            more = "; u takes back the change before that" if self.changes else ""
            return f"the answers are as they were before{more}"
        if not self.log.undoable:
            return "there is nothing to undo"
        last = self.log.undoable[-1]
        if last.kind == "discarded":
            self.log.add("undone", last.key)
        elif not self.store.undo(last):
            return f"not undone: the rows of {shorten(last.prompt)} in {self.store.path} have been changed since"
        self.queue = [(last.key, last.recheck), *(item for item in self.queue if item[0] != last.key)]
        self._shown = Shown(last.key, list(last.answers), last.recheck) if last.answers else None
        self._since = time.monotonic()
        if not self.answers.get(last.key):
            self._take_over(last)
        if last.kind == "discarded":
            self.rechecks += last.recheck
            return "the prompt that was discarded is back"
        self.confirmed = max(0, self.confirmed - 1)  # of an earlier session, it was not counted
        if not last.recheck:
            self.ranked.discard(last.key)
            self.growing.tell("undone", last.key[0])
        return f"undid the last ranking, {format_order(last.ranks)}; rank it again"

    def discard(self) -> None:
        """Never show what is on the screen again, unless that is undone."""
        shown = self.shown
        self.log.add("discarded", shown.key, answers=shown.answers, recheck=shown.recheck)
        self.rechecks -= shown.recheck
        self._leave()
        self.queue = [item for item in self.queue if item[0] != shown.key]

    def resample(self, sampled: Sequence[str]) -> int:
        """Replace the sampled answers by new ones; those that the person wrote or edited stay. Return how many stay."""
        own = [answer for answer in self.shown.answers if answer not in self.sampled[self.shown.key]]
        self.sampled[self.shown.key] |= set(sampled)
        self.change(distinct([*sampled, *own]), sampled)
        return len(own)

    def change(self, answers: list[str], sampled: Sequence[str] = ()) -> None:
        """Give the prompt on the screen other answers, which are shown in this order; some are newly `sampled`."""
        shown = self.shown
        self.log.add("changed", shown.key, answers=list(answers), sampled=list(sampled))
        self.changes.append(shown.answers)
        self.answers[shown.key] = list(answers)
        self._shown = Shown(shown.key, list(answers), shown.recheck)

    def counts(self) -> SessionCounts:
        """Count second showings like first ones, before and after they are shown, so that nothing gives them away."""
        standing = self.log.standing
        done = len(self.ranked) + sum(event.recheck for event in standing)
        return self._counts(done, len(self.queue) + min(self._rechecks_to_choose(), self._first_showings()), standing)

    def _take_over(self, event: Event) -> None:
        """Take a prompt's answers from an event: its candidates are in no file that was read."""
        self.answers[event.key], self.sampled[event.key] = list(event.answers), set(event.answers)

    def _first_showings(self) -> int:
        return sum(not recheck for _, recheck in self.queue)

    def _rechecks_to_choose(self) -> int:
        chosen = sum(recheck for _, recheck in self.queue) + sum(event.recheck for event in self.log.standing)
        return max(0, self.rechecks - chosen)

    def _choose_recheck(self, key: Key) -> None:
        """Decide whether a prompt that was just ranked is shown again: as likely as any before the last ones."""
        early = max(1, self._first_showings() - RECHECK_DISTANCE)  # this one included
        if random.Random(f"recheck/{self.seed}/{key}").random() * early < self._rechecks_to_choose():
            self.queue.insert(min(RECHECK_DISTANCE + 1, len(self.queue)), (key, True))


def format_order(ranks: Sequence[int]) -> str:
    """Return the line that gives these ranks.

    >>> format_order([2, 1, 3, 2])
    '2 1=4 3'
    """
    return " ".join("=".join(str(i + 1) for i, r in enumerate(ranks) if r == rank) for rank in sorted(set(ranks)))
