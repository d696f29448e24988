"""The same seed gives the same numbers: to the bit on one machine, within rounding with another number of threads."""

import contextlib
import shutil

import pytest
import torch
from conftest import read_csv, run_script


@contextlib.contextmanager
def threads(number: int):
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def train(folder, tiny_distilbert, name: str, *more) -> dict[str, bytes]:
    """Train for 8 steps; return the weights and the rewards that were written."""
    run_script(
        "reward_model_trainer.py", "--base-model", tiny_distilbert, "--max-length", 64, "--max-steps", 8,
        "--precision", "fp32", "--learning-rate", 1e-3, "--head-learning-rate", 1e-2, "--validation-fraction", 0,
        "--output-dir", name, "--no-plot", *more, cwd=folder,
    )  # fmt: skip
    return {file: (folder / name / file).read_bytes() for file in ("model.safetensors", "rewards.csv")}


def test_the_sample_is_the_same_each_time(tmp_path, sample_folder):
    run_script("create_sample_data.py", cwd=tmp_path)
    for name in ("training_data.csv", "test_data.csv"):
        assert (tmp_path / name).read_bytes() == (sample_folder / name).read_bytes()


@pytest.mark.parametrize("how", [[], ["--freeze-layers", 0]])
def test_a_training_gives_the_same_model_again_and_nearly_the_same_with_other_threads(
    tmp_path, tiny_distilbert, sample_folder, how
):
    for name in ("training_data.csv", "test_data.csv"):
        shutil.copy(sample_folder / name, tmp_path)
    with threads(1):
        first = train(tmp_path, tiny_distilbert, "first", *how)
        assert train(tmp_path, tiny_distilbert, "again", *how) == first
    with threads(2):
        train(tmp_path, tiny_distilbert, "threads", *how)
    one, two = (
        [float(row["reward"]) for row in read_csv(tmp_path / name / "rewards.csv")] for name in ("first", "threads")
    )
    assert two == pytest.approx(one, abs=1e-4) and max(one) - min(one) > 0.01


def test_scores_are_the_same_each_time_and_hardly_depend_on_the_number_of_threads(
    tmp_path, tiny_reward_model, sample_folder
):
    def score(number: int, name: str) -> list[float]:
        with threads(number):
            run_script(
                "score_answers.py",
                sample_folder / "test_data.csv",
                "--model",
                tiny_reward_model,
                "--output",
                name,
                cwd=tmp_path,
            )
        return [float(row["reward"]) for row in read_csv(tmp_path / name)]

    one = score(1, "one.csv")
    assert score(1, "again.csv") == one and score(2, "two.csv") == pytest.approx(one, abs=1e-4)


def test_candidates_are_the_same_each_time(tmp_path, tiny_gpt2):
    (tmp_path / "prompts.txt").write_text("".join(f"prompt {i}\n" for i in range(10)))
    made = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run_script(
            "generate_data.py", "--generator", tiny_gpt2, "--prompts", "prompts.txt", "--candidates", f"{name}.jsonl",
            "--generate-only", "--max-new-tokens", 8, "--seed", seed, cwd=tmp_path,
        )  # fmt: skip
        made.append((tmp_path / f"{name}.jsonl").read_bytes())
    assert made[0] == made[1] != made[2]
