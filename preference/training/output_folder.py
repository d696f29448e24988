"""The folder of a trained model and what stands beside it: the model before, and the run that is not finished. Imports nothing heavy."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from preference.errors import InputError

_MARK = "written_by"  # in a model's config.json and metrics.json
_WRITER = "reward_model_trainer.py"
_FILES = "files"  # in metrics.json: all that the trainer wrote into the folder
RUN = "run.json"  # in the folder of an unfinished run


def marked(record: dict, files: Iterable[str] = ()) -> dict:
    """Return `record`, of a JSON file, with our mark and, for metrics.json, the names of the files in the model's folder."""
    return record | {_MARK: _WRITER} | ({_FILES: sorted(set(files))} if files else {})


def is_ours(folder: Path) -> bool:
    """Whether the trainer wrote the model in `folder`, and everything else in it."""
    return not _not_ours(folder)


def check_ours(folder: Path) -> None:
    """Raise InputError if something stands at `folder` that the trainer did not write; an empty folder will do."""
    if os.path.lexists(folder) and (found := _not_ours(folder)):
        raise InputError(
            f"{found}: was not written by this trainer, and would be replaced; move it, or choose another --output-dir"
        )


def previous_folder(output_dir: Path) -> Path:
    """Return where the model that stood at `output_dir` before the last training is kept.

    >>> previous_folder(Path("reward_model_final")).name
    'reward_model_final.previous'
    """
    folder = _followed(output_dir)
    return folder.with_name(folder.name + ".previous")


def unfinished_folder(output_dir: Path) -> Path:
    """Return where a training for `output_dir` keeps its checkpoints, and its model until that is verified.

    >>> unfinished_folder(Path("reward_model_final")).name
    '.reward_model_final.unfinished'
    """
    folder = _followed(output_dir)
    return folder.with_name(f".{folder.name}.unfinished")


def put_in_place(new: Path, output_dir: Path) -> Path | None:
    """Give the folder `new`, which lies in the unfinished run's folder, the name `output_dir`.

    Whenever a crash interrupts this, the earlier model is whole: at `output_dir`, or where `bring_back` finds it.

    Returns:
        Where the earlier model is kept now, if there was one.

    Raises:
        InputError: something stands in the way that the trainer did not write.
    """
    folder, previous = _followed(output_dir), previous_folder(output_dir)
    check_ours(folder)
    if not (folder / "config.json").exists():
        new.rename(folder)
        return None
    check_ours(previous)
    if previous.exists():
        shutil.rmtree(new.with_name("replaced"), ignore_errors=True)  # of a run that was stopped just here, and resumed
        previous.rename(new.with_name("replaced"))
    folder.rename(previous)
    new.rename(folder)
    return previous


def bring_back(output_dir: Path) -> str:
    """Give an earlier model its name back if a crash interrupted `put_in_place`; return a sentence that says so, or ""."""
    previous = previous_folder(output_dir)
    if os.path.lexists(output_dir) or not (unfinished_folder(output_dir) / "model").is_dir() or not is_ours(previous):
        return ""
    previous.rename(_followed(output_dir))
    return f"{output_dir}: the earlier model is back in its place; a training was stopped while it was replacing it"


def remove_run(folder: Path) -> None:
    """Remove all that an unfinished run wrote into `folder`; the folder too, unless something else is in it.

    Whenever a crash interrupts this, no damaged checkpoint looks whole, and what is left is removed the next time.
    """
    for state in folder.glob("checkpoint-*/trainer_state.json"):
        state.unlink()
    for path in (*folder.glob("checkpoint-*"), folder / "model", folder / "replaced"):
        shutil.rmtree(path, ignore_errors=True)
    (folder / RUN).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _followed(output_dir: Path) -> Path:
    return Path(os.path.realpath(output_dir)) if output_dir.is_symlink() else output_dir  # a symbolic link stays one


def _not_ours(folder: Path) -> Path | None:
    """Return what at or in `folder` the trainer did not write, if anything."""
    if not folder.is_dir():
        return folder
    found = sorted(path.name for path in folder.iterdir())
    if not found:
        return None
    metrics = _read(folder / "metrics.json")
    if metrics.get(_MARK) != _WRITER or _read(folder / "config.json").get(_MARK) != _WRITER:
        return folder
    files = metrics.get(_FILES)
    return next((folder / name for name in found if not isinstance(files, list) or name not in files), None)


def _read(path: Path) -> dict:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}
