"""Would more rankings help: the accuracy of probes that learned from fewer rankings, continued to more of them.

The error of what is learned from n prompts falls about as 1 / sqrt(n), to a level that this kind of model cannot
better: accuracy(n) = a - b / sqrt(n). Both are fitted to accuracies at many sizes, each the mean of random subsets.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from preference.statistics import BOOTSTRAP_SAMPLES

WORTHWHILE = 0.005  # a gain that is worth a person's time
LIKELY = 0.8416  # standard deviations from the mean, beyond which a fifth of a normal distribution lies
NORMAL_80 = 1.2816  # standard deviations on each side of an 80 % interval


@dataclass(frozen=True)
class Measured:
    """What probes that learned from `sizes` ranked prompts, fewest first, made of prompts that they never saw."""

    sizes: np.ndarray  # (sizes,)
    right: np.ndarray  # (prompts, sizes): how many pairs of each prompt were right, means over the subsets
    pairs: np.ndarray  # (prompts,)

    def accuracies(self) -> np.ndarray:
        """Return the accuracy at each size."""
        return self.right.sum(axis=0) / self.pairs.sum()


class Prediction(NamedTuple):
    """An expected value and its 80 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class LearningCurve:
    """The two numbers a and -b of the curve."""

    fitted: np.ndarray  # (2,)
    drawn: np.ndarray  # (samples, 2): of each bootstrap sample of the prompts

    def predict(self, at: float) -> Prediction:
        """Return the accuracy, on unseen prompts of the same kind, of a model that learned from `at` ranked prompts.

        The interval is of the chance which prompts were ranked, not of those on which the prediction is checked later.
        """
        return self._prediction(np.array([1.0, at**-0.5]), 0.0)

    def gain(self, now: float, at: float) -> Prediction:
        """Return how much more accurate models of `at` ranked prompts are on average than those of `now`."""
        return self._prediction(np.array([0.0, at**-0.5 - now**-0.5]), -1.0)

    def _prediction(self, row: np.ndarray, least: float) -> Prediction:
        mean, reach = float(self.fitted @ row), NORMAL_80 * float((self.drawn @ row).std())
        return Prediction(*(float(np.clip(value, least, 1.0)) for value in (mean, mean - reach, mean + reach)))


def fit_curve(measured: Measured, *, seed: int = 0) -> LearningCurve:
    """Fit a curve by least squares; its uncertainty is that of a bootstrap over prompts.

    The samples are also drawn from one prompt that is all wrong and one that is all right, so that a few prompts that
    happen to be all right prove no certainty.
    """
    solve = np.linalg.pinv(np.stack([np.ones(len(measured.sizes)), measured.sizes**-0.5], axis=1)).T  # (sizes, 2)
    typical = np.full((1, len(measured.sizes)), measured.pairs.mean())
    right = np.concatenate([measured.right, typical, 0 * typical])
    pairs = np.append(measured.pairs, [measured.pairs.mean()] * 2)
    drawn = np.random.default_rng(seed).multinomial(len(pairs), [1 / len(pairs)] * len(pairs), size=BOOTSTRAP_SAMPLES)
    return LearningCurve(measured.accuracies() @ solve, (drawn @ right) / (drawn @ pairs)[:, None] @ solve)


def describe_gain(curve: LearningCurve, prompts: int) -> str:
    """Say in one sentence whether more than `prompts` rankings are likely to help, by how much, and how surely."""
    gain = curve.gain(prompts, 2 * prompts)
    margin = LIKELY * (gain.high - gain.low) / 2 / NORMAL_80
    if gain.mean - margin > WORTHWHILE:  # a gain of so much has a probability of at least 0.8
        outlook = "are likely to help"
    elif gain.mean + margin < WORTHWHILE:  # at most 0.2
        outlook = "are unlikely to help much"
    elif gain.low > 0:  # any gain has a probability of 0.9
        outlook = "are likely to help a little"
    else:
        outlook = "may help, but these cannot tell"
    now, twice, fourfold = (curve.predict(times * prompts) for times in (1, 2, 4))
    return (
        f"More rankings {outlook}: accuracy {now.mean:.2f} now (average over random splits), {twice.mean:.2f} with"
        f" twice as many ({2 * prompts}; 80 % interval {twice.low:.2f} to {twice.high:.2f}), {fourfold.mean:.2f} with"
        f" four times as many ({4 * prompts}; {fourfold.low:.2f} to {fourfold.high:.2f}); doubling them changes it by"
        f" {gain.mean:+.3f} (80 % interval {gain.low:+.3f} to {gain.high:+.3f})."
    )
