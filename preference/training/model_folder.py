"""The folder of a trained model, the model before beside it, and the unfinished run that `--resume` continues."""

import contextlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from preference.durable_files import writing_to
from preference.errors import InputError
from preference.evaluation.record import FILE, WRITER, Record, read_record

if TYPE_CHECKING:  # too heavy for what reads a CSV first
    from preference.evaluation.evaluation import Evaluation
    from preference.model.reward_model import RewardModel

RUN = "run.json"  # in the folder of an unfinished run: what it was started with
TOLERANCE = 1e-3  # how far a saved model's rewards may lie from those of the model in memory
_RANKINGS_CHECKED = 4
_FLAGS = {"data": "--data", "parts": "--data", "frozen_layers": "--freeze-layers", "steps": "--epochs"}


def check_ours(folder: Path) -> None:
    """Raise InputError if something stands at or in `folder` that the trainer did not write; it may be empty."""
    if not os.path.lexists(folder):
        return
    names, record = sorted(os.listdir(folder)) if folder.is_dir() else [""], read_record(folder)
    found = [folder / name for name in names if name not in record.files]
    if not folder.is_dir() or (names and record.written_by != WRITER):
        found = [folder]
    if found:
        why = "was not written by this trainer, and would be replaced; move it, or choose another --output-dir"
        raise InputError(f"{found[0]}: {why}")


def previous_folder(output_dir: Path) -> Path:
    """Return where the model before the last training is kept: `OUTPUT_DIR.previous`."""
    folder = _followed(output_dir)
    return folder.with_name(folder.name + ".previous")


def unfinished_folder(output_dir: Path) -> Path:
    """Return where a training keeps its checkpoints, and its model until that is verified: `.OUTPUT_DIR.unfinished`."""
    folder = _followed(output_dir)
    return folder.with_name(f".{folder.name}.unfinished")


def _followed(output_dir: Path) -> Path:
    return Path(os.path.realpath(output_dir)) if output_dir.is_symlink() else output_dir  # a symbolic link stays one


def begin_run(folder: Path, run: dict) -> None:
    """Remove what an earlier run left in `folder`, and keep what this one is started with."""
    remove_run(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RUN).write_text(json.dumps(run), encoding="utf-8")


def remove_run(folder: Path) -> None:
    """Remove all that an unfinished run wrote into `folder`; the folder too, unless something else is in it."""
    for path in (*folder.glob("checkpoint-*"), folder / "model", folder / "replaced"):
        shutil.rmtree(path, ignore_errors=True)
    (folder / RUN).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def last_checkpoint(folder: Path) -> Path | None:
    """Return the newest complete checkpoint in `folder`: the Trainer writes the file of its state last."""
    complete = []
    for path in folder.glob("checkpoint-*/trainer_state.json"):
        with contextlib.suppress(ValueError):  # it was cut short
            json.loads(path.read_text(encoding="utf-8"))
            complete.append(path.parent)
    return max(complete, key=steps_done, default=None)


def steps_done(checkpoint: Path | None) -> int:
    """Return the step at which a checkpoint was written; None is the beginning."""
    return int(checkpoint.name.split("-")[1]) if checkpoint else 0


def check_same_run(folder: Path, run: dict) -> None:
    """Raise InputError unless the unfinished run in `folder` was started with `run`."""
    started = json.loads((folder / RUN).read_text(encoding="utf-8"))
    different = [_FLAGS.get(key, "--" + key.replace("_", "-")) for key in run if started.get(key) != run[key]]
    if different:
        started = f"was started with different {', '.join(dict.fromkeys(different))}"
        remedy = "give the same arguments and the same CSV, or leave out --resume to start over"
        raise InputError(f"--resume: the unfinished run in {folder} {started}; {remedy}")


def save_model(
    model: "RewardModel", output_dir: Path, record: Record, files: dict[str, str | bytes], evaluation: "Evaluation"
) -> Path | None:
    """Write the model's folder, and give it its name when its rewards, loaded again, are the same; see `put_in_place`.

    Args:
        files: further files of the folder, name -> content.
        evaluation: holds rewards that the model in memory gave.

    Raises:
        RuntimeError: the saved model's rewards differ; it is left in the folder of the unfinished run.
    """
    from preference.model.loading import quiet_transformers

    new = unfinished_folder(output_dir) / "model"
    shutil.rmtree(new, ignore_errors=True)
    try:
        with quiet_transformers():
            with writing_to(new):
                _write_model(model, new, record, files)
            difference = difference_when_loaded(new, evaluation)
    except (KeyboardInterrupt, InputError):
        shutil.rmtree(new, ignore_errors=True)
        raise
    if not difference <= TOLERANCE:
        raise RuntimeError(f"{new}: loaded again, the model's rewards differ by {difference:.2e}, not {TOLERANCE:.0e}")
    return put_in_place(new, output_dir)


def _write_model(model: "RewardModel", folder: Path, record: Record, files: dict[str, str | bytes]) -> None:
    model.model.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["num_labels"] = 1  # transformers leaves it out where id2label tells; other readers look for it
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    for name, content in files.items():
        (folder / name).write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    names = sorted({FILE, *os.listdir(folder)})
    (folder / FILE).write_text(replace(record, written_by=WRITER, files=names).to_json(), encoding="utf-8")


def difference_when_loaded(folder: Path, evaluation: "Evaluation") -> float:
    """Load `folder` with the plain Transformers classes; return how far its rewards lie from the evaluation's."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from preference.model.reward_model import RewardModel

    loaded = AutoModelForSequenceClassification.from_pretrained(folder)
    plain = RewardModel(loaded, AutoTokenizer.from_pretrained(folder))
    rewards = plain.score_rankings(evaluation.rankings[:_RANKINGS_CHECKED])
    return float(np.abs(rewards - evaluation.rewards[: len(rewards)]).max())


def put_in_place(new: Path, output_dir: Path) -> Path | None:
    """Give the folder `new` the name `output_dir`; return where the earlier model is kept now, if there was one.

    It takes the place of the one before it. A crash between the renames leaves it whole, as `OUTPUT_DIR.previous`.
    """
    folder, previous = _followed(output_dir), previous_folder(output_dir)
    check_ours(folder)
    if not folder.exists() or not os.listdir(folder):
        new.rename(folder)
        return None
    check_ours(previous)
    if previous.exists():
        shutil.rmtree(new.with_name("replaced"), ignore_errors=True)
        previous.rename(new.with_name("replaced"))  # removed with the run: what is half removed is not `.previous`
    folder.rename(previous)
    new.rename(folder)
    return previous
