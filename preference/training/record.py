"""What a model's folder says of the model to programs: the record in metrics.json, and the rewards row by row."""

import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from preference.data.rankings import Ranking
from preference.data.tables import format_rows
from preference.evaluation.evaluation import Evaluation
from preference.evaluation.metrics import predicted_ranks, split_rewards
from preference.evaluation.record import DataRecord, Record
from preference.training.evidence import Evidence, find_calibration, reward_quantiles
from preference.training.seen_prompts import prompt_digest, seen_by

REWARDS = "rewards.csv"
REWARD_COLUMNS = ["part", "prompt", "answer", "rank", "reward", "predicted_rank"]
_PACKAGES = ("torch", "transformers", "datasets", "accelerate", "pandas", "numpy", "scipy")


def make_record(evidence: Evidence) -> Record:
    """Return what `metrics.json` is to hold; of the prompts that the model was trained on it keeps digests."""
    data, tests, trained, review = evidence.data, evidence.tests, evidence.trained, evidence.review
    by_part = {e.part: asdict(e.metrics) | asdict(e.spread) for e in evidence.unseen}
    test_prompts = {ranking.key for ranking in tests.rankings} if tests else set()
    shared = {ranking.key for ranking in data.rankings} & test_prompts
    training = {prompt_digest(ranking.prompt) for ranking in evidence.training_part}
    quantiles, scored = reward_quantiles(evidence)
    odds, no_odds = find_calibration(evidence)
    return Record(
        data=DataRecord(
            path=data.path, rows=data.rows, prompts=len(data.prompts), training_prompts=len(training), raters=count_raters(data.rankings),
            left_out=len(data.left_out_prompts) + len(shared), duplicate_rows=len(data.duplicate_rows), sha256=data.sha256,
            test_path=tests.path if tests else None, test_sha256=tests.sha256 if tests else None,
        ),
        base_model={"asked": trained.base.asked, "used": trained.base.used, "source": trained.base.source},
        training=trained.record(),
        validation=by_part.get("validation"),
        test=by_part.get("test"),
        cross_validation=asdict(review.evaluation.metrics) | {"folds": review.models} if review else None,
        baselines={
            e.part.replace("-", "_"): {"longest_answer": asdict(e.longest), "shortest_answer": asdict(e.shortest)}
            for e in [*evidence.unseen, *([review.evaluation] if review else [])]
        },
        rater_agreement={e.part: asdict(e.raters) for e in evidence.evaluations if e.raters},
        checks=[{"name": c.name, "passed": c.passed, "result": c.result, "evidence": c.evidence} for c in evidence.first.checks],
        verdict=evidence.first.verdict,
        calibration=odds,
        no_odds=no_odds or None,
        reward_quantiles=quantiles,
        reward_quantiles_answers=scored,
        machine=machine_record(trained.settings.device),
        seen_prompts=sorted(training | seen_by(trained.base)),
        versions={"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in _PACKAGES},
    )  # fmt: skip


def count_raters(rankings: Sequence[Ranking]) -> int:
    """Return how many raters ranked answers that another one ranked too; 1 where none did.

    >>> count_raters([Ranking("p", ["a", "b"], [1, 2], rater=rater) for rater in ("Ann", "Bo", "")])
    2
    """
    groups: dict[tuple[str, str], set[str]] = {}
    for ranking in rankings:
        for answer in ranking.answers if ranking.rater else []:
            groups.setdefault((ranking.key, answer), set()).add(ranking.rater)
    return len(set().union(*(some for some in groups.values() if len(some) > 1))) or 1


def machine_record(device: str) -> dict:
    """Return the kind of processor that computes on `device`: what rewards can differ with, in their last digits, between machines.

    `bf16_instructions` is None where the system does not tell.
    """
    if device == "cuda":
        return {
            "processor": torch.cuda.get_device_name(),
            "bf16_instructions": torch.cuda.is_bf16_supported(including_emulation=False),
        }
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    flags = (facts.get("flags") or facts.get("Features") or "").split()  # x86, ARM
    return {
        "processor": facts.get("model name") or platform.processor() or platform.machine(),
        "vector_instructions": torch.backends.cpu.get_cpu_capability(),
        "bf16_instructions": bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags)) if flags else None,
    }


def rewards_csv(evaluations: Sequence[Evaluation]) -> str:
    """Return the rewards of all answers of the evaluated parts as CSV text, with the columns `REWARD_COLUMNS`."""
    rows: list[list] = [
        [e.part, ranking.prompt, answer, rank, f"{reward:.6f}", predicted]
        for e in evaluations
        for ranking, values in zip(e.rankings, split_rewards(e.rankings, e.rewards), strict=True)
        for answer, rank, reward, predicted in zip(
            ranking.answers, ranking.ranks, values, predicted_ranks(values), strict=True
        )
    ]
    return format_rows([REWARD_COLUMNS, *rows])
