import json

import numpy as np
import pytest
import torch

from preference.data.rankings import Ranking
from preference.evaluation.evaluation import Evaluation, evaluate
from preference.model.loading import load_base_model
from preference.model.reward_model import RewardModel
from preference.training.earlier_model import restore_command
from preference.training.output_folder import is_ours, remove_run, unfinished_folder
from preference.training.resuming import begin_run
from preference.training.saving import differences_when_loaded, save_and_verify

TESTS = [Ranking("make coffee", ["water", "beans"], [1, 2])]


@pytest.fixture
def reward_model(tiny_distilbert) -> RewardModel:
    return RewardModel(*load_base_model(tiny_distilbert, seed=0)[:2])


def evaluation_of(reward_model, error: float = 0.0) -> Evaluation:
    return evaluate("test", TESTS, reward_model.score_rankings(TESTS) + np.float32(error))


def save(reward_model, folder, files: dict, evaluation) -> None:
    """Save a model as a training does that has just ended."""
    begin_run(unfinished_folder(folder), {})
    save_and_verify(reward_model, folder, files, evaluation)
    remove_run(unfinished_folder(folder))


def test_a_saved_model_takes_its_name_with_all_its_files(tmp_path, reward_model):
    save(reward_model, tmp_path / "model", {"metrics.json": "{}", "README.md": "a card"}, evaluation_of(reward_model))
    assert {path.name for path in tmp_path.iterdir()} == {"model"}
    assert (tmp_path / "model" / "README.md").read_text() == "a card" and is_ours(tmp_path / "model")
    assert json.loads((tmp_path / "model" / "config.json").read_text())["num_labels"] == 1
    assert set(differences_when_loaded(tmp_path / "model", evaluation_of(reward_model))) == {"one by one", "batched"}


def test_a_saved_model_that_differs_is_not_accepted(tmp_path, reward_model):
    with pytest.raises(RuntimeError, match="loaded again, the model's rewards \\(one by one\\) differ by"):
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
    assert (
        max(differences_when_loaded(tmp_path / "model", evaluation).values()) < 1e-5
    )  # the model in memory is not asked
    assert min(differences_when_loaded(tmp_path / "model", evaluation_of(reward_model)).values()) > 0.9
