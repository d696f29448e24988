import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from preference.errors import InputError
from preference.training import resuming
from preference.training.output_folder import remove_run
from preference.training.resuming import (
    begin_run,
    check_space,
    checkpoint_size,
    last_checkpoint,
    started_settings,
    steps_done,
    telling_how_to_continue,
)


def write_checkpoint(folder, step: int, complete: bool = True) -> None:
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir(parents=True)
    if complete:
        (checkpoint / "trainer_state.json").write_text("{}")


def test_the_newest_complete_checkpoint_counts(tmp_path):
    assert last_checkpoint(tmp_path / "none") is None and steps_done(None) == 0
    for step in (80, 100, 20):
        write_checkpoint(tmp_path, step)
    write_checkpoint(tmp_path, 120, complete=False)
    assert steps_done(last_checkpoint(tmp_path)) == 100


def ruin(path: Path, how: str) -> None:
    if how == "empty":
        path.write_bytes(b"")
    elif how == "cut":
        os.truncate(path, path.stat().st_size // 2)
    else:
        torch.save({"a": Path("a pickle of more than values")}, path)


@pytest.mark.parametrize("how", ["empty", "cut", "pickled"])
@pytest.mark.parametrize("name", ["trainer_state.json", "model.safetensors", "optimizer.pt", "rng_state.pth"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path, name, how):
    for step in (20, 40):
        write_checkpoint(tmp_path, step)
        folder = tmp_path / f"checkpoint-{step}"
        save_file({"a": torch.zeros(1000)}, folder / "model.safetensors")
        torch.save({"state": {0: torch.zeros(1000)}}, folder / "optimizer.pt")
        torch.save(
            {"python": (3, (1, 2), None), "numpy": np.random.RandomState(0).get_state(), "cpu": torch.zeros(10)},
            folder / "rng_state.pth",
        )
    assert steps_done(last_checkpoint(tmp_path)) == 40
    ruin(tmp_path / "checkpoint-40" / name, how)
    assert steps_done(last_checkpoint(tmp_path)) == 20
    ruin(tmp_path / "checkpoint-20" / name, how)
    assert last_checkpoint(tmp_path) is None


@pytest.mark.parametrize("content", ["", '{"cut', "[]", None])
def test_a_damaged_record_of_the_settings_is_one_line(tmp_path, content):
    begin_run(tmp_path / "run", {"seed": 1})
    (tmp_path / "run" / "run.json").unlink() if content is None else (tmp_path / "run" / "run.json").write_text(content)
    with pytest.raises(InputError, match="run.json is missing or damaged; leave out --resume to start over"):
        started_settings(tmp_path / "run", {"seed": 1})


def test_a_new_run_replaces_an_unfinished_one(tmp_path):
    folder = tmp_path / "run"
    begin_run(folder, {"seed": 1, "precision": "bf16"})
    write_checkpoint(folder, 20)
    assert started_settings(folder, {"seed": 1}) == {"seed": 1, "precision": "bf16"}
    begin_run(folder, {"seed": 2})
    assert last_checkpoint(folder) is None
    assert started_settings(folder, {"seed": 2}) == {"seed": 2}


def test_what_no_run_wrote_stays(tmp_path):
    begin_run(tmp_path / "run", {"seed": 1})
    write_checkpoint(tmp_path / "run", 20)
    (tmp_path / "run" / "thesis.txt").write_text("precious")
    remove_run(tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]


def test_ctrl_c_names_resume_only_for_a_checkpoint_of_the_run_that_is_stopped(tmp_path):
    def stopped(*, resume: bool = False, begins: bool = True, checkpoint: bool = True) -> str:
        with pytest.raises(KeyboardInterrupt) as caught, telling_how_to_continue(tmp_path / "run", resume=resume):
            if begins:
                begin_run(tmp_path / "run", {"seed": 1})
            if checkpoint:
                write_checkpoint(tmp_path / "run", 20)
            raise KeyboardInterrupt
        return str(caught.value)

    assert stopped(checkpoint=False) == ""
    assert stopped() == "the same command with --resume continues from the last checkpoint"
    assert (
        stopped(begins=False, checkpoint=False) == ""
    )  # the checkpoint is of the run before, maybe with other settings
    assert (
        stopped(begins=False, checkpoint=False, resume=True)
        == "the same command with --resume continues from the last checkpoint"
    )


def test_a_run_goes_on_with_its_own_settings_only(tmp_path):
    begin_run(tmp_path / "run", {"seed": 1, "steps": 60, "train_part": [0, 2]})
    with pytest.raises(InputError, match="was started with different --seed, --data; give the same"):
        started_settings(tmp_path / "run", {"seed": 2, "steps": 60, "train_part": [0, 1]})


def test_the_space_for_checkpoints_and_model_is_looked_for_before_training(tmp_path, monkeypatch):
    model = torch.nn.Linear(999_999, 1)  # 4 MB
    model.weight.requires_grad_(False)
    assert checkpoint_size(model, keeps_best=True) == 2 * 4_000_000 + 2 * 4  # only the bias has moments

    def check(free: float, **run) -> None:
        monkeypatch.setattr(resuming, "free_space", lambda folder: int(free * 1e6))
        check_space(tmp_path / "run", model, **run)

    for checkpoints, keeps_best, needed in ((1, True, 12), (2, True, 20), (3, True, 24), (9, True, 24), (9, False, 12)):
        check(needed + 0.1, checkpoints=checkpoints, keeps_best=keeps_best)
        text = f"take about {needed:.1f} MB, and {needed - 0.1:.1f} MB is free there; free some space, or choose another --output-dir"
        with pytest.raises(InputError, match=re.escape(text)):
            check(needed - 0.1, checkpoints=checkpoints, keeps_best=keeps_best)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "earlier").write_bytes(b"0" * 1_000_000)  # is removed, or counts already
    check(23.1, checkpoints=9, keeps_best=True)
