"""What a reward means to a person: its rank, its percentile, its odds. The model's folder knows the scale (metrics.json)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from preference.evaluation.calibration import win_probability


@dataclass(frozen=True)
class RewardScale:
    """Each is None where the folder does not know it.

    Attributes:
        quantiles: the 0th to 100th percentile of the rewards of the training answers.
        temperature: P(A preferred to B) = sigmoid((reward A − reward B) / temperature).
        seen_prompts: digests of the prompts that the model was trained on.
    """

    quantiles: np.ndarray | None = None
    temperature: float | None = None
    seen_prompts: frozenset[str] | None = None

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
    """Read metrics.json of a model's folder; what is missing or damaged there is None."""
    try:
        record = json.loads((Path(folder) / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        return RewardScale()
    return RewardScale(_quantiles(record.get("reward_quantiles")), _temperature(record.get("calibration")), _digests(record.get("seen_prompts")))


def _quantiles(value: object) -> np.ndarray | None:
    try:
        quantiles = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    right = quantiles.shape == (101,) and np.isfinite(quantiles).all() and (np.diff(quantiles) >= 0).all()
    return quantiles if right else None


def _temperature(value: object) -> float | None:
    temperature = value.get("temperature") if isinstance(value, dict) else None
    right = isinstance(temperature, (int, float)) and np.isfinite(temperature) and temperature > 0
    return float(temperature) if right else None  # type: ignore[arg-type]


def _digests(value: object) -> frozenset[str] | None:
    return frozenset(value) if isinstance(value, list) and all(isinstance(digest, str) for digest in value) else None


def rank_within(prompts: np.ndarray, rewards: np.ndarray, answers: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
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
