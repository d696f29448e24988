"""What rewards prove: the metrics of one part beside its baselines, four checks, and one closing sentence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from preference.data.rankings import Ranking
from preference.evaluation.agreement import RaterAgreement, rater_agreement
from preference.evaluation.metrics import (
    Metrics,
    PairCounts,
    RewardSpread,
    answer_lengths,
    count_pairs,
    measure_agreement,
    measure_spread,
    split_rewards,
)
from preference.statistics import lead_interval
from preference.wording import counted

LEAST_PROMPTS = 6  # below, even a lead on every prompt is chance too often: 2 ** -5 is more than 2.5 %
LEAST_VARIATION = 0.1  # of rewards whose standard deviation on ranked answers is 1
GENERALISATION = "generalisation"  # the check that can be unable to tell
UNSEEN = ("test", "validation", "cross-validation")


@dataclass(frozen=True)
class Check:
    """One check; `passed` is None where the evidence cannot tell."""

    name: str
    passed: bool | None
    evidence: str

    @property
    def result(self) -> str:
        return {True: "passed", False: "FAILED", None: "cannot tell"}[self.passed]


@dataclass(frozen=True)
class Evaluation:
    """One part's rankings and rewards, and what they prove.

    `part` is `test`, `validation`, `cross-validation` or `training`; training prompts were seen, so they get no checks and prove nothing.
    `longest` and `shortest` are the metrics of two rules that read nothing: the longest answer is best, the shortest is.
    `raters` is how well people agree who ranked the same answers, where there are several.
    """

    part: str
    rankings: Sequence[Ranking]
    rewards: np.ndarray  # (answers,), float32, in order
    metrics: Metrics
    spread: RewardSpread
    longest: Metrics
    shortest: Metrics
    checks: list[Check]
    verdict: str
    raters: RaterAgreement | None = None

    @property
    def unseen(self) -> bool:
        return self.part in UNSEEN


def evaluate(part: str, rankings: Sequence[Ranking], rewards: np.ndarray, *, seed: int = 0) -> Evaluation:
    """Evaluate the rewards of all answers to `rankings`, on the scale where ranked answers have standard deviation 1.

    The checks are score variation, quality sensitivity, ranking ability and generalisation. Generalisation compares the
    pairwise accuracy with both length baselines. It cannot tell where the 95 % interval of the lead (see `lead_interval`)
    holds 0, or where there are fewer than `LEAST_PROMPTS` prompts.
    """
    lengths = answer_lengths(rankings)
    pairs, longest_pairs, shortest_pairs = (count_pairs(rankings, values) for values in (rewards, lengths, -lengths))
    metrics = measure_agreement(rankings, rewards, seed=seed)
    spread = measure_spread(rankings, rewards)
    longest = measure_agreement(rankings, lengths, seed=seed)
    shortest = measure_agreement(rankings, -lengths, seed=seed)
    checks: list[Check] = []
    if part in UNSEEN:
        checks = [
            Check(
                "score variation",
                spread.reward_std >= LEAST_VARIATION,
                f"rewards have standard deviation {spread.reward_std:.2f} (at least {LEAST_VARIATION})",
            ),
            _check_quality_sensitivity(rankings, rewards),
            Check("ranking ability", metrics.kendall_tau > 0, f"Kendall tau {metrics.kendall_tau:.2f} (above 0)"),
            _check_generalisation(pairs, {"longest": longest_pairs, "shortest": shortest_pairs}, seed),
        ]
    verdict = _verdict(part, checks, metrics, backwards=looks_reversed(rankings, metrics))
    return Evaluation(
        part, rankings, rewards, metrics, spread, longest, shortest, checks, verdict, rater_agreement(rankings)
    )


def looks_reversed(rankings: Sequence[Ranking], metrics: Metrics) -> bool:
    """Return whether the rewards run against the ranks, beyond chance: ranked with the highest number for the best answer.

    The 95 % interval of the accuracy lies below 0.5, and Kendall's tau further below 0 than rewards that know nothing would get it.
    """
    spread = [
        2 * (2 * n + 5) / (9 * n * (n - 1)) for n in (len(ranking.answers) for ranking in rankings)
    ]  # of tau (Kendall 1938)
    return metrics.pairwise_accuracy_95[1] < 0.5 and metrics.kendall_tau < -1.96 * sum(spread) ** 0.5 / len(rankings)


def _check_quality_sensitivity(rankings: Sequence[Ranking], rewards: np.ndarray) -> Check:
    above = []
    for ranking, values in zip(rankings, split_rewards(rankings, rewards), strict=True):
        ranks = np.asarray(ranking.ranks)
        above.append(values[ranks == ranks.min()].mean() - values[ranks == ranks.max()].mean())
    share = float(np.mean([margin > 0 for margin in above]))
    evidence = f"best-ranked above worst-ranked in {share:.0%} of rankings, by {np.mean(above):.2f} on average"
    return Check("quality sensitivity", bool(np.mean(above) > 0 and share > 0.5), evidence)


def _check_generalisation(pairs: PairCounts, baselines: dict[str, PairCounts], seed: int) -> Check:
    leads = {}
    for name, other in baselines.items():
        leads[name] = (
            pairs.accuracy() - other.accuracy(),
            *lead_interval(pairs.right, other.right, pairs.pairs, seed=seed),
        )
    name, (lead, low, high) = min(leads.items(), key=lambda item: item[1][0])
    few = len(pairs.pairs) < LEAST_PROMPTS
    return Check(
        GENERALISATION,
        None if few or low <= 0 <= high else low > 0,
        f"accuracy leads the {name}-answer rule by {lead:+.3f}, 95 % interval {low:+.3f} to {high:+.3f},"
        f" on {counted(len(pairs.pairs), 'unseen prompt')}"
        + (f", too few to tell (at least {LEAST_PROMPTS})" if few else ""),
    )


def _verdict(part: str, checks: Sequence[Check], metrics: Metrics, *, backwards: bool) -> str:
    """Say in one plain sentence what the model, or one of the rankings of a cross-validation, can be trusted with on this evidence."""
    crossed = part == "cross-validation"
    model, it = (
        ("a model of these rankings", "models that had not seen the prompts") if crossed else ("this model", "it")
    )
    if not checks:
        return (
            "There were no unseen prompts to test on: do not trust this model with anything yet; review the rankings first"
            " (review_rankings.py), or rank a few prompts for --test-data."
        )
    low, high = metrics.pairwise_accuracy_95
    seen = (
        f"{it} ordered {metrics.pairwise_accuracy:.0%} of the pairs of {counted(metrics.prompts, 'prompt' if crossed else 'unseen prompt')} correctly"
        + (f" (95 % interval {low:.0%} to {high:.0%})" if metrics.prompts > 1 else "")
    )
    failed = [check.name for check in checks if check.passed is False]
    if backwards:
        return f"Do not trust {model}: {seen}. Your ranks look reversed: 1 must be the best answer."
    if failed:
        return f"Do not trust {model}: {seen}, and failed the checks of {' and '.join(failed)}; rank more prompts and train again."
    if any(check.name == GENERALISATION and check.passed is None for check in checks):
        return (
            f"Trust {model} only to try the pipeline out: {seen}, too few prompts or too close to a length rule to show that"
            f" {'they' if crossed else 'it'} learned more than length."
        )
    if metrics.prompts < 50 or low < 0.7:
        return f"Trust {model} to put good answers in front of bad ones for prompts like these, not to judge close calls: {seen}."
    return f"Trust {model} to rank answers to prompts like these: {seen}, clearly better than judging by length."
