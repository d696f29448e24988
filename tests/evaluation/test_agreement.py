import numpy as np
import pytest

from preference.data.rankings import Ranking
from preference.evaluation.agreement import ordinal_alpha, rater_agreement


def test_rankings_without_shared_answers_say_nothing():
    assert rater_agreement([Ranking("p", ["a", "b"], [1, 2]), Ranking("q", ["a", "b"], [2, 1])]) is None
    assert (
        rater_agreement([Ranking("p", ["a", "b"], [1, 2], rater="ann"), Ranking("p", ["c", "d"], [1, 2], rater="bob")])
        is None
    )
    assert (
        rater_agreement([Ranking("p", ["a", "b"], [1, 2], rater="ann"), Ranking("p", ["b", "c"], [1, 2], rater="bob")])
        is None
    )  # one answer, no pair


def test_the_share_counts_pairs_that_neither_ties():
    ann = Ranking("p", ["a", "b", "c"], [1, 2, 3], rater="ann")
    bob = Ranking("p", ["c", "b", "a"], [2, 2, 1], rater="bob")  # a above b and c, which tie
    found = rater_agreement([ann, bob, Ranking("q", ["a", "b"], [1, 2])])
    assert (found.prompts, found.pairs, found.share, found.interval[1]) == (1, 2, 1.0, 1.0)
    cleo = Ranking(
        "p", ["a", "c", "d"], [2, 1, 3], rater="cleo"
    )  # the other way round for a and c, the only pair with each of them
    found = rater_agreement([ann, bob, cleo])
    assert (found.pairs, found.share) == (4, 0.5)


def test_alpha_is_that_of_the_published_example():
    """Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section C: 12 units, 4 observers, values missing."""
    observers = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
    counts = np.array([[unit.count(value) for value in "12345"] for unit in zip(*observers, strict=True)])
    assert ordinal_alpha(counts) == pytest.approx(0.815, abs=5e-4)


def test_alpha_is_of_the_places_among_the_shared_answers():
    raters = (("ann", [1, 2, 3, 4]), ("bob", [2, 1, 3, 4]))
    rankings = [Ranking(f"p{i}", list("abcd"), ranks, rater=rater) for i in range(3) for rater, ranks in raters]
    counts = 3 * [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 2]]
    assert rater_agreement(rankings).alpha == ordinal_alpha(np.array(counts))


def test_prompts_that_differ_in_case_only_are_one_and_one_group_is_no_two_raters():
    ann, bob = (
        Ranking("name a prime", ["7", "8"], [1, 2], rater="ann"),
        Ranking("Name a prime", ["8", "7"], [1, 2], rater="bob"),
    )
    assert rater_agreement([ann, bob]).share == 0
    assert rater_agreement([ann, Ranking("Name a prime", ["7", "8"], [1, 2], rater="ann")]) is None


def test_only_the_order_of_the_shared_answers_counts():
    left = Ranking("p", ["a", "x", "b", "c"], [1, 2, 3, 4], rater="ann")
    right = Ranking("p", ["a", "b", "c"], [10, 20, 30], rater="bob")
    found = rater_agreement([left, right])
    assert (found.share, found.alpha) == (1.0, 1.0)
    assert rater_agreement([left, Ranking("p", ["a", "b", "c"], [3, 2, 1], rater="bob")]).alpha < 0


def test_what_a_group_keeps_apart_is_no_rater():
    pairs = [Ranking("p", ["a", "b"], [1, 2], group) for group in ("1", "2")]
    assert rater_agreement(pairs) is None
    assert (
        rater_agreement([Ranking("p", ["a", "b"], [1, 2], group, "ann") for group in ("1", "2")]) is None
    )  # she herself
