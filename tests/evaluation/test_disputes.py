import numpy as np

from preference.data.rankings import Ranking
from preference.evaluation.disputes import dispute_of, disputes_of, expected_disputes

ABC = Ranking("p", ["a", "b", "c"], [1, 2, 2])


def test_a_dispute_is_the_margin_on_the_wrong_side():
    assert dispute_of(ABC, np.array([2.0, 1.0, 0.0])) == 0
    assert dispute_of(ABC, np.array([0.0, 1.0, 3.0])) == 1 + 3  # the tied pair does not count
    assert disputes_of([ABC, ABC], np.array([2.0, 1.0, 0.0, 0.5, 1.0, 0.0])).tolist() == [0, 0.5]


def test_reversed_rankings_come_first():
    generator = np.random.default_rng(0)
    rewards = [np.sort(generator.normal(0, 1, 4))[::-1] for _ in range(100)]
    rankings = [Ranking(f"p{i}", list("abcd"), [4, 3, 2, 1] if i % 10 == 0 else [1, 2, 3, 4]) for i in range(100)]
    noisy = np.concatenate([values + generator.normal(0, 0.3, 4) for values in rewards])
    order = np.argsort(-disputes_of(rankings, noisy))[:10]
    assert {i for i in order.tolist() if i % 10 == 0} == set(range(0, 100, 10))


def test_chance_alone_explains_the_disputes_of_a_person_who_follows_the_odds():
    generator = np.random.default_rng(1)
    temperature, rankings, rewards = 0.7, [], []
    for i in range(400):
        values = generator.normal(0, 1, 4)
        order = np.argsort(-(values / temperature + generator.gumbel(size=4)))
        ranks = np.empty(4, dtype=int)
        ranks[order] = [1, 2, 3, 4]
        rankings.append(Ranking(f"p{i}", list("abcd"), ranks.tolist()))
        rewards.append(values)
    together = np.concatenate(rewards)
    threshold = float(np.sort(disputes_of(rankings, together))[-40])
    assert 28 < expected_disputes(rankings, together, threshold, temperature) < 52
    assert expected_disputes(rankings, together, threshold, temperature / 20) < 5
