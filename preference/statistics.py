"""The one bootstrap of this project."""

import numpy as np

BOOTSTRAP_SAMPLES = 2000


def bootstrap_interval(sums: np.ndarray, counts: np.ndarray, *, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % percentile interval of sum(sums) / sum(counts) from a bootstrap over prompts (Efron 1979).

    Prompts are resampled, since the pairs of one prompt are not independent.

    Args:
        sums, counts: one entry per prompt, shape (prompts,).
    """
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(BOOTSTRAP_SAMPLES):
        resampled = generator.integers(len(sums), size=len(sums))
        values.append(sums[resampled].sum() / counts[resampled].sum())
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
