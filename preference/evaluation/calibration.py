"""Margins as win probabilities: P(chosen beats rejected) = sigmoid(margin / temperature) (Bradley & Terry 1952)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit

LEAST_PROMPTS = 10  # unseen; of fewer, a temperature says nothing
_LOWEST, _HIGHEST = 0.01, 100.0  # temperatures


@dataclass(frozen=True)
class Calibration:
    """P(A preferred to B) = sigmoid((reward A − reward B) / temperature), and its expected calibration error."""

    temperature: float
    error_before: float  # without a temperature: 1.0
    error_after: float  # with temperatures that were fitted on other prompts
    pairs: int

    def in_words(self, prompts: int) -> str:
        """Return one sentence on the odds, of `prompts` unseen prompts."""
        if reason := why_no_odds(self.temperature, prompts):
            return f"No odds: {reason}."
        return (
            f"P(preferred) = sigmoid(margin / {self.temperature:.2f}); expected calibration error"
            f" {self.error_before:.3f} before, {self.error_after:.3f} after temperature scaling"
        )


def calibrate(parts: Sequence[np.ndarray]) -> Calibration:
    """Fit the temperature on the margins of chosen over rejected answers, and measure its error.

    Args:
        parts: two or more, each with unseen prompts of its own: it is scaled by the temperature of the others.
    """
    together = np.concatenate(parts)
    scaled = [own / fit_temperature(np.concatenate([*parts[:i], *parts[i + 1 :]])) for i, own in enumerate(parts)]
    errors = calibration_error(together), calibration_error(np.concatenate(scaled))
    return Calibration(fit_temperature(together), *errors, len(together))


def why_no_odds(temperature: float, prompts: int) -> str:
    """Return why a temperature that was fitted on `prompts` unseen prompts gives no odds, or "" where it does.

    A temperature near an end of the range of `fit_temperature` was not found there: the range stopped it.

    >>> why_no_odds(0.8, prompts=4)
    'need at least 10 prompts, have 4'
    """
    if prompts < LEAST_PROMPTS:
        return f"need at least {LEAST_PROMPTS} prompts, have {prompts}"
    if 2 * _LOWEST <= temperature <= _HIGHEST / 2:
        return ""
    return f"so {'few' if temperature < 1 else 'many'} pairs are ordered wrongly that no temperature fits"


def win_probability(margin: float, temperature: float) -> float:
    """Return the probability that a person prefers the answer whose reward is higher by `margin`.

    >>> round(win_probability(1.0, temperature=0.8), 2)
    0.78
    """
    return float(expit(margin / temperature))


def fit_temperature(margins: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the temperature under which the margins of chosen over rejected answers are likeliest (Guo et al. 2017).

    Margins that are all on one side, for which no finite optimum exists, give an end of the range, 0.01 to 100.
    """

    def loss(log_temperature: float) -> float:
        return -float(np.average(log_expit(margins / np.exp(log_temperature)), weights=weights))

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(_LOWEST), np.log(_HIGHEST)), method="bounded").x))


def calibration_error(margins: np.ndarray) -> float:
    """Return the expected calibration error of sigmoid(margin): the mean of |share right − mean probability|.

    Pairs are sorted by the probability of the higher reward and put into bins of equal size, as many as keep the
    shares right rising (ECE_sweep, Roelofs et al. 2022): of few pairs, bins of equal width show more by chance.
    """
    stated = np.sort(expit(np.abs(margins)))
    right = np.heaviside(margins, 0.5)[np.argsort(np.abs(margins), kind="stable")]
    bins = 1
    while bins < len(right) and (np.diff([part.mean() for part in np.array_split(right, bins + 1)]) >= 0).all():
        bins += 1
    return float(sum(abs(part.sum()) for part in np.array_split(right - stated, bins)) / len(right))
