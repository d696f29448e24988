"""Rewards as odds: how likely people prefer an answer, which rankings models dispute, and which look reversed.

P(chosen beats rejected) = sigmoid(margin / temperature) (Bradley & Terry 1952).
"""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, logit

from preference.data.rankings import Ranking, identities
from preference.data.table_writing import format_csv
from preference.data.tables import Table
from preference.evaluation.metrics import by_ranking, pair_margins, predicted_ranks
from preference.evaluation.record import TEMPERATURES, Calibration

REVIEW_COLUMNS = ["reward", "predicted_rank", "dispute"]  # that review.csv adds
CERTAIN = 0.9  # probability from which a ranking is called reversed
_ROUNDS = 20
_PRIOR = (0.2, 10.0)  # as if 10 rankings had been seen before, 0.2 of them reversed


def calibrate(parts: Sequence[np.ndarray]) -> Calibration:
    """Fit the temperature on the margins of chosen over rejected answers, and measure its error.

    The two or more parts have unseen prompts of their own: each is scaled by the temperature of the others.
    """
    together = np.concatenate(parts)
    scaled = [own / fit_temperature(np.concatenate([*parts[:i], *parts[i + 1 :]])) for i, own in enumerate(parts)]
    errors = calibration_error(together), calibration_error(np.concatenate(scaled))
    return Calibration(fit_temperature(together), *errors, len(together))


def fit_temperature(margins: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the temperature under which the margins of chosen over rejected answers are likeliest (Guo et al. 2017).

    Margins that are all on one side, for which no finite optimum exists, give an end of the range.
    """

    def loss(log_temperature: float) -> float:
        return -float(np.average(log_expit(margins / np.exp(log_temperature)), weights=weights))

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))


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


def disputes_of(rankings: Sequence[Ranking], rewards: np.ndarray) -> np.ndarray:
    """Return the margins on the wrong side, summed over each ranking's untied pairs: shape (rankings,).

    >>> disputes_of([Ranking("p", ["a", "b", "c"], [1, 2, 3])], np.array([1.0, 0.0, 0.5])).tolist()
    [0.5]
    """
    return np.asarray([np.maximum(-pair_margins(r, values), 0.0).sum() for r, values in by_ranking(rankings, rewards)])


def find_reversed(rankings: Sequence[Ranking], rewards: np.ndarray) -> list[int]:
    """Return the positions of rankings that look reversed (the highest number for the best answer), surest first.

    Each ranking is taken to follow the rewards' odds (Plackett-Luce), either as it stands or turned round. The share of
    turned ones and the temperature are found by expectation maximisation (Dempster et al. 1977): a few wrong pairs are
    not enough. The rewards are of models that never saw the prompts, for all answers in order: shape (answers,).
    """
    parts = by_ranking(rankings, rewards)
    margins = [pair_margins(ranking, values) for ranking, values in parts]
    both_ways, sizes = np.concatenate([*margins, *(-part for part in margins)]), [len(part) for part in margins]
    turned = np.zeros(len(rankings))  # probabilities
    for _ in range(_ROUNDS):
        temperature = fit_temperature(both_ways, np.concatenate([np.repeat(p, sizes) for p in (1 - turned, turned)]))
        share = (turned.sum() + _PRIOR[0]) / (len(rankings) + _PRIOR[1])
        given, other = (
            np.array([order_likelihood(values / temperature, sign * np.asarray(r.ranks)) for r, values in parts])
            for sign in (1, -1)
        )
        turned = expit(logit(share) + other - given)
    return [int(i) for i in np.argsort(-turned, kind="stable") if turned[i] >= CERTAIN]


def order_likelihood(values: np.ndarray, ranks: np.ndarray) -> float:
    """Return the logarithm of the Plackett-Luce probability of an order; ties as Efron (1977) treats them.

    >>> round(float(np.exp(order_likelihood(np.zeros(3), np.array([1, 2, 3])))), 3)  # one of six orders
    0.167
    """
    weights, total = np.exp(values - values.max()), 0.0
    for rank in np.unique(ranks):
        tied, left = weights[ranks == rank], weights[ranks >= rank].sum()
        total += float(np.log(tied).sum() - np.log(left - np.arange(len(tied)) / len(tied) * tied.sum()).sum())
    return total


def review_csv(table: Table, rankings: Sequence[Ranking], rewards: np.ndarray, disputes: np.ndarray) -> bytes:
    """Return the rows of `table` that are part of one of its `rankings`, most disputed first, as `table` was written.

    The columns `REVIEW_COLUMNS` are new; where the table has them already, being an earlier review, they are replaced.
    """
    places = np.argsort(np.argsort(-disputes, kind="stable"))
    scores = {
        (ranking.identity, answer): (place, f"{reward:.4f}", rank, f"{dispute:.4f}")
        for (ranking, values), place, dispute in zip(by_ranking(rankings, rewards), places, disputes, strict=True)
        for answer, reward, rank in zip(ranking.answers, values, predicted_ranks(values), strict=True)
    }
    kept, (answer,), rows = [name for name in table.columns if name not in REVIEW_COLUMNS], table.need("answer"), []
    for key, record in zip(identities(table), table.records, strict=True):
        if score := scores.get((key, record[answer].strip())):  # an answer without a rank has none
            row = {name: record.get(name) for name in kept} | dict(zip(REVIEW_COLUMNS, score[1:], strict=True))
            rows.append((score[0], row))
    rows.sort(key=lambda row: row[0])
    return format_csv(table.source, [*kept, *REVIEW_COLUMNS], [row for _, row in rows], table.form)
