from itertools import combinations

import numpy as np
import pytest

from preference.statistics import BOOTSTRAP_SAMPLES, bootstrap_interval, lead_interval


def plain_interval(sums: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """The percentile interval without a correction for few prompts."""
    rng = np.random.default_rng(0)
    resampled = [rng.integers(len(sums), size=len(sums)) for _ in range(BOOTSTRAP_SAMPLES)]
    low, high = np.percentile([sums[some].sum() / counts[some].sum() for some in resampled], [2.5, 97.5])
    return low, high


@pytest.mark.parametrize("prompts, wider", [(6, (1.25, 1.6)), (30, (1.03, 1.1)), (1000, (0.99, 1.01))])
def test_few_prompts_widen_the_interval_as_student_says(prompts, wider):
    sums = np.random.default_rng(1).permutation(np.linspace(2, 12, prompts))  # a wide spread, which the bootstrap sees
    counts = np.full(prompts, 12)
    low, high = bootstrap_interval(sums, counts)
    plain_low, plain_high = plain_interval(sums, counts)
    assert low <= plain_low < sums.sum() / counts.sum() < plain_high <= high
    # Student's interval is wider than the normal one by the root of n / (n - 1) times 2.57 / 1.96 with 6 values: 1.44
    assert wider[0] < (high - low) / (plain_high - plain_low) < wider[1]


@pytest.mark.parametrize("answers", [2, 4])
@pytest.mark.parametrize("prompts", [1, 3, 6, 10, 30])
def test_no_interval_is_a_point_where_all_prompts_are_alike(prompts, answers):
    pairs = np.full(prompts, answers * (answers - 1) / 2)
    comparisons = prompts * (answers - 1)
    low, high = bootstrap_interval(pairs, pairs)
    assert (low, high) == (pytest.approx(comparisons / (comparisons + 1.96**2)), 1.0)  # Wilson's interval of all right
    assert bootstrap_interval(0 * pairs, pairs) == (0.0, pytest.approx(1 - low))
    assert lead_interval(pairs, pairs, pairs) == (
        pytest.approx(low - 1),
        pytest.approx(1 - low),
    )  # no lead on any prompt
    least, most = lead_interval(pairs, pairs / 2, pairs)  # the same lead on every prompt
    assert least < 0.5 < most <= 1


def pairs_right(generator: np.random.Generator, prompts: int, answers: int, temperature: float) -> np.ndarray:
    """Return how many pairs of each prompt two sets of values order as a person does who follows the odds of the
    first."""
    values = generator.normal(size=(prompts, answers))
    told = values / temperature + generator.gumbel(size=values.shape)
    other = 0.8 * values + 0.6 * generator.normal(size=values.shape)
    agreed = [
        [(some[:, i] > some[:, j]) == (told[:, i] > told[:, j]) for i, j in combinations(range(answers), 2)]
        for some in (values, other)
    ]
    return np.sum(agreed, axis=1).astype(float)


@pytest.mark.parametrize(
    "prompts, answers, temperature", [(3, 2, 0.1), (3, 4, 0.3), (10, 2, 0.1), (10, 4, 0.1), (40, 2, 0.3), (40, 4, 0.8)]
)
def test_the_intervals_hold_the_truth_in_nineteen_of_twenty_cases(prompts, answers, temperature):
    generator = np.random.default_rng(0)
    pairs = np.full(prompts, answers * (answers - 1) / 2)
    right, other = pairs_right(generator, 100_000, answers, temperature).mean(axis=1) / pairs[0]
    trials, held = 100, np.zeros(2)
    for _ in range(trials):
        one, two = pairs_right(generator, prompts, answers, temperature)
        for i, ((low, high), truth) in enumerate(
            [(bootstrap_interval(one, pairs), right), (lead_interval(one, two, pairs), right - other)]
        ):
            held[i] += low <= truth <= high
    assert (held >= 0.92 * trials).all()


@pytest.mark.faults
def test_a_hundred_thousand_prompts_are_resampled_in_little_memory():
    import tracemalloc

    sums = np.random.default_rng(0).binomial(6, 0.8, size=100_000).astype(float)
    tracemalloc.start()
    low, high = bootstrap_interval(sums, np.full(100_000, 6.0))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 100e6 and 0.79 < low < high < 0.81
