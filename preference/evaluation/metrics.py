"""How well rewards agree with rankings: accuracies, rank correlations, and a bootstrap over prompts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from preference.data.rankings import Ranking
from preference.statistics import bootstrap_interval


@dataclass(frozen=True)
class PairCounts:
    """Per prompt: how many untied pairs it has, and how many of them the rewards order right (equal rewards count half)."""

    right: np.ndarray  # (prompts,)
    pairs: np.ndarray  # (prompts,)

    def accuracy(self) -> float:
        return float(self.right.sum() / self.pairs.sum()) if self.pairs.sum() else float("nan")


@dataclass(frozen=True)
class Metrics:
    """Agreement of rewards with rankings.

    Accuracies are shares of untied pairs with margin > 0 (equal rewards count half). `kendall_tau` (tau-b) and
    `spearman_rho` are means over rankings; a ranking whose rewards are all equal counts 0. `best_of_n_hit_rate`
    is the share of rankings whose highest reward belongs to a best-ranked answer (shared when tied).
    `length_controlled_accuracy` is the mean of the accuracy on pairs whose better answer is the longer one
    and on pairs whose better answer is the shorter one; None where one kind is missing.
    """

    prompts: int
    answers: int
    pairs: int
    pairwise_accuracy: float
    pairwise_accuracy_95: tuple[float, float]  # see bootstrap_interval
    accuracy_where_longer_is_better: float | None
    accuracy_where_shorter_is_better: float | None
    length_controlled_accuracy: float | None
    kendall_tau: float
    spearman_rho: float
    best_of_n_hit_rate: float


@dataclass(frozen=True)
class RewardSpread:
    """Where the rewards lie; `mean_margin` is the mean over all untied pairs of reward of chosen − reward of rejected."""

    mean_margin: float
    reward_min: float
    reward_max: float
    reward_mean: float
    reward_std: float


def split_rewards(rankings: Sequence[Ranking], rewards: Sequence[float] | np.ndarray) -> list[np.ndarray]:
    """Split the rewards of all answers, in order, into one array per ranking."""
    ends = np.cumsum([len(ranking.answers) for ranking in rankings])
    if len(rewards) != (ends[-1] if len(ends) else 0):
        raise ValueError(f"{len(rewards)} rewards for {ends[-1] if len(ends) else 0} answers")
    return np.split(np.asarray(rewards, dtype=np.float64), ends[:-1])


def answer_lengths(rankings: Sequence[Ranking]) -> np.ndarray:
    """Return the length of every answer in characters, in order: shape (answers,)."""
    return np.asarray([len(answer) for ranking in rankings for answer in ranking.answers], dtype=np.float64)


def pair_margins(ranking: Ranking, rewards: np.ndarray) -> np.ndarray:
    """Return the margin of every untied pair of one ranking, reward of chosen − reward of rejected: shape (pairs,).

    >>> pair_margins(Ranking("p", ["a", "b", "c"], [1, 2, 2]), np.array([0.5, 0.25, 1.0]))
    array([ 0.25, -0.5 ])
    """
    return (rewards[:, None] - rewards[None, :])[_chosen(ranking)]


def count_pairs(
    rankings: Sequence[Ranking], rewards: Sequence[float] | np.ndarray, *, longer_is_better: bool | None = None
) -> PairCounts:
    """Count, for each prompt, the untied pairs of its rankings and those with margin > 0.

    Args:
        longer_is_better: only pairs whose better answer is the longer (True) or the shorter (False) one, in characters.

    >>> pairs = count_pairs([Ranking("p", ["a", "b", "c"], [1, 2, 2])], [0.5, 0.1, 0.5])
    >>> pairs.right, pairs.pairs
    (array([1.5]), array([2.]))
    """
    right: dict[str, float] = {}
    pairs: dict[str, float] = {}
    for ranking, values in zip(rankings, split_rewards(rankings, rewards), strict=True):
        chosen = _chosen(ranking)
        if longer_is_better is not None:
            lengths = answer_lengths([ranking])
            longer = lengths[:, None] > lengths[None, :]
            chosen &= longer if longer_is_better else longer.T
        margins = values[:, None] - values[None, :]
        ordered = ((margins > 0) * 1.0 + (margins == 0) * 0.5)[chosen].sum()
        prompt = ranking.key
        right[prompt] = right.get(prompt, 0.0) + float(ordered)
        pairs[prompt] = pairs.get(prompt, 0.0) + float(chosen.sum())
    return PairCounts(np.asarray(list(right.values())), np.asarray(list(pairs.values())))


def measure_agreement(
    rankings: Sequence[Ranking],
    rewards: Sequence[float] | np.ndarray,
    *,
    seed: int = 0,
    pairs: PairCounts | None = None,
) -> Metrics:
    """Return the metrics of `rewards`, one for each answer in order, against `rankings`.

    Args:
        seed: of the bootstrap.
        pairs: what `count_pairs` says of all pairs, where the caller has it already.
    """
    parts = split_rewards(rankings, rewards)
    pairs = pairs or count_pairs(rankings, rewards)
    longer, shorter = (count_pairs(rankings, rewards, longer_is_better=which) for which in (True, False))
    both = longer.pairs.sum() and shorter.pairs.sum()
    return Metrics(
        prompts=len(pairs.pairs),
        answers=len(rewards),
        pairs=int(pairs.pairs.sum()),
        pairwise_accuracy=pairs.accuracy(),
        pairwise_accuracy_95=bootstrap_interval(pairs.right, pairs.pairs, seed=seed),
        accuracy_where_longer_is_better=longer.accuracy() if longer.pairs.sum() else None,
        accuracy_where_shorter_is_better=shorter.accuracy() if shorter.pairs.sum() else None,
        length_controlled_accuracy=(longer.accuracy() + shorter.accuracy()) / 2 if both else None,
        kendall_tau=float(
            np.mean([_correlation(stats.kendalltau, r, v) for r, v in zip(rankings, parts, strict=True)])
        ),
        spearman_rho=float(
            np.mean([_correlation(stats.spearmanr, r, v) for r, v in zip(rankings, parts, strict=True)])
        ),
        best_of_n_hit_rate=float(np.mean([_hit(r, v) for r, v in zip(rankings, parts, strict=True)])),
    )


def measure_spread(rankings: Sequence[Ranking], rewards: Sequence[float] | np.ndarray) -> RewardSpread:
    """Return where `rewards`, one for each answer in order, lie."""
    margins = [
        (values[:, None] - values[None, :])[_chosen(ranking)]
        for ranking, values in zip(rankings, split_rewards(rankings, rewards), strict=True)
    ]
    values = np.asarray(rewards, dtype=np.float64)
    return RewardSpread(
        float(np.concatenate(margins).mean()),
        float(values.min()),
        float(values.max()),
        float(values.mean()),
        float(values.std()),
    )


def predicted_ranks(rewards: Sequence[float] | np.ndarray) -> list[int]:
    """Rank rewards, highest first; equal rewards share the better rank.

    >>> predicted_ranks([0.2, 0.9, 0.2])
    [2, 1, 2]
    """
    return stats.rankdata(-np.asarray(rewards), method="min").astype(int).tolist()


def _chosen(ranking: Ranking) -> np.ndarray:
    """Return [i, j]: answer i is ranked better than answer j."""
    ranks = np.asarray(ranking.ranks)
    return ranks[:, None] < ranks[None, :]


def _correlation(statistic: Callable, ranking: Ranking, rewards: np.ndarray) -> float:
    if np.ptp(rewards) == 0:
        return 0.0
    return float(statistic(-np.asarray(ranking.ranks), rewards).statistic)


def _hit(ranking: Ranking, rewards: np.ndarray) -> float:
    best = np.asarray(ranking.ranks) == min(ranking.ranks)
    return float(best[rewards == rewards.max()].mean())
