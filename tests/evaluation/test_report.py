import numpy as np

from preference.data.rankings import Ranking
from preference.evaluation.metrics import evaluate_rewards
from preference.evaluation.report import check_reward_model, verdict


def rankings(count: int, longest_first: bool = False) -> list[Ranking]:
    """Rankings of three answers whose best one is long in every other prompt (or in all)."""
    made = []
    for i in range(count):
        texts = ["a" * 9, "b" * 5, "c"]
        made.append(Ranking(f"p{i}", texts if longest_first or i % 2 else texts[::-1], [1, 2, 3]))
    return made


def results(some, rewards) -> dict:
    return {check.name: check.passed for check in check_reward_model(some, np.asarray(rewards, dtype=float))}


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
    assert found["score variation"] is False and found["quality sensitivity"] is False and found["ranking ability"] is False


def test_what_only_measures_length_does_not_generalise():
    some = rankings(20, longest_first=True)
    by_length = [len(answer) / 5 for ranking in some for answer in ranking.answers]
    assert results(some, by_length)["generalisation"] is None  # no better than the longest answer: cannot tell


def test_few_prompts_cannot_tell():
    checks = check_reward_model(rankings(3), np.asarray([1.0, 0, -1] * 3))
    assert checks[-1].passed is None and checks[-1].word == "cannot tell"
    assert checks[-1].evidence.endswith("on 3 unseen prompts, too few for an answer (at least 6)")


def test_the_closing_sentence_follows_the_evidence():
    def closing(count, rewards):
        some = rankings(count)
        values = np.asarray(rewards * count, dtype=float)
        return verdict(check_reward_model(some, values), evaluate_rewards(some, values))

    assert closing(3, [1, 0, -1]).startswith("Trust this model only to try the pipeline out: it ordered 100% of the pairs of 3 unseen prompts")
    assert closing(20, [-1, 0, 1]).startswith("Do not trust this model: it ordered 0%")
    assert closing(20, [1, 0, -1]).startswith("Trust this model to put good answers in front of bad ones for prompts like these")
    assert closing(60, [1, 0, -1]).startswith("Trust this model to rank answers to prompts like these")
    assert verdict([], None).startswith("No unseen prompts were there to test on")
