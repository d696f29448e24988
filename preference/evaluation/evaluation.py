"""What rewards prove: metrics beside baselines, four checks, one closing sentence; and two models compared."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from preference.data.rankings import Ranking
from preference.evaluation.metrics import (
    Agreement,
    Metrics,
    answer_lengths,
    by_ranking,
    count_pairs,
    measure_agreement,
    measure_spread,
    rater_agreement,
)
from preference.statistics import lead_interval
from preference.wording import counted

MIN_PROMPTS = 6  # below, even a lead on every prompt is chance too often: 2 ** -5 is more than 2.5 %
MIN_VARIATION = 0.1  # of rewards whose standard deviation on ranked answers is 1
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
    """One part's rankings and rewards, and what they prove; `training` was seen, so it proves nothing."""

    part: str  # one of UNSEEN, or training
    rankings: Sequence[Ranking]
    rewards: np.ndarray  # (answers,), float32, in order
    metrics: Metrics
    spread: dict[str, float]  # see measure_spread
    longest: Metrics  # of the rule that the longest answer is best
    shortest: Metrics
    checks: list[Check]
    verdict: str
    raters: Agreement | None  # where several people ranked the same answers

    @property
    def unseen(self) -> bool:
        return self.part in UNSEEN


def evaluate(part: str, rankings: Sequence[Ranking], rewards: np.ndarray, *, seed: int = 0) -> Evaluation:
    """Evaluate the rewards of all answers, on the scale where ranked answers have standard deviation 1."""
    lengths = answer_lengths(rankings)
    metrics, longest, shortest = (
        measure_agreement(rankings, values, seed=seed) for values in (rewards, lengths, -lengths)
    )
    spread, checks = measure_spread(rankings, rewards), []
    if part in UNSEEN:
        variation, tau = spread["reward_std"], metrics.kendall_tau
        evidence = f"rewards have standard deviation {variation:.2f} (at least {MIN_VARIATION})"
        checks = [
            Check("score variation", variation >= MIN_VARIATION, evidence),
            _quality_sensitivity(rankings, rewards),
            Check("ranking ability", tau > 0, f"Kendall tau {tau:.2f} (above 0)"),
            _generalisation(rankings, rewards, seed),
        ]
    verdict, raters = _verdict(part, checks, metrics), rater_agreement(rankings)
    return Evaluation(part, rankings, rewards, metrics, spread, longest, shortest, checks, verdict, raters)


def _quality_sensitivity(rankings: Sequence[Ranking], rewards: np.ndarray) -> Check:
    above = []
    for ranking, values in by_ranking(rankings, rewards):
        ranks = np.asarray(ranking.ranks)
        above.append(values[ranks == ranks.min()].mean() - values[ranks == ranks.max()].mean())
    share, mean = float(np.mean(np.asarray(above) > 0)), float(np.mean(above))
    evidence = f"best-ranked above worst-ranked in {share:.0%} of rankings, by {mean:.2f} on average"
    return Check("quality sensitivity", mean > 0 and share > 0.5, evidence)


def _generalisation(rankings: Sequence[Ranking], rewards: np.ndarray, seed: int) -> Check:
    """Compare with the better length rule; where the 95 % interval of the lead holds 0, that cannot tell."""
    own, lengths = count_pairs(rankings, rewards), answer_lengths(rankings)
    rules = {"longest": count_pairs(rankings, lengths), "shortest": count_pairs(rankings, -lengths)}
    name, other = max(rules.items(), key=lambda item: item[1].accuracy())
    low, high = lead_interval(own.right, other.right, own.pairs, seed=seed)
    few = len(own.pairs) < MIN_PROMPTS
    lead = f"accuracy minus the {name}-answer rule's is {own.accuracy() - other.accuracy():+.3f}"
    prompts = counted(len(own.pairs), "unseen prompt") + f", too few to tell (at least {MIN_PROMPTS})" * few
    evidence = f"{lead}, 95 % interval {low:+.3f} to {high:+.3f}, on {prompts}"
    return Check(GENERALISATION, None if few or low <= 0 <= high else low > 0, evidence)


def _verdict(part: str, checks: Sequence[Check], metrics: Metrics) -> str:
    """Say in one plain sentence what the model, or one of the rankings of a cross-validation, can be trusted with."""
    if not checks:
        remedy = "review the rankings first (review_rankings.py), or rank a few prompts for --test-data"
        return f"There were no unseen prompts to test on: do not trust this model with anything yet; {remedy}."
    model, it, they, unseen = "this model", "it", "it", "unseen prompt"
    if part == "cross-validation":
        model, it, they, unseen = "a model of these rankings", "models that had not seen the prompts", "they", "prompt"
    low, high = metrics.pairwise_accuracy_95
    seen = f"{it} ordered {metrics.pairwise_accuracy:.0%} of the pairs of {counted(metrics.prompts, unseen)} correctly"
    if metrics.prompts > 1:
        seen += f" (95 % interval {low:.0%} to {high:.0%})"
    if high < 0.5:
        return f"Do not trust {model}: {seen}. Your ranks look reversed: 1 must be the best answer."
    if failed := [check.name for check in checks if check.passed is False]:
        checked = f"failed the checks of {' and '.join(failed)}"
        return f"Do not trust {model}: {seen}, and {checked}; rank more prompts and train again."
    if any(check.passed is None for check in checks):
        why = f"too few prompts or too close to a length rule to show that {they} learned more than length"
        return f"Use {model} only to try out the pipeline: {seen}, {why}."
    if metrics.prompts < 50 or low < 0.7:
        purpose = "put good answers in front of bad ones for prompts like these, not to judge close calls"
        return f"Trust {model} to {purpose}: {seen}."
    return f"Trust {model} to rank answers to prompts like these: {seen}, clearly better than judging by length."


def compare(
    rankings: Sequence[Ranking], before: np.ndarray, after: np.ndarray, *, validation_prompts: int = 0, seed: int = 0
) -> str:
    """Say in one sentence whether a new model is better; below `MIN_PROMPTS` prompts nothing can tell.

    Args:
        before: the previous model's rewards of all answers to `rankings`, which it had not seen: shape (answers,).
        after: the new model's, likewise.
        validation_prompts: of the prompts, those that chose the new model's weights.
    """
    old, new = count_pairs(rankings, before), count_pairs(rankings, after)
    if (prompts := len(old.pairs)) < MIN_PROMPTS:
        outcome = "Too few prompts to tell the new model from the previous one"
        why = f"at least {MIN_PROMPTS} are needed)"
    else:
        low, high = lead_interval(new.right, old.right, old.pairs, seed=seed)
        which = "better than" if low > 0 else "worse than" if high < 0 else "not clearly different from"
        outcome = f"The new model is {which} the previous one"
        why = f"difference {new.accuracy() - old.accuracy():+.3f}, 95 % interval {low:+.3f} to {high:+.3f})"
    if validation_prompts:
        why += f"; {validation_prompts} of these prompts chose the new weights, so its figure is slightly too good"
    pairs = f"the pairs of {counted(prompts, 'prompt')} in order, against {old.accuracy():.3f} before"
    return f"{outcome}: {new.accuracy():.3f} of {pairs}, each scored by models that had not seen it ({why}."
