import numpy as np
import pytest

from preference.statistics import BOOTSTRAP_SAMPLES, bootstrap_interval


def plain_interval(sums: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """The percentile interval without a correction for few prompts."""
    rng = np.random.default_rng(0)
    resampled = [rng.integers(len(sums), size=len(sums)) for _ in range(BOOTSTRAP_SAMPLES)]
    low, high = np.percentile([sums[some].sum() / counts[some].sum() for some in resampled], [2.5, 97.5])
    return low, high


@pytest.mark.parametrize("prompts, wider", [(6, (1.25, 1.6)), (30, (1.03, 1.1)), (1000, (0.99, 1.01))])
def test_few_prompts_widen_the_interval_as_student_says(prompts, wider):
    sums = np.random.default_rng(1).binomial(12, 0.7, size=prompts)
    counts = np.full(prompts, 12)
    low, high = bootstrap_interval(sums, counts)
    plain_low, plain_high = plain_interval(sums, counts)
    assert low <= plain_low < sums.sum() / counts.sum() < plain_high <= high
    # Student's interval is wider than the normal one by the root of n / (n - 1) times 2.57 / 1.96 with 6 values: 1.44
    assert wider[0] < (high - low) / (plain_high - plain_low) < wider[1]


def test_one_prompt_has_no_spread():
    assert bootstrap_interval(np.array([3]), np.array([4])) == (0.75, 0.75)
