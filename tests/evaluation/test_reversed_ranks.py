from itertools import permutations

import numpy as np
import pytest
from conftest import read_csv, run_script

from preference.data.rankings import Ranking
from preference.data.tables import format_rows
from preference.evaluation.reversed_ranks import find_reversed, order_likelihood


def simulated(
    count: int, reversed_ones: set[int], *, temperature: float, seed: int = 0
) -> tuple[list[Ranking], np.ndarray]:
    """Rankings by a person who follows the odds of the rewards, some of them turned round."""
    generator = np.random.default_rng(seed)
    rankings, rewards = [], generator.normal(0, 1, (count, 4))
    for i, values in enumerate(rewards):
        ranks = np.empty(4, dtype=int)
        ranks[np.argsort(-(values / temperature + generator.gumbel(size=4)))] = [1, 2, 3, 4]
        rankings.append(Ranking(f"p{i}", list("abcd"), (5 - ranks if i in reversed_ones else ranks).tolist()))
    return rankings, rewards.ravel()


def test_reversed_rankings_are_found_and_hardly_any_others():
    bad = set(range(0, 200, 10))
    found = find_reversed(*simulated(200, bad, temperature=0.3))
    assert len(bad & set(found)) >= 14 and len(set(found) - bad) <= 2


@pytest.mark.parametrize("temperature", [0.3, 0.7, 5.0])
def test_disagreement_by_chance_is_not_called_reversed(temperature):
    for seed in range(5):
        assert len(find_reversed(*simulated(100, set(), temperature=temperature, seed=seed))) <= 1


def test_one_certain_pair_is_not_enough():
    rankings = [Ranking(f"p{i}", ["a", "b"], [1, 2] if i else [2, 1]) for i in range(30)]
    generator = np.random.default_rng(0)
    rewards = np.concatenate([[margin, 0] for margin in generator.normal(0.3, 0.6, 30)])
    assert find_reversed(rankings, rewards) == []


def test_order_likelihood_is_a_distribution_and_ties_are_between_their_orders():
    values = np.array([0.3, -0.5, 1.2])
    likelihoods = {order: order_likelihood(values, np.array(order)) for order in permutations([1, 2, 3])}
    assert np.exp(list(likelihoods.values())).sum() == pytest.approx(1)
    tied = order_likelihood(values, np.array([1, 2, 2]))
    assert min(likelihoods[1, 2, 3], likelihoods[1, 3, 2]) < tied < max(likelihoods[1, 2, 3], likelihoods[1, 3, 2])
    alike = np.zeros(4)  # nothing known: the best alone is as likely as the worst alone
    assert order_likelihood(alike, np.array([1, 2, 2, 2])) == pytest.approx(
        order_likelihood(alike, -np.array([1, 2, 2, 2]))
    )


def test_a_training_says_that_the_ranks_of_its_test_part_look_reversed(tiny_distilbert, sample_folder, tmp_path):
    rows = read_csv(sample_folder / "training_data.csv")
    header = ["prompt", "answer", "rank"]
    (tmp_path / "data.csv").write_text(format_rows([header, *([row[name] for name in header] for row in rows)]))
    for name, rank_of in (("reversed", lambda rank: 5 - rank), ("right", lambda rank: rank)):
        tests = [["Please: " + row["prompt"], row["answer"], rank_of(int(row["rank"]))] for row in rows]
        (tmp_path / f"{name}.csv").write_text(format_rows([header, *tests]))
    said = {
        name: run_script(
            "reward_model_trainer.py", "--data", "data.csv", "--test-data", f"{name}.csv", "--base-model", tiny_distilbert,
            "--max-length", 64, "--max-steps", 60, "--learning-rate", 1e-3, "--head-learning-rate", 1e-2, "--precision", "fp32",
            "--validation-fraction", 0, "--output-dir", name, "--no-plot", cwd=tmp_path,
        ).stdout
        for name in ("reversed", "right")
    }  # fmt: skip
    assert "Your ranks look reversed: 1 must be the best answer." in " ".join(said["reversed"].split())
    assert "reversed" not in said["right"]
