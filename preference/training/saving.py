"""Saving a reward model: the folder takes its name only when a fresh process has loaded it and got the same rewards."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from preference.data.csv_table import format_rows
from preference.data.rankings import Ranking
from preference.evaluation.metrics import predicted_ranks, split_rewards
from preference.evaluation.report import model_card
from preference.model.base_models import quiet_transformers
from preference.model.reward_model import RewardModel

TOLERANCE = 1e-4  # how far a saved model's rewards may lie from those of the model in memory
_TEXTS_CHECKED = 64


def save_and_verify(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    metrics: dict,
    tests: Sequence[Ranking],
    rewards: np.ndarray,
    output_dir: Path,
) -> None:
    """Write the model folder, load it in a fresh process, and take its name only when it gives the same rewards.

    Raises:
        RuntimeError: the saved model's rewards differ; it is left in `OUTPUT_DIR.unverified`.
    """
    new = output_dir.with_name(output_dir.name + ".unverified")
    shutil.rmtree(new, ignore_errors=True)
    with quiet_transformers():
        model.save_pretrained(new)
        tokenizer.save_pretrained(new)
    config = json.loads((new / "config.json").read_text(encoding="utf-8"))
    config["num_labels"] = 1  # transformers leaves it out where id2label tells; other readers look for it
    (new / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (new / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    (new / "README.md").write_text(model_card(metrics), encoding="utf-8")

    prompts = [ranking.prompt for ranking in tests for _ in ranking.answers]
    answers = [answer for ranking in tests for answer in ranking.answers]
    some = min(len(answers), _TEXTS_CHECKED)
    for way, values in rewards_in_fresh_process(new, prompts[:some], answers[:some]).items():
        worst = float(np.abs(values - rewards[:some]).max())
        if not worst <= TOLERANCE:
            raise RuntimeError(f"{new}: loaded again, the model's rewards ({way}) differ by {worst:.2e}, more than {TOLERANCE:.0e}")

    rows = [
        [ranking.prompt, answer, rank, f"{reward:.6f}", predicted]
        for ranking, values in zip(tests, split_rewards(tests, rewards), strict=True)
        for answer, rank, reward, predicted in zip(ranking.answers, ranking.ranks, values, predicted_ranks(values), strict=True)
    ]
    text = format_rows([["prompt", "answer", "rank", "reward", "predicted_rank"], *rows])
    (new / "test_rewards.csv").write_text(text, encoding="utf-8")
    old = output_dir.with_name(output_dir.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if output_dir.exists():
        output_dir.rename(old)
    new.rename(output_dir)
    shutil.rmtree(old, ignore_errors=True)


def rewards_in_fresh_process(folder: str | Path, prompts: Sequence[str], answers: Sequence[str]) -> dict[str, np.ndarray]:
    """Load the model in a new Python process and score there, `one_by_one` and `batched`: arrays of shape (answers,)."""
    request = json.dumps({"folder": str(Path(folder).resolve()), "prompts": list(prompts), "answers": list(answers)})
    done = subprocess.run(
        [sys.executable, "-c", "from preference.training.saving import _answer_request; _answer_request()"],
        input=request.encode(), capture_output=True, cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"{folder}: the saved model could not be loaded in a fresh process:\n{done.stderr.decode(errors='replace')}")
    reply = json.loads(done.stdout)
    return {name: np.asarray(values, dtype=np.float32) for name, values in reply.items()}


def _answer_request() -> None:
    request = json.load(sys.stdin)
    model = RewardModel.load(request["folder"], precision="fp32")
    reply = {
        name: model.score(request["prompts"], request["answers"], one_by_one=alone).tolist()
        for name, alone in (("one_by_one", True), ("batched", False))
    }
    print(json.dumps(reply))
