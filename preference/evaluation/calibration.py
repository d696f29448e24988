"""Margins as win probabilities: P(chosen beats rejected) = sigmoid(margin / temperature) (Bradley & Terry 1952; Guo et al. 2017)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit

from preference.data.rankings import Ranking
from preference.evaluation.metrics import split_rewards
from preference.wording import counted

LEAST_PROMPTS = 10  # unseen; of fewer, a temperature says nothing
_LOWEST, _HIGHEST = 0.01, 100.0  # temperatures
_DRAWS = 50  # of rankings, for the error that chance makes


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


def odds_in_words(calibration: Calibration, prompts: int, by_chance: float) -> str:
    """Return one paragraph on the odds, of `prompts` unseen prompts, and on how far they can be trusted.

    Args:
        by_chance: see `chance_calibration_error`.
    """
    before, after = calibration.error_before, calibration.error_after
    if reason := why_no_odds(calibration.temperature, prompts):
        return f"No odds: {reason}."
    if after is None:
        errors = f"expected calibration error {before:.3f} before temperature scaling, not known after it"
    elif after < before:
        errors = f"expected calibration error {before:.3f} before, {after:.3f} after temperature scaling"
    else:
        errors = f"expected calibration error {before:.3f} without the temperature,\n{after:.3f} with one of the other prompts: scaling does not help here"
    return (
        f"P(preferred) = sigmoid(margin / {calibration.temperature:.2f}); {errors}\n({by_chance:.3f} is what chance alone would show on"
        f" {counted(calibration.pairs, 'pair')} even if every probability were right)"
    )


def win_probability(margin: float | np.ndarray, temperature: float) -> float | np.ndarray:
    """Return the probability that a person prefers the answer whose reward is higher by `margin`.

    >>> round(float(win_probability(1.0, temperature=0.8)), 2)
    0.78
    """
    return expit(np.asarray(margin) / temperature)[()]


def fit_temperature(margins: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the temperature under which the margins of chosen over rejected answers are the most likely.

    Margins that are all on one side, for which no finite optimum exists, give an end of the range, 0.01 to 100.

    Args:
        weights: how much each margin counts, of the same shape; None: equally.
    """

    def loss(log_temperature: float) -> float:
        return -float(np.average(log_expit(margins / np.exp(log_temperature)), weights=weights))

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(_LOWEST), np.log(_HIGHEST)), method="bounded").x))


def calibration_error(margins: np.ndarray, temperature: float) -> float:
    """Return the expected calibration error: how far stated probabilities are from the shares of pairs ordered correctly.

    Pairs are sorted by the probability stated for the answer with the higher reward, and put into bins of equal size; the error
    is the mean over pairs of |share right − mean probability| of their bin. Equal rewards count half right. The bins are as many
    as keep the shares rising from bin to bin (ECE_sweep, Roelofs et al. 2022, "Mitigating bias in calibration error estimation"):
    ten bins of equal width (Naeini et al. 2015) show an error of 0.07 where 30 prompts with four answers are calibrated
    perfectly, these 0.05.
    """
    stated = expit(np.abs(margins) / temperature)
    right = np.where(margins > 0, 1.0, np.where(margins < 0, 0.0, 0.5))
    order = np.argsort(stated, kind="stable")
    stated, right = stated[order], right[order]
    bins = 1
    while bins < len(right) and (np.diff([part.mean() for part in np.array_split(right, bins + 1)]) >= 0).all():
        bins += 1
    return float(sum(abs(part.sum()) for part in np.array_split(right - stated, bins)) / len(right))


def held_out_calibration_error(margins: Sequence[np.ndarray]) -> float:
    """Return the calibration error with a temperature that is fitted, for each fold's margins, on the other folds'."""
    scaled = []
    for number, own in enumerate(margins):
        others = np.concatenate([some for i, some in enumerate(margins) if i != number])
        scaled.append(own / fit_temperature(others))
    return calibration_error(np.concatenate(scaled), 1.0)


def chance_calibration_error(
    rankings: Sequence[Ranking], rewards: np.ndarray, temperature: float, *, seed: int = 0
) -> float:
    """Return the calibration error that chance alone would show on these rankings: the mean over orders that follow the odds exactly."""
    generator = np.random.default_rng(seed)
    margins = [
        sample_margins(r, v, temperature, _DRAWS, generator)
        for r, v in zip(rankings, split_rewards(rankings, rewards), strict=True)
    ]
    return float(
        np.mean(
            [
                calibration_error(np.concatenate([of_ranking[draw] for of_ranking in margins]), temperature)
                for draw in range(_DRAWS)
            ]
        )
    )


def sample_margins(
    ranking: Ranking, rewards: np.ndarray, temperature: float, draws: int, generator: np.random.Generator
) -> np.ndarray:
    """Return the margins that a ranking's untied pairs would have if the person's order followed the rewards' own odds.

    Orders are sampled from the Plackett-Luce model of the rewards at `temperature` (rewards with Gumbel noise, sorted), with the
    ranking's own ties.

    Returns:
        reward of chosen − reward of rejected, in no particular order: shape (draws, untied pairs).
    """
    noisy = rewards / temperature + generator.gumbel(size=(draws, len(rewards)))
    ranks = np.empty((draws, len(rewards)), dtype=int)
    np.put_along_axis(ranks, np.argsort(-noisy, axis=1), np.sort(ranking.ranks)[None, :], axis=1)
    chosen = ranks[:, :, None] < ranks[:, None, :]
    margins = np.broadcast_to(rewards[:, None] - rewards[None, :], chosen.shape)
    return margins[chosen].reshape(draws, -1)
