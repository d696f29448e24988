from dataclasses import replace

import numpy as np
import pytest

from preference.data.rankings import Ranking
from preference.evaluation.calibration import (
    Calibration,
    calibrate,
    calibration_error,
    chance_calibration_error,
    fit_temperature,
    held_out_calibration_error,
    odds_in_words,
    sample_margins,
    why_no_odds,
    win_probability,
)


def margins_of(temperature: float, pairs: int, seed: int = 0) -> np.ndarray:
    """Margins of chosen over rejected answers, where a person follows sigmoid(margin / temperature)."""
    generator = np.random.default_rng(seed)
    margins = np.abs(generator.normal(0, 1.5, pairs))
    return np.where(generator.random(pairs) < win_probability(margins, temperature), margins, -margins)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_the_temperature_that_made_the_margins_is_found(temperature):
    margins = margins_of(temperature, 20_000)
    assert fit_temperature(margins) == pytest.approx(temperature, rel=0.05)
    assert calibration_error(margins, temperature) < 0.02
    assert calibration_error(margins, 5 * temperature) > 0.07


def test_margins_that_are_never_wrong_end_at_the_lowest_temperature():
    assert fit_temperature(np.array([0.5, 1.0])) == pytest.approx(0.01, rel=0.05)


def test_calibration_error_by_hand():
    half = 0.0  # equal rewards: half right
    three_quarters = np.log(3)  # sigmoid is 0.75
    # the shares right in two bins, 0.5 and 0.5, do not fall; in three, 0.5, 1 and 0, they do; so both pairs of 0.75 share a bin
    assert calibration_error(np.array([three_quarters, -three_quarters, half, half]), 1.0) == pytest.approx(
        (2 * 0.25 + 0) / 4
    )
    assert calibration_error(np.array([three_quarters]), 1.0) == pytest.approx(0.25)
    # always right, stated as 0.75: whatever the bins
    assert calibration_error(np.full(40, three_quarters), 1.0) == pytest.approx(0.25)


def test_few_pairs_show_less_error_by_chance_than_in_bins_of_equal_width():
    def equal_width(margins: np.ndarray) -> float:
        stated = win_probability(np.abs(margins), 1.0)
        bins = np.minimum((stated - 0.5) * 20, 9).astype(int)
        return sum(abs(((margins > 0) - stated)[bins == number].sum()) for number in range(10)) / len(margins)

    draws = [margins_of(1.0, 180, seed) for seed in range(60)]
    sweep, width = (
        np.mean([error(margins) for margins in draws]) for error in (lambda m: calibration_error(m, 1.0), equal_width)
    )
    assert sweep < 0.75 * width


def test_chance_error_is_that_of_orders_that_follow_the_odds():
    generator = np.random.default_rng(0)
    values = generator.normal(0, 1, (200, 3))
    rankings = [Ranking(f"p{i}", ["a", "b", "c"], [1, 2, 2] if i % 2 else [1, 2, 3]) for i in range(200)]
    error = {few: chance_calibration_error(rankings[:few], values[:few].ravel(), 0.7) for few in (20, 200)}
    assert 0.005 < error[200] < 0.04 < error[20] < 0.12


def test_sampled_margins_follow_the_odds_and_keep_ties():
    generator = np.random.default_rng(0)
    pair = sample_margins(Ranking("p", ["a", "b"], [1, 2]), np.array([0.0, 1.0]), 0.5, 20_000, generator)
    assert pair.shape == (20_000, 1) and set(pair.ravel()) == {1.0, -1.0}
    assert (pair > 0).mean() == pytest.approx(win_probability(1.0, 0.5), abs=0.01)
    assert sample_margins(Ranking("p", ["a", "b", "c"], [1, 2, 2]), np.arange(3.0), 1.0, 7, generator).shape == (7, 2)


def test_calibrate_measures_after_scaling_only_on_other_parts():
    folds = [margins_of(0.5, 2000, seed) for seed in range(3)]
    together = np.concatenate(folds)
    found = calibrate(folds)
    assert found.temperature == fit_temperature(together) and found.pairs == 6000
    assert found.error_before == calibration_error(together, 1.0) > 0.05
    assert found.error_after == held_out_calibration_error(folds) < 0.03
    assert calibrate(together) == replace(found, error_after=None) == calibrate([together, np.array([])])


def test_weights_count_as_repeats():
    margins = np.array([0.5, -0.2, 1.0])
    assert fit_temperature(margins, np.array([1.0, 2.0, 1.0])) == pytest.approx(
        fit_temperature(np.array([0.5, -0.2, -0.2, 1.0])), rel=1e-3
    )


def test_held_out_error_uses_the_temperature_of_the_other_folds():
    folds = [margins_of(0.5, 4000, seed) for seed in range(5)]
    together = np.concatenate(folds)
    assert held_out_calibration_error(folds) == pytest.approx(
        calibration_error(together, fit_temperature(together)), abs=0.01
    )
    assert held_out_calibration_error(folds) < calibration_error(together, 1.0) / 3


@pytest.mark.parametrize("margins", [np.array([0.5, 1.0]), np.array([-0.5, -1.0])])
def test_a_temperature_at_an_end_of_the_range_gives_no_odds(margins):
    few = "few" if margins[0] > 0 else "many"
    reason = f"so {few} pairs are ordered wrongly that no temperature fits"
    assert why_no_odds(fit_temperature(margins), 10) == reason
    assert odds_in_words(Calibration(fit_temperature(margins), 0.1, 0.05, 2), 10, 0.02) == f"No odds: {reason}."


def test_the_report_names_no_temperature_of_few_prompts_and_no_gain_where_scaling_makes_it_worse():
    better, worse = Calibration(0.8, 0.12, 0.05, 60), Calibration(0.8, 0.05, 0.12, 60)
    assert why_no_odds(0.8, 10) == "" and odds_in_words(better, 9, 0.03) == "No odds: need at least 10 prompts, have 9."
    said = odds_in_words(better, 10, 0.03)
    assert said.startswith(
        "P(preferred) = sigmoid(margin / 0.80); expected calibration error 0.120 before, 0.050 after temperature scaling\n"
    )
    assert said.endswith("\n(0.030 is what chance alone would show on 60 pairs even if every probability were right)")
    said = odds_in_words(worse, 10, 0.03)
    assert (
        "0.050 without the temperature,\n0.120 with one of the other prompts: scaling does not help here\n(0.030 is"
        in said
    )
    assert "after" not in said
