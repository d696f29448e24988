"""Margins as win probabilities: P(chosen beats rejected) = sigmoid(margin / temperature) (Bradley & Terry 1952; Guo et al. 2017)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit

BINS = 10


@dataclass(frozen=True)
class Calibration:
    """P(A preferred to B) = sigmoid((reward A − reward B) / temperature), and the expected calibration error of that on `pairs` pairs.

    `error_before` is the error without a temperature (1.0). `error_after` is that of temperatures fitted on other prompts
    than those that they are judged by; None where there were no two parts for that.
    """

    temperature: float
    error_before: float
    error_after: float | None
    pairs: int


def calibrate(margins: Sequence[np.ndarray] | np.ndarray) -> Calibration:
    """Fit the temperature on all `margins` of chosen over rejected answers, and measure its error.

    Args:
        margins: of unseen prompts, one array for each part with prompts of its own (a fold, or a prompt); or one array of all,
            whose error after scaling cannot be told.
    """
    parts = [margins] if isinstance(margins, np.ndarray) else [part for part in margins if len(part)]
    together = np.concatenate(parts)
    after = held_out_calibration_error(parts) if len(parts) > 1 else None
    return Calibration(fit_temperature(together), calibration_error(together, 1.0), after, len(together))


def win_probability(margin: float | np.ndarray, temperature: float) -> float | np.ndarray:
    """Return the probability that a person prefers the answer whose reward is higher by `margin`.

    >>> round(float(win_probability(1.0, temperature=0.8)), 2)
    0.78
    """
    return expit(np.asarray(margin) / temperature)[()]


def fit_temperature(margins: np.ndarray) -> float:
    """Return the temperature under which the margins of chosen over rejected answers are the most likely.

    Margins that are all on one side, for which no finite optimum exists, give an end of the range, 0.01 to 100.
    """

    def loss(log_temperature: float) -> float:
        return -float(log_expit(margins / np.exp(log_temperature)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.01), np.log(100)), method="bounded").x))


def calibration_error(margins: np.ndarray, temperature: float) -> float:
    """Return the expected calibration error: how far stated probabilities are from the shares of pairs ordered correctly (Naeini et al. 2015).

    Pairs are put into `BINS` bins by the probability stated for the answer with the higher reward, from 0.5 to 1; the
    error is the mean over pairs of |share right − mean probability| of their bin. Equal rewards count half right.
    """
    stated = expit(np.abs(margins) / temperature)
    right = np.where(margins > 0, 1.0, np.where(margins < 0, 0.0, 0.5))
    bins = np.minimum(((stated - 0.5) * 2 * BINS).astype(int), BINS - 1)
    return float(sum(abs((right - stated)[bins == number].sum()) for number in range(BINS)) / len(margins))


def held_out_calibration_error(margins: Sequence[np.ndarray]) -> float:
    """Return the calibration error with a temperature that is fitted, for each fold's margins, on the other folds'."""
    scaled = []
    for number, own in enumerate(margins):
        others = np.concatenate([some for i, some in enumerate(margins) if i != number])
        scaled.append(own / fit_temperature(others))
    return calibration_error(np.concatenate(scaled), 1.0)
