"""Would more rankings help: the accuracy of probes that learned from fewer rankings, continued to more of them.

The error of what is learned from n prompts falls about as 1 / sqrt(n), to a level that this kind of model cannot better:
accuracy(n) = a - b / sqrt(n). Both are fitted to the accuracies at many sizes, each the mean of many random subsets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from preference.statistics import BOOTSTRAP_SAMPLES

WORTHWHILE = 0.005  # a gain that is worth a person's time
LIKELY = 0.8416  # standard deviations from the mean, beyond which a fifth of a normal distribution lies
NORMAL_80 = 1.2816  # standard deviations on each side of an 80 % interval


@dataclass(frozen=True)
class Point:
    """What probes that learned from `trained_on` ranked prompts made of prompts that they never saw.

    `right` and `pairs`, each of shape (prompts,), are those of `preference.evaluation.metrics.count_pairs`, means over the
    subsets; the order of the prompts is the same in all points.
    """

    trained_on: int
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
    """`fitted` are a and -b, shape (2,); `drawn` the same for each bootstrap sample of the prompts, shape (samples, 2)."""

    fitted: np.ndarray
    drawn: np.ndarray

    def predict(self, at: float) -> Prediction:
        """Return the accuracy, on unseen prompts of the same kind, of a model that learned from `at` ranked prompts.

        The interval holds the uncertainty from which prompts happened to be ranked. It does not hold the noise of the prompts on
        which the prediction is checked later (about 0.22 / √prompts), nor a change of the kind of prompts or of the person.
        """
        return self._prediction(_rows(np.array([at]))[0], 0.0, 1.0)

    def gain(self, now: float, at: float) -> Prediction:
        """Return how much more accurate models of `at` ranked prompts are on average than those of `now`."""
        there, here = _rows(np.array([at, now]))
        return self._prediction(there - here, -1.0, 1.0)

    def _prediction(self, row: np.ndarray, least: float, most: float) -> Prediction:
        mean, reach = float(self.fitted @ row), NORMAL_80 * float((self.drawn @ row).std())
        return Prediction(*(float(np.clip(value, least, most)) for value in (mean, mean - reach, mean + reach)))


def fit_curve(points: Sequence[Point], *, seed: int = 0) -> LearningCurve:
    """Fit a curve to the accuracies of two points or more by least squares; its uncertainty is that of a bootstrap over prompts.

    The samples are also drawn from one prompt that is all wrong and one that is all right, so that a few prompts that happen to
    be all right prove no certainty.
    """
    solve = np.linalg.pinv(_rows(np.array([point.trained_on for point in points])))
    right, pairs = np.stack([point.right for point in points], axis=1), points[0].pairs  # (prompts, sizes), (prompts,)
    fitted = solve @ (right.sum(axis=0) / pairs.sum())
    typical = np.full((1, len(points)), pairs.mean())
    right, pairs = (
        np.concatenate([right, typical, 0 * typical]),
        np.concatenate([pairs, typical[0, :1], typical[0, :1]]),
    )
    drawn = np.random.default_rng(seed).multinomial(
        len(pairs), np.full(len(pairs), 1 / len(pairs)), size=BOOTSTRAP_SAMPLES
    )
    return LearningCurve(fitted, (drawn @ right) / (drawn @ pairs)[:, None] @ solve.T)


def _rows(sizes: np.ndarray) -> np.ndarray:
    return np.stack([np.ones(len(sizes)), sizes**-0.5], axis=1)


def describe_gain(curve: LearningCurve, prompts: int) -> str:
    """Say in one sentence whether more than `prompts` rankings are likely to help, by how much, and how sure that is.

    They are likely to help where a gain of `WORTHWHILE` has a probability of at least 0.8, and unlikely to help much where it has
    at most 0.2; in between they are likely to help a little where any gain has a probability of 0.9.
    """
    gain = curve.gain(prompts, 2 * prompts)
    spread = (gain.high - gain.low) / 2 / NORMAL_80
    if gain.mean - WORTHWHILE > LIKELY * spread:
        outlook = "More rankings are likely to help"
    elif gain.mean < WORTHWHILE - LIKELY * spread:
        outlook = "More rankings are unlikely to help much"
    elif gain.low > 0:
        outlook = "More rankings are likely to help a little"
    else:
        outlook = "More rankings may help, but these cannot tell"
    now, twice, fourfold = (curve.predict(times * prompts) for times in (1, 2, 4))
    more = f"{twice.mean:.2f} with twice as many ({2 * prompts}; 80 % interval {twice.low:.2f} to {twice.high:.2f})"
    most = f"{fourfold.mean:.2f} with four times as many ({4 * prompts}; {fourfold.low:.2f} to {fourfold.high:.2f})"
    return (
        f"{outlook}: accuracy {now.mean:.2f} now (by many random splits), {more}, {most};"
        f" doubling them changes it by {gain.mean:+.3f} (80 % interval {gain.low:+.3f} to {gain.high:+.3f})."
    )
