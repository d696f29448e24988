"""How well rewards agree with rankings: accuracies, rank correlations, baselines, and a bootstrap over prompts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from preference.data.rankings import Ranking

BOOTSTRAP_SAMPLES = 2000


@dataclass(frozen=True)
class PairCounts:
    """Per prompt: how many untied pairs it has, and how many of them the rewards order right (equal rewards count half)."""

    right: np.ndarray  # (prompts,)
    pairs: np.ndarray  # (prompts,)

    def accuracy(self) -> float:
        return float(self.right.sum() / self.pairs.sum()) if self.pairs.sum() else float("nan")


def split_rewards(rankings: Sequence[Ranking], rewards: Sequence[float]) -> list[np.ndarray]:
    """Cut the rewards of all answers, in order, into one array a prompt."""
    ends = np.cumsum([len(ranking.answers) for ranking in rankings])
    if len(rewards) != (ends[-1] if len(ends) else 0):
        raise ValueError(f"{len(rewards)} rewards for {ends[-1] if len(ends) else 0} answers")
    return np.split(np.asarray(rewards, dtype=np.float64), ends[:-1])


def count_pairs(rankings: Sequence[Ranking], rewards: Sequence[float], *, longer_is_better: bool | None = None) -> PairCounts:
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
        ranks = np.asarray(ranking.ranks)
        chosen = ranks[:, None] < ranks[None, :]
        if longer_is_better is not None:
            lengths = np.asarray([len(answer) for answer in ranking.answers])
            longer = lengths[:, None] > lengths[None, :]
            chosen &= longer if longer_is_better else longer.T
        margins = values[:, None] - values[None, :]
        ordered = ((margins > 0) * 1.0 + (margins == 0) * 0.5)[chosen].sum()
        right[ranking.prompt] = right.get(ranking.prompt, 0.0) + float(ordered)
        pairs[ranking.prompt] = pairs.get(ranking.prompt, 0.0) + float(chosen.sum())
    return PairCounts(np.asarray(list(right.values())), np.asarray(list(pairs.values())))


def evaluate_rewards(rankings: Sequence[Ranking], rewards: Sequence[float], *, seed: int = 0) -> dict:
    """Return the metrics of `rewards` (one for each answer, in order) against `rankings`.

    Accuracies are shares of untied pairs with margin > 0 (equal rewards count half). `kendall_tau` (tau-b) and
    `spearman_rho` are means over prompts; a prompt whose rewards are all equal counts 0. `best_of_n_hit_rate`
    is the share of prompts whose highest reward belongs to a best-ranked answer (shared when tied).
    `length_controlled_accuracy` is the mean of the accuracy on pairs whose better answer is the longer one
    and on pairs whose better answer is the shorter one; None where one kind is missing.
    """
    parts = split_rewards(rankings, rewards)
    pairs = count_pairs(rankings, rewards)
    low, high = bootstrap_interval(pairs, seed=seed)
    longer = count_pairs(rankings, rewards, longer_is_better=True)
    shorter = count_pairs(rankings, rewards, longer_is_better=False)
    both = longer.pairs.sum() and shorter.pairs.sum()
    values = np.concatenate(parts)
    return {
        "prompts": len(pairs.pairs),
        "answers": len(values),
        "pairs": int(pairs.pairs.sum()),
        "pairwise_accuracy": pairs.accuracy(),
        "pairwise_accuracy_95": [low, high],
        "accuracy_where_longer_is_better": longer.accuracy() if longer.pairs.sum() else None,
        "accuracy_where_shorter_is_better": shorter.accuracy() if shorter.pairs.sum() else None,
        "length_controlled_accuracy": (longer.accuracy() + shorter.accuracy()) / 2 if both else None,
        "kendall_tau": float(np.mean([_correlation("kendalltau", r, v) for r, v in zip(rankings, parts, strict=True)])),
        "spearman_rho": float(np.mean([_correlation("spearmanr", r, v) for r, v in zip(rankings, parts, strict=True)])),
        "best_of_n_hit_rate": float(np.mean([_hit(r, v) for r, v in zip(rankings, parts, strict=True)])),
        "mean_margin": _mean_margin(rankings, parts),
        "reward_min": float(values.min()),
        "reward_max": float(values.max()),
        "reward_mean": float(values.mean()),
        "reward_std": float(values.std()),
    }


def length_baselines(rankings: Sequence[Ranking], *, seed: int = 0) -> dict:
    """Return the metrics of two rules that read nothing: the longest answer is best, the shortest is best."""
    lengths = [float(len(answer)) for ranking in rankings for answer in ranking.answers]
    kept = ("pairwise_accuracy", "pairwise_accuracy_95", "kendall_tau", "spearman_rho", "best_of_n_hit_rate")
    return {
        name: {key: metrics[key] for key in kept}
        for name, metrics in (
            ("longest_answer", evaluate_rewards(rankings, lengths, seed=seed)),
            ("shortest_answer", evaluate_rewards(rankings, [-n for n in lengths], seed=seed)),
        )
    }


def bootstrap_interval(pairs: PairCounts, other: PairCounts | None = None, *, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of the accuracy, or of its lead over `other`, from a bootstrap over prompts.

    Prompts are drawn with replacement, since the pairs of one prompt are not independent (Efron 1979,
    percentile interval).
    """
    lead = pairs.right - (0 if other is None else other.right)
    draw = np.random.default_rng(seed)
    values = []
    for _ in range(BOOTSTRAP_SAMPLES):
        drawn = draw.integers(len(lead), size=len(lead))
        values.append(lead[drawn].sum() / pairs.pairs[drawn].sum())
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def predicted_ranks(rewards: Sequence[float]) -> list[int]:
    """Rank rewards, highest first; equal rewards share the better rank.

    >>> predicted_ranks([0.2, 0.9, 0.2])
    [2, 1, 2]
    """
    return [1 + sum(other > reward for other in rewards) for reward in rewards]


def _correlation(statistic: str, ranking: Ranking, rewards: np.ndarray) -> float:
    from scipy import stats

    if np.ptp(rewards) == 0:
        return 0.0
    return float(getattr(stats, statistic)(-np.asarray(ranking.ranks), rewards).statistic)


def _hit(ranking: Ranking, rewards: np.ndarray) -> float:
    best = np.asarray(ranking.ranks) == min(ranking.ranks)
    return float(best[rewards == rewards.max()].mean())


def _mean_margin(rankings: Sequence[Ranking], parts: list[np.ndarray]) -> float:
    margins = []
    for ranking, values in zip(rankings, parts, strict=True):
        ranks = np.asarray(ranking.ranks)
        margins.append((values[:, None] - values[None, :])[ranks[:, None] < ranks[None, :]])
    return float(np.concatenate(margins).mean())
