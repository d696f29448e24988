"""95 % intervals over prompts: a bootstrap, and what keeps it from claiming too much of few prompts."""

import numpy as np
from scipy import stats

BOOTSTRAP_SAMPLES = 2000
_DRAWN_AT_ONCE = 2**20  # prompts; so many take 30 MB, whatever the number of prompts
_NORMAL_95 = 1.96


def bootstrap_interval(right: np.ndarray, pairs: np.ndarray, *, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of the share sum(right) / sum(pairs), from a bootstrap over prompts (Efron 1979).

    With few prompts the plain percentile interval is too narrow, so the percentiles are moved outwards by as much as
    Student's interval of a mean is wider than the normal one (the expanded percentile interval of Hesterberg 2015,
    "What Teachers Should Know About the Bootstrap", section 5.3). Where nearly all is right, resampling finds no
    spread, so it is never narrower than Wilson's interval (1927) on as many independent comparisons as the pairs are
    worth.

    Args:
        right: how many pairs of each prompt are right, shape (prompts,).
        pairs: how many pairs each prompt has, shape (prompts,).

    >>> low, high = bootstrap_interval(np.full(10, 6.0), np.full(10, 6.0))
    >>> round(low, 3), high
    (0.886, 1.0)
    """
    low, high = _resampled(right, pairs, seed)
    least, most = _wilson(right, pairs)
    return min(low, least), max(high, most)


def lead_interval(right: np.ndarray, other: np.ndarray, pairs: np.ndarray, *, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of the lead (sum(right) − sum(other)) / sum(pairs) of one way to order the pairs.

    It is that of `bootstrap_interval`, but never narrower than Wilson's intervals of what was won and of what was lost,
    put together by the square roots of their squares (method 10 of Newcombe 1998, "Improved confidence intervals for
    the difference between binomial proportions based on paired data").
    """
    difference = right - other
    low, high = _resampled(difference, pairs, seed)
    won, lost = np.maximum(difference, 0), np.maximum(-difference, 0)
    (won_low, won_high), (lost_low, lost_high) = _wilson(won, pairs), _wilson(lost, pairs)
    lead, gain, loss = (values.sum() / pairs.sum() for values in (difference, won, lost))
    least = lead - np.hypot(gain - won_low, lost_high - loss)
    most = lead + np.hypot(won_high - gain, loss - lost_low)
    return min(low, float(least)), max(high, float(most))


def _resampled(sums: np.ndarray, counts: np.ndarray, seed: int) -> tuple[float, float]:
    generator, prompts = np.random.default_rng(seed), len(sums)
    at_once = max(1, _DRAWN_AT_ONCE // prompts)
    values = np.empty(BOOTSTRAP_SAMPLES)
    for start in range(0, BOOTSTRAP_SAMPLES, at_once):
        part = values[start : start + at_once]
        drawn = generator.integers(prompts, size=(len(part), prompts))
        part[:] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    free = max(prompts - 1, 1)  # degrees of freedom; of one prompt, which has no spread, any percentiles do
    outside = stats.norm.cdf(-((prompts / free) ** 0.5) * stats.t.ppf(0.975, free))
    low, high = np.quantile(values, [outside, 1 - outside])
    return float(low), float(high)


def _wilson(right: np.ndarray, pairs: np.ndarray) -> tuple[float, float]:
    """Return Wilson's interval of sum(right) / sum(pairs) on the independent comparisons that the pairs are worth."""
    share = right.sum() / pairs.sum()
    # pairs ** 2 / comparisons of each prompt, where n (n - 1) / 2 pairs are n - 1 comparisons
    comparisons = pairs.sum() ** 2 / (pairs * (1 + np.sqrt(1 + 8 * pairs)) / 4).sum()
    squared = _NORMAL_95**2 / comparisons
    middle, reach = share + squared / 2, np.sqrt(squared * share * (1 - share) + squared**2 / 4)
    low, high = (middle - reach) / (1 + squared), (middle + reach) / (1 + squared)
    return (0.0 if share == 0 else float(low)), (1.0 if share == 1 else float(high))
