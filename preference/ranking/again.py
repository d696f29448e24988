"""Ranking again what models dispute: the rankings of a CSV, most disputed first, blind."""

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from preference.data.rankings import Key, Ranking, identities, named_apart, parse_rank, rankings_of
from preference.data.tables import COLUMNS, TableError, read_table
from preference.data.values import number, text_of
from preference.errors import InputError
from preference.ranking.self_agreement import disagreement, kendall_tau
from preference.ranking.session import Session, SessionCounts, Shown
from preference.ranking.store import RankingStore
from preference.wording import shorten


@dataclass(frozen=True)
class Reviewed:
    """A ranking as it was when models were asked about it, the models' rank of each answer, and how strongly they dispute it."""

    ranking: Ranking
    models: dict[str, int]
    dispute: float

    @property
    def key(self) -> Key:
        return self.ranking.identity

    @property
    def ranks(self) -> dict[str, int]:
        """The person's rank of each answer."""
        return dict(zip(self.ranking.answers, self.ranking.ranks, strict=True))


def read_review(path: Path) -> list[Reviewed]:
    """Read what `review_rankings.py` wrote, most disputed first.

    Raises:
        InputError: no such file; it breaks the contract of a CSV; it has no columns `predicted_rank` and `dispute`, or other than numbers there.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file; review_rankings.py writes one")
    table = read_table(path)
    rankings = rankings_of(table).rankings
    _, answer, _, predicted, disputed = table.need(*COLUMNS, "predicted_rank", "dispute")
    models: dict[Key, dict[str, int]] = {}
    disputes: dict[Key, float] = {}
    problems = []
    for i, (key, record) in enumerate(zip(identities(table), table.records, strict=True)):
        rank, dispute = parse_rank(text_of(record[predicted])), number(record[disputed])
        if rank is None or dispute is None or dispute < 0:
            column = predicted if rank is None else disputed
            problems.append(
                f"{table.at(i)}: {column} must be a number, not {shorten(text_of(record[column]))}; run review_rankings.py again"
            )
            continue
        models.setdefault(key, {})[record[answer].strip()] = int(rank)
        disputes[key] = dispute
    if problems:
        raise TableError(problems)
    reviewed = [Reviewed(ranking, models[ranking.identity], disputes[ranking.identity]) for ranking in rankings]
    return sorted(reviewed, key=lambda one: -one.dispute)


@dataclass(frozen=True)
class Outcome:
    """Three rankings of the same answers: the person's earlier one, the new one, and the models'."""

    before: list[int]
    now: list[int]
    models: list[int]

    @property
    def changed(self) -> bool:
        return self.now != self.before

    @property
    def kendall_tau(self) -> float:
        """Tau-b between the earlier and the new ranking: 1 for the same order, -1 for the opposite one."""
        return kendall_tau(self.before, self.now)

    @property
    def side(self) -> int:
        """Whose order the new one is nearer to: 1 the models', -1 the earlier one, 0 as near to either."""
        to_models, to_before = disagreement(self.now, self.models), disagreement(self.now, self.before)
        return (to_models < to_before) - (to_models > to_before)


class AgainSession(Session):
    """Leads a person through the disputed rankings of a review that the CSV still has as they were then.

    A ranking that was ranked again, and still stands like that, is done, whether the review was made before or after:
    nobody is asked twice. Those whose rows are gone or have been edited since the review are not shown.

    Args:
        reviewed: the whole review, most disputed first.
        seed: decides the order on the screen.
        top: how many of the disputed rankings are looked at; None takes all.

    Raises:
        InputError: the review is one of other rankings.

    Attributes:
        done: the log's `reranked` or `kept` event of each ranking that is done.
        missing, edited: prompts of disputed rankings that are not shown, as their rows are gone or are not the same any more.
    """

    def __init__(self, reviewed: Sequence[Reviewed], store: RankingStore, *, seed: int, top: int | None = None):
        super().__init__(store, seed)
        if not any(store.ranks(one.key).keys() == one.ranks.keys() for one in reviewed):
            raise InputError(
                f"{store.path}: has none of the rankings of this review; give --data the CSV that was reviewed"
            )
        self.reviewed = {one.key: one for one in [one for one in reviewed if one.dispute > 0][:top]}
        self.queue: list[Reviewed] = []
        self.skipped: set[Key] = set()
        self.done: dict[Key, dict] = {}
        self.missing: list[str] = []
        self.edited: list[str] = []
        self._screens: dict[Key, list[list[str]]] = {}  # the orders in which its answers have been on the screen
        for event in self.log.events:
            if event["event"] == "shown":
                self._screens.setdefault(_key(event), []).append(event["answers"])
        looked_at = {_key(event): event for event in self.log.looked_at}
        for key, one in self.reviewed.items():
            now = store.ranks(key)
            if key in looked_at and now == _ranks(looked_at[key]):
                self.done[key] = looked_at[key]
            elif now == one.ranks:
                self.queue.append(one)
            else:
                (self.edited if now else self.missing).append(one.ranking.prompt)

    @property
    def current(self) -> Shown | None:
        if not self.queue:
            return None
        if self._shown is None:
            ranking, key = self.queue[0].ranking, self.queue[0].key
            screens = self._screens.setdefault(key, [])
            answers = sorted(ranking.answers)  # an order that says nothing, before it is shuffled
            shuffle = random.Random(f"again/{self.seed}/{key}/{len(screens)}").shuffle
            shuffle(answers)
            while screens and answers == screens[-1]:
                shuffle(answers)
            screens.append(answers)
            shown = Shown(ranking.prompt, answers, group=named_apart(ranking.group, ranking.rater))
            self._show(shown, group=ranking.group, rater=ranking.rater, again=True)
        return self._shown

    def confirm(self, ranks: list[int]) -> None:
        shown, one = self.shown, self.queue[0]
        before = [one.ranks[answer] for answer in shown.answers]
        if disagreement(ranks, before) == 0:
            ranks = before  # the same order; gaps between its ranks stay too
        self.store.change_ranks("reranked", one.key, shown.answers, ranks, before, seconds=self._seconds())
        self.done[one.key] = self.log.events[-1]
        self.confirmed += 1
        self._leave()

    def undo(self) -> str:
        """Bring the earlier ranking back that the last confirmed one replaced, or ask again what was kept; also of an earlier session."""
        if not self.log.looked_at:
            return "no ranking was ranked again; there is nothing to undo"
        last = self.log.looked_at[-1]
        key, kept = _key(last), last["event"] == "kept"
        if not kept and self.store.ranks(key) != _ranks(last):
            self.log.add("restored", **_named(key))  # so that the next u goes on to the one before
            return f"not undone: the rows of {shorten(last['prompt'])} in {self.store.path} have been changed since"
        ranks = last["ranks"] if kept else last["old_ranks"]
        if kept:
            self.log.add("restored", **_named(key), kept=True)
        else:
            self.store.change_ranks("restored", key, last["answers"], ranks, last["ranks"])
            self.confirmed -= 1
        self.done.pop(key, None)
        self._shown = None
        if key not in self.reviewed:
            return f"the earlier ranking of {shorten(last['prompt'])} is back"
        self.queue.insert(0, replace(self.reviewed[key], ranking=Ranking(key[0], last["answers"], ranks, *key[1:])))
        return "the earlier ranking is back; rank again, or s to leave it"

    def skip(self) -> None:
        key = self.queue[0].key
        self.log.add("skipped", **_named(key), again=True)
        self.skipped.add(key)
        self._leave()

    def keep(self) -> None:
        """Keep the earlier ranking of the answers on the screen, and never ask again."""
        one = self.queue[0]
        self.log.add("kept", **_named(one.key), answers=one.ranking.answers, ranks=one.ranking.ranks)
        self.done[one.key] = self.log.events[-1]
        self._leave()

    def counts(self) -> SessionCounts:
        seconds = [event["seconds"] for event in self.log.looked_at if "seconds" in event]
        return SessionCounts(
            len(self.done), len(self.queue), len(self.skipped), statistics.median(seconds) if seconds else None
        )

    def outcomes(self) -> list[Outcome]:
        """Return the earlier, the new and the models' order of each ranking of the review that was ranked again, in the order of the log.

        One that was brought back and then ranked once more is left out: the person knew the models' order.
        """
        told, blind = set(), []
        for event in self.log.events:
            if event["event"] == "restored" and not event.get("kept"):
                told.add(_key(event))
            elif event["event"] == "reranked" and event is self.done.get(_key(event)) and _key(event) not in told:
                blind.append(self.outcome(event))
        return blind

    def outcome(self, event: dict) -> Outcome:
        """Return the three orders of a `reranked` event, as ranks of the answers in the order on the screen."""
        models = self.reviewed[_key(event)].models
        return Outcome(event["old_ranks"], event["ranks"], [models[answer] for answer in event["answers"]])

    def _leave(self) -> None:
        self.queue.pop(0)
        self._shown = None


def _key(event: dict) -> Key:
    return event["prompt"].strip(), event.get("group", "").strip(), event.get("rater", "").strip()


def _named(key: Key) -> dict[str, str]:
    """Return how an event names a ranking."""
    return dict(zip(("prompt", "group", "rater"), key, strict=True))


def _ranks(event: dict) -> dict[str, int]:
    return dict(zip(event["answers"], event["ranks"], strict=True))
