"""How well raters agree who ranked the same answers: the mark beside which a model's accuracy is read."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from preference.data.rankings import Ranking
from preference.statistics import bootstrap_interval


@dataclass(frozen=True)
class RaterAgreement:
    """Agreement between the raters of one prompt that rank the same answers.

    `share` is the share of pairs, untied for both of two raters, that they order alike, and `interval` its 95 % interval
    (see `bootstrap_interval`). A model that is as good as another rater has this accuracy. `alpha` is Krippendorff's alpha for ordinal
    values (2011): 1 where all agree, 0 for chance; None where every shared answer has the same rank.
    """

    prompts: int
    pairs: int
    share: float
    interval: tuple[float, float]
    alpha: float | None


def rater_agreement(rankings: Sequence[Ranking]) -> RaterAgreement | None:
    """Return how well the raters of each prompt agree on the answers that they share; None where no two share an untied pair."""
    by_prompt: dict[str, list[Ranking]] = defaultdict(list)
    for ranking in rankings:
        if ranking.rater:
            by_prompt[ranking.key].append(ranking)
    alike, counts, shared = [], [], []
    for raters in by_prompt.values():
        others = [(left, right) for left, right in combinations(raters, 2) if left.rater != right.rater]
        agreed, pairs = np.sum([_count_alike(left, right) for left, right in others] or [(0, 0)], axis=0)
        if pairs:
            alike.append(agreed)
            counts.append(pairs)
            shared.append(raters)
    if not counts:
        return None
    right, pairs = np.array(alike, dtype=float), np.array(counts, dtype=float)
    share = float(right.sum() / pairs.sum())
    return RaterAgreement(len(counts), int(pairs.sum()), share, bootstrap_interval(right, pairs), _alpha(shared))


def _count_alike(left: Ranking, right: Ranking) -> tuple[int, int]:
    """Return how many pairs of shared answers are untied for both, and how many of them both order alike, the latter first."""
    ranks, others = dict(zip(left.answers, left.ranks, strict=True)), dict(zip(right.answers, right.ranks, strict=True))
    signs = [
        np.sign(ranks[a] - ranks[b]) * np.sign(others[a] - others[b])
        for a, b in combinations([answer for answer in ranks if answer in others], 2)
    ]
    return signs.count(1), signs.count(1) + signs.count(-1)


def _alpha(by_prompt: Sequence[Sequence[Ranking]]) -> float | None:
    """Return Krippendorff's alpha of the ranks among the answers that at least two raters of a prompt share."""
    units: list[dict[str, float]] = []
    for raters in by_prompt:
        counts: dict[str, int] = defaultdict(int)
        for ranking in raters:
            for answer in ranking.answers:
                counts[answer] += 1
        of_answer: dict[str, dict[str, float]] = {answer: {} for answer, count in counts.items() if count > 1}
        for ranking in raters:
            kept = [
                (answer, rank)
                for answer, rank in zip(ranking.answers, ranking.ranks, strict=True)
                if answer in of_answer
            ]
            among = stats.rankdata([rank for _, rank in kept])  # 1 to the number of shared answers, ties their mean
            for (answer, _), rank in zip(kept, among, strict=True):
                of_answer[answer][ranking.rater] = float(rank)
        units += of_answer.values()
    values = sorted({rank for unit in units for rank in unit.values()})
    if len(values) < 2:
        return None
    return ordinal_alpha(np.array([[list(unit.values()).count(value) for value in values] for unit in units]))


def ordinal_alpha(counts: np.ndarray) -> float:
    """Return Krippendorff's alpha for ordinal values (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability").

    Args:
        counts: how many raters gave each unit each value, the values in their order: shape (units, values). Units with fewer
            than two values say nothing.

    >>> round(ordinal_alpha(np.array([[2, 0, 0], [0, 2, 0], [0, 1, 1]])), 3)
    0.778
    """
    counts = counts[counts.sum(axis=1) > 1]
    weighted = counts / (counts.sum(axis=1, keepdims=True) - 1)
    pairs = counts.T @ weighted - np.diag(weighted.sum(axis=0))  # how often each two values meet in a unit
    of_value = pairs.sum(axis=0)
    middle = of_value.cumsum() - of_value / 2  # of the places that a value's raters take when all are put in order
    distance = (middle[:, None] - middle[None, :]) ** 2
    return float(1 - (of_value.sum() - 1) * (pairs * distance).sum() / (np.outer(of_value, of_value) * distance).sum())
