import krippendorff
import numpy as np
import pytest

from preference.data.rankings import Ranking
from preference.evaluation.agreement import rater_agreement


def test_rankings_without_shared_answers_say_nothing():
    assert rater_agreement([Ranking("p", ["a", "b"], [1, 2]), Ranking("q", ["a", "b"], [2, 1])]) is None
    assert rater_agreement([Ranking("p", ["a", "b"], [1, 2], rater="ann"), Ranking("p", ["c", "d"], [1, 2], rater="bob")]) is None
    assert (
        rater_agreement([Ranking("p", ["a", "b"], [1, 2], rater="ann"), Ranking("p", ["b", "c"], [1, 2], rater="bob")]) is None
    )  # one answer, no pair


def test_the_share_counts_pairs_that_neither_ties():
    ann = Ranking("p", ["a", "b", "c"], [1, 2, 3], rater="ann")
    bob = Ranking("p", ["c", "b", "a"], [2, 2, 1], rater="bob")  # a above b and c, which tie
    found = rater_agreement([ann, bob, Ranking("q", ["a", "b"], [1, 2])])
    assert (found.prompts, found.pairs, found.share, found.interval) == (1, 2, 1.0, (1.0, 1.0))
    cleo = Ranking("p", ["a", "c", "d"], [2, 1, 3], rater="cleo")  # the other way round for a and c, the only pair with each of them
    found = rater_agreement([ann, bob, cleo])
    assert (found.pairs, found.share) == (4, 0.5)


def test_alpha_is_that_of_the_library_on_the_table_of_ranks():
    generator = np.random.default_rng(0)
    rankings, columns = [], []
    for i in range(12):
        orders = [generator.permutation(4) + 1 if generator.random() < 0.5 else np.arange(1, 5) for _ in range(3)]
        columns.append(np.array(orders))
        rankings += [Ranking(f"p{i}", list("abcd"), order.tolist(), rater=rater) for order, rater in zip(orders, ("ann", "bob", "cleo"), strict=True)]
    expected = krippendorff.alpha(reliability_data=np.concatenate(columns, axis=1), level_of_measurement="ordinal")
    assert rater_agreement(rankings).alpha == pytest.approx(expected)
    assert 0 < expected < 1


def test_only_the_order_of_the_shared_answers_counts():
    left = Ranking("p", ["a", "x", "b", "c"], [1, 2, 3, 4], rater="ann")
    right = Ranking("p", ["a", "b", "c"], [10, 20, 30], rater="bob")
    found = rater_agreement([left, right])
    assert (found.share, found.alpha) == (1.0, 1.0)
    assert rater_agreement([left, Ranking("p", ["a", "b", "c"], [3, 2, 1], rater="bob")]).alpha < 0


def test_what_a_group_keeps_apart_is_no_rater():
    pairs = [Ranking("p", ["a", "b"], [1, 2], group) for group in ("1", "2")]
    assert rater_agreement(pairs) is None
    assert rater_agreement([Ranking("p", ["a", "b"], [1, 2], group, "ann") for group in ("1", "2")]) is None  # she herself
