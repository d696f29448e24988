"""Saving a reward model: the folder is put in place only when, loaded again, it gives the same rewards."""

import contextlib
import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from preference.durable_files import replace_folder, writing_to
from preference.errors import InputError
from preference.evaluation.evaluation import Evaluation
from preference.model.base_models import quiet_transformers
from preference.model.reward_model import RewardModel
from preference.training.resuming import model_size

TOLERANCE = 1e-4  # how far a saved model's rewards may lie from those of the model in memory
_ANSWERS_CHECKED = 16


def save_and_verify(reward_model: RewardModel, output_dir: Path, files: dict[str, str | bytes], evaluation: Evaluation) -> Path | None:
    """Write the model's folder, load it as any user of Transformers would, and give it its name when its rewards are the same.

    An earlier model at `output_dir` becomes `OUTPUT_DIR.previous` (see `previous_folder`), in place of the one before it. Whenever
    this is interrupted, `output_dir` holds the earlier model or the new one.

    Args:
        files: further files of the folder, name -> content.
        evaluation: holds rewards that the model in memory gave.

    Returns:
        Where the earlier model is kept now, if there was one.

    Raises:
        InputError: the folder cannot be written, as on a full disk.
        KeyboardInterrupt: with a text that says so if the model was already saved.
        RuntimeError: the saved model's rewards differ; it is left in `OUTPUT_DIR.unverified`.
    """
    saved = f"the model is saved in {output_dir}/"
    output_dir = Path(os.path.realpath(output_dir))  # a symbolic link stays one
    new = output_dir.with_name(output_dir.name + ".unverified")
    shutil.rmtree(new, ignore_errors=True)
    try:
        with writing_to(new, model_size(reward_model.model)):
            _write_files(reward_model, new, files)
        differences = differences_when_loaded(new, evaluation)
    except KeyboardInterrupt:
        shutil.rmtree(new, ignore_errors=True)
        raise
    except InputError as error:
        shutil.rmtree(new, ignore_errors=True)
        raise InputError(f"{error}; free some space and repeat the command with --resume") from error

    for way, difference in differences.items():
        if not difference <= TOLERANCE:
            raise RuntimeError(f"{new}: loaded again, the model's rewards ({way}) differ by {difference:.2e}, more than {TOLERANCE:.0e}")

    previous = previous_folder(output_dir) if (output_dir / "config.json").exists() else None
    with _interrupt_waits(saved):
        replace_folder(new, output_dir, previous)
    return previous


@contextlib.contextmanager
def _interrupt_waits(message: str) -> Iterator[None]:
    """Let Ctrl-C wait for the end of this short work, and raise KeyboardInterrupt with `message` then."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    pressed = []
    signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt(message)


def previous_folder(output_dir: Path) -> Path:
    """Return where the model that stood at `output_dir` before the last training is kept.

    >>> previous_folder(Path("reward_model_final")).name
    'reward_model_final.previous'
    """
    folder = Path(os.path.realpath(output_dir)) if output_dir.is_symlink() else output_dir
    return folder.with_name(folder.name + ".previous")


def remove_checkpoints(folder: Path) -> None:
    """Remove the folder of a run that is over. Whatever interrupts this, `--resume` finds it whole or not at all."""
    removed = folder.with_name(folder.name + ".removed")
    shutil.rmtree(removed, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.rename(removed)
    shutil.rmtree(removed, ignore_errors=True)


def _write_files(reward_model: RewardModel, folder: Path, files: dict[str, str | bytes]) -> None:
    with quiet_transformers():
        reward_model.model.save_pretrained(folder)
        reward_model.tokenizer.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["num_labels"] = 1  # transformers leaves it out where id2label tells; other readers look for it
    files = files | {"config.json": json.dumps(config, indent=2) + "\n"}
    for name, content in files.items():
        (folder / name).write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def differences_when_loaded(folder: Path, evaluation: Evaluation) -> dict[str, float]:
    """Load `folder` with the plain Transformers classes and score the first answers of `evaluation` again.

    Returns:
        The largest difference from the evaluation's rewards, scored `one by one` and `batched`.
    """
    with quiet_transformers():
        model = AutoModelForSequenceClassification.from_pretrained(folder)
        plain = RewardModel(model, AutoTokenizer.from_pretrained(folder))
    pairs = [(ranking.prompt, answer) for ranking in evaluation.rankings for answer in ranking.answers][:_ANSWERS_CHECKED]
    prompts, answers = zip(*pairs, strict=True)
    expected = evaluation.rewards[: len(pairs)]
    return {
        way: float(np.abs(plain.score(prompts, answers, one_by_one=alone) - expected).max())
        for way, alone in (("one by one", True), ("batched", False))
    }
