"""Rewards of labelled answers, gathered record by record, to judge the model by: ranks, or a chosen and a rejected answer."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from preference.data.answers import Scorable
from preference.data.rankings import Ranking, parse_rank
from preference.evaluation.evaluation import Evaluation, evaluate
from preference.wording import counted


class Judge:
    """Gathers labelled answers and their rewards, all of which it holds in memory."""

    def __init__(self, layout: str):
        self.layout = layout
        self.unlabelled = 0  # answers without a valid rank
        self._answers: dict[tuple[str, str], list[tuple[str, int, float]]] = {}

    def add(self, item: Scorable, rewards: Sequence[float]) -> None:
        """Add the answers of one record with their rewards."""
        ranks = self._ranks(item)
        # Each pair is a ranking of its own.
        group = str(len(self._answers)) if self.layout == "pairs" else str(item.record.get("group") or "").strip()
        for answer, rank, reward in zip(item.answers, ranks, rewards, strict=True):
            if rank is None:
                self.unlabelled += 1
            else:
                self._answers.setdefault((item.prompt.strip(), group), []).append((answer, rank, float(reward)))

    def _ranks(self, item: Scorable) -> Sequence[int | None]:
        if self.layout == "pairs":
            return [1, 2]
        given: Any = item.record.get("ranks") if self.layout == "lists" else [item.record.get("rank")]
        if not isinstance(given, list) or len(given) != len(item.answers):
            return [None] * len(item.answers)
        return [None if rank is None or isinstance(rank, bool) else parse_rank(str(rank)) for rank in given]

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
        for (prompt, group), answers in self._answers.items():
            texts, ranks, values = zip(*answers, strict=True)
            if len(set(ranks)) < 2:
                continue
            if was_seen(prompt):
                seen.add(prompt)
                continue
            kept.append(Ranking(prompt, list(texts), list(ranks), group))
            rewards += values
        notes = []
        if self.unlabelled:
            notes.append(f"left out: {counted(self.unlabelled, 'answer')} without a rank, which must be a positive whole number")
        if seen:
            notes.append(f"left out: {counted(len(seen), 'prompt')} that the model was trained on")
        if not kept:
            notes.append("no agreement table: it takes a prompt that the model was not trained on, with two answers of different ranks")
            return None, notes
        return evaluate("test", kept, np.asarray(rewards, dtype=np.float32)), notes
