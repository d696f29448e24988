import pytest

from preference.errors import InputError
from preference.training.resuming import begin_run, last_checkpoint, started_settings, steps_done


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


def test_a_new_run_replaces_an_unfinished_one(tmp_path):
    folder = tmp_path / "run"
    begin_run(folder, {"seed": 1, "precision": "bf16"})
    write_checkpoint(folder, 20)
    assert started_settings(folder, {"seed": 1}) == {"seed": 1, "precision": "bf16"}
    begin_run(folder, {"seed": 2})
    assert last_checkpoint(folder) is None
    assert started_settings(folder, {"seed": 2}) == {"seed": 2}


def test_a_run_goes_on_with_its_own_settings_only(tmp_path):
    begin_run(tmp_path / "run", {"seed": 1, "steps": 60, "train_part": [0, 2]})
    with pytest.raises(InputError, match="run had another seed, train_part; give the same arguments"):
        started_settings(tmp_path / "run", {"seed": 2, "steps": 60, "train_part": [0, 1]})
