import json
import queue
import random
import re

import numpy as np
import pytest

from preference.data.rankings import Ranking
from preference.errors import InputError
from preference.evaluation.metrics import count_pairs
from preference.jobs.growing import Learner, work
from preference.training.probe import fit_probe
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
    """Rankings in which an answer with more of the word `solar` is better; all answers have the same number of
    words."""
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
    words = learner.in_words()
    assert words.startswith("a model that learns as you rank, asked about each ranking before it saw it, got right ")
    recent, known = re.findall(
        r"(\d+)% of the pairs of (?:the last 20|all 28) rankings \(95 % interval (\d+)% to (\d+)%", words
    )
    assert all(int(low) <= int(share) <= int(high) and int(share) > 90 for share, low, high in (recent, known))
    assert words.count("; the longest answer is best: ") == 2
    last = learner.tests[rankings[-1].identity][1]
    learner.take([rankings[-1]])  # ranked again: it is not asked about what it has learned from itself
    assert len(learner.tests) == 28 and np.allclose(learner.tests[rankings[-1].identity][1], last)
    tests = list(learner.tests.values())
    counts = count_pairs([ranking for ranking, _ in tests], np.concatenate([rewards for _, rewards in tests]))
    assert f"{counts.accuracy():.0%} of the pairs of all 28 rankings" in learner.in_words()


def test_a_ranking_that_is_undone_is_neither_learned_nor_counted_nor_named(learner):
    rankings = make_rankings(14)
    wrong = Ranking("wrong", rankings[0].answers, [4, 3, 2, 1])
    for ranking in [*rankings, wrong]:
        learner.take([ranking])
    learner.dispute()
    assert list(learner.disputes.values()) == ["wrong"] and "of the pairs of 13 rankings" in learner.in_words()
    learner.forget(wrong.identity)
    assert learner.disputes == {} and "of the pairs of 12 rankings" in learner.in_words()
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
    assert learner.disputes == {} and learner.in_words() == ""


def test_rankings_that_are_known_are_tested_too(learner, capsys):
    rankings, messages = make_rankings(30), queue.SimpleQueue()
    messages.put({"ranked": ["last", rankings[0].answers, [1, 2, 3, 4]]})
    messages.put({"end": "of this test"})  # the worker itself is ended by the end of its input
    with pytest.raises(TypeError):
        work(learner, rankings, messages)
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert list(learner.tests) == [*(ranking.identity for ranking in rankings[2:]), ("last", "", "")]
    assert said[0] == {"known": 0, "words": "", "disputes": []} and said[-1]["known"] == 1
    assert "of all 29 rankings" in said[-1]["words"]


def test_a_reward_model_keeps_its_output_layer(tiny_reward_model):
    learner, rankings = Learner(str(tiny_reward_model), SETTINGS), make_rankings(3)
    learner.take(rankings[:2])
    learner.take(rankings[2:])
    kept = {"start": learner.start.output}
    probe = fit_probe(learner.states(rankings[:2]), rankings[:2], SETTINGS.objective, **kept)
    tested, rewards = learner.tests[rankings[2].identity]
    np.testing.assert_allclose(rewards, probe.rewards(learner.states([tested])), atol=1e-5)


def test_a_base_model_without_a_probe_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        Learner(str(tmp_path / "none"), SETTINGS)
