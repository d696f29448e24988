import random

import numpy as np
import pytest
from preference.training.growing import Learner, in_blocks

from preference.data.rankings import Ranking
from preference.errors import InputError
from preference.evaluation.metrics import count_pairs
from preference.training.settings import TrainingSettings

SETTINGS = TrainingSettings(max_length=64)
WORDS = [
    "what",
    "is",
    "a",
    "good",
    "joke",
    "about",
    "the",
    "best",
    "way",
    "to",
    "learn",
    "code",
    "and",
    "why",
    "do",
    "people",
    "like",
]


def make_rankings(count: int) -> list[Ranking]:
    """Rankings in which an answer with more of the word `solar` is better; all answers have the same number of words."""
    rng, rankings = random.Random(0), []
    for i in range(count):
        answers = [" ".join(["solar"] * n + rng.choices(WORDS, k=9 - n)) for n in (9, 6, 3, 0)]
        rankings.append(Ranking(f"Prompt {i}", answers, [1, 2, 3, 4]))
    return rankings


@pytest.fixture
def learner(tiny_distilbert):
    return Learner(str(tiny_distilbert), SETTINGS)


def test_each_ranking_is_judged_by_what_was_learned_before_and_counts_once(learner):
    rankings = make_rankings(30)
    for i, ranking in enumerate(rankings):
        learner.take([ranking])
        assert len(learner.tests) == max(0, i - 1) and len(learner.rankings) == i + 1
    found = learner.found()
    assert found["all"]["rankings"] == 28 and found["recent"]["rankings"] == 20
    low, high = found["all"]["interval"]
    assert (
        low < high
        and low <= found["all"]["model"] <= high
        and found["all"]["model"] > 0.9
        and found["recent"]["model"] > 0.9
    )
    last = learner.tests[rankings[-1].identity][1]
    learner.take([rankings[-1]])  # ranked again: it is not asked about what it has learned from itself
    assert len(learner.tests) == 28 and np.allclose(learner.tests[rankings[-1].identity][1], last)
    tests = list(learner.tests.values())
    counts = count_pairs([ranking for ranking, _ in tests], np.concatenate([rewards for _, rewards in tests]))
    assert learner.found()["all"]["model"] == counts.accuracy()


def test_a_ranking_that_is_undone_is_neither_learned_nor_counted_nor_named(learner):
    rankings = make_rankings(14)
    wrong = Ranking("wrong", rankings[0].answers, [4, 3, 2, 1])
    for ranking in [*rankings, wrong]:
        learner.take([ranking])
    learner.dispute()
    assert learner.found()["disputes"] == ["wrong"] and learner.found()["all"]["rankings"] == 13
    learner.forget(wrong.identity)
    assert learner.found()["disputes"] == [] and learner.found()["all"]["rankings"] == 12
    learner.forget(wrong.identity)  # nothing is left to forget
    learner.take([Ranking("ties", ["solar", "code"], [1, 1])])
    assert len(learner.rankings) == 14 and len(learner.tests) == 12
    learner.take([Ranking("prompt 3", ["solar solar", "code"], [1, 2])])  # the same prompt as one that is known
    alone = Learner(learner.start.base.asked, SETTINGS)
    alone.take([ranking for ranking in rankings if ranking.prompt != "Prompt 3"])
    alone.take([Ranking("prompt 3", ["solar solar", "code"], [1, 2])])
    assert np.allclose(alone.tests["prompt 3", "", ""][1], learner.tests["prompt 3", "", ""][1], atol=1e-4)


def test_nothing_is_disputed_of_few_rankings(learner):
    rankings = make_rankings(9)
    learner.take([*rankings[:8], Ranking("wrong", rankings[0].answers, [4, 3, 2, 1])])
    learner.dispute()
    assert learner.found() == {"recent": None, "all": None, "disputes": []}


def test_rankings_that_are_known_are_tested_too(learner):
    rankings = make_rankings(30)
    for block in in_blocks(rankings):
        learner.take(block)
    assert (
        list(learner.tests) == [ranking.identity for ranking in rankings[2:]] and learner.found()["all"]["model"] > 0.9
    )


def test_a_base_model_without_a_probe_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        Learner(str(tmp_path / "none"), SETTINGS)
