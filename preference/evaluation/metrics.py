"""How well rewards agree with rankings: accuracies, rank correlations, and ranks made of rewards."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from preference.data.rankings import Ranking
from preference.statistics import bootstrap_interval


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
class RewardSpread:
    """Where the rewards lie; `mean_margin` is the mean margin of all untied pairs."""

    mean_margin: float
    reward_min: float
    reward_max: float
    reward_mean: float
    reward_std: float


def split_rewards(rankings: Sequence[Ranking], rewards: Sequence[float] | np.ndarray) -> list[np.ndarray]:
    """Split the rewards of all answers, in order, into one array per ranking."""
    ends = np.cumsum([0, *(len(ranking.answers) for ranking in rankings)])
    if len(rewards) != ends[-1]:
        raise ValueError(f"{len(rewards)} rewards for {ends[-1]} answers")
    return np.split(np.asarray(rewards, dtype=np.float64), ends[1:-1])


def by_ranking(rankings: Sequence[Ranking], rewards: Sequence[float] | np.ndarray) -> list[tuple[Ranking, np.ndarray]]:
    """Return each ranking with the rewards of its answers."""
    return list(zip(rankings, split_rewards(rankings, rewards), strict=True))


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
    right: dict[str, float] = defaultdict(float)
    pairs: dict[str, float] = defaultdict(float)
    for ranking, values in by_ranking(rankings, rewards):
        margins = pair_margins(ranking, values)
        if longer_is_better is not None:
            longer_by = pair_margins(ranking, answer_lengths([ranking]))
            margins = margins[longer_by > 0 if longer_is_better else longer_by < 0]
        right[ranking.key] += float((margins > 0).sum() + (margins == 0).sum() / 2)
        pairs[ranking.key] += len(margins)
    return PairCounts(np.asarray(list(right.values())), np.asarray(list(pairs.values())))


def measure_agreement(rankings: Sequence[Ranking], rewards: Sequence[float] | np.ndarray, *, seed: int = 0) -> Metrics:
    """Return the metrics of `rewards`, one for each answer in order, against `rankings`; `seed` is of the bootstrap."""
    pairs = count_pairs(rankings, rewards)
    longer, shorter = (
        counts.accuracy() if counts.pairs.sum() else None
        for counts in (count_pairs(rankings, rewards, longer_is_better=which) for which in (True, False))
    )
    taus, rhos, hits = [], [], []
    for ranking, values in by_ranking(rankings, rewards):
        ranks = np.asarray(ranking.ranks)
        flat = np.ptp(values) == 0
        taus.append(0.0 if flat else stats.kendalltau(-ranks, values).statistic)
        rhos.append(0.0 if flat else stats.spearmanr(-ranks, values).statistic)
        hits.append((ranks == ranks.min())[values == values.max()].mean())
    return Metrics(
        prompts=len(pairs.pairs),
        answers=len(rewards),
        pairs=int(pairs.pairs.sum()),
        pairwise_accuracy=pairs.accuracy(),
        pairwise_accuracy_95=bootstrap_interval(pairs.right, pairs.pairs, seed=seed),
        accuracy_where_longer_is_better=longer,
        accuracy_where_shorter_is_better=shorter,
        length_controlled_accuracy=None if longer is None or shorter is None else (longer + shorter) / 2,
        kendall_tau=float(np.mean(taus)),
        spearman_rho=float(np.mean(rhos)),
        best_of_n_hit_rate=float(np.mean(hits)),
    )


def measure_spread(rankings: Sequence[Ranking], rewards: Sequence[float] | np.ndarray) -> RewardSpread:
    """Return where `rewards`, one for each answer in order, lie."""
    margins = np.concatenate([pair_margins(ranking, values) for ranking, values in by_ranking(rankings, rewards)])
    values = np.asarray(rewards, dtype=np.float64)
    return RewardSpread(*(float(v) for v in (margins.mean(), values.min(), values.max(), values.mean(), values.std())))


def predicted_ranks(rewards: Sequence[float] | np.ndarray) -> list[int]:
    """Rank rewards, highest first; equal rewards share the better rank.

    >>> predicted_ranks([0.2, 0.9, 0.2])
    [2, 1, 2]
    """
    return stats.rankdata(-np.asarray(rewards), method="min").astype(int).tolist()


def rank_within(prompts: np.ndarray, rewards: np.ndarray, answers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rank each reward among those of its prompt, 1 is the highest; equal rewards share the better rank.

    Args:
        prompts: shape (answers,), a number for each prompt.
        rewards: shape (answers,).
        answers: shape (answers,), a number for each answer to a prompt; one that several people ranked counts once.

    Returns:
        The ranks, and whether each is the prompt's best (of equal ones the first): both of shape (answers,).

    >>> ranks, best = rank_within(np.array([7, 8, 7, 7]), np.array([0.9, 0.1, 0.9, 0.5]), np.array([1, 2, 1, 3]))
    >>> ranks.tolist(), best.tolist()
    ([1, 1, 1, 2], [True, True, False, False])
    """
    import pandas as pd

    rows = pd.DataFrame({"prompt": prompts, "reward": rewards, "answer": answers})
    once = rows.drop_duplicates("answer")
    by_prompt = once.groupby("prompt")["reward"]
    ranks = pd.Series(by_prompt.rank(method="min", ascending=False).to_numpy(dtype=int), once["answer"])
    return ranks[answers].to_numpy(), rows.index.isin(by_prompt.idxmax())
