"""Saving a reward model: the folder is put in place only when, loaded again, it gives the same rewards."""

import json
import shutil
from pathlib import Path

import numpy as np
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from preference.durable_files import writing_to
from preference.errors import InputError
from preference.evaluation.evaluation import Evaluation
from preference.model.base_models import quiet_transformers
from preference.model.reward_model import RewardModel
from preference.training.output_folder import marked, put_in_place, unfinished_folder
from preference.training.resuming import model_size

TOLERANCE = 1e-3  # how far a saved model's rewards may lie from those of the model in memory
_ANSWERS_CHECKED = 16


def save_and_verify(
    reward_model: RewardModel, output_dir: Path, files: dict[str, str | bytes], evaluation: Evaluation
) -> Path | None:
    """Write the model's folder, load it as any user of Transformers would, and give it its name when its rewards are the same.

    An earlier model at `output_dir` becomes `OUTPUT_DIR.previous`, in place of the one before it. Whenever this is interrupted,
    `output_dir` holds the earlier model or the new one, or `bring_back` restores the earlier one.

    Args:
        files: further files of the folder, name -> content.
        evaluation: holds rewards that the model in memory gave.

    Returns:
        Where the earlier model is kept now, if there was one.

    Raises:
        InputError: the folder cannot be written, as on a full disk, or something of the user's stands in the way.
        RuntimeError: the saved model's rewards differ; it is left in the folder of the unfinished run.
    """
    new = unfinished_folder(output_dir) / "model"
    shutil.rmtree(new, ignore_errors=True)
    try:
        with writing_to(new, model_size(reward_model.model)):
            _write_files(reward_model, new, files)
        differences = differences_when_loaded(new, evaluation)
    except (KeyboardInterrupt, InputError) as error:
        shutil.rmtree(new, ignore_errors=True)
        if isinstance(error, KeyboardInterrupt):
            raise
        raise InputError(f"{error}; free some space and repeat the command with --resume") from error

    for way, difference in differences.items():
        if not difference <= TOLERANCE:
            raise RuntimeError(
                f"{new}: loaded again, the model's rewards ({way}) differ by {difference:.2e}, more than {TOLERANCE:.0e}"
            )
    return put_in_place(new, output_dir)


def _write_files(reward_model: RewardModel, folder: Path, files: dict[str, str | bytes]) -> None:
    with quiet_transformers():
        reward_model.model.save_pretrained(folder)
        reward_model.tokenizer.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["num_labels"] = 1  # transformers leaves it out where id2label tells; other readers look for it
    for name, content in files.items():
        (folder / name).write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    names = [path.name for path in folder.iterdir()] + ["metrics.json"]
    for name, record in (
        ("config.json", marked(config)),
        ("metrics.json", marked(json.loads(files.get("metrics.json", "{}")), names)),
    ):
        (folder / name).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def differences_when_loaded(folder: Path, evaluation: Evaluation) -> dict[str, float]:
    """Load `folder` with the plain Transformers classes and score the first answers of `evaluation` again.

    Returns:
        The largest difference from the evaluation's rewards, scored `one by one` and `batched`.
    """
    with quiet_transformers():
        model = AutoModelForSequenceClassification.from_pretrained(folder)
        plain = RewardModel(model, AutoTokenizer.from_pretrained(folder))
    pairs = [(ranking.prompt, answer) for ranking in evaluation.rankings for answer in ranking.answers][
        :_ANSWERS_CHECKED
    ]
    prompts, answers = zip(*pairs, strict=True)
    expected = evaluation.rewards[: len(pairs)]
    return {
        way: float(np.abs(plain.score(prompts, answers, one_by_one=alone) - expected).max())
        for way, alone in (("one by one", True), ("batched", False))
    }
