"""Would more rankings help: the accuracy after training on fewer rankings, continued to more of them.

The accuracy on unseen prompts is taken as a straight line over the logarithm of the number of ranked prompts, whose slope may
change slowly: an integrated random walk, the model behind cubic smoothing splines (Wahba 1978). What is small or far away then
counts less, and uncertainty grows with the distance from what was measured. The slope where the measurements end is shrunk
towards `TYPICAL_GAIN`, since a few dozen prompts alone cannot tell it from zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from preference.data.folds import Fold, trained_prompts
from preference.data.rankings import Ranking
from preference.evaluation.metrics import count_pairs

TYPICAL_GAIN = 0.015  # a doubling: 0.011 in Stiennon et al. 2020 (section 4.3); on AlpacaEval 0.009 for whole answers, 0.03 for their beginnings
GAIN_SPREAD = 0.015  # standard deviation of the gain a doubling from one person's rankings to the next
BENDING = 0.02  # standard deviation of the change of that gain over one doubling
TRAINING_NOISE = 0.01  # standard deviation of the accuracy over seeds and choices of the training prompts, from `FEW` prompts on
FEW = 25  # below, the variance of that noise grows as 1 / prompts
PROMPT_NOISE = 0.22  # standard deviation of one prompt's accuracy: counts as much as `PRIOR_PROMPTS` measured prompts
PRIOR_PROMPTS = 5
WORTHWHILE = 0.005  # a gain a doubling that is worth a person's time
LIKELY = 0.8416  # standard deviations from the mean, beyond which a fifth of a normal distribution lies
NORMAL_80 = 1.2816  # standard deviations on each side of an 80 % interval


@dataclass(frozen=True)
class Point:
    """What models that were trained on `trained_on` ranked prompts made of the same unseen prompts.

    `trained_on` counts all prompts that a training was given, the validation part included (their mean over the folds).
    `right` and `pairs`, each of shape (prompts,), are those of `preference.evaluation.metrics.count_pairs`; the order of the
    prompts is the same in all points.
    """

    trained_on: float
    right: np.ndarray
    pairs: np.ndarray

    def accuracy(self) -> float:
        return float(self.right.sum() / self.pairs.sum())


@dataclass(frozen=True)
class Prediction:
    """An expected value and its 80 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class LearningCurve:
    """A fit to points: a normal distribution over the level where they end, and over the curve around it.

    Positions are doublings, counted from the last point: 0 is its number of prompts, 1 twice as many.
    """

    last: float  # prompts
    positions: np.ndarray  # (points,)
    accuracies: np.ndarray  # (points,)
    noise: np.ndarray  # (points, points): covariance of the accuracies around the curve

    def predict(self, at: float) -> Prediction:
        """Return the accuracy of one model trained on `at` ranked prompts; see `predict`."""
        mean, variance = self._condition(np.array([np.log2(at / self.last)]), np.ones(1))
        return _interval(mean, variance + _training_variance(at), 0.0, 1.0)

    def gain(self, now: float, at: float) -> Prediction:
        """Return how much more accurate models trained on `at` ranked prompts are on average than those trained on `now`."""
        mean, variance = self._condition(np.log2(np.array([now, at]) / self.last), np.array([-1.0, 1.0]))
        return _interval(mean, variance, -1.0, 1.0)

    def _condition(self, wanted: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
        """Return mean and variance of the weighted sum of the curve at the positions `wanted`, given the points."""
        to_points = np.linalg.solve(_prior(self.positions, self.positions) + self.noise, _prior(self.positions, wanted)).T
        mean = _line(wanted) + to_points @ (self.accuracies - _line(self.positions))
        covariance = _prior(wanted, wanted) - to_points @ _prior(self.positions, wanted)
        return float(weights @ mean), float(weights @ covariance @ weights)


def measured_points(rankings: Sequence[Ranking], folds: Sequence[Sequence[Fold]], rewards: Sequence[np.ndarray]) -> list[Point]:
    """Return a point for each set of folds, which was trained on a share of the prompts of its own and gave its `rewards` to all answers."""
    points = []
    for some, values in zip(folds, rewards, strict=True):
        counts = count_pairs(rankings, values)
        points.append(Point(sum(trained_prompts(rankings, fold) for fold in some) / len(some), counts.right, counts.pairs))
    return points


def predict(points: Sequence[Point], at: float, *, models: int = 5) -> Prediction:
    """Predict the accuracy, on unseen prompts of the same kind, of one model that is trained on `at` ranked prompts.

    The 80 % interval contains three kinds of uncertainty: which prompts happened to be unseen (their spread, which the points
    share); the noise of training (seeds, and which prompts were ranked), both of the points and of the predicted model; and
    how the curve goes on beyond the points. It does not contain the noise of the prompts on which the prediction is checked
    later (about 0.22 / √prompts), nor a change of the kind of prompts, of the person, or of the settings.

    Args:
        points: at least one; in any order.
        at: how many ranked prompts, the validation part included.
        models: how many were trained for each point, one a fold.
    """
    return fit_curve(points, models=models).predict(at)


def describe_gain(curve: LearningCurve, prompts: int) -> str:
    """Say in one sentence whether more than `prompts` rankings are likely to help, by how much, and how sure that is.

    They are likely to help where a gain has a probability of at least 0.8, and unlikely to where one of `WORTHWHILE` has at most 0.2.
    """
    gain = curve.gain(prompts, 2 * prompts)
    spread = (gain.high - gain.low) / 2 / NORMAL_80
    if gain.mean > LIKELY * spread:
        outlook = "More rankings are likely to help"
    elif gain.mean < WORTHWHILE - LIKELY * spread:
        outlook = "More rankings are unlikely to help"
    else:
        outlook = "More rankings may help, but these cannot tell"
    now, twice, fourfold = (curve.predict(times * prompts) for times in (1, 2, 4))
    return (
        f"{outlook}: a model of these {prompts} ranked prompts is expected to reach {now.mean:.2f}, of twice as many ({2 * prompts})"
        f" {twice.mean:.2f}, 80 % interval {twice.low:.2f} to {twice.high:.2f}, of four times as many ({4 * prompts}) {fourfold.mean:.2f},"
        f" {fourfold.low:.2f} to {fourfold.high:.2f}; doubling them changes the accuracy by {gain.mean:+.3f}"
        f" (80 % interval {gain.low:+.3f} to {gain.high:+.3f})."
    )


def fit_curve(points: Sequence[Point], *, models: int = 5) -> LearningCurve:
    """Fit a curve to `points`; arguments as in `predict`."""
    points = sorted(points, key=lambda point: point.trained_on)
    sizes = np.array([point.trained_on for point in points])
    noise = _prompt_covariance(points) + np.diag([_training_variance(size) / models for size in sizes])
    return LearningCurve(float(sizes[-1]), np.log2(sizes / sizes[-1]), np.array([point.accuracy() for point in points]), noise)


def _prompt_covariance(points: Sequence[Point]) -> np.ndarray:
    """Return the covariance of the points' accuracies over draws of the unseen prompts (of ratios, linearised), shape (points, points)."""
    residuals = np.array([(point.right - point.accuracy() * point.pairs) / point.pairs.mean() for point in points])
    prompts = residuals.shape[1]
    own = np.full((len(points), len(points)), 0.7 * PROMPT_NOISE**2)  # points share their prompts, and most of what is hard about them
    np.fill_diagonal(own, PROMPT_NOISE**2)
    return (residuals @ residuals.T + PRIOR_PROMPTS * own) / (prompts + PRIOR_PROMPTS) / prompts


def _training_variance(trained_on: float) -> float:
    return TRAINING_NOISE**2 * max(1.0, FEW / trained_on)


def _line(positions: np.ndarray) -> np.ndarray:
    """Return the curve that is expected before anything is measured; its level is free."""
    return 0.75 + TYPICAL_GAIN * positions


def _prior(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the covariance of the curve at positions `left` and `right` before anything is measured: level, slope, bending."""
    x, y = left[:, None], right[None, :]
    small, large = np.minimum(abs(x), abs(y)), np.maximum(abs(x), abs(y))
    bending = np.where(x * y > 0, small**2 * (3 * large - small) / 6, 0.0)  # of an integrated Wiener process that starts at 0
    return 1.0 + GAIN_SPREAD**2 * x * y + BENDING**2 * bending


def _interval(mean: float, variance: float, least: float, most: float) -> Prediction:
    reach = NORMAL_80 * variance**0.5
    return Prediction(*(float(np.clip(value, least, most)) for value in (mean, mean - reach, mean + reach)))
