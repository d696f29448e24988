"""What a model's folder says of the model: metrics.json for programs, the model card for people, the rewards row by row."""

import hashlib
import importlib.metadata
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from preference.data.csv_table import format_rows
from preference.data.rankings import Rankings
from preference.evaluation.evaluation import Evaluation
from preference.evaluation.metrics import predicted_ranks, split_rewards
from preference.training.train import Trained
from preference.wording import counted

REWARD_COLUMNS = ["part", "prompt", "answer", "rank", "reward", "predicted_rank"]
_PACKAGES = ("torch", "transformers", "datasets", "accelerate", "pandas", "numpy", "scipy")


def metrics_record(
    data: Rankings, tests: Rankings | None, training_prompts: Iterable[str], trained: Trained, evaluations: Sequence[Evaluation]
) -> dict:
    """Return what `metrics.json` holds.

    Args:
        data, tests: what was trained on, and what was tested on.
        training_prompts: those of the training part, which the model has seen; kept as digests.
        evaluations: of each part, what is shown to people first.
    """
    by_part: dict[str, dict | None] = {"validation": None, "test": None}
    by_part |= {e.part: asdict(e.metrics) | asdict(e.spread) for e in evaluations if e.unseen}
    test_prompts = {ranking.prompt for ranking in tests.rankings} if tests else set()
    shared = {ranking.prompt for ranking in data.rankings} & test_prompts
    first, seen = evaluations[0], sorted({prompt_digest(prompt) for prompt in training_prompts})
    return {
        "data": {
            "path": data.path, "rows": data.rows, "prompts": len(data.prompts), "training_prompts": len(seen),
            "left_out": len(data.left_out_prompts) + len(shared), "duplicate_rows": len(data.duplicate_rows),
            "sha256": data.sha256, "test_path": tests.path if tests else None, "test_sha256": tests.sha256 if tests else None,
        },
        "base_model": {"asked": trained.base.asked, "used": trained.base.used, "source": trained.base.source},
        "training": trained.record(),
        **by_part,
        "baselines": {e.part: {"longest_answer": asdict(e.longest), "shortest_answer": asdict(e.shortest)} for e in evaluations if e.unseen},
        "checks": [{"name": c.name, "passed": c.passed, "result": c.result, "evidence": c.evidence} for c in first.checks],
        "verdict": first.verdict,
        "seen_prompts": seen,
        "versions": {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in _PACKAGES},
    }  # fmt: skip


def prompt_digest(prompt: str) -> str:
    """Return 16 hexadecimal digits that stand for a prompt in `metrics.json`."""
    return hashlib.sha256(prompt.encode()).hexdigest()[:16]


def rewards_csv(evaluations: Sequence[Evaluation]) -> str:
    """Return the rewards of all answers of the evaluated parts as CSV text, with the columns `REWARD_COLUMNS`."""
    rows: list[list] = [
        [e.part, ranking.prompt, answer, rank, f"{reward:.6f}", predicted]
        for e in evaluations
        for ranking, values in zip(e.rankings, split_rewards(e.rankings, e.rewards), strict=True)
        for answer, rank, reward, predicted in zip(ranking.answers, ranking.ranks, values, predicted_ranks(values), strict=True)
    ]
    return format_rows([REWARD_COLUMNS, *rows])


def model_card(data: Rankings, trained: Trained, evaluations: Sequence[Evaluation]) -> str:
    """Return the model card, a README.md for the model's folder."""
    base, settings, first = trained.base, trained.settings, evaluations[0]
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
        f"- Base model: `{base.used}`" + (f" (asked for: `{base.asked}`)" if base.used != base.asked else ""),
        f"- Objective: {settings.objective}; {trained.steps} steps, weights of step {trained.best_step}, {trained.precision}",
        f"- Data: {counted(len(data.prompts), 'ranked prompt')} in {counted(data.rows, 'row')} (SHA-256 of the CSV: `{data.sha256}`)",
        f"- Input: the pair (prompt, answer), at most {settings.max_length} tokens, the longer side cut first",
        "",
        "## What a reward of 1 means",
        "",
        f"Rewards were centred and scaled on {trained.scaled_on_answers} of the ranked answers: 0 is their mean, 1 is"
        " one standard deviation above it. Only differences between answers to the same prompt are meaningful; a reward says little across prompts.",
        "",
        "## Evaluation",
        "",
        "| part | prompts | pairwise accuracy | 95 % interval | Kendall tau | longest answer | shortest answer |",
        "|---|---|---|---|---|---|---|",
    ]
    for e in evaluations:
        if e.unseen:
            low, high = e.metrics.pairwise_accuracy_95
            lines.append(
                f"| {e.part} | {e.metrics.prompts} | {e.metrics.pairwise_accuracy:.3f} | {low:.3f} to {high:.3f} | {e.metrics.kendall_tau:.3f}"
                f" | {e.longest.pairwise_accuracy:.3f} | {e.shortest.pairwise_accuracy:.3f} |"
            )
    lines += ["", first.verdict, ""]
    lines += [f"- {check.name}: {check.result}; {check.evidence}" for check in first.checks]
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
