"""What the metrics mean: the four checks of a reward model, one closing sentence, the model card."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from preference.data.rankings import Ranking
from preference.evaluation.metrics import bootstrap_interval, count_pairs, evaluate_rewards, split_rewards
from preference.wording import counted

LEAST_PROMPTS = 6  # below, even a lead on every prompt is chance too often: 2 ** -5 is more than 2.5 %
LEAST_VARIATION = 0.1  # of rewards whose standard deviation on the training answers is 1


@dataclass(frozen=True)
class Check:
    """One check; `passed` is None where the evidence cannot tell."""

    name: str
    passed: bool | None
    evidence: str

    @property
    def word(self) -> str:
        return {True: "passed", False: "FAILED", None: "cannot tell"}[self.passed]


def check_reward_model(rankings: Sequence[Ranking], rewards: np.ndarray, *, seed: int = 0) -> list[Check]:
    """Check rewards of unseen answers, on the scale where the training answers have standard deviation 1.

    Returns:
        Score variation, quality sensitivity, ranking ability, generalisation. Generalisation compares the
        pairwise accuracy with both length baselines. It cannot tell where the 95 % interval of the lead, from a
        bootstrap over prompts, holds 0, or where there are fewer than `LEAST_PROMPTS` prompts.
    """
    metrics = evaluate_rewards(rankings, rewards, seed=seed)
    above = []
    for ranking, values in zip(rankings, split_rewards(rankings, rewards), strict=True):
        ranks = np.asarray(ranking.ranks)
        above.append(values[ranks == ranks.min()].mean() - values[ranks == ranks.max()].mean())
    share = float(np.mean([margin > 0 for margin in above]))

    pairs = count_pairs(rankings, rewards)
    lengths = np.asarray([len(answer) for ranking in rankings for answer in ranking.answers], dtype=float)
    leads = {}
    for name, baseline in (("longest", lengths), ("shortest", -lengths)):
        other = count_pairs(rankings, baseline)
        leads[name] = (pairs.accuracy() - other.accuracy(), *bootstrap_interval(pairs, other, seed=seed))
    name, (lead, low, high) = min(leads.items(), key=lambda item: item[1][0])
    led = True if low > 0 else False if high < 0 else None
    few = f", too few for an answer (at least {LEAST_PROMPTS})" if metrics["prompts"] < LEAST_PROMPTS else ""
    return [
        Check(
            "score variation", metrics["reward_std"] >= LEAST_VARIATION,
            f"rewards have standard deviation {metrics['reward_std']:.2f} (at least {LEAST_VARIATION})",
        ),
        Check(
            "quality sensitivity", bool(np.mean(above) > 0 and share > 0.5),
            f"best-ranked above worst-ranked in {share:.0%} of prompts, by {np.mean(above):.2f} on average",
        ),
        Check("ranking ability", metrics["kendall_tau"] > 0, f"Kendall tau {metrics['kendall_tau']:.2f} (above 0)"),
        Check(
            "generalisation", None if few else led,
            f"accuracy leads the {name}-answer rule by {lead:+.3f}, 95 % interval {low:+.3f} to {high:+.3f},"
            f" on {counted(metrics['prompts'], 'unseen prompt')}{few}",
        ),
    ]  # fmt: skip


def verdict(checks: Sequence[Check] | None, metrics: dict | None) -> str:
    """Say in one plain sentence what the model can be trusted with on this evidence."""
    if not checks or metrics is None:
        return "No unseen prompts were there to test on: trust this model with nothing yet, and rank a few prompts for --test-data."
    by_name = {check.name: check for check in checks}
    accuracy, prompts = metrics["pairwise_accuracy"], metrics["prompts"]
    low, high = metrics["pairwise_accuracy_95"]
    seen = f"it ordered {accuracy:.0%} of the pairs of {counted(prompts, 'unseen prompt')} right (95 % interval {low:.0%} to {high:.0%})"
    failed = [check.name for check in checks if check.passed is False]
    if failed:
        return f"Do not trust this model: {seen}, and failed {', '.join(failed)}; rank more prompts and train again."
    if by_name["generalisation"].passed is None:
        return (
            f"Trust this model only to try the pipeline out: {seen}, too few prompts or too close to a length rule to show"
            " that it learned more than length."
        )
    if prompts < 50 or low < 0.7:
        return f"Trust this model to put good answers in front of bad ones for prompts like these, not to judge close calls: {seen}."
    return f"Trust this model to rank answers to prompts like these: {seen}, clearly better than judging by length."


def model_card(metrics: dict) -> str:
    """Return the model card, a README.md for the model's folder, from what `metrics.json` holds."""
    base, training, data = metrics["base_model"], metrics["training"], metrics["data"]
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: text-classification",
        "tags: [reward-model, preference]",
        "---",
        "",
        "# Reward model",
        "",
        "Scores an answer to a prompt by how much the person whose rankings it was trained on would prefer it. Higher is better.",
        "",
        f"- Base model: `{base['used']}`" + (f" (asked for: `{base['asked']}`)" if base["used"] != base["asked"] else ""),
        f"- Objective: {metrics['objective']}; {training['steps']} steps, weights of step {training['best_step']}, {training['precision']}",
        f"- Data: {counted(data['prompts'], 'ranked prompt')} in {counted(data['rows'], 'row')} (SHA-256 of the CSV: `{data['sha256']}`)",
        f"- Input: the pair (prompt, answer), at most {training['max_length']} tokens, the longer side cut first",
        "",
        "## What a reward of 1 means",
        "",
        f"Rewards were centred and scaled on the training answers ({training['scaled_on_answers']} of them): 0 is their mean, 1 is one standard"
        " deviation above it. Differences between answers to the same prompt carry the meaning; a reward says little across prompts.",
        "",
        "## Evaluation",
        "",
        "| part | prompts | pairwise accuracy | 95 % interval | Kendall tau | longest answer | shortest answer |",
        "|---|---|---|---|---|---|---|",
    ]
    for part in ("validation", "test"):
        if values := metrics[part]:
            low, high = values["pairwise_accuracy_95"]
            baselines = metrics["baselines"][part]
            lines.append(
                f"| {part} | {values['prompts']} | {values['pairwise_accuracy']:.3f} | {low:.3f} to {high:.3f} | {values['kendall_tau']:.3f}"
                f" | {baselines['longest_answer']['pairwise_accuracy']:.3f} | {baselines['shortest_answer']['pairwise_accuracy']:.3f} |"
            )
    lines += ["", metrics["verdict"], ""]
    for check in metrics["checks"]:
        lines.append(f"- {check['name']}: {check['result']}; {check['evidence']}")
    lines += [
        "",
        "## Use",
        "",
        "```python",
        "from transformers import pipeline",
        "",
        'reward = pipeline("text-classification", model="reward_model_final")',
        'reward({"text": "Name a prime number", "text_pair": "7"}, truncation=True)["score"]',
        "```",
        "",
        "```python",
        "from sentence_transformers import CrossEncoder",
        "",
        'CrossEncoder("reward_model_final").predict([("Name a prime number", "7")])',
        "```",
        "",
    ]
    return "\n".join(lines)
