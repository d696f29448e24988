"""The one bootstrap of this project."""

import numpy as np
from scipy import stats

BOOTSTRAP_SAMPLES = 2000


def bootstrap_interval(sums: np.ndarray, counts: np.ndarray, *, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of sum(sums) / sum(counts) from a bootstrap over prompts (Efron 1979).

    Prompts are resampled, since the pairs of one prompt are not independent. With few prompts the plain percentile interval is
    too narrow, so the percentiles are moved outwards by as much as Student's interval of a mean is wider than the normal one
    (the expanded percentile interval of Hesterberg 2015, "What Teachers Should Know About the Bootstrap", section 5.3).

    Args:
        sums, counts: one entry per prompt, shape (prompts,).
    """
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(BOOTSTRAP_SAMPLES):
        resampled = generator.integers(len(sums), size=len(sums))
        values.append(sums[resampled].sum() / counts[resampled].sum())
    low, high = np.percentile(values, _percentiles(len(sums)))
    return float(low), float(high)


def _percentiles(prompts: int) -> list[float]:
    """Return the two percentiles of the bootstrap that bound the interval; one prompt has no spread, so any do."""
    if prompts < 2:
        return [2.5, 97.5]
    outside = 100 * float(stats.norm.cdf(-((prompts / (prompts - 1)) ** 0.5) * stats.t.ppf(0.975, prompts - 1)))
    return [outside, 100 - outside]
