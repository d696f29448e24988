"""Rewards of labelled answers, gathered record by record, to judge the model by: ranks, scores, or a chosen and a rejected answer."""

import random
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from preference.data.comparisons import TWO_PLACES, Comparison, NoComparison, settle
from preference.data.prompt_key import prompt_key
from preference.data.rankings import Ranking
from preference.evaluation.evaluation import Evaluation, evaluate
from preference.wording import counted, shorten

MOST_ANSWERS = 2_000  # of one ranking, that are judged


class Judge:
    """Gathers labelled answers and their rewards, all of which it holds in memory."""

    def __init__(self) -> None:
        self.unlabelled = 0  # answers without a valid rank
        self.left_out: Counter[str] = Counter()  # why -> records
        self._answers: dict[tuple[str, tuple[str, str]], list[tuple[str, float, float]]] = {}

    def add(self, item: Comparison, rewards: Sequence[float]) -> None:
        """Add the answers of one record with their rewards: several are a ranking of their own, single ones belong to their prompt and group."""
        if item.left_out:
            self.left_out[item.left_out] += 1
        group = (item.group if len(item.answers) == 1 else str(len(self._answers)), item.rater)
        for answer, rank, reward in zip(item.answers, item.ranks, rewards, strict=True):
            if rank is None:
                self.unlabelled += 1
            else:
                self._answers.setdefault((item.prompt.strip(), group), []).append((answer.strip(), rank, float(reward)))

    def evaluate(self, was_seen: Callable[[str], bool]) -> tuple[Evaluation | None, list[str]]:
        """Evaluate the rewards on the prompts that the model was not trained on.

        Args:
            was_seen: whether it was trained on a prompt.

        Returns:
            None where nothing is left; and sentences on what was left out.
        """
        kept: list[Ranking] = []
        rewards: list[float] = []
        seen: set[str] = set()
        left_out: Counter[str] = Counter()  # why -> rankings
        notes: list[str] = []
        for (prompt, group), told in self._answers.items():
            if len(told) > MOST_ANSWERS:  # the time that pairs take is quadratic
                notes.append(f"judged by {MOST_ANSWERS:,} of the {len(told):,} answers to {shorten(prompt)}, drawn at random")
                told = random.Random(0).sample(told, MOST_ANSWERS)
            texts, ranks, values = zip(*told, strict=True)
            try:
                places, levels, twice = settle(texts, ranks)
            except NoComparison as reason:
                left_out[str(reason)] += 1
                continue
            if twice:
                left_out[TWO_PLACES] += 1
            if was_seen(prompt):
                seen.add(prompt_key(prompt))
                continue
            kept.append(Ranking(prompt, [texts[i] for i in places], levels, *group))
            rewards += [values[i] for i in places]
        notes += [f"not judged: {counted(count, 'record')} with {why}" for why, count in self.left_out.most_common()]
        notes += [f"not judged, though scored: {counted(count, 'ranking')} with {why}" for why, count in left_out.most_common()]
        if self.unlabelled:
            notes.append(f"not judged, though scored: {counted(self.unlabelled, 'answer')} without a rank")
        if seen:
            notes.append(f"not judged, though scored: {counted(len(seen), 'prompt')} that the model was trained on")
        if not kept:
            notes.append("no agreement table: it takes a prompt that the model was not trained on, with two answers of different ranks")
            return None, notes
        return evaluate("test", kept, np.asarray(rewards, dtype=np.float32)), notes
