import numpy as np
import pytest
from conftest import read_csv, run_script

from preference.data.rankings import Ranking
from preference.data.table_writing import format_rows
from preference.evaluation.odds import disputes_of, find_reversed

ABC = Ranking("p", ["a", "b", "c"], [1, 2, 2])


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


def test_a_dispute_is_the_margin_on_the_wrong_side():
    assert disputes_of([ABC, ABC], np.array([2.0, 1.0, 0.0, 0.5, 1.0, 0.0])).tolist() == [0, 0.5]
    assert disputes_of([ABC], np.array([0.0, 1.0, 3.0])).tolist() == [1 + 3]  # the tied pair does not count


def test_reversed_rankings_come_first():
    generator = np.random.default_rng(0)
    rewards = [np.sort(generator.normal(0, 1, 4))[::-1] for _ in range(100)]
    rankings = [Ranking(f"p{i}", list("abcd"), [4, 3, 2, 1] if i % 10 == 0 else [1, 2, 3, 4]) for i in range(100)]
    noisy = np.concatenate([values + generator.normal(0, 0.3, 4) for values in rewards])
    order = np.argsort(-disputes_of(rankings, noisy))[:10]
    assert {i for i in order.tolist() if i % 10 == 0} == set(range(0, 100, 10))


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


def test_a_training_says_that_the_ranks_of_its_test_part_look_reversed(tiny_distilbert, sample_folder, tmp_path):
    rows = read_csv(sample_folder / "training_data.csv")
    header = ["prompt", "answer", "rank"]
    (tmp_path / "data.csv").write_text(format_rows([header, *([row[name] for name in header] for row in rows)]))
    for name, rank_of in (("reversed", lambda rank: 5 - rank), ("right", lambda rank: rank)):
        tests = [["Please: " + row["prompt"], row["answer"], rank_of(int(row["rank"]))] for row in rows]
        (tmp_path / f"{name}.csv").write_text(format_rows([header, *tests]))
    said = {
        name: run_script(
            "reward_model_trainer.py", "--data", "data.csv", "--test-data", f"{name}.csv",
            "--base-model", tiny_distilbert, "--max-length", 64, "--max-steps", 60, "--learning-rate", 1e-3,
            "--head-learning-rate", 1e-2, "--precision", "fp32",
            "--validation-fraction", 0, "--output-dir", name, "--no-plot", cwd=tmp_path,
        ).stdout
        for name in ("reversed", "right")
    }  # fmt: skip
    assert "Your ranks look reversed: 1 must be the best answer." in " ".join(said["reversed"].split())
    assert "reversed" not in said["right"]
