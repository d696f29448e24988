import re

import numpy as np
import pytest

from preference.data.rankings import Ranking
from preference.evaluation.evaluation import compare, evaluate
from preference.evaluation.metrics import count_pairs


def rankings(count: int, longest_first: bool = False) -> list[Ranking]:
    """Rankings of three answers whose best one is long in every other prompt (or in all)."""
    made = []
    for i in range(count):
        texts = ["a" * 9, "b" * 5, "c"]
        made.append(Ranking(f"p{i}", texts if longest_first or i % 2 else texts[::-1], [1, 2, 3]))
    return made


def results(some, rewards) -> dict:
    return {check.name: check.passed for check in evaluate("test", some, np.asarray(rewards, dtype=float)).checks}


def test_a_good_model_passes_all_and_a_reversed_one_fails():
    some = rankings(20)
    assert results(some, [1, 0, -1] * 20) == {
        "score variation": True, "quality sensitivity": True, "ranking ability": True, "generalisation": True,
    }  # fmt: skip
    assert results(some, [-1, 0, 1] * 20) == {
        "score variation": True, "quality sensitivity": False, "ranking ability": False, "generalisation": False,
    }  # fmt: skip


def test_a_constant_model_fails_what_needs_variation():
    found = results(rankings(20), [0.5] * 60)
    assert (
        found["score variation"] is False
        and found["quality sensitivity"] is False
        and found["ranking ability"] is False
    )


def test_what_only_measures_length_does_not_generalise():
    some = rankings(20, longest_first=True)
    by_length = [len(answer) / 5 for ranking in some for answer in ranking.answers]
    assert results(some, by_length)["generalisation"] is None  # no better than the longest answer: cannot tell


def test_few_prompts_cannot_tell():
    check = evaluate("test", rankings(3), np.asarray([1.0, 0, -1] * 3)).checks[-1]
    assert check.passed is None and check.result == "cannot tell"
    assert check.evidence.endswith("on 3 unseen prompts, too few to tell (at least 6)")


def test_many_rankings_of_few_prompts_are_few_prompts():
    pairs = [Ranking("one prompt", [f"good {i}", "b"], [1, 2]) for i in range(30)]
    assert (
        evaluate("test", pairs, np.asarray([1.0, 0.0] * 30))
        .checks[-1]
        .evidence.endswith("on 1 unseen prompt, too few to tell (at least 6)")
    )


def test_the_baselines_are_what_length_alone_gets_right():
    some = [
        Ranking("p", ["aaa", "bb", "c"], [1, 2, 3]),
        Ranking("q", ["a", "bbbb"], [1, 2]),
        Ranking("r", ["x", "y"], [1, 2]),
    ]
    evaluation = evaluate("validation", some, np.zeros(7))
    assert evaluation.longest.pairwise_accuracy == 3.5 / 5  # equal lengths count half
    assert evaluation.shortest.pairwise_accuracy == 1.5 / 5
    assert evaluation.metrics.pairwise_accuracy == count_pairs(some, np.zeros(7)).accuracy() == 0.5


def test_training_prompts_prove_nothing():
    evaluation = evaluate("training", rankings(60), np.asarray([1.0, 0, -1] * 60))
    assert evaluation.checks == [] and not evaluation.unseen
    assert evaluation.verdict.startswith(
        "There were no unseen prompts to test on: do not trust this model with anything yet"
    )


def test_the_closing_sentence_follows_the_evidence():
    def closing(count, rewards):
        return evaluate("test", rankings(count), np.asarray(rewards * count, dtype=float)).verdict

    assert closing(3, [1, 0, -1]).startswith(
        "Use this model only to try out the pipeline: it ordered 100% of the pairs of 3 unseen prompts"
    )
    assert closing(20, [-1, 0, 1]).startswith("Do not trust this model: it ordered 0%")
    assert closing(20, [1, 0, -1]).startswith(
        "Trust this model to put good answers in front of bad ones for prompts like these"
    )
    assert closing(60, [1, 0, -1]).startswith("Trust this model to rank answers to prompts like these")


@pytest.mark.parametrize("count", [3, 6, 10, 30])
def test_all_pairs_right_is_no_certainty(count):
    evaluation = evaluate("test", rankings(count, longest_first=True), np.asarray([1.0, 0, -1] * count))
    low, high = evaluation.metrics.pairwise_accuracy_95
    assert (
        low < 0.95
        and high == 1
        and f"95 % interval {low:.0%} to 100%" in evaluation.verdict
        and "100% to" not in evaluation.verdict
    )
    ends = re.search(r"95 % interval ([+-][\d.]+) to ([+-][\d.]+)", evaluation.checks[-1].evidence).groups()
    assert (
        float(ends[0]) < 0 < float(ends[1])
    )  # nor is the lead over the longest-answer rule, which is right everywhere too


def test_ranks_against_the_rewards_look_reversed_beyond_chance_only():
    some = rankings(3)
    assert (
        "Your ranks look reversed: 1 must be the best answer."
        in evaluate("test", some, np.tile([1.0, 2.0, 3.0], 3)).verdict
    )
    assert "reversed" not in evaluate("test", some, np.tile([3.0, 2.0, 1.0], 3)).verdict
    assert "reversed" not in evaluate("test", some[:1], np.array([1.0, 2.0, 3.0])).verdict  # one prompt is chance
    pairs = [Ranking(f"p{i}", ["a", "b"], [1, 2]) for i in range(20)]
    for right in (10, 8):  # 8 of 20 is chance
        assert (
            "reversed"
            not in evaluate(
                "validation", pairs, np.array([[1.0, 0.0]] * right + [[0.0, 1.0]] * (20 - right)).ravel()
            ).verdict
        )
    assert "reversed" in evaluate("validation", pairs, np.array([[1.0, 0.0]] * 3 + [[0.0, 1.0]] * 17).ravel()).verdict


def test_several_raters_stand_in_the_evaluation():
    some = [
        Ranking("p", ["a", "b", "c"], [1, 2, 3], rater="ann"),
        Ranking("p", ["a", "b", "c"], [1, 3, 2], rater="bob"),
    ]
    found = evaluate("test", some, np.array([3.0, 2.0, 1.0] * 2)).raters
    assert (found.prompts, found.pairs) == (1, 3) and found.share == 2 / 3
    assert evaluate("test", rankings(3), np.tile([3.0, 2.0, 1.0], 3)).raters is None


def synthetic_rankings(count: int) -> list[Ranking]:
    return [Ranking(f"p{i}", ["a", "b", "c"], [1, 2, 3]) for i in range(count)]


def test_a_better_model_is_called_better_and_a_worse_one_worse():
    before, after = np.array([1.0, 2, 3] * 20), np.array([3.0, 2, 1] * 19 + [1.0, 2, 3])
    assert compare(synthetic_rankings(20), before, after).startswith(
        "The new model is better than the previous one: 0.950 of the pairs of 20 prompts in order, "
        "against 0.000 before, each scored"
    )
    said = compare(synthetic_rankings(20), after, before)
    assert said.startswith("The new model is worse than the previous one")


def test_the_same_rewards_are_no_difference():
    rewards = np.array([3.0, 1, 2] * 6)
    said = compare(synthetic_rankings(6), rewards, rewards)
    assert "is not clearly different from the previous one" in said
    assert said.endswith("(difference +0.000, 95 % interval -0.243 to +0.243).")


def test_validation_prompts_are_said_to_flatter_the_new_model():
    rankings, rewards = synthetic_rankings(6), np.array([3.0, 1, 2] * 6)
    none, two = (compare(rankings, rewards, rewards, validation_prompts=count) for count in (0, 2))
    assert none.endswith("95 % interval -0.243 to +0.243).")
    assert two.endswith("+0.243); 2 of these prompts chose the new weights, so its figure is slightly too good.")


@pytest.mark.parametrize("prompts", [1, 5])
def test_few_prompts_tell_nothing_however_clear_they_are(prompts):
    said = compare(synthetic_rankings(prompts), np.array([1.0, 2, 3] * prompts), np.array([3.0, 2, 1] * prompts))
    assert said == (
        "Too few prompts to tell the new model from the previous one: "
        f"1.000 of the pairs of {prompts} prompt{'s' * (prompts > 1)} in order,"
        " against 0.000 before, each scored by models that had not seen it (at least 6 are needed)."
    )
