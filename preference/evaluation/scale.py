"""What a reward means to a person: its rank, its percentile, its odds. The model's folder knows the scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from preference.evaluation.calibration import win_probability
from preference.evaluation.record import FILE, read_record


@dataclass(frozen=True)
class RewardScale:
    """Each is None where the folder does not know it.

    Attributes:
        quantiles: the 0th to 100th percentile of the rewards of the training answers.
        temperature: P(A preferred to B) = sigmoid((reward A − reward B) / temperature).
        seen_prompts: digests of the prompts that the model was trained on.
        no_odds: why there is no temperature.
    """

    quantiles: np.ndarray | None = None
    temperature: float | None = None
    seen_prompts: frozenset[str] | None = None
    no_odds: str = f"its {FILE} has no calibration"

    def percentiles(self, rewards: np.ndarray | Sequence[float]) -> list[int] | None:
        """Return how many per cent of the training answers have a lower reward.

        >>> RewardScale(np.linspace(-2.0, 2.0, 101)).percentiles([0.0, -5.0, 1.0])
        [50, 0, 75]
        """
        if self.quantiles is None:
            return None
        return np.rint(np.interp(rewards, self.quantiles, np.arange(len(self.quantiles)))).astype(int).tolist()

    def probability(self, margin: float) -> float | None:
        """Return the probability that a person prefers the answer whose reward is higher by `margin`."""
        return None if self.temperature is None else float(win_probability(margin, self.temperature))


def read_scale(folder: str | Path) -> RewardScale:
    """Return the scale that metrics.json of a model's folder knows; what is missing or damaged there is None."""
    record = read_record(folder)
    return RewardScale(
        None if record.reward_quantiles is None else np.asarray(record.reward_quantiles),
        record.calibration.temperature if record.calibration else None,
        None if record.seen_prompts is None else frozenset(record.seen_prompts),
        record.no_odds or RewardScale.no_odds,
    )


def rank_within(
    prompts: np.ndarray, rewards: np.ndarray, answers: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Rank each reward among those of its prompt, 1 is the highest; equal rewards share the better rank.

    Args:
        prompts: shape (answers,), a number for each prompt; its answers may stand apart.
        rewards: shape (answers,).
        answers: shape (answers,), a number for each answer to a prompt; one that several people ranked stands there several
            times, and counts once. None: no answer stands there twice.

    Returns:
        The ranks, and whether each is the prompt's best (of equal ones the first): both of shape (answers,).

    >>> ranks, best = rank_within(np.array([7, 8, 7, 7]), np.array([0.9, 0.1, 0.9, 0.5]), np.array([1, 2, 1, 3]))
    >>> ranks.tolist(), best.tolist()
    ([1, 1, 1, 2], [True, True, False, False])
    >>> rank_within(np.array([7, 7]), np.array([0.5, 0.5]), np.array([9, 1]))[1].tolist()
    [True, False]
    """
    if answers is not None:
        _, first, place = np.unique(answers, return_index=True, return_inverse=True)
        order = np.argsort(first)  # as they stand: of equal rewards, the first is the best
        ranks, best = np.empty(len(first), dtype=np.int32), np.zeros(len(rewards), dtype=bool)
        ranks[order], best[first[order]] = rank_within(prompts[first[order]], rewards[first[order]])
        return ranks[place], best
    order = np.lexsort((-rewards, prompts))  # stable
    prompts, rewards = prompts[order], rewards[order]
    positions, new_prompt = np.arange(len(order), dtype=np.int32), np.ones(len(order), dtype=bool)
    new_prompt[1:] = prompts[1:] != prompts[:-1]
    new_reward = new_prompt.copy()
    new_reward[1:] |= rewards[1:] != rewards[:-1]
    first_of_prompt = np.maximum.accumulate(np.where(new_prompt, positions, 0))
    first_of_reward = np.maximum.accumulate(np.where(new_reward, positions, 0))
    ranks, best = np.empty(len(order), dtype=np.int32), np.empty(len(order), dtype=bool)
    ranks[order], best[order] = first_of_reward - first_of_prompt + 1, new_prompt
    return ranks, best
