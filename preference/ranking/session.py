"""A session in which a person ranks candidates: what comes next, what is confirmed, what is undone."""

import contextlib
import math
import random
import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from preference.data.candidates import Candidates, distinct
from preference.data.rankings import Ranking
from preference.ranking.growing import GrowingModel
from preference.ranking.order import format_order
from preference.ranking.self_agreement import kendall_tau, shown_twice
from preference.ranking.store import RankingStore
from preference.wording import shorten

RECHECK_DISTANCE = 5  # other prompts between the first and the second showing, if there are that many
LEAST_RANKINGS = 10  # to say whether position mattered
AHEAD = 3  # prompts that the growing model prepares for, the one on the screen included


@dataclass(frozen=True)
class Shown:
    """A prompt on the screen and its answers, in the order shown; `recheck` if it is shown a second time to measure agreement."""

    prompt: str
    answers: list[str]
    recheck: bool = False
    group: str = ""  # where a prompt has several rankings


@dataclass(frozen=True)
class SessionCounts:
    """How many prompts are done, left and skipped, and the median time that one took (None before the first)."""

    done: int
    left: int
    skipped: int
    median_seconds: float | None

    @property
    def seconds_left(self) -> float | None:
        """The time that the rest will take."""
        return None if self.median_seconds is None else self.left * self.median_seconds


@dataclass(frozen=True)
class Agreement:
    """How well a person agrees with themselves on the prompts shown twice, and whether position mattered in `rankings` of unequal answers.

    `first_position_best` is the share of rankings whose best answer was shown first, `first_position_expected` the share
    to expect by chance; both are None without rankings.
    """

    rechecked: int
    exact: int
    kendall_tau: float | None
    rankings: int
    first_position_best: float | None
    first_position_expected: float | None
    position_tau: float | None
    position_tau_95: tuple[float, float] | None


class Session(ABC):
    """What comes next, what is confirmed, what is undone.

    Attributes:
        confirmed: rankings of this session, minus those undone.
        recalled: the order that was undone last, as it would be typed now, so that it can be changed instead of typed anew.
    """

    def __init__(self, store: RankingStore, seed: int):
        self.store, self.log, self.seed = store, store.log, seed
        self.confirmed = 0
        self.recalled = ""
        self._shown: Shown | None = None
        self._since = 0.0

    @property
    @abstractmethod
    def current(self) -> Shown | None:
        """What is to be ranked now, or None when all is done. Logged as shown when it is first asked for."""

    @property
    def shown(self) -> Shown:
        """The same, for what needs a prompt on the screen; raises LookupError when all is done."""
        if (current := self.current) is None:
            raise LookupError("every prompt is ranked or discarded")
        return current

    @abstractmethod
    def confirm(self, ranks: list[int]) -> None:
        """Save the ranks of the answers on the screen; they are on the disk when this returns."""

    @abstractmethod
    def undo(self) -> str:
        """Undo the last step, also one from an earlier session, and show its prompt to be ranked anew; say what happened."""

    @abstractmethod
    def skip(self) -> None:
        """Leave the prompt on the screen for the next session."""

    @abstractmethod
    def counts(self) -> SessionCounts:
        """Count what is done, left and skipped."""

    def _show(self, shown: Shown, **details) -> Shown:
        """Put a prompt on the screen; `details` go to the log. A full disk is no reason to stop: `confirm` logs the answers too."""
        self._shown, self._since = shown, time.monotonic()
        with contextlib.suppress(OSError):
            self.log.add("shown", prompt=shown.prompt, answers=shown.answers, **details)
        return shown

    def _seconds(self) -> float:
        return round(time.monotonic() - self._since, 1)


class RankingSession(Session):
    """Leads a person through the prompts that are neither ranked in the CSV nor discarded.

    Args:
        recheck: this share of the prompts, rounded up, is shown a second time, reshuffled. Where there are enough prompts,
            no second showing comes last, so that the person cannot tell one by what is left.
        seed: decides the order on the screen, and which prompts are shown twice.
        growing: learns of what is ranked and undone, but not of second showings, which are no test on what it had not seen.
    """

    def __init__(
        self,
        candidates: Sequence[Candidates],
        store: RankingStore,
        *,
        seed: int,
        recheck: float = 0.0,
        growing: GrowingModel | None = None,
    ):
        super().__init__(store, seed)
        self.growing = growing or GrowingModel()
        self.answers = {one.prompt: list(one.answers) for one in candidates}
        self.sampled = {one.prompt: set(one.answers) for one in candidates}  # not written or edited by the person
        for event in self.log.events:
            if event["event"] == "changed" and event["prompt"] in self.answers:
                self.answers[event["prompt"]] = event["answers"]
                self.sampled[event["prompt"]] |= set(
                    event.get("sampled", event.get("drawn", []))
                )  # "drawn" in older logs
            elif event["event"] == "ranked" and not self.answers.get(event["prompt"], [""]):
                self._take_over(event)  # its candidates are no longer in a file
        discarded = {event["prompt"] for event in self.log.undoable if event["event"] == "discarded"}
        ranked = store.prompts()
        self.total = [prompt for prompt in self.answers if prompt not in discarded]
        self.ranked = {prompt for prompt in self.total if prompt in ranked}
        self.queue: list[tuple[str, bool]] = [(prompt, False) for prompt in self.total if prompt not in ranked]
        self.skipped: set[str] = set()
        self._changes: list[list[str]] = []  # what the answers on the screen were before each `w`, `e` and `r`

        prompts, self._random = list(self.answers), random.Random(f"recheck/{seed}")
        early = prompts[: -RECHECK_DISTANCE - 1]
        count = math.ceil(recheck * len(prompts))
        chosen = self._random.sample(early if len(early) >= count else prompts, count)
        again = {event["prompt"] for event in self.log.standing if event.get("recheck")}
        self.to_recheck = set(chosen) & set(self.total) - again
        for event in self.log.standing:
            if event["prompt"] in self.to_recheck & self.ranked:
                self._queue_recheck(event["prompt"])

    @property
    def current(self) -> Shown | None:
        if not self.queue:
            return None
        prompt, recheck = self.queue[0]
        if self._shown is None:
            answers = list(self.answers[prompt])
            before = [event["answers"] for event in self.log.rankings_of[prompt]]
            shuffle = random.Random(f"order/{self.seed}/{prompt}/{len(before)}").shuffle
            shuffle(answers)
            while before and len(answers) > 1 and answers == before[-1]:
                shuffle(answers)
            self._show(Shown(prompt, answers, recheck), recheck=recheck)
            self.growing.prepare([(prompt, self.answers[prompt]) for prompt, _ in self.queue[:AHEAD]])
        return self._shown

    def confirm(self, ranks: list[int]) -> None:
        shown, seconds = self.shown, self._seconds()
        if shown.recheck:  # its rows are in the CSV already
            self.log.add(
                "ranked", prompt=shown.prompt, answers=shown.answers, ranks=ranks, seconds=seconds, recheck=True
            )
        else:
            self.store.add(shown.prompt, shown.answers, ranks, seconds=seconds, recheck=False)
            self.growing.ranked(Ranking(shown.prompt, shown.answers, ranks))
        self._leave()
        self.confirmed += 1
        self.ranked.add(shown.prompt)
        if shown.recheck:
            self.to_recheck.discard(shown.prompt)
        elif shown.prompt in self.to_recheck:
            self._queue_recheck(shown.prompt)

    def undo(self) -> str:
        if self._changes:
            self.change(self._changes[-1])
            del self._changes[-2:]  # that change and this one
            return "the answers are as they were before"
        if not self.log.undoable:
            return "there is nothing to undo"
        last = self.log.undoable[-1]
        prompt, ranked, recheck = last["prompt"], last["event"] == "ranked", last.get("recheck", False)
        if not ranked:
            self.log.add("undone", prompt=prompt)
        elif not self.store.undo(last):
            return f"not undone: the rows of {shorten(prompt)} in {self.store.path} have been changed since"
        self.queue = [item for item in self.queue if item[0] != prompt]
        self.queue.insert(0, (prompt, recheck))
        self._shown = None
        if not self.answers.get(prompt):
            self._take_over(last)
        if prompt not in self.total:
            self.total.append(prompt)
        if not ranked:
            return "the prompt that was discarded is back"
        self.confirmed -= 1
        if recheck:
            self.to_recheck.add(prompt)
        else:
            self.ranked.discard(prompt)
            self.growing.undone(prompt)
        ranks = dict(zip(last["answers"], last["ranks"], strict=True))
        if recheck or ranks.keys() != set(self.shown.answers):
            return "undid the last ranking; rank anew"
        self.recalled = format_order([ranks[answer] for answer in self.shown.answers])
        return f"undid the last ranking, now {self.recalled}; the up arrow brings it into the line to be changed, or rank anew"

    def skip(self) -> None:
        self.log.add("skipped", prompt=self.shown.prompt)
        self.skipped.add(self.shown.prompt)
        self._pass_on_recheck()
        self._leave()

    def discard(self) -> None:
        """Never show the prompt on the screen again, unless that is undone."""
        shown = self.shown
        self.log.add("discarded", prompt=shown.prompt, answers=shown.answers)
        self._pass_on_recheck()
        self._leave()
        self.queue = [item for item in self.queue if item[0] != shown.prompt]
        self.total.remove(shown.prompt)

    def resample(self, sampled: Sequence[str]) -> int:
        """Replace the sampled answers by new ones; those that the person wrote or edited stay. Return how many stay."""
        own = [answer for answer in self.shown.answers if answer not in self.sampled[self.shown.prompt]]
        self.sampled[self.shown.prompt] |= set(sampled)
        self.change(distinct([*sampled, *own]), sampled=list(sampled))
        return len(own)

    def change(self, answers: list[str], **details) -> None:
        """Give the prompt on the screen other answers, which are shown in this order; `details` go to the log."""
        shown = self.shown
        self.log.add("changed", prompt=shown.prompt, answers=list(answers), **details)
        self._changes.append(shown.answers)
        self.answers[shown.prompt] = list(answers)
        self._shown = Shown(shown.prompt, list(answers), shown.recheck)

    def counts(self) -> SessionCounts:
        """Count. Second showings count like first ones, before and after they are shown, so that nothing gives them away."""
        standing = self.log.standing
        done = len(self.ranked) + sum(event.get("recheck", False) for event in standing)
        still_to_come = sum(prompt in self.to_recheck and not recheck for prompt, recheck in self.queue)
        seconds = [event["seconds"] for event in standing if "seconds" in event]
        return SessionCounts(
            done, len(self.queue) + still_to_come, len(self.skipped), statistics.median(seconds) if seconds else None
        )

    def agreement(self) -> Agreement:
        """Compare first and second rankings, and rankings with positions, of all sessions in the log."""
        import numpy as np

        from preference.statistics import lead_interval

        first = {event["prompt"]: event for event in self.log.standing if not event.get("recheck")}
        taus, exact = [], 0
        for one, again in shown_twice(self.log.events):
            before = dict(zip(one["answers"], one["ranks"], strict=True))
            ranks = [before[answer] for answer in again["answers"]]
            taus.append(kendall_tau(ranks, again["ranks"]))
            exact += ranks == again["ranks"]
        rankings = [
            event["ranks"] for event in first.values() if len(set(event["ranks"])) > 1
        ]  # all equal says nothing of positions
        position = [kendall_tau(range(len(ranks)), ranks) for ranks in rankings]
        enough = len(position) >= LEAST_RANKINGS
        return Agreement(
            rechecked=len(taus),
            exact=exact,
            kendall_tau=float(np.mean(taus)) if taus else None,
            rankings=len(rankings),
            first_position_best=float(np.mean([(ranks[0] == 1) / ranks.count(1) for ranks in rankings]))
            if rankings
            else None,
            first_position_expected=float(np.mean([1 / len(ranks) for ranks in rankings])) if rankings else None,
            position_tau=float(np.mean(position)) if position else None,
            position_tau_95=lead_interval(np.asarray(position), np.zeros(len(position)), np.ones(len(position)))
            if enough
            else None,
        )

    def _take_over(self, event: dict) -> None:
        """Take a prompt's answers from an event: its candidates are in no file that was read."""
        self.answers[event["prompt"]] = list(event.get("answers", []))
        self.sampled[event["prompt"]] = set(event.get("answers", []))

    def _leave(self) -> None:
        self.queue.pop(0)
        self._shown, self._changes = None, []

    def _pass_on_recheck(self) -> None:
        """Let another prompt be shown twice instead of the one that is left unranked: what is left falls by one, as for any other."""
        prompt, recheck = self.queue[0]
        if recheck or prompt not in self.to_recheck:
            return
        self.to_recheck.discard(prompt)
        if others := [
            other for other, _ in self.queue[1:] if other not in self.to_recheck and other not in self.ranked
        ]:
            self.to_recheck.add(self._random.choice(others))

    def _queue_recheck(self, prompt: str) -> None:
        self.queue.insert(min(RECHECK_DISTANCE, len(self.queue)), (prompt, True))
