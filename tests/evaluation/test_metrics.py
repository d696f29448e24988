import numpy as np
import pytest

from preference.data.rankings import Ranking
from preference.evaluation.metrics import count_pairs, measure_agreement, measure_spread, predicted_ranks
from preference.statistics import bootstrap_interval

ABC = Ranking("p", ["aaa", "bb", "c"], [1, 2, 3])


def test_a_right_a_wrong_and_a_flat_order():
    for rewards, accuracy, tau, hit in (([3, 2, 1], 1, 1, 1), ([1, 2, 3], 0, -1, 0), ([5, 5, 5], 0.5, 0, 1 / 3)):
        metrics = measure_agreement([ABC], rewards)
        assert metrics.pairwise_accuracy == accuracy
        assert metrics.kendall_tau == pytest.approx(tau)
        assert metrics.spearman_rho == pytest.approx(tau)
        assert metrics.best_of_n_hit_rate == pytest.approx(hit)


def test_pairs_by_hand_with_ties_and_equal_rewards():
    tied = Ranking("q", ["x", "y", "z", "w"], [1, 1, 2, 3])
    # pairs: x>z right, x>w right, y>z equal, y>w right, z>w right
    pairs = count_pairs([tied, ABC], [4, 2, 2, 1, 1, 2, 3])
    assert pairs.right.tolist() == [4.5, 0]
    assert pairs.pairs.tolist() == [5, 3]
    assert pairs.accuracy() == 4.5 / 8


def test_margin_and_range():
    spread = measure_spread([ABC], [3.0, 1.0, 0.0])
    assert spread["mean_margin"] == pytest.approx((2 + 3 + 1) / 3)
    assert (spread["reward_min"], spread["reward_max"]) == (0, 3)
    assert spread["reward_std"] == pytest.approx(np.std([3, 1, 0]))


def test_length_controlled_accuracy():
    shorter = Ranking("q", ["a", "bbbb"], [1, 2])
    by_length = measure_agreement([ABC, shorter], [3, 2, 1, 1, 4])
    assert by_length.accuracy_where_longer_is_better == 1
    assert by_length.accuracy_where_shorter_is_better == 0
    assert by_length.length_controlled_accuracy == 0.5
    assert measure_agreement([ABC], [3, 2, 1]).length_controlled_accuracy is None


def interval(rankings, rewards, seed=0):
    counts = count_pairs(rankings, rewards)
    return bootstrap_interval(counts.right, counts.pairs, seed=seed)


def test_bootstrap_is_over_prompts():
    # Ten pairs in one prompt are no ten observations: two prompts that differ vary as much as can be.
    two = [Ranking(prompt, list("abcde"), [1, 2, 3, 4, 5]) for prompt in "pq"]
    assert interval(two, [5, 4, 3, 2, 1, 1, 2, 3, 4, 5]) == (0, 1)


def test_rankings_of_one_prompt_are_one_draw_of_the_bootstrap():
    pairs = [Ranking("p", ["x", f"y{i}"], [1, 2]) for i in range(30)]
    counts = count_pairs(pairs, [1, 0] * 15 + [0, 1] * 15)
    assert counts.pairs.tolist() == [30] and counts.right.tolist() == [15]
    assert measure_agreement(pairs, [1, 0] * 30).prompts == 1


def test_bootstrap_covers_the_truth():
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(60):
        rankings = [Ranking(str(i), ["a", "b"], [1, 2]) for i in range(80)]
        rewards = [x for right in rng.random(80) < 0.7 for x in ((1, 0) if right else (0, 1))]
        low, high = interval(rankings, rewards, seed=trial)
        covered += low <= 0.7 <= high
    assert 50 <= covered <= 60


def test_predicted_ranks_share_ties():
    assert predicted_ranks([0.5, 2.0, 0.5, 0.1]) == [2, 1, 2, 4]
