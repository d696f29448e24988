"""The folder of an unfinished run: its checkpoints, and the settings that it was started with."""

import json
import shutil
from pathlib import Path

from preference.errors import InputError

_SETTINGS = "run.json"
_STATE = "trainer_state.json"  # the file the Trainer writes last into a checkpoint


def last_checkpoint(folder: Path) -> Path | None:
    """Return the newest complete checkpoint in `folder`; one that a kill cut short is passed over."""
    return max((path.parent for path in folder.glob(f"checkpoint-*/{_STATE}")), key=steps_done, default=None)


def steps_done(checkpoint: Path | None) -> int:
    """Return the step at which a checkpoint was written; None is the beginning.

    >>> steps_done(Path("reward_model_final_checkpoints/checkpoint-40"))
    40
    """
    return int(checkpoint.name.split("-")[1]) if checkpoint else 0


def begin_run(folder: Path, settings: dict) -> None:
    """Empty `folder` for a new run, and keep the settings that it is started with."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / _SETTINGS).write_text(json.dumps(settings), encoding="utf-8")


def started_settings(folder: Path, settings: dict) -> dict:
    """Return the settings that the run in `folder` was started with.

    Args:
        settings: what the resumed run asks for; the run may have been started with more than these.

    Raises:
        InputError: they differ.
    """
    started = json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))
    differing = [name for name, value in settings.items() if started.get(name) != value]
    if differing:
        raise InputError(
            f"--resume: the unfinished run in {folder} had another {', '.join(differing)}; give the same arguments and"
            " the same CSV, or leave out --resume to start over"
        )
    return started
