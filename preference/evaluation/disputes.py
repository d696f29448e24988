"""Which rankings a model disputes: how much margin it puts on the wrong side of the person's order."""

from collections.abc import Sequence

import numpy as np

from preference.data.rankings import Ranking
from preference.evaluation.calibration import sample_margins
from preference.evaluation.metrics import pair_margins, split_rewards

_ORDERS = 200


def dispute_of(ranking: Ranking, rewards: np.ndarray) -> float:
    """Return the margins on the wrong side, summed over the ranking's untied pairs; 0 where the model agrees with all of them.

    >>> dispute_of(Ranking("p", ["a", "b", "c"], [1, 2, 3]), np.array([1.0, 0.0, 0.5]))
    0.5
    """
    margins = pair_margins(ranking, rewards)
    return float(np.maximum(-margins, 0.0).sum())


def disputes_of(rankings: Sequence[Ranking], rewards: np.ndarray) -> np.ndarray:
    """Return `dispute_of` every ranking: shape (rankings,)."""
    return np.asarray(
        [dispute_of(r, values) for r, values in zip(rankings, split_rewards(rankings, rewards), strict=True)]
    )


def expected_disputes(
    rankings: Sequence[Ranking], rewards: np.ndarray, threshold: float, temperature: float, *, seed: int = 0
) -> float:
    """Return how many rankings chance alone would make as disputed as `threshold`.

    Chance is a person whose order follows the model's own win probabilities: see `sample_margins`.
    """
    generator = np.random.default_rng(seed)
    expected = 0.0
    for ranking, values in zip(rankings, split_rewards(rankings, rewards), strict=True):
        margins = sample_margins(ranking, values, temperature, _ORDERS, generator)
        expected += float((np.maximum(-margins, 0).sum(axis=1) >= threshold).mean())
    return expected
