"""How well rewards agree with rankings, raters with each other, and people with themselves; ranks made of rewards."""

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from preference.data.comparisons import Comparison, gather
from preference.data.rankings import Ranking
from preference.data.roles import Roles
from preference.statistics import bootstrap_interval
from preference.wording import counted, shorten

MOST_ANSWERS = 2_000  # of one ranking; the time that its pairs take is quadratic


@dataclass(frozen=True)
class PairCounts:
    """How many untied pairs each prompt has, and how many of them the rewards order right (equal ones count half)."""

    right: np.ndarray  # (prompts,)
    pairs: np.ndarray  # (prompts,)

    def accuracy(self) -> float:
        return float(self.right.sum() / self.pairs.sum()) if self.pairs.sum() else float("nan")


@dataclass(frozen=True)
class Metrics:
    """Agreement of rewards with rankings; accuracies are shares of untied pairs (equal rewards count half)."""

    prompts: int
    answers: int
    pairs: int
    pairwise_accuracy: float
    pairwise_accuracy_95: tuple[float, float]  # see bootstrap_interval
    accuracy_where_longer_is_better: float | None  # on pairs whose better answer is the longer; None: there are none
    accuracy_where_shorter_is_better: float | None
    length_controlled_accuracy: float | None  # the mean of these two
    kendall_tau: float  # tau-b, the mean over rankings; one whose rewards are all equal counts 0
    spearman_rho: float  # likewise
    best_of_n_hit_rate: float  # share of rankings whose highest reward belongs to a best answer (shared when tied)


@dataclass(frozen=True)
class Agreement:
    """How well raters of the same answers agree, or people with themselves: the most that a model of them can reach."""

    prompts: int
    pairs: int
    share: float  # of the pairs, those in the same order
    interval: tuple[float, float]  # of the share, 95 % (see bootstrap_interval)
    alpha: float | None = None  # of raters: Krippendorff's, ordinal; 1 where all agree, 0 for chance


def split_answers(values: np.ndarray, rankings: Sequence[Ranking]) -> list[np.ndarray]:
    """Split what all answers have, in order (rewards, or states as rows), into one array per ranking."""
    ends = np.cumsum([0, *(len(ranking.answers) for ranking in rankings)])
    if len(values) != ends[-1]:
        raise ValueError(f"{len(values)} values for {ends[-1]} answers")
    return np.split(values, ends[1:-1])


def by_ranking(rankings: Sequence[Ranking], rewards: Sequence[float] | np.ndarray) -> list[tuple[Ranking, np.ndarray]]:
    """Return each ranking with the rewards of its answers."""
    return list(zip(rankings, split_answers(np.asarray(rewards, dtype=np.float64), rankings), strict=True))


def answer_lengths(rankings: Sequence[Ranking]) -> np.ndarray:
    """Return the length of every answer in characters, in order: shape (answers,)."""
    return np.asarray([len(answer) for ranking in rankings for answer in ranking.answers], dtype=np.float64)


def pair_margins(ranking: Ranking, rewards: np.ndarray) -> np.ndarray:
    """Return the margin of every untied pair of one ranking, reward of chosen − reward of rejected: shape (pairs,).

    >>> pair_margins(Ranking("p", ["a", "b", "c"], [1, 2, 2]), np.array([0.5, 0.25, 1.0]))
    array([ 0.25, -0.5 ])
    """
    ranks = np.asarray(ranking.ranks)
    return (rewards[:, None] - rewards)[ranks[:, None] < ranks]


def all_margins(rankings: Sequence[Ranking], rewards: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the margins of the untied pairs of all rankings: shape (pairs,)."""
    return np.concatenate([pair_margins(ranking, values) for ranking, values in by_ranking(rankings, rewards)])


def count_pairs(rankings: Sequence[Ranking], rewards: Sequence[float] | np.ndarray) -> PairCounts:
    """Count, for each prompt, the untied pairs of its rankings and those with margin > 0.

    >>> pairs = count_pairs([Ranking("p", ["a", "b", "c"], [1, 2, 2])], [0.5, 0.1, 0.5])
    >>> pairs.right, pairs.pairs
    (array([1.5]), array([2.]))
    """
    right: dict[str, float] = defaultdict(float)
    pairs: dict[str, float] = defaultdict(float)
    for ranking, values in by_ranking(rankings, rewards):
        margins = pair_margins(ranking, values)
        right[ranking.key] += float(np.heaviside(margins, 0.5).sum())
        pairs[ranking.key] += len(margins)
    return PairCounts(np.asarray(list(right.values())), np.asarray(list(pairs.values())))


def measure_agreement(rankings: Sequence[Ranking], rewards: Sequence[float] | np.ndarray, *, seed: int = 0) -> Metrics:
    """Return the metrics of `rewards`, one for each answer in order, against `rankings`; `seed` is of the bootstrap."""
    counts = count_pairs(rankings, rewards)
    right = np.heaviside(all_margins(rankings, rewards), 0.5)
    longer_by = all_margins(rankings, answer_lengths(rankings))
    longer, shorter = (float(right[of].mean()) if of.any() else None for of in (longer_by > 0, longer_by < 0))
    taus, rhos, hits = [], [], []
    for ranking, values in by_ranking(rankings, rewards):
        ranks = np.asarray(ranking.ranks)
        flat = np.ptp(values) == 0
        taus.append(0.0 if flat else stats.kendalltau(-ranks, values).statistic)
        rhos.append(0.0 if flat else stats.spearmanr(-ranks, values).statistic)
        hits.append((ranks == ranks.min())[values == values.max()].mean())
    return Metrics(
        prompts=len(counts.pairs),
        answers=len(rewards),
        pairs=len(right),
        pairwise_accuracy=counts.accuracy(),
        pairwise_accuracy_95=bootstrap_interval(counts.right, counts.pairs, seed=seed),
        accuracy_where_longer_is_better=longer,
        accuracy_where_shorter_is_better=shorter,
        length_controlled_accuracy=None if longer is None or shorter is None else (longer + shorter) / 2,
        kendall_tau=float(np.mean(taus)),
        spearman_rho=float(np.mean(rhos)),
        best_of_n_hit_rate=float(np.mean(hits)),
    )


def measure_spread(rankings: Sequence[Ranking], rewards: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Return the mean margin of all untied pairs, and where `rewards`, one for each answer in order, lie."""
    values = np.asarray(rewards, dtype=np.float64)
    spread = {f"reward_{name}": float(getattr(values, name)()) for name in ("min", "max", "mean", "std")}
    return {"mean_margin": float(all_margins(rankings, rewards).mean())} | spread


def predicted_ranks(rewards: Sequence[float] | np.ndarray) -> list[int]:
    """Rank rewards, highest first; equal rewards share the better rank.

    >>> predicted_ranks([0.2, 0.9, 0.2])
    [2, 1, 2]
    """
    return stats.rankdata(-np.asarray(rewards), method="min").astype(int).tolist()


def self_agreement(twice: Sequence[tuple[Ranking, Sequence[int]]]) -> Agreement | None:
    """Return how often people ordered two answers the same way again; None where no two answers were told apart.

    Of each first ranking there are the ranks that the same answers got the second time. Two that tied the first time do
    not count; a tie the second time counts half, as equal rewards do in accuracy.
    """
    if not (untied := [(first, second) for first, second in twice if len(set(first.ranks)) > 1]):
        return None
    firsts, seconds = zip(*untied, strict=True)
    return _agreement(count_pairs(firsts, [-rank for second in seconds for rank in second]))


def rater_agreement(rankings: Sequence[Ranking]) -> Agreement | None:
    """Return how well the raters of each prompt agree; None where no two share a pair that both order.

    The share is of the pairs untied for both of two raters: the accuracy of a model that is as good as another rater.
    """
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
    return _agreement(PairCounts(*np.array(counts, dtype=float).T), _alpha(shared)) if counts else None


def _agreement(counts: PairCounts, alpha: float | None = None) -> Agreement:
    interval = bootstrap_interval(counts.right, counts.pairs)
    return Agreement(len(counts.pairs), int(counts.pairs.sum()), counts.accuracy(), interval, alpha)


def _count_alike(left: Ranking, right: Ranking) -> tuple[int, int]:
    """Return how many pairs of shared answers both order alike, and how many both order."""
    ranks, others = (dict(zip(side.answers, side.ranks, strict=True)) for side in (left, right))
    pairs = combinations([answer for answer in ranks if answer in others], 2)
    signs = [np.sign(ranks[a] - ranks[b]) * np.sign(others[a] - others[b]) for a, b in pairs]
    return signs.count(1), signs.count(1) + signs.count(-1)


def _alpha(rankings: Sequence[Ranking]) -> float | None:
    """Return Krippendorff's alpha of the places of the answers that at least two raters of their prompt share.

    None where every shared answer has the same rank.
    """
    cells = [(r.key, r.rater, *pair) for r in rankings for pair in zip(r.answers, r.ranks, strict=True)]
    rows = pd.DataFrame(cells, columns=["prompt", "rater", "answer", "rank"])
    rows = rows.drop_duplicates(["prompt", "rater", "answer"])
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


def rankings_to_judge_by(
    items: Sequence[Comparison], roles: Roles, was_seen: Callable[[str], bool]
) -> tuple[list[Ranking], list[str]]:
    """Return the rankings of prompts that a model was not trained on, and sentences on what else there is."""
    (rankings, left_out), kept, notes = gather(items, roles), list[Ranking](), list[str]()
    seen = {ranking.key for ranking in rankings if was_seen(ranking.prompt)}
    for ranking in [ranking for ranking in rankings if ranking.key not in seen]:
        if (count := len(ranking.answers)) > MOST_ANSWERS:
            of = f"{count:,} answers to {shorten(ranking.prompt)}"
            notes.append(f"judged by {MOST_ANSWERS:,} of the {of}, drawn at random")
            both = list(zip(ranking.answers, ranking.ranks, strict=True))
            drawn = random.Random(0).sample(both, MOST_ANSWERS)
            if len({rank for _, rank in drawn}) == 1:  # nearly all tie
                drawn[0] = next(other for other in both if other[1] != drawn[0][1])
            ranking = replace(ranking, answers=[answer for answer, _ in drawn], ranks=[rank for _, rank in drawn])
        kept.append(ranking)
    left_out += [f"{counted(len(seen), 'prompt')} that the model was trained on"] * bool(seen)
    notes += [f"scored, but not judged: {', '.join(left_out)}"] * bool(left_out)
    need = "need a prompt that the model was not trained on, with two answers of different ranks"
    return kept, notes + [f"no agreement table: {need}"] * (not kept)
