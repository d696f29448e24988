import numpy as np
import pytest

from preference.data.rankings import Ranking
from preference.model.fine_tuning import load_base_model
from preference.model.reward_model import RewardModel
from preference.training.saving import rewards_in_fresh_process, save_and_verify

PROMPTS = ["make good coffee", "why reading matters"]
ANSWERS = ["grind fresh beans", "books"]


def test_a_fresh_process_gives_the_same_rewards(tiny_reward_model):
    ours = RewardModel.load(tiny_reward_model).score(PROMPTS, ANSWERS)
    theirs = rewards_in_fresh_process(tiny_reward_model, PROMPTS, ANSWERS)
    assert set(theirs) == {"one_by_one", "batched"}
    for rewards in theirs.values():
        np.testing.assert_allclose(rewards, ours, atol=1e-5)


def test_a_saved_model_that_differs_is_not_accepted(tmp_path, tiny_distilbert, monkeypatch):
    model, tokenizer = load_base_model(tiny_distilbert, seed=0)
    tests = [Ranking("make coffee", ["water", "beans"], [1, 2])]
    rewards = RewardModel(model, tokenizer).score(["make coffee"] * 2, tests[0].answers)
    monkeypatch.setattr("preference.training.saving.model_card", lambda metrics: "")
    with pytest.raises(RuntimeError, match="differ by"):
        save_and_verify(model, tokenizer, {}, tests, rewards + np.float32(0.01), tmp_path / "model")
    assert not (tmp_path / "model").exists() and (tmp_path / "model.unverified").exists()
    save_and_verify(model, tokenizer, {}, tests, rewards, tmp_path / "model")
    assert (tmp_path / "model" / "model.safetensors").exists() and not (tmp_path / "model.unverified").exists()
