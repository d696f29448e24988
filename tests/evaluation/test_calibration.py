import numpy as np
import pytest
from scipy.special import expit

from preference.evaluation.odds import calibrate, calibration_error, fit_temperature
from preference.evaluation.record import Calibration, why_no_odds


def margins_of(temperature: float, pairs: int, seed: int = 0) -> np.ndarray:
    """Margins of chosen over rejected answers, where a person follows sigmoid(margin / temperature)."""
    generator = np.random.default_rng(seed)
    margins = np.abs(generator.normal(0, 1.5, pairs))
    return np.where(generator.random(pairs) < expit(margins / temperature), margins, -margins)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_the_temperature_that_made_the_margins_is_found(temperature):
    margins = margins_of(temperature, 20_000)
    assert fit_temperature(margins) == pytest.approx(temperature, rel=0.05)
    assert calibration_error(margins / temperature) < 0.02
    assert calibration_error(margins / (5 * temperature)) > 0.07


def test_margins_that_are_never_wrong_end_at_the_lowest_temperature():
    assert fit_temperature(np.array([0.5, 1.0])) == pytest.approx(0.01, rel=0.05)


def test_calibration_error_by_hand():
    half = 0.0  # equal rewards: half right
    three_quarters = np.log(3)  # sigmoid is 0.75
    # shares right in two bins, 0.5 and 0.5, do not fall; in three, 0.5, 1 and 0, they do: both pairs of 0.75 share one
    assert calibration_error(np.array([three_quarters, -three_quarters, half, half])) == pytest.approx(
        (2 * 0.25 + 0) / 4
    )
    assert calibration_error(np.array([three_quarters])) == pytest.approx(0.25)
    # always right, stated as 0.75: whatever the bins
    assert calibration_error(np.full(40, three_quarters)) == pytest.approx(0.25)


def test_few_pairs_show_less_error_by_chance_than_in_bins_of_equal_width():
    def equal_width(margins: np.ndarray) -> float:
        stated = expit(np.abs(margins))
        bins = np.minimum((stated - 0.5) * 20, 9).astype(int)
        return sum(abs(((margins > 0) - stated)[bins == number].sum()) for number in range(10)) / len(margins)

    draws = [margins_of(1.0, 180, seed) for seed in range(60)]
    sweep, width = (np.mean([error(margins) for margins in draws]) for error in (calibration_error, equal_width))
    assert sweep < 0.75 * width


def test_the_error_after_scaling_uses_the_temperature_of_the_other_parts():
    parts = [margins_of(0.5, 4000, seed) for seed in range(5)]
    together = np.concatenate(parts)
    found = calibrate(parts)
    assert found.temperature == fit_temperature(together) and found.pairs == 20_000
    assert found.error_before == calibration_error(together) > 3 * found.error_after
    assert found.error_after == pytest.approx(calibration_error(together / found.temperature), abs=0.01)
    a, b = margins_of(0.3, 50), margins_of(2.0, 60, seed=1)
    scaled = np.concatenate([a / fit_temperature(b), b / fit_temperature(a)])
    assert calibrate([a, b]).error_after == calibration_error(scaled)


def test_weights_count_as_repeats():
    margins = np.array([0.5, -0.2, 1.0])
    assert fit_temperature(margins, np.array([1.0, 2.0, 1.0])) == pytest.approx(
        fit_temperature(np.array([0.5, -0.2, -0.2, 1.0])), rel=1e-3
    )


@pytest.mark.parametrize("margins", [np.array([0.5, 1.0]), np.array([-0.5, -1.0])])
def test_a_temperature_at_an_end_of_the_range_gives_no_odds(margins):
    few = "few" if margins[0] > 0 else "many"
    reason = f"too {few} pairs are in the wrong order to fit a temperature"
    assert why_no_odds(fit_temperature(margins), 10) == reason
    assert Calibration(fit_temperature(margins), 0.1, 0.05, 2).in_words(10) == f"No odds: {reason}."


def test_the_report_names_no_temperature_of_few_prompts():
    found = Calibration(0.8, 0.12, 0.05, 60)
    assert why_no_odds(0.8, 10) == ""
    assert found.in_words(9) == "No odds: need at least 10 prompts, have 9."
    assert found.in_words(10) == (
        "P(preferred) = sigmoid(margin / 0.80); expected calibration error 0.120 before, "
        "0.050 after temperature scaling"
    )
