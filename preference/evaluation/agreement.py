"""Agreement with people: the rankings that a table's labels make up, and how well raters of the same answers agree."""

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd

from preference.data.comparisons import Comparison, gather
from preference.data.rankings import Ranking
from preference.data.roles import Roles
from preference.statistics import bootstrap_interval
from preference.wording import counted, shorten

MOST_ANSWERS = 2_000  # of one ranking; the time that its pairs take is quadratic


def rankings_to_judge_by(
    items: Sequence[Comparison], roles: Roles, was_seen: Callable[[str], bool]
) -> tuple[list[Ranking], list[str]]:
    """Return the rankings of prompts that a model was not trained on, and sentences on what else there is.

    Args:
        was_seen: whether the model was trained on a prompt.
    """
    gathered, kept, seen, notes = gather(items, roles), list[Ranking](), set[str](), list[str]()
    for ranking in gathered.rankings:
        if was_seen(ranking.prompt):
            seen.add(ranking.key)
            continue
        if (count := len(ranking.answers)) > MOST_ANSWERS:
            of = f"{count:,} answers to {shorten(ranking.prompt)}"
            notes.append(f"judged by {MOST_ANSWERS:,} of the {of}, drawn at random")
            drawn = random.Random(0).sample(list(zip(ranking.answers, ranking.ranks, strict=True)), MOST_ANSWERS)
            ranking = replace(ranking, answers=[answer for answer, _ in drawn], ranks=[rank for _, rank in drawn])
        kept.append(ranking)
    left_out = [f"{counted(count, 'record or ranking')} with {why}" for why, count in gathered.left_out.most_common()]
    left_out += [f"{counted(gathered.unranked, 'answer')} without a rank or score"] * bool(gathered.unranked)
    left_out += [f"{counted(len(seen), 'prompt')} that the model was trained on"] * bool(seen)
    notes += [f"scored, but not judged: {', '.join(left_out)}"] * bool(left_out)
    if not kept:
        need = "need a prompt that the model was not trained on, with two answers of different ranks"
        notes.append(f"no agreement table: {need}")
    return kept, notes


@dataclass(frozen=True)
class RaterAgreement:
    """How well the raters of a prompt agree who rank the same answers.

    `share` is the share of pairs, untied for both of two raters, that they order alike, with its 95 % `interval`: the
    accuracy of a model that is as good as another rater. `alpha` is Krippendorff's alpha for ordinal values: 1 where
    all agree, 0 for chance; None where every shared answer has the same rank.
    """

    prompts: int
    pairs: int
    share: float
    interval: tuple[float, float]
    alpha: float | None


def rater_agreement(rankings: Sequence[Ranking]) -> RaterAgreement | None:
    """Return how well the raters of each prompt agree; None where no two share a pair that both order."""
    by_prompt: dict[str, list[Ranking]] = defaultdict(list)
    for ranking in rankings:
        if ranking.rater:
            by_prompt[ranking.key].append(ranking)
    counts, shared = [], []
    for of_prompt in by_prompt.values():
        others = [(left, right) for left, right in combinations(of_prompt, 2) if left.rater != right.rater]
        alike, pairs = np.sum([_count_alike(left, right) for left, right in others] or [(0, 0)], axis=0)
        if pairs:
            counts.append((alike, pairs))
            shared += of_prompt
    if not counts:
        return None
    right, pairs = np.array(counts, dtype=float).T
    interval = bootstrap_interval(right, pairs)
    return RaterAgreement(len(counts), int(pairs.sum()), float(right.sum() / pairs.sum()), interval, _alpha(shared))


def _count_alike(left: Ranking, right: Ranking) -> tuple[int, int]:
    """Return how many pairs of shared answers both order alike, and how many both order."""
    ranks, others = dict(zip(left.answers, left.ranks, strict=True)), dict(zip(right.answers, right.ranks, strict=True))
    pairs = combinations([answer for answer in ranks if answer in others], 2)
    signs = [np.sign(ranks[a] - ranks[b]) * np.sign(others[a] - others[b]) for a, b in pairs]
    return signs.count(1), signs.count(1) + signs.count(-1)


def _alpha(rankings: Sequence[Ranking]) -> float | None:
    """Return Krippendorff's alpha of the places of the answers that at least two raters of their prompt share."""
    rows = pd.DataFrame(
        [
            (ranking.key, ranking.rater, answer, rank)
            for ranking in rankings
            for answer, rank in zip(ranking.answers, ranking.ranks, strict=True)
        ],
        columns=["prompt", "rater", "answer", "rank"],
    ).drop_duplicates(["prompt", "rater", "answer"])
    rows = rows[rows.groupby(["prompt", "answer"])["rater"].transform("size") > 1]
    places = rows.groupby(["prompt", "rater"])["rank"].rank()  # from 1, ties their mean
    counts = pd.crosstab([rows["prompt"], rows["answer"]], places).to_numpy()
    return ordinal_alpha(counts) if counts.shape[1] > 1 else None


def ordinal_alpha(counts: np.ndarray) -> float:
    """Return Krippendorff's alpha for ordinal values (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability").

    Args:
        counts: how many raters gave each unit each value, the values in their order: shape (units, values).

    >>> round(ordinal_alpha(np.array([[2, 0, 0], [0, 2, 0], [0, 1, 1]])), 3)
    0.778
    """
    counts = counts[counts.sum(axis=1) > 1]  # one value alone says nothing
    weighted = counts / (counts.sum(axis=1, keepdims=True) - 1)
    pairs = counts.T @ weighted - np.diag(weighted.sum(axis=0))  # how often each two values meet in a unit
    of_value = pairs.sum(axis=0)
    middle = of_value.cumsum() - of_value / 2  # of the places that a value's raters take when all are put in order
    distance = (middle[:, None] - middle[None, :]) ** 2
    return float(1 - (of_value.sum() - 1) * (pairs * distance).sum() / (np.outer(of_value, of_value) * distance).sum())
