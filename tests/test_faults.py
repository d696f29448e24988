"""A file that cannot be written is one line in every script, and what was there before stays. (Training and ranking
have tests of their own.)"""

import os

import pytest
from conftest import run_script

REVIEW = ["--data", "training_data.csv", "--max-length", 64]


def refused(folder, script: str, *arguments) -> str:
    """Run a script that ends with one line, and check that no file has come, gone or changed."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = run_script(script, *arguments, cwd=folder, status=2)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_full_disk(folder, tiny_reward_model, small_files_only):
    with small_files_only(500):
        assert "training_data.csv: File too large" in refused(folder, "create_sample_data.py")
        assert "pairs.jsonl" in refused(
            folder, "convert_rankings.py", "training_data.csv", "pairs.jsonl", "--to", "trl"
        )
        assert "scored.csv" in refused(
            folder, "score_answers.py", "test_data.csv", "--model", tiny_reward_model, "--output", "scored.csv"
        )


@pytest.mark.faults
def test_a_full_disk_for_a_review(folder, tiny_distilbert, small_files_only):
    run_script("review_rankings.py", *REVIEW, "--base-model", tiny_distilbert, cwd=folder)
    with small_files_only(1000):  # the folds are known
        assert "review.csv: File too large" in refused(
            folder, "review_rankings.py", *REVIEW, "--base-model", tiny_distilbert
        )
        refused(
            folder, "review_rankings.py", *REVIEW, "--base-model", tiny_distilbert, "--seed", 5
        )  # the cache cannot keep a fold


@pytest.mark.faults
@pytest.mark.skipif(not os.path.isdir("/sys/kernel"), reason="needs a folder that takes no file from anybody")
def test_a_folder_that_takes_no_file(folder, tiny_distilbert, tiny_reward_model):
    for script, arguments in {
        "convert_rankings.py": ["training_data.csv", "/sys/kernel/a.csv"],
        "score_answers.py": ["test_data.csv", "--model", tiny_reward_model, "--output", "/sys/kernel/a.csv"],
        "review_rankings.py": [*REVIEW, "--base-model", tiny_distilbert, "--output", "/sys/kernel/a.csv"],
        "generate_data.py": ["--data", "/sys/kernel/a.csv"],
        "reward_model_trainer.py": [
            "--base-model",
            tiny_distilbert,
            "--max-length",
            64,
            "--output-dir",
            "/sys/kernel/model",
        ],
    }.items():
        assert "/sys/kernel/" in refused(folder, script, *arguments)
