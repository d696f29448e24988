"""Which rankings look reversed: ranked with the highest number for the best answer, against the rest of the file."""

from collections.abc import Sequence

import numpy as np
from scipy.special import expit, logit

from preference.data.rankings import Ranking
from preference.evaluation.calibration import fit_temperature
from preference.evaluation.metrics import pair_margins, split_rewards

CERTAIN = 0.9  # probability from which a ranking is named
_ROUNDS = 20
_PRIOR = (0.2, 10.0)  # as if 10 rankings had been seen before, 0.2 of them reversed


def find_reversed(rankings: Sequence[Ranking], rewards: np.ndarray) -> list[int]:
    """Return the positions of the rankings that look reversed, the most certain first.

    Each ranking is taken to follow the rewards' odds (Plackett-Luce), either as it stands or turned round. The share of turned
    ones and the temperature are found by expectation maximisation (Dempster et al. 1977), and those with a probability of at
    least `CERTAIN` are returned: a few pairs on the wrong side are not enough, nor is a model that cannot tell good from bad.

    Args:
        rewards: of models that never saw the rankings' prompts, for all answers in order: shape (answers,).
    """
    parts = split_rewards(rankings, rewards)
    margins = [pair_margins(ranking, values) for ranking, values in zip(rankings, parts, strict=True)]
    both_ways = np.concatenate([*margins, *(-some for some in margins)])
    sizes = [len(some) for some in margins]
    share, probability = _PRIOR[0] / _PRIOR[1], np.zeros(len(rankings))
    for _ in range(_ROUNDS):
        temperature = fit_temperature(
            both_ways, np.concatenate([np.repeat(1 - probability, sizes), np.repeat(probability, sizes)])
        )
        lead = [order_likelihood(v / temperature, -np.asarray(r.ranks)) - order_likelihood(v / temperature, np.asarray(r.ranks))
                for r, v in zip(rankings, parts, strict=True)]  # fmt: skip
        before, probability = probability, expit(logit(share) + np.asarray(lead))
        share = (probability.sum() + _PRIOR[0]) / (len(rankings) + _PRIOR[1])
        if abs(probability - before).max() < 1e-3:
            break
    return [int(i) for i in np.argsort(-probability, kind="stable") if probability[i] >= CERTAIN]


def order_likelihood(values: np.ndarray, ranks: np.ndarray) -> float:
    """Return the logarithm of the Plackett-Luce probability of an order; ties as Efron (1977) treats them.

    >>> round(float(np.exp(order_likelihood(np.zeros(3), np.array([1, 2, 3])))), 3)  # one of six orders
    0.167
    """
    weights = np.exp(values - values.max())
    total = 0.0
    for level in np.unique(ranks):
        tied, left = weights[ranks == level], weights[ranks >= level].sum()
        total += float(np.log(tied).sum() - sum(np.log(left - k / len(tied) * tied.sum()) for k in range(len(tied))))
    return total
