import numpy as np
import pytest

from preference.evaluation.calibration import calibration_error, fit_temperature, held_out_calibration_error, win_probability


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
    # Two pairs stated as 0.75 (bin 5): one right, one wrong: |0.5 - 0.75|; two stated as 0.5: equal rewards are half right.
    margin = np.log(3)  # sigmoid is 0.75
    assert calibration_error(np.array([margin, -margin, 0.0, 0.0]), 1.0) == pytest.approx((2 * 0.25 + 0) / 4)


def test_held_out_error_uses_the_temperature_of_the_other_folds():
    folds = [margins_of(0.5, 4000, seed) for seed in range(5)]
    together = np.concatenate(folds)
    assert held_out_calibration_error(folds) == pytest.approx(calibration_error(together, fit_temperature(together)), abs=0.01)
    assert held_out_calibration_error(folds) < calibration_error(together, 1.0) / 3
