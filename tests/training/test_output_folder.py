"""What the trainer replaces, and what it leaves alone. Models are stood in for by their two small files: nothing is loaded."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, run_script

from preference.errors import InputError
from preference.training.output_folder import (
    bring_back,
    check_ours,
    is_ours,
    marked,
    put_in_place,
    remove_run,
    unfinished_folder,
)
from preference.training.resuming import begin_run


def write_model(folder: Path, number: int) -> Path:
    """Write what `is_ours` takes for a model of the trainer's; `number_in` finds the number in each file."""
    folder.mkdir(parents=True)
    files = ["config.json", "metrics.json", "model.safetensors"]
    (folder / "model.safetensors").write_text(str(number) * 1000)
    (folder / "config.json").write_text(json.dumps(marked({"number": number})))
    (folder / "metrics.json").write_text(json.dumps(marked({"number": number}, files)))
    return folder


def number_in(folder: Path) -> int:
    assert is_ours(folder)
    numbers = {json.loads((folder / name).read_text())["number"] for name in ("config.json", "metrics.json")}
    [number] = numbers
    assert (folder / "model.safetensors").read_text() == str(number) * 1000
    return number


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


def test_a_run_that_was_stopped_while_it_replaced_a_model_goes_on(tmp_path):
    for number in (1, 2):
        train_as(number, tmp_path / "model")
    run = unfinished_folder(tmp_path / "model")
    begin_run(run, {})
    write_model(run / "replaced", 0)  # the one before, which the stopped run had moved there already
    put_in_place(write_model(run / "model", 3), tmp_path / "model")
    remove_run(run)
    assert number_in(tmp_path / "model") == 3 and number_in(tmp_path / "model.previous") == 2 and not run.exists()


def forget(path: Path, key: str) -> None:
    path.write_text(json.dumps({name: value for name, value in json.loads(path.read_text()).items() if name != key}))


@pytest.mark.parametrize("where", ["model", "model.previous"])
@pytest.mark.parametrize(
    "spoil, named",
    [
        (lambda model: shutil.rmtree(model) or model.write_text("precious"), ""),  # a file
        (lambda model: (model / "metrics.json").write_text('{"accuracy": 0.9}'), ""),  # of another program
        (lambda model: forget(model / "metrics.json", "written_by"), ""),
        (lambda model: forget(model / "config.json", "written_by"), ""),
        (lambda model: forget(model / "metrics.json", "files"), "/config.json"),
        (lambda model: (model / "thesis.txt").write_text("precious"), "/thesis.txt"),
    ],
)
def test_nothing_that_the_trainer_did_not_write_is_replaced(folder, where, spoil, named):
    write_model(folder / "model", 1)
    write_model(folder / "model.previous", 2)
    spoil(folder / where)
    before = {path: path.is_dir() or path.read_bytes() for path in folder.rglob("*")}
    done = run_script("reward_model_trainer.py", "--output-dir", "model", cwd=folder, status=2)
    assert (
        done.stderr
        == f"error: {where}{named}: was not written by this trainer, and would be replaced; move it, or choose another --output-dir\n"
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
    names = ["model.old", "model.old.removed", "model.unverified", "model_checkpoints", "model.removed"]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.txt").write_text("precious")
    (tmp_path / "model.lock").write_text("precious")
    for number in (1, 2, 3):
        assert bring_back(tmp_path / "model") == ""
        train_as(number, tmp_path / "model")
    assert {path.name for path in tmp_path.iterdir()} == {"model", "model.previous", "model.lock", *names}
    assert all((tmp_path / name / "thesis.txt").exists() for name in names)


# Replaces a model again and again, and is killed before the first file that it opens, renames or removes, the second, and so on.
KILLS = """
import os, signal, sys
from pathlib import Path
from preference.training.output_folder import bring_back
from test_output_folder import number_in, train_as

folder, restored = Path(sys.argv[1]), 0
train_as(0, folder)
for kill in range(1, 1000):
    before = number_in(folder)
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
    restored += bool(bring_back(folder))
    assert number_in(folder) in (before, kill), kill
    if not killed:
        break
print(kill, restored, *sorted(path.name for path in folder.parent.iterdir()))
"""


@pytest.mark.faults
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_model_is_whole_wherever_its_replacement_is_killed(tmp_path):
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{ROOT / 'tests' / 'training'}"}
    done = subprocess.run(
        [sys.executable, "-c", KILLS, str(tmp_path / "model")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    kills, restored, *names = done.stdout.split()
    assert int(kills) > 20 and int(restored) > 0 and names == ["model", "model.previous"]


def test_an_earlier_model_that_is_brought_back_is_named(tmp_path):
    run = unfinished_folder(tmp_path / "model")
    begin_run(run, {})
    write_model(run / "model", 2)
    write_model(tmp_path / "model.previous", 1)
    said = bring_back(tmp_path / "model")
    assert (
        said
        == f"{tmp_path}/model: the earlier model is back in its place; a training was stopped while it was replacing it"
    )
    assert number_in(tmp_path / "model") == 1 and bring_back(tmp_path / "model") == ""
