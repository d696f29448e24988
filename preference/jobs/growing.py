"""The worker behind preference.ranking.growing: it learns from each ranking as soon as it is confirmed.

    python -m preference.jobs.growing SEED

Reads messages, one JSON object a line, from standard input, and writes what it found after each ranking to standard output.
"""

import contextlib
import json
import os
import queue
import sys
import threading
from collections.abc import Iterator

import numpy as np
import torch

from preference.data.rankings import Ranking
from preference.errors import InputError
from preference.evaluation.disputes import disputes_of
from preference.evaluation.metrics import answer_lengths, count_pairs
from preference.machine import choose_precision
from preference.model.base_models import REWARD_MODEL_DEFAULT, find_base_model
from preference.model.encoding import encode_pairs
from preference.model.states import states_of
from preference.ranking.growing import RECENT
from preference.statistics import bootstrap_interval
from preference.training.probe import Probe, fit_probe
from preference.training.review import review_states
from preference.training.settings import TrainingSettings
from preference.training.start import start_from

LEAST = 2  # rankings to learn from, before one is judged
DISPUTES = 3  # rankings that are named


class Learner:
    """The head and all rankings that it has learned from; `tests` holds what it made of those that it had not seen."""

    def __init__(self, seed: int):
        self.settings = TrainingSettings(seed=seed)
        self.start = start_from(find_base_model(REWARD_MODEL_DEFAULT), self.settings, [])
        self.precision = choose_precision("auto", "cpu", self.start.model.config.get_text_config().hidden_size)
        self.rankings: list[Ranking] = []
        self.tests: dict[tuple[str, str, str], tuple[Ranking, np.ndarray]] = {}  # identity -> the ranking and the rewards of its answers
        self._states: dict[str, np.ndarray] = {}
        self._probe: Probe | None = None

    def states(self, ranking: Ranking) -> np.ndarray:
        """Return the states of a ranking's answers: shape (answers, width)."""
        key = json.dumps([ranking.prompt, ranking.answers])
        if key not in self._states:
            pairs, _ = encode_pairs(self.start.tokenizer, [ranking.prompt] * len(ranking.answers), ranking.answers, self.settings.max_length)
            self._states[key] = states_of(
                self.start.model, self.start.tokenizer, pairs, key=self.start.states_key(self.precision), device="cpu", precision=self.precision
            )
        return self._states[key]

    def judge(self, ranking: Ranking) -> None:
        """Order the answers of a ranking that is new."""
        if len(self.rankings) >= LEAST:
            if self._probe is None:
                self._probe = fit_probe(np.concatenate([self.states(r) for r in self.rankings]), self.rankings, self.settings.objective)
            self.tests[ranking.identity] = ranking, self._probe.rewards(self.states(ranking))

    def learn(self, ranking: Ranking) -> None:
        self.rankings.append(ranking)
        self._probe = None

    def forget(self, ranking: Ranking) -> None:
        self.rankings = [one for one in self.rankings if one.identity != ranking.identity]
        self.tests.pop(ranking.identity, None)
        self._probe = None

    def found(self) -> dict:
        """Return what `preference.ranking.growing.GrowingModel.in_words` says."""
        tests = list(self.tests.values())
        found: dict = {"tested": len(tests)}
        for name, some in (("recent", tests[-RECENT:] if len(tests) > RECENT else []), ("all", tests)):
            if some:
                rankings = [ranking for ranking, _ in some]
                model = count_pairs(rankings, np.concatenate([rewards for _, rewards in some]))
                longest = count_pairs(rankings, answer_lengths(rankings)).accuracy()
                interval = bootstrap_interval(model.right, model.pairs)
                found[name] = {"rankings": len(some), "model": model.accuracy(), "longest": longest, "interval": interval}
        states = np.concatenate([self.states(ranking) for ranking in self.rankings])
        if review := review_states(states, self.rankings, self.settings.objective, seed=self.settings.seed):
            disputes = disputes_of(self.rankings, review.evaluation.rewards)
            found["disputes"] = [self.rankings[i].prompt for i in np.argsort(-disputes)[:DISPUTES] if disputes[i] > review.evaluation.rewards.std()]
        return found


def work(learner: Learner, messages: Iterator[dict | None]) -> None:
    """Carry out the messages; None is a moment without one, in which the states of answers to come are computed."""
    soon: list[Ranking] = []
    for message in messages:
        if message is None:
            if soon:
                learner.states(soon.pop(0))
            continue
        ((kind, values),) = message.items()
        if kind == "soon":
            soon.append(Ranking(values[0], values[1], []))
            continue
        ranking = Ranking(*values)
        if kind == "undone":
            learner.forget(ranking)
        elif len(set(ranking.ranks)) > 1:
            if kind == "ranked":
                learner.judge(ranking)
            learner.learn(ranking)
        if kind != "known" and learner.rankings:
            print(json.dumps(learner.found()), flush=True)


def read_messages() -> Iterator[dict | None]:
    """Read messages in a thread; give None where none waits."""
    waiting: queue.Queue[dict | None] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            waiting.put(json.loads(line))
        os._exit(0)  # the ranker has ended

    threading.Thread(target=read, daemon=True).start()
    while True:
        with contextlib.suppress(queue.Empty):
            yield waiting.get(timeout=0.2)
            continue
        yield None


def main() -> None:
    """Work until standard input ends."""
    os.nice(10)
    torch.set_num_threads(1)
    messages = read_messages()
    try:
        learner = Learner(int(sys.argv[1]))
        if not learner.start.head_only:
            raise InputError(f"{learner.start.base.used} has no layer that is known to tell quality")
    except InputError as error:
        print(json.dumps({"failed": str(error)}), flush=True)
        return
    work(learner, messages)


if __name__ == "__main__":
    main()
