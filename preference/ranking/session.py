"""A session in which a person ranks new answers, or again what models dispute: what comes next, confirming, undoing."""

import contextlib
import math
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from preference.data.candidates import Candidates, distinct
from preference.data.rankings import Key, identities, parse_rank, rankings_of
from preference.data.records import number, text_of
from preference.data.tables import COLUMNS, TableError, read_table
from preference.errors import InputError
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
        confirmed: rankings of this session, minus those undone.
        recalled: the order that was undone last, as it would be typed now, to be changed instead of typed anew.
    """

    again = False  # whether what is shown is in the CSV already

    def __init__(self, store: RankingStore, seed: int, growing: GrowingModel | None = None):
        self.store, self.log, self.seed, self.growing = store, store.log, seed, growing or GrowingModel()
        self.answers: dict[Key, list[str]] = {}
        self.queue: list[tuple[Key, bool]] = []
        self.skipped: set[Key] = set()
        self.changes: list[list[str]] = []
        self.rechecks, self.confirmed, self.recalled = 0, 0, ""
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
                self.log.add("shown", key, answers=answers, recheck=recheck, again=self.again)
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
        self.log.add("skipped", shown.key, again=self.again)
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

    def __init__(self, candidates: Sequence[Candidates], store: RankingStore, *, seed: int, recheck: float = 0.0,
                 growing: GrowingModel | None = None):  # fmt: skip
        super().__init__(store, seed, growing)
        self.answers = {(each.prompt, "", ""): list(each.answers) for each in candidates}
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
        """Undo the last step, also of an earlier session, and show its prompt to be ranked anew; say what happened."""
        if self.changes:
            self.change(self.changes[-1])
            del self.changes[-2:]  # that change and this one
            return "the answers are as they were before"
        if not self.log.undoable:
            return "there is nothing to undo"
        last = self.log.undoable[-1]
        if last.kind == "discarded":
            self.log.add("undone", last.key)
        elif not self.store.undo(last):
            return f"not undone: the rows of {shorten(last.prompt)} in {self.store.path} have been changed since"
        self.queue = [(last.key, last.recheck), *(item for item in self.queue if item[0] != last.key)]
        self._shown = None
        if not self.answers.get(last.key):
            self._take_over(last)
        if last.kind == "discarded":
            self.rechecks += last.recheck
            return "the prompt that was discarded is back"
        self.confirmed -= 1
        if not last.recheck:
            self.ranked.discard(last.key)
            self.growing.tell("undone", last.key[0])
        if last.recheck or last.rank_of.keys() != set(self.shown.answers):
            return "undid the last ranking; rank anew"
        self.recalled = format_order([last.rank_of[answer] for answer in self.shown.answers])
        ways = "the up arrow brings it into the line to be changed, or rank anew"
        return f"undid the last ranking, now {self.recalled}; {ways}"

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


@dataclass(frozen=True)
class Reviewed:
    """A person's ranks as they were when models were asked about them, the models', and how far these dispute them."""

    key: Key
    ranks: dict[str, int]
    models: dict[str, int]
    dispute: float


def read_review(path: Path) -> list[Reviewed]:
    """Read what `review_rankings.py` wrote, most disputed first."""
    if not path.exists():
        raise InputError(f"{path}: no such file; review_rankings.py writes one")
    table = read_table(path)
    rankings, problems = rankings_of(table).rankings, []
    _, answer, _, predicted, disputed = table.need(*COLUMNS, "predicted_rank", "dispute")
    models: dict[Key, dict[str, int]] = {}
    disputes: dict[Key, float] = {}
    for i, (key, record) in enumerate(zip(identities(table), table.records, strict=True)):
        rank, dispute = parse_rank(text_of(record[predicted])), number(record[disputed])
        if rank is None or dispute is None or dispute < 0:
            column = predicted if rank is None else disputed
            what = f"{column} must be a number, not {shorten(text_of(record[column]))}"
            problems.append(f"{table.at(i)}: {what}; run review_rankings.py again")
        else:
            models.setdefault(key, {})[text_of(record[answer])] = int(rank)
            disputes[key] = dispute
    if problems:
        raise TableError(problems)
    ranks = {ranking.identity: dict(zip(ranking.answers, ranking.ranks, strict=True)) for ranking in rankings}
    reviewed = [Reviewed(key, own, models[key], disputes[key]) for key, own in ranks.items()]
    return sorted(reviewed, key=lambda review: -review.dispute)


@dataclass(frozen=True)
class Outcome:
    """Three rankings of the same answers: the person's earlier one, the new one, and the models'."""

    before: Sequence[int]
    now: Sequence[int]
    models: Sequence[int]

    @property
    def changed(self) -> bool:
        return list(self.now) != list(self.before)

    @property
    def side(self) -> int:
        """Whose order the new one is nearer to: 1 the models', -1 the earlier one, 0 as near to either."""
        to_models, to_before = disagreement(self.now, self.models), disagreement(self.now, self.before)
        return (to_models < to_before) - (to_models > to_before)

    def in_words(self) -> str:
        """Return the three orders in one line, and whose the new one is nearer to.

        >>> Outcome(before=[1, 2, 3], now=[2, 1, 3], models=[3, 1, 2]).in_words()
        'earlier 1 2 3 · now 2 1 3 · models 2 3 1 · halfway between'
        """
        orders = {"earlier": self.before, "now": self.now, "models": self.models}
        side = {1: "nearer to the models' order", -1: "nearer to your earlier order", 0: "halfway between"}[self.side]
        words = [f"{name} {format_order(ranks)}" for name, ranks in orders.items()]
        return " · ".join([*words, side if self.changed else "unchanged"])


class AgainSession(Session):
    """Leads a person through the disputed rankings of a review that the CSV still has as they were then.

    A ranking that was ranked again, and still stands like that, is done, whether the review was made before or after:
    nobody is asked twice. Those whose rows are gone or have been edited since the review are not shown.

    Args:
        reviewed: the whole review, most disputed first; InputError is raised if it is one of other rankings.
        top: how many of the disputed rankings are looked at; None takes all.

    Attributes:
        earlier: the ranks that a new ranking replaces.
        done: the log's `reranked` or `kept` event of each ranking that is done.
        missing, edited: prompts of disputed rankings that are not shown, as their rows are gone or not the same.
    """

    again = True

    def __init__(self, reviewed: Sequence[Reviewed], store: RankingStore, *, seed: int, top: int | None = None):
        super().__init__(store, seed)
        if not any(store.ranks(review.key).keys() == review.ranks.keys() for review in reviewed):
            what = "has none of the rankings of this review; give --data the CSV that was reviewed"
            raise InputError(f"{store.path}: {what}")
        self.reviewed = {review.key: review for review in [each for each in reviewed if each.dispute > 0][:top]}
        self.answers = {key: sorted(review.ranks) for key, review in self.reviewed.items()}
        self.earlier = {key: review.ranks for key, review in self.reviewed.items()}
        self.done: dict[Key, Event] = {}
        self.missing: list[str] = []
        self.edited: list[str] = []
        looked_at = {event.key: event for event in self.log.looked_at}
        for key, review in self.reviewed.items():
            now = store.ranks(key)
            if key in looked_at and now == looked_at[key].rank_of:
                self.done[key] = looked_at[key]
            elif now == review.ranks:
                self.queue.append((key, False))
            else:
                (self.edited if now else self.missing).append(key[0])

    def confirm(self, ranks: list[int]) -> None:
        """Replace the earlier ranks of the answers on the screen; that is on the disk when this returns."""
        shown, seconds = self.shown, self._seconds()
        before = [self.earlier[shown.key][answer] for answer in shown.answers]
        if disagreement(ranks, before) == 0:
            ranks = before  # the same order; gaps between its ranks stay too
        self.store.change_ranks("reranked", shown.key, shown.answers, ranks, before, seconds=seconds)
        self.done[shown.key] = self.log.events[-1]
        self.confirmed += 1
        self._leave()

    def undo(self) -> str:
        """Bring back what the last ranking replaced, or ask again what was kept; also of an earlier session."""
        if not self.log.looked_at:
            return "no ranking was ranked again; there is nothing to undo"
        last = self.log.looked_at[-1]
        key, kept = last.key, last.kind == "kept"
        if kept:
            self.log.add("restored", key)
        elif self.store.ranks(key) != last.rank_of:
            self.log.add("restored", key)  # so that the next u goes on to the one before
            return f"not undone: the rows of {shorten(last.prompt)} in {self.store.path} have been changed since"
        else:
            self.store.change_ranks("restored", key, last.answers, last.old_ranks, last.ranks)
            self.confirmed -= 1
        self.done.pop(key, None)
        self._shown = None
        if key not in self.reviewed:
            return f"the earlier ranking of {shorten(last.prompt)} is back"
        self.earlier[key] = dict(zip(last.answers, last.ranks if kept else last.old_ranks, strict=True))
        self.queue.insert(0, (key, False))
        return "the earlier ranking is back; rank again, or s to leave it"

    def discard(self) -> None:
        """Keep the earlier ranking of what is on the screen, and do not ask again."""
        key = self.shown.key
        ranks = self.earlier[key]
        self.done[key] = self.log.add("kept", key, answers=list(ranks), ranks=list(ranks.values()))
        self._leave()

    def counts(self) -> SessionCounts:
        """Count what is done, left and skipped."""
        return self._counts(len(self.done), len(self.queue), self.log.looked_at)

    def outcomes(self) -> list[Outcome]:
        """Return the three orders of each ranking of the review that was ranked again, in the order of the log.

        One that was brought back and then ranked once more is left out: the person knew the models' order.
        """
        knew, blind = set(), []
        for event in self.log.events:
            if event.kind == "restored" and event.ranks:
                knew.add(event.key)
            elif event.kind == "reranked" and event is self.done.get(event.key) and event.key not in knew:
                blind.append(self.outcome(event))
        return blind

    def outcome(self, event: Event) -> Outcome:
        """Return the three orders of a `reranked` event, as ranks of the answers in the order on the screen."""
        models = self.reviewed[event.key].models
        return Outcome(event.old_ranks, event.ranks, [models[answer] for answer in event.answers])


def format_order(ranks: Sequence[int]) -> str:
    """Return the line that gives these ranks.

    >>> format_order([2, 1, 3, 2])
    '2 1=4 3'
    """
    return " ".join("=".join(str(i + 1) for i, r in enumerate(ranks) if r == rank) for rank in sorted(set(ranks)))


def disagreement(ranks: Sequence[int], other: Sequence[int]) -> float:
    """Return how many pairs of answers two rankings order differently; one that ties in one of them counts half.

    >>> disagreement([1, 2, 3], [2, 1, 3]), disagreement([1, 2, 3], [1, 1, 2])
    (1.0, 0.5)
    """
    signs = ([(a > b) - (a < b) for a, b in combinations(side, 2)] for side in (ranks, other))
    return sum(abs(a - b) for a, b in zip(*signs, strict=True)) / 2
