import numpy as np
import pytest

from preference.data.rankings import Ranking
from preference.evaluation.comparison import compare


def synthetic_rankings(count: int) -> list[Ranking]:
    return [Ranking(f"p{i}", ["a", "b", "c"], [1, 2, 3]) for i in range(count)]


def test_a_better_model_is_called_better_and_the_changed_prompts_are_named():
    before, after = np.array([1.0, 2, 3] * 20), np.array([3.0, 2, 1] * 19 + [1.0, 2, 3])
    comparison = compare(synthetic_rankings(20), before, after)
    assert (comparison.before, comparison.after) == (0, pytest.approx(0.95))
    assert comparison.changed == [f"p{i}" for i in range(19)]
    assert comparison.in_words().startswith(
        "The new model is better than the previous one: 0.950 of the pairs of 20 prompts in order, against 0.000 before, each scored"
    )
    assert (
        compare(synthetic_rankings(20), after, before)
        .in_words()
        .startswith("The new model is worse than the previous one")
    )


def test_the_same_rewards_are_no_difference():
    rewards = np.array([3.0, 1, 2] * 6)
    comparison = compare(synthetic_rankings(6), rewards, rewards)
    low, high = comparison.difference_95
    assert low == -high and -0.3 < low < -0.1 and comparison.changed == []
    assert "is not clearly different from the previous one" in comparison.in_words()


def test_validation_prompts_are_said_to_flatter_the_new_model():
    rankings, rewards = synthetic_rankings(6), np.array([3.0, 1, 2] * 6)
    said = {count: compare(rankings, rewards, rewards, validation_prompts=count).in_words() for count in (0, 2, 6)}
    assert said[0].endswith("95 % interval -0.243 to +0.243).")
    assert said[2].endswith(
        "+0.243); the validation prompts among them chose the new weights, which flatters it a little."
    )
    assert said[6].endswith("+0.243); these validation prompts chose the new weights, which flatters it a little.")


@pytest.mark.parametrize("prompts", [1, 5])
def test_few_prompts_tell_nothing_however_clear_they_are(prompts):
    comparison = compare(synthetic_rankings(prompts), np.array([1.0, 2, 3] * prompts), np.array([3.0, 2, 1] * prompts))
    assert comparison.in_words() == (
        f"Too few prompts to tell the new model from the previous one: 1.000 of the pairs of {prompts} prompt{'s' * (prompts > 1)} in order,"
        " against 0.000 before, each scored by models that had not seen it (at least 6 are needed)."
    )
