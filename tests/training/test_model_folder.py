"""What the trainer replaces, what it leaves alone, and what a run is continued from."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT, run_script

from preference.data.rankings import Ranking
from preference.errors import InputError
from preference.evaluation.evaluation import Evaluation, evaluate
from preference.evaluation.record import WRITER, Record, read_record
from preference.jobs.training import restore_command
from preference.model.loading import load_base_model
from preference.model.reward_model import RewardModel
from preference.training.model_folder import (
    begin_run,
    check_ours,
    check_same_run,
    difference_when_loaded,
    last_checkpoint,
    put_in_place,
    remove_run,
    save_model,
    steps_done,
    unfinished_folder,
)


def write_model(folder: Path, number: int) -> Path:
    """Write what `check_ours` takes for a model of the trainer's; `number_in` finds the number in each file."""
    folder.mkdir(parents=True)
    files = ["metrics.json", "model.safetensors"]
    (folder / "model.safetensors").write_text(str(number) * 1000)
    (folder / "metrics.json").write_text(Record(verdict=str(number), written_by=WRITER, files=files).to_json())
    return folder


def number_in(folder: Path) -> int:
    check_ours(folder)
    number = json.loads((folder / "metrics.json").read_text())["verdict"]
    assert (folder / "model.safetensors").read_text() == number * 1000
    return int(number)


def train_as(number: int, output_dir: Path) -> None:
    """Do with folders what a training does."""
    run = unfinished_folder(output_dir)
    begin_run(run, {})
    put_in_place(write_model(run / "model", number), output_dir)
    remove_run(run)


def test_a_model_is_replaced_and_the_earlier_one_kept(tmp_path):
    for number in (1, 2, 3):
        train_as(number, tmp_path / "model")
        assert number_in(tmp_path / "model") == number
        assert sorted(os.listdir(tmp_path)) == ["model", "model.previous"][: min(number, 2)]
    assert number_in(tmp_path / "model.previous") == 2


def forget(path: Path, key: str) -> None:
    path.write_text(json.dumps({name: value for name, value in json.loads(path.read_text()).items() if name != key}))


@pytest.mark.parametrize("where", ["model", "model.previous"])
@pytest.mark.parametrize(
    "spoil, named",
    [
        (lambda model: shutil.rmtree(model) or model.write_text("precious"), ""),  # a file
        (lambda model: (model / "metrics.json").write_text('{"accuracy": 0.9}'), ""),  # of another program
        (lambda model: (model / "metrics.json").unlink(), ""),
        (lambda model: forget(model / "metrics.json", "written_by"), ""),
        (lambda model: forget(model / "metrics.json", "files"), "/metrics.json"),
        (lambda model: (model / "thesis.txt").write_text("precious"), "/thesis.txt"),
    ],
)
def test_nothing_that_the_trainer_did_not_write_is_replaced(folder, where, spoil, named):
    write_model(folder / "model", 1)
    write_model(folder / "model.previous", 2)
    spoil(folder / where)
    before = {path: path.is_dir() or path.read_bytes() for path in folder.rglob("*")}
    done = run_script("reward_model_trainer.py", "--output-dir", "model", cwd=folder, status=2)
    assert done.stderr == (
        f"error: {where}{named}: was not written by this trainer, and would be replaced; move it, or choose another"
        " --output-dir\n"
    )
    assert {path: path.is_dir() or path.read_bytes() for path in folder.rglob("*")} == before


def test_what_appears_during_the_training_is_not_replaced_either(tmp_path):
    begin_run(unfinished_folder(tmp_path / "model"), {})
    new = write_model(unfinished_folder(tmp_path / "model") / "model", 1)
    (tmp_path / "model").mkdir()
    check_ours(tmp_path / "model")  # empty
    (tmp_path / "model" / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match="was not written by this trainer"):
        put_in_place(new, tmp_path / "model")
    assert number_in(new) == 1 and (tmp_path / "model" / "thesis.txt").exists()


def test_files_of_the_user_with_names_like_ours_stay(tmp_path):
    for name in (names := ["model.old", "model.unverified", "model_checkpoints", ".model.unfinished"]):
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.txt").write_text("precious")
    for number in (1, 2, 3):
        train_as(number, tmp_path / "model")
    assert {path.name for path in tmp_path.iterdir()} == {"model", "model.previous", *names}
    assert all(os.listdir(tmp_path / name) == ["thesis.txt"] for name in names)


# Replaces a model again and again, and is killed before the first file that it opens, renames or removes, the second, …
KILLS = """
import os, signal, sys
from pathlib import Path
from test_model_folder import number_in, train_as

folder, between, found = Path(sys.argv[1]), 0, 0
train_as(0, folder)
for kill in range(1, 1000):
    before = found
    child = os.fork()
    if child == 0:
        left = [kill]

        def count(event, arguments):
            left[0] -= event in ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir")
            if event != "os.kill" and not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        train_as(kill, folder)
        os._exit(0)
    killed = os.waitpid(child, 0)[1] == signal.SIGKILL
    if not folder.exists():  # between the two renames
        between += 1
        assert number_in(folder.with_name("model.previous")) == before, kill
        train_as(kill, folder)
    found = number_in(folder)
    assert found in (before, kill), kill
    if not killed:
        break
print(kill, between, *sorted(path.name for path in folder.parent.iterdir()))
"""


@pytest.mark.faults
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_model_is_whole_wherever_its_replacement_is_killed(tmp_path):
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{ROOT / 'tests' / 'training'}"}
    command = [sys.executable, "-c", KILLS, str(tmp_path / "model")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kills, between, *names = done.stdout.split()
    assert int(kills) > 10 and int(between) > 0 and names == ["model", "model.previous"]


def write_checkpoint(folder: Path, step: int, complete: bool = True) -> None:
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir(parents=True)
    if complete:
        (checkpoint / "trainer_state.json").write_text("{}")


def test_the_newest_complete_checkpoint_counts(tmp_path):
    assert last_checkpoint(tmp_path / "none") is None and steps_done(None) == 0
    for step in (80, 100, 20):
        write_checkpoint(tmp_path, step)
    write_checkpoint(tmp_path, 120, complete=False)
    write_checkpoint(tmp_path, 140)
    (tmp_path / "checkpoint-140" / "trainer_state.json").write_text("")  # killed while that was written
    assert steps_done(last_checkpoint(tmp_path)) == 100


def test_a_new_run_replaces_an_unfinished_one_and_is_continued_with_its_own_settings_only(tmp_path):
    folder = tmp_path / "run"
    begin_run(folder, {"seed": 1})
    write_checkpoint(folder, 20)
    begin_run(folder, {"seed": 2, "steps": 60, "parts": [0, 2]})
    assert last_checkpoint(folder) is None
    check_same_run(folder, {"seed": 2, "steps": 60, "parts": [0, 2]})
    with pytest.raises(InputError, match="was started with different --seed, --data; give the same"):
        check_same_run(folder, {"seed": 1, "steps": 60, "parts": [0, 1]})


TESTS = [Ranking("make coffee", ["water", "beans"], [1, 2])]


@pytest.fixture
def reward_model(tiny_distilbert) -> RewardModel:
    return RewardModel(*load_base_model(tiny_distilbert, seed=0)[:2])


def evaluation_of(reward_model, error: float = 0.0) -> Evaluation:
    return evaluate("test", TESTS, reward_model.score_rankings(TESTS) + np.float32(error))


def save(reward_model, folder, files: dict, evaluation) -> None:
    """Save a model as a training does that has just ended."""
    begin_run(unfinished_folder(folder), {})
    save_model(reward_model, folder, Record(), files, evaluation)
    remove_run(unfinished_folder(folder))


def test_a_saved_model_takes_its_name_with_all_its_files(tmp_path, reward_model):
    save(reward_model, tmp_path / "model", {"README.md": "a card"}, evaluation_of(reward_model))
    assert {path.name for path in tmp_path.iterdir()} == {"model"}
    assert (tmp_path / "model" / "README.md").read_text() == "a card"
    check_ours(tmp_path / "model")
    assert sorted(read_record(tmp_path / "model").files) == sorted(os.listdir(tmp_path / "model"))
    assert json.loads((tmp_path / "model" / "config.json").read_text())["num_labels"] == 1


def test_a_saved_model_that_differs_is_not_accepted(tmp_path, reward_model):
    with pytest.raises(RuntimeError, match="loaded again, the model's rewards differ by"):
        save(reward_model, tmp_path / "model", {}, evaluation_of(reward_model, error=0.01))
    assert not (tmp_path / "model").exists() and (tmp_path / ".model.unfinished" / "model").exists()
    save(reward_model, tmp_path / "model", {}, evaluation_of(reward_model))
    assert {path.name for path in tmp_path.iterdir()} == {"model"}


def test_a_symbolic_link_to_the_folder_stays_one(tmp_path, reward_model):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "model").symlink_to(tmp_path / "elsewhere")
    for beside in (set(), {"elsewhere.previous"}):
        save(reward_model, tmp_path / "model", {}, evaluation_of(reward_model))
        assert (tmp_path / "model").is_symlink() and (tmp_path / "elsewhere" / "model.safetensors").exists()
        assert {path.name for path in tmp_path.iterdir()} == {"model", "elsewhere"} | beside
    assert restore_command(tmp_path / "model").endswith(f"{tmp_path}/elsewhere.previous {tmp_path}/elsewhere")


def test_what_is_checked_is_what_the_files_hold(tmp_path, reward_model):
    evaluation = evaluation_of(reward_model)
    save(reward_model, tmp_path / "model", {}, evaluation)
    with torch.no_grad():
        reward_model.model.classifier.bias += 1.0
    assert difference_when_loaded(tmp_path / "model", evaluation) < 1e-5  # the model in memory is not asked
    assert difference_when_loaded(tmp_path / "model", evaluation_of(reward_model)) > 0.9
