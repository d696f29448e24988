"""The worker behind preference.ranking.growing: a probe that learns from each ranking as soon as it is confirmed.

It learns from the rankings of a table first. Then it reads messages from standard input, and writes what it found to
standard output, one JSON object a line each (`python -m preference.jobs.growing DATA SEED`).
"""

import contextlib
import json
import os
import queue
import sys
import threading
from collections.abc import Sequence

import numpy as np
import torch

from preference.data.rankings import Key, Ranking, read_rankings
from preference.data.splits import folds_by_prompt
from preference.errors import InputError
from preference.evaluation.metrics import answer_lengths, by_ranking, count_pairs
from preference.evaluation.odds import disputes_of
from preference.model.base_models import REWARD_MODEL_DEFAULT, BaseModelError, find_base_model
from preference.model.encoding import encode_pairs
from preference.statistics import bootstrap_interval
from preference.training.probe import cross_validate, start_from
from preference.training.settings import TrainingSettings
from preference.wording import counted

MIN_OTHERS = 2  # rankings to learn from before others are judged
RECENT = 20  # rankings
DISPUTES, MIN_FOR_DISPUTES = 3, 10  # prompts that are named; ranked prompts, with fewer of which none is
NO_BASE = "there is no base model on this computer yet; the first training downloads one"


class Learner:
    """The rankings that it has learned from, and what it made of each before.

    The number of those that are `known` at the start decides the layer, as in training; they are not learned yet.
    """

    def __init__(self, base: str, settings: TrainingSettings, known: Sequence[Ranking] = ()):
        self.settings = settings
        self.start = start_from(find_base_model(base), settings, known)
        if not self.start.pooled:
            raise InputError(f"no probe is known for {base}")
        self.rankings: dict[Key, Ranking] = {}
        self.tests: dict[Key, tuple[Ranking, np.ndarray]] = {}  # and the rewards of its answers
        self.disputes: dict[Key, str] = {}
        self._states: dict[tuple[str, str], np.ndarray] = {}  # of a prompt and an answer

    def states(self, rankings: Sequence[Ranking]) -> np.ndarray:
        """Return the states of all answers, in order: shape (answers, width)."""
        texts = [(ranking.prompt, answer) for ranking in rankings for answer in ranking.answers]
        if missing := [text for text in dict.fromkeys(texts) if text not in self._states]:
            prompts, answers = zip(*missing, strict=True)
            pairs, _ = encode_pairs(self.start.tokenizer, prompts, answers, self.settings.max_length)
            self._states |= dict(zip(missing, self.start.states(pairs), strict=True))
        return np.stack([self._states[text] for text in texts])

    def take(self, rankings: Sequence[Ranking]) -> None:
        """Judge rankings by what was learned from other prompts, then learn from them; ties alone say nothing."""
        for ranking in rankings:
            self.forget(ranking.identity)
        rankings = [ranking for ranking in rankings if len(set(ranking.ranks)) > 1]
        prompts = {ranking.key for ranking in rankings}
        others = [ranking for ranking in self.rankings.values() if ranking.key not in prompts]
        if rankings and len(others) >= MIN_OTHERS:
            rewards = self.start.fit(self.states(others), others).rewards(self.states(rankings))
            self.tests |= {test[0].identity: test for test in by_ranking(rankings, rewards)}
        self.rankings |= {ranking.identity: ranking for ranking in rankings}

    def forget(self, identity: Key) -> None:
        """Let a ranking not count any more, if there is one."""
        for known in (self.rankings, self.tests, self.disputes):
            known.pop(identity, None)

    def dispute(self) -> None:
        """Find the rankings that a cross-validation disputes most."""
        rankings, self.disputes = list(self.rankings.values()), {}
        if len({ranking.key for ranking in rankings}) >= MIN_FOR_DISPUTES:
            folds = folds_by_prompt(rankings, self.settings.seed)
            rewards = cross_validate(self.start, self.states(rankings), rankings, folds)
            strengths = disputes_of(rankings, rewards)
            strongest = [i for i in np.argsort(-strengths)[:DISPUTES] if strengths[i] > rewards.std()]
            self.disputes = {rankings[i].identity: rankings[i].prompt for i in strongest}

    def in_words(self) -> str:
        """Say of how many pairs of all rankings and of the recent ones it got right; "" before the first test."""
        tests = list(self.tests.values())
        parts = [("", tests)] if len(tests) <= RECENT else [("the last ", tests[-RECENT:]), ("all ", tests)]
        shares = " and ".join(self._share(which, part) for which, part in parts if part)
        asked = "a model that learns as you rank, asked about each ranking before it saw it, got right"
        return f"{asked} {shares}" if shares else ""

    def _share(self, which: str, tests: list[tuple[Ranking, np.ndarray]]) -> str:
        rankings = [ranking for ranking, _ in tests]
        counts = count_pairs(rankings, np.concatenate([rewards for _, rewards in tests]))
        low, high = bootstrap_interval(counts.right, counts.pairs, seed=self.settings.seed)
        longest = count_pairs(rankings, answer_lengths(rankings)).accuracy()
        beside = f"95 % interval {low:.0%} to {high:.0%}; the longest answer is best: {longest:.0%}"
        return f"{counts.accuracy():.0%} of the pairs of {which}{counted(len(tests), 'ranking')} ({beside})"


def work(learner: Learner, known: Sequence[Ranking], messages: queue.SimpleQueue[dict]) -> None:
    """Learn from the known rankings, then carry out messages for ever; what can wait is done where there is none."""
    count, soon = 0, list[Ranking]()  # messages on rankings; what comes next
    changed = True  # since disputes were looked for

    def tell() -> None:
        found = {"known": count, "words": learner.in_words(), "disputes": list(learner.disputes.values())}
        print(json.dumps(found), flush=True)

    tell()
    while known:  # in blocks that each grow what was learned by a tenth, so that many are tested with few probes
        size = max(1, len(learner.rankings) // 10)
        learner.take(known[:size])
        known = known[size:]
        tell()
    while True:
        if messages.empty() and soon:
            learner.states([soon.pop(0)])
        elif messages.empty() and changed:
            learner.dispute()
            changed = False
            tell()
        else:
            ((kind, value),) = messages.get().items()
            if kind == "soon":
                soon = [Ranking(prompt, answers, []) for prompt, answers in value]
                continue
            learner.forget((value, "", "")) if kind == "undone" else learner.take([Ranking(*value)])
            count, changed = count + 1, True
            tell()


def main(data: str, seed: str) -> None:
    """Work until standard input ends, or say why that is impossible."""
    messages: queue.SimpleQueue[dict] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            messages.put(json.loads(line))
        os._exit(0)  # the ranker has ended

    threading.Thread(target=listen, daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(5)
    torch.set_num_threads(1)
    known: list[Ranking] = []
    with contextlib.suppress(InputError):  # no file yet, or none with a ranking
        known = read_rankings(data).rankings
    try:
        work(Learner(REWARD_MODEL_DEFAULT, TrainingSettings(seed=int(seed)), known), known, messages)
    except InputError as error:
        print(json.dumps({"failed": NO_BASE if isinstance(error, BaseModelError) else str(error)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
