"""A probe that learns from rankings as they come, and is asked about each before it learns from it."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from preference.data.rankings import Key, Ranking
from preference.data.splits import folds_by_prompt
from preference.errors import InputError
from preference.evaluation.disputes import disputes_of
from preference.evaluation.metrics import answer_lengths, count_pairs, split_rewards
from preference.machine import choose_precision
from preference.model.base_models import find_base_model
from preference.model.encoding import encode_pairs
from preference.model.states import states_of
from preference.statistics import bootstrap_interval
from preference.training.probe import cross_validate, fit_probe
from preference.training.settings import TrainingSettings
from preference.training.start import start_from

LEAST = 2  # rankings to learn from before others are judged
RECENT = 20  # rankings
DISPUTES, LEAST_FOR_DISPUTES = 3, 10  # prompts that are named; rankings, with fewer of which none is


class Learner:
    """The rankings that it has learned from, and what it made of each before.

    Args:
        base: the base model, as `find_base_model` takes it.
        known: the rankings to begin with: as in training, their number decides the layer. They are not learned yet.

    Raises:
        InputError: there is no such base model, or no probe is known for it.
    """

    def __init__(self, base: str, settings: TrainingSettings, known: Sequence[Ranking] = ()):
        self.settings = settings
        self.start = start_from(find_base_model(base), settings, known)
        if not self.start.pooled:
            raise InputError(f"no probe is known for {base}")
        self.precision = choose_precision("auto", "cpu", self.start.model.config.get_text_config().hidden_size)
        self.rankings: dict[Key, Ranking] = {}
        self.tests: dict[Key, tuple[Ranking, np.ndarray]] = {}  # and the rewards of its answers
        self.disputes: dict[Key, Ranking] = {}
        self._states: dict[tuple[str, str], np.ndarray] = {}  # of a prompt and an answer

    def states(self, rankings: Sequence[Ranking]) -> np.ndarray:
        """Return the states of all answers, in order: shape (answers, width)."""
        texts = [(ranking.prompt, answer) for ranking in rankings for answer in ranking.answers]
        if missing := [one for one in dict.fromkeys(texts) if one not in self._states]:
            prompts, answers = zip(*missing, strict=True)
            pairs, _ = encode_pairs(self.start.tokenizer, prompts, answers, self.settings.max_length)
            key = self.start.states_key(self.precision)
            found = states_of(
                self.start.model, self.start.tokenizer, pairs, key=key, device="cpu", precision=self.precision
            )
            self._states |= dict(zip(missing, found, strict=True))
        return np.stack([self._states[one] for one in texts])

    def take(self, rankings: Sequence[Ranking]) -> None:
        """Judge rankings by what was learned from other prompts so far, then learn from them; those with nothing but ties say nothing."""
        for ranking in rankings:
            self.forget(ranking.identity)
        rankings = [ranking for ranking in rankings if len(set(ranking.ranks)) > 1]
        prompts = {ranking.key for ranking in rankings}
        others = [ranking for ranking in self.rankings.values() if ranking.key not in prompts]
        if rankings and len(others) >= LEAST:
            rewards = fit_probe(self.states(others), others, self.settings.objective).rewards(self.states(rankings))
            for ranking, some in zip(rankings, split_rewards(rankings, rewards), strict=True):
                self.tests[ranking.identity] = ranking, some
        self.rankings |= {ranking.identity: ranking for ranking in rankings}

    def forget(self, identity: Key) -> None:
        """Let a ranking not count any more, if there is one."""
        for known in (self.rankings, self.tests, self.disputes):
            known.pop(identity, None)

    def dispute(self) -> None:
        """Find the rankings that a cross-validation disputes most."""
        rankings, self.disputes = list(self.rankings.values()), {}
        if len({ranking.key for ranking in rankings}) < LEAST_FOR_DISPUTES:
            return
        rewards = cross_validate(
            self.states(rankings), rankings, folds_by_prompt(rankings, self.settings.seed), self.settings.objective
        )
        strengths = disputes_of(rankings, rewards)
        for i in np.argsort(-strengths)[:DISPUTES]:
            if strengths[i] > rewards.std():
                self.disputes[rankings[i].identity] = rankings[i]

    def found(self) -> dict[str, Any]:
        """Return how many of the pairs of the `recent` and of `all` rankings it got right, and the prompts of `disputes`.

        Each of the two is None where it has no ranking, or as many as the other.
        """
        tests = list(self.tests.values())
        recent = self._counted(tests[-RECENT:]) if len(tests) > RECENT else None
        return {
            "recent": recent,
            "all": self._counted(tests),
            "disputes": [ranking.prompt for ranking in self.disputes.values()],
        }

    def _counted(self, tests: list[tuple[Ranking, np.ndarray]]) -> dict[str, Any] | None:
        if not tests:
            return None
        rankings = [ranking for ranking, _ in tests]
        counts = count_pairs(rankings, np.concatenate([rewards for _, rewards in tests]))
        return {
            "rankings": len(rankings),
            "model": counts.accuracy(),
            "interval": bootstrap_interval(counts.right, counts.pairs, seed=self.settings.seed),
            "longest": count_pairs(rankings, answer_lengths(rankings)).accuracy(),
        }


def in_blocks(rankings: Sequence[Ranking]) -> Iterator[Sequence[Ranking]]:
    """Split rankings into blocks that each grow what was learned by a tenth, so that many are tested with few probes.

    >>> [len(block) for block in in_blocks([Ranking("p", [], [])] * 25)]
    [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 1]
    """
    first = 0
    while first < len(rankings):
        size = max(1, first // 10)
        yield rankings[first : first + size]
        first += size
