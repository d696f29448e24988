"""A session in which a person ranks again what the models of a review dispute."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from preference.data.rankings import Key, identities, parse_rank, rankings_of
from preference.data.records import number, text_of
from preference.data.roles import COLUMNS
from preference.data.tables import TableError, read_table
from preference.errors import InputError
from preference.ranking.session import Session, SessionCounts, format_order
from preference.ranking.store import Event, RankingStore
from preference.wording import shorten


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
            self.confirmed = max(0, self.confirmed - 1)  # of an earlier session, it was not counted
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


def disagreement(ranks: Sequence[int], other: Sequence[int]) -> float:
    """Return how many pairs of answers two rankings order differently; one that ties in one of them counts half.

    >>> disagreement([1, 2, 3], [2, 1, 3]), disagreement([1, 2, 3], [1, 1, 2])
    (1.0, 0.5)
    """
    signs = ([(a > b) - (a < b) for a, b in combinations(side, 2)] for side in (ranks, other))
    return sum(abs(a - b) for a, b in zip(*signs, strict=True)) / 2
