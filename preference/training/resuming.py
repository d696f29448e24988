"""The folder of an unfinished run: its checkpoints, and the settings that it was started with."""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from transformers import PreTrainedModel
from transformers.trainer_pt_utils import safe_globals

from preference.data.rankings import Ranking
from preference.durable_files import free_space, writing_to
from preference.errors import InputError
from preference.training.output_folder import RUN, remove_run
from preference.wording import as_size

_FLAGS = {
    "data": "--data",
    "train_part": "--data",
    "frozen_layers": "--freeze-layers",
    "steps": "--epochs",
}  # where names differ
_STATE = "trainer_state.json"  # the file the Trainer writes last into a checkpoint
CHECKPOINTS_KEPT = 2


def last_checkpoint(folder: Path) -> Path | None:
    """Return the newest complete checkpoint in `folder`; incomplete and damaged ones are skipped."""
    complete = sorted((path.parent for path in folder.glob(f"checkpoint-*/{_STATE}")), key=steps_done, reverse=True)
    return next(filter(_is_readable, complete), None)


def _is_readable(checkpoint: Path) -> bool:
    """Whether each of the checkpoint's files can be opened and holds nothing but values; no tensor is read."""
    try:
        for path in checkpoint.iterdir():
            if path.suffix == ".json":
                json.loads(path.read_text(encoding="utf-8"))
            elif path.suffix == ".safetensors":
                with safe_open(path, "pt"):
                    pass
            elif path.suffix in (".pt", ".pth"):
                with safe_globals():
                    torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # whatever the file's library raises
        return False
    return True


def steps_done(checkpoint: Path | None) -> int:
    """Return the step at which a checkpoint was written; None is the beginning.

    >>> steps_done(Path(".reward_model_final.unfinished/checkpoint-40"))
    40
    """
    return int(checkpoint.name.split("-")[1]) if checkpoint else 0


def begin_run(folder: Path, settings: dict) -> None:
    """Remove what an earlier run left in `folder`, and keep the settings that it is started with.

    Raises:
        InputError: `folder` cannot be written.
    """
    remove_run(folder)
    with writing_to(folder, size=0):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RUN).write_text(json.dumps(settings), encoding="utf-8")


@contextlib.contextmanager
def telling_how_to_continue(folder: Path, *, resume: bool) -> Iterator[None]:
    """Let Ctrl-C say that `--resume` continues, if `folder` has a checkpoint of the run that is stopped, and not of one before it.

    Args:
        resume: the run continues the one that `folder` holds.
    """
    before = _begun(folder)
    try:
        yield
    except KeyboardInterrupt as stop:
        if not str(stop) and (resume or _begun(folder) != before) and last_checkpoint(folder):
            raise KeyboardInterrupt("the same command with --resume continues from the last checkpoint") from None
        raise


def _begun(folder: Path) -> int | None:
    return (folder / RUN).stat().st_mtime_ns if (folder / RUN).exists() else None


def checkpoint_size(model: PreTrainedModel, *, keeps_best: bool) -> int:
    """Return about how many bytes a checkpoint takes: the weights, the best weights, and two moments of each trained weight."""
    weights, trained = (
        model_size(model),
        sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad),
    )
    return weights * (1 + keeps_best) + 2 * trained


def model_size(model: PreTrainedModel) -> int:
    """Return how many bytes the weights take."""
    return sum(p.numel() * p.element_size() for p in model.parameters())


def digest_of(rankings: Sequence[Ranking]) -> str:
    """Return the SHA-256 of the rankings' texts and ranks: the same for the same rankings in the same order."""
    return hashlib.sha256(json.dumps([[r.prompt, r.answers, r.ranks] for r in rankings]).encode()).hexdigest()


def check_space(folder: Path, model: PreTrainedModel, *, checkpoints: int, keeps_best: bool) -> None:
    """Raise InputError unless there is room for what a run writes: its checkpoints in `folder`, and then the model beside it.

    Args:
        checkpoints: how many the run writes; for a moment one more is there than are kept.
    """
    one = checkpoint_size(model, keeps_best=keeps_best)
    needed = max(
        min(checkpoints, CHECKPOINTS_KEPT + 1) * one, min(checkpoints, CHECKPOINTS_KEPT) * one + model_size(model)
    )
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if needed > (free := free_space(folder) + there):
        raise InputError(
            f"{folder}: the disk is too full for this training: its checkpoints and the model take about {as_size(needed)}, and"
            f" {as_size(free)} is free there; free some space, or choose another --output-dir"
        )


def started_settings(folder: Path, settings: dict) -> dict:
    """Return the settings that the run in `folder` was started with.

    Args:
        settings: what the resumed run asks for; the run may have been started with more than these.

    Raises:
        InputError: they differ.
    """
    try:
        started = json.loads((folder / RUN).read_text(encoding="utf-8"))
        started.items()
    except (OSError, ValueError, AttributeError):
        raise InputError(f"--resume: {folder / RUN} is missing or damaged; leave out --resume to start over") from None
    differing = [
        _FLAGS.get(name, "--" + name.replace("_", "-"))
        for name, value in settings.items()
        if started.get(name) != value
    ]
    if differing:
        raise InputError(
            f"--resume: the unfinished run in {folder} was started with different {', '.join(dict.fromkeys(differing))}; give the same"
            " arguments and the same CSV, or leave out --resume to start over"
        )
    return started
