from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.optimize import check_grad, minimize

from preference.data.rankings import Ranking
from preference.data.splits import folds_by_prompt
from preference.evaluation.metrics import count_pairs
from preference.training.objectives import LOSSES
from preference.training.probe import MIN_CURVE_PROMPTS, PENALTY, Start, cross_validate, fit_probe, measure_curve
from preference.training.settings import TrainingSettings

WIDTH = 12


def start_of(objective: str, *, bias: bool = True) -> Start:
    """A start that fits probes for an output layer of the width of `made_up`; there is no base model."""
    model = SimpleNamespace(model=torch.nn.Sequential(torch.nn.Linear(WIDTH, 1, bias=bias)))
    return Start(model, None, TrainingSettings(objective=objective, seed=0), 1, 1, True, None, "")


def made_up(prompts: int, *, noise: float = 0.3, seed: int = 0) -> tuple[np.ndarray, list[Ranking]]:
    """States of which the first number tells quality, and rankings by it."""
    generator = np.random.default_rng(seed)
    states, rankings = [], []
    for number in range(prompts):
        some = generator.normal(3, 2, (4, WIDTH))
        ranks = (-(some[:, 0] + noise * generator.normal(size=4))).argsort().argsort() + 1
        states.append(some)
        rankings.append(Ranking(f"prompt {number}", list("abcd"), ranks.tolist()))
    return np.concatenate(states).astype(np.float32), rankings


@pytest.mark.parametrize("objective", LOSSES)
def test_the_probe_is_where_the_objective_and_the_penalty_are_least(objective):
    states, rankings = made_up(8)
    probe = fit_probe(states, rankings, objective)
    inputs = torch.from_numpy((states - states.mean(0)) / states.std(0)).double()
    ranks = torch.tensor([ranking.ranks for ranking in rankings])

    def value(weights: np.ndarray) -> float:
        rewards = (inputs @ torch.from_numpy(weights)).view(8, 4)
        return LOSSES[objective](rewards, ranks).item() + PENALTY[objective] / 8 / 2 * float(weights @ weights)

    best = minimize(value, np.zeros(WIDTH), method="BFGS").x
    np.testing.assert_allclose(probe.weights, best, atol=2e-4)
    assert check_grad(value, lambda w: np.zeros(WIDTH), probe.weights) < 1e-3  # flat there


def test_it_finds_what_tells_quality_and_its_output_layer_gives_the_same_rewards():
    states, rankings = made_up(60)
    probe = fit_probe(states, rankings, "regression")
    assert np.argmax(np.abs(probe.weights)) == 0 and count_pairs(rankings, probe.rewards(states)).accuracy() > 0.85
    weights, bias = probe.output()
    np.testing.assert_allclose(states @ weights + bias, probe.rewards(states), atol=1e-4)


def test_more_rankings_overrule_the_penalty():
    few, many = (np.abs(fit_probe(*made_up(prompts), "bradley-terry").weights[0]) for prompts in (4, 200))
    assert many > 2 * few


def test_the_output_layer_of_a_reward_model_is_where_it_starts():
    states, rankings = made_up(3)
    start = np.zeros(WIDTH)
    start[0] = 1.0
    other, _ = made_up(50, seed=9)
    truth = other[:, 0]
    with_start, without = (
        np.corrcoef(fit_probe(states, rankings, "bradley-terry", start=s).rewards(other), truth)[0, 1]
        for s in (start, None)
    )
    assert with_start > 0.95 > without


def test_no_probe_sees_the_prompt_that_it_scores():
    states, rankings = made_up(20)
    folds = folds_by_prompt(rankings, seed=1)
    rewards = cross_validate(start_of("bradley-terry"), states, rankings, folds)
    reversed_one = [
        Ranking(r.prompt, r.answers, [5 - rank for rank in r.ranks]) if i == 7 else r for i, r in enumerate(rankings)
    ]
    other = cross_validate(start_of("bradley-terry"), states, reversed_one, folds)
    held = next(fold.validation for fold in folds if 7 in fold.validation)
    own = np.concatenate([np.arange(4 * i, 4 * i + 4) for i in held])
    np.testing.assert_array_equal(rewards[own], other[own])
    assert np.abs(np.delete(rewards - other, own)).max() > 1e-3  # the others learned from it


@pytest.mark.parametrize("bias", [True, False])
def test_probes_are_judged_as_the_output_layer_takes_them(bias):
    states, rankings = made_up(20)
    folds = folds_by_prompt(rankings, seed=1)
    rewards = cross_validate(start_of("regression", bias=bias), states, rankings, folds)
    for fold in folds:
        learned, held = (np.concatenate([np.arange(4 * i, 4 * i + 4) for i in part]) for part in fold)
        probe = fit_probe(states[learned], [rankings[i] for i in fold.training], "regression", bias=bias)
        expected = probe.rewards(states[held]) / probe.rewards(states[learned]).std()
        np.testing.assert_allclose(rewards[held], expected, atol=1e-5)


def test_the_curve_rises_with_what_is_learned_from():
    measured = measure_curve(start_of("regression"), *made_up(40, noise=1.0))
    assert measured.sizes.tolist() == [4, 6, 8, 11, 16, 23, 32]
    assert measured.accuracies()[-1] > measured.accuracies()[0] + 0.05
    assert measured.right.shape == (40, 7) and len(measured.pairs) == 40  # every prompt was held out at times


def test_a_curve_takes_ten_prompts():
    assert measure_curve(start_of("regression"), *made_up(MIN_CURVE_PROMPTS - 1)) is None
    assert len(measure_curve(start_of("regression"), *made_up(MIN_CURVE_PROMPTS)).sizes) > 1


def test_without_a_bias_the_mean_state_gets_no_reward_and_hardly_anything_is_lost():
    states, rankings = made_up(60)
    probe = fit_probe(states, rankings, "regression", bias=False)
    weights, bias = probe.output()
    assert bias == pytest.approx(0, abs=1e-6) and (states @ weights).mean() == pytest.approx(0, abs=1e-5)
    assert count_pairs(rankings, states @ weights).accuracy() > 0.8
