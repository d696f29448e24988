"""SIGKILL at random moments of training and of saving, and Ctrl-C. KILLS=100 (default: 4) in the environment chooses
how many of each."""

import multiprocessing
import os
import random
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import read_csv

pytestmark = pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(), reason="needs processes that start at once"
)

KILLS = int(os.environ.get("KILLS", "4"))
TINY = [
    "--precision",
    "fp32",
    "--max-length",
    "64",
    "--learning-rate",
    "0.001",
    "--freeze-layers",
    "0",
    "--min-steps",
    "60",
    "--no-plot",
]


@pytest.fixture(scope="module")
def processes():
    """Starts processes that have the heavy imports behind them, so that a kill falls into the work."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["preference.jobs.training", "reward_model_trainer"])
    return context


def train_in(folder: Path, arguments: list, ready) -> None:
    """Run the trainer as a process of its own; it says when it begins."""
    import reward_model_trainer
    from preference.scripts import call

    signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests may have been started where it is ignored
    os.chdir(folder)
    printed = os.open("printed.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(printed, stream)
    ready.set()
    raise SystemExit(call(reward_model_trainer.main, [str(argument) for argument in arguments]))


def save_in(folder: Path, sources: list[Path], ready) -> None:
    """Save one model after the other as `folder`/model, again and again."""
    from preference.evaluation.record import Record
    from preference.training.model_folder import save_model

    models = [loaded(source) for source in sources]
    while True:
        ready.set()
        for model, evaluation in models[::-1]:
            save_model(model, folder / "model", Record(), {"README.md": "x" * 10_000}, evaluation)


def loaded(folder: Path):
    from preference.data.rankings import Ranking
    from preference.evaluation.evaluation import evaluate
    from preference.model.reward_model import RewardModel

    rankings = [Ranking("make coffee", ["water", "beans"], [1, 2])]
    model = RewardModel.load(folder)
    return model, evaluate("test", rankings, model.score_rankings(rankings))


def kill_after(process, ready, seconds: float) -> bool:
    """Kill a process some time after it said that it is ready; return whether it was still at work."""
    assert ready.wait(60)
    process.join(seconds)
    process.kill()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def rewards_of(folder: Path) -> np.ndarray:
    return np.array([float(row["reward"]) for row in read_csv(folder / "rewards.csv")])


@pytest.mark.faults
def test_training_resumes_to_the_same_model_however_often_it_was_killed(processes, folder, tiny_distilbert):
    """Each run is killed and resumed four times, and then left to end."""

    def start(output: str, *more):
        ready = processes.Event()
        process = processes.Process(
            target=train_in,
            args=(folder, [*TINY, "--base-model", tiny_distilbert, "--output-dir", output, *more], ready),
        )
        process.start()
        return process, ready

    process, ready = start("undisturbed")
    ready.wait(60)
    began = time.perf_counter()
    process.join()
    assert process.exitcode == 0
    seconds, expected = time.perf_counter() - began, rewards_of(folder / "undisturbed")

    moments, killed, saved, with_checkpoint, differences = random.Random(1), 0, 0, 0, []
    for _ in range(-(-KILLS // 4)):
        more = []
        for _ in range(4):
            died = kill_after(*start("killed", *more), moments.uniform(0, seconds))
            killed, more = killed + died, ["--resume"]
            with_checkpoint += died and bool(list(folder.glob(".killed.unfinished/checkpoint-*/trainer_state.json")))
            if (folder / "killed" / "config.json").exists():  # whole, if it is there at all
                saved += died
                assert np.abs(rewards_of(folder / "killed") - expected).max() < 1e-4
        process, _ = start("killed", *more)
        process.join()
        assert process.exitcode == 0
        differences.append(np.abs(rewards_of(folder / "killed") - expected).max())
        assert differences[-1] < 1e-4
        assert not list(folder.glob(".killed*"))
        for path in folder.glob("killed*"):
            shutil.rmtree(path)
    print(
        f"\ntraining of {seconds:.1f} s: {killed} kills, {with_checkpoint} with a checkpoint, "
        f"{saved} with a saved model;"
        f" {len(differences)} runs ended, largest difference {max(differences)}"
    )


@pytest.mark.parametrize(
    "moment, said",
    [
        (".out.unfinished/checkpoint-40", "the same command with --resume continues from the last checkpoint"),
        pytest.param(
            ".out.unfinished/model",
            "the same command with --resume continues from the last checkpoint",
            marks=pytest.mark.faults,
        ),
        pytest.param("out/config.json", "the model is saved in out/", marks=pytest.mark.faults),
    ],
)
def test_ctrl_c_ends_training_and_saving_within_two_seconds(processes, folder, tiny_distilbert, moment, said):
    ready = processes.Event()
    process = processes.Process(
        target=train_in, args=(folder, [*TINY, "--base-model", tiny_distilbert, "--output-dir", "out"], ready)
    )
    process.start()
    while process.is_alive() and not (folder / moment).exists():
        time.sleep(0.0005)
    os.kill(process.pid, signal.SIGINT)
    pressed = time.perf_counter()
    process.join()
    assert time.perf_counter() - pressed < 2
    assert process.exitcode == 130
    printed = (folder / "printed.txt").read_text()
    assert printed.endswith(f"\nstopped; {said}\n") and "Traceback" not in printed
    assert not (folder / ".out.unfinished" / "model").exists()


@pytest.mark.faults
def test_the_models_folder_is_the_old_one_or_the_new_one_whenever_saving_was_killed(
    processes, tmp_path, tiny_reward_model
):
    from preference.evaluation.record import Record
    from preference.training.model_folder import save_model

    sources = [shutil.copytree(tiny_reward_model, tmp_path / name) for name in ("a", "b")]
    add_to_rewards(1.0, sources[1])
    rewards = [loaded(source)[1].rewards for source in sources]
    began = time.perf_counter()
    model, evaluation = loaded(sources[0])
    save_model(model, tmp_path / "model", Record(), {}, evaluation)
    seconds = time.perf_counter() - began
    moments, between, stood = random.Random(2), 0, [0, 0]
    for _ in range(KILLS):
        ready = processes.Event()
        process = processes.Process(target=save_in, args=(tmp_path, sources, ready))
        process.start()
        assert kill_after(process, ready, moments.uniform(0, 2 * seconds))
        if not (tmp_path / "model").exists():  # between the two renames
            between += 1
            (tmp_path / "model.previous").rename(tmp_path / "model")
        assert {path.name for path in sources[0].iterdir()} - {
            path.name for path in (tmp_path / "model").iterdir()
        } <= {"rewards.csv"}
        now = [float(np.abs(loaded(tmp_path / "model")[1].rewards - some).max()) < 1e-6 for some in rewards]
        assert sum(now) == 1
        stood[now.index(True)] += 1
        assert {path.name for path in tmp_path.iterdir()} <= {"a", "b", "model", "model.previous", ".model.unfinished"}
    print(f"\nsaving of {seconds:.2f} s: {KILLS} kills, {between} between the renames, each model stood {stood}")


def add_to_rewards(number: float, folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"] += number
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
