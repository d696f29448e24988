import json

import pytest
import torch
from transformers import TrainerCallback, TrainingArguments

from preference.data.rankings import read_rankings
from preference.data.splits import Parts
from preference.evaluation.metrics import count_pairs
from preference.model.encoding import encode_rankings
from preference.model.layers import freeze_lower_layers, output_layer
from preference.model.loading import load_base_model
from preference.training.model_folder import last_checkpoint
from preference.training.objectives import regression
from preference.training.ranking_trainer import (
    RankingCollator,
    RankingTrainer,
    TrainingDiverged,
    objective_value,
    parameter_groups,
)
from preference.training.settings import TrainingSettings

SETTINGS = TrainingSettings(learning_rate=1e-3, head_learning_rate=1e-2)


def trainer_on(folder, tiny_distilbert, rankings, *, seed=0, steps=15) -> RankingTrainer:
    model, tokenizer, _ = load_base_model(tiny_distilbert, seed=seed)
    arguments = TrainingArguments(
        output_dir=str(folder), max_steps=steps, learning_rate=1e-3, use_cpu=True, report_to="none", seed=seed,
        disable_tqdm=True, eval_strategy="steps", eval_steps=5, save_steps=5, remove_unused_columns=False,
    )  # fmt: skip
    encoded = encode_rankings(rankings, tokenizer, 64)
    return RankingTrainer(
        model, arguments, SETTINGS, rankings, encoded, Parts([0, 1, 2, 3], [4]), tokenizer=tokenizer, new_output=True
    )


@pytest.fixture
def rankings(sample_folder):
    return read_rankings(sample_folder / "training_data.csv").rankings


def test_batching_leaves_the_result_the_same(tmp_path, tiny_distilbert, rankings):
    """Every text alone, or all of a step padded to the longest: the gradient is the same, and so is what is learned.

    Adam divides a gradient by its size and so magnifies rounding errors; the weights part, the accuracy stays.
    """
    chunks, gradients, accuracies = [], [], []
    for chunk_cost in (0, 10**6):
        trainer = trainer_on(tmp_path / str(chunk_cost), tiny_distilbert, rankings, steps=30)
        trainer.collator.chunk_cost = chunk_cost
        batch = next(iter(trainer.get_train_dataloader()))
        chunks.append(len(batch["chunks"]))
        trainer.compute_loss(trainer.model, batch).backward()
        gradients.append([parameter.grad.clone() for parameter in trainer.model.parameters()])
        trainer.model.zero_grad()
        trainer.train()
        rewards = []
        for part, some in ((trainer.train_dataset, rankings[:4]), (trainer.eval_dataset, rankings[4:])):
            trainer.validation_rankings = some
            rewards.append(trainer.rewards(part))
        accuracies.append(
            [
                count_pairs(some, values).accuracy()
                for some, values in zip((rankings[:4], rankings[4:]), rewards, strict=True)
            ]
        )
    assert chunks[0] > 4 and chunks[1] == 1
    torch.testing.assert_close(gradients[1], gradients[0], atol=1e-5, rtol=1e-3)
    assert accuracies[1] == pytest.approx(accuracies[0], abs=1 / 6)
    assert accuracies[0][0] > 0.9


def test_the_best_weights_come_back(tmp_path, tiny_distilbert, rankings):
    trainer = trainer_on(tmp_path, tiny_distilbert, rankings, steps=20)
    trainer.train()
    losses = {entry["step"]: (-entry["pairwise_accuracy"], entry["loss"]) for entry in trainer.history}
    best = min(losses, key=losses.get)
    trainer.restore_best()
    assert trainer.best_step == best
    rewards = trainer.rewards(trainer.eval_dataset)
    assert objective_value(regression, rankings[4:], rewards) == pytest.approx(losses[best][1], abs=1e-5)


def test_checkpoints_hold_the_best_weights_and_incomplete_ones_are_passed_over(tmp_path, tiny_distilbert, rankings):
    trainer = trainer_on(tmp_path, tiny_distilbert, rankings)
    trainer.train()
    newest = last_checkpoint(tmp_path)
    assert newest.name == "checkpoint-15"
    assert json.loads((newest / "best.json").read_text())["history"] == trainer.history
    (newest / "trainer_state.json").unlink()
    assert last_checkpoint(tmp_path).name == "checkpoint-10"
    assert last_checkpoint(tmp_path / "none") is None


def test_the_last_good_checkpoint_is_kept_and_named_when_a_weight_becomes_infinite(tmp_path, tiny_distilbert, rankings):
    trainer = trainer_on(tmp_path, tiny_distilbert, rankings, steps=20)

    class Spoil(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == 10:
                with torch.no_grad():
                    output_layer(trainer.model).weight[0, 0] = float("inf")

    trainer.add_callback(Spoil())
    trainer.eval_dataset = []  # then only what is saved can be looked at
    trainer.evaluate = lambda **_: {}
    with pytest.raises(
        TrainingDiverged,
        match=f"at step 10 of 20: the weights .*; the last good checkpoint is {tmp_path}/checkpoint-5$",
    ):
        trainer.train()
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-5"]


def test_a_model_that_gives_every_answer_the_same_reward_is_refused(tmp_path, tiny_distilbert, rankings):
    trainer = trainer_on(tmp_path, tiny_distilbert, rankings)
    trainer.state.global_step = 7
    trainer.check_rewards(
        trainer.rewards(trainer.eval_dataset)
    )  # those of an untrained model differ little, but differ
    with torch.no_grad():
        output_layer(trainer.model).weight.zero_()
        output_layer(trainer.model).bias.fill_(0.5)
    with pytest.raises(
        TrainingDiverged,
        match=r"training failed at step 7 of 15: the model gives every answer the same reward \(0\.5\); lower --",
    ):
        trainer.check_rewards(trainer.rewards(trainer.eval_dataset))


def test_a_step_is_that_of_plain_gradient_descent_on_the_objective(tmp_path, tiny_distilbert, rankings):
    """The gradient of a step equals that of the objective over its prompts, computed one by one."""
    trainer = trainer_on(tmp_path, tiny_distilbert, rankings)
    batch = next(iter(trainer.get_train_dataloader()))
    loss = trainer.compute_loss(trainer.model, batch)
    positions = next(iter(trainer.batch_sampler))
    alone = [
        trainer.compute_loss(trainer.model, RankingCollator(trainer.collator.tokenizer)([trainer.train_dataset[i]]))
        for i in positions
    ]
    torch.testing.assert_close(loss, torch.stack(alone).mean(), atol=1e-4, rtol=1e-4)


def test_parameter_groups_hold_every_trained_parameter_once(tiny_distilbert):
    model, *_ = load_base_model(tiny_distilbert, seed=0)
    freeze_lower_layers(model)
    groups = parameter_groups(model, 1e-4, 1e-3, 0.01)
    ids = [id(p) for group in groups for p in group["params"]]
    assert sorted(ids) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    by_id = {id(p): group for group in groups for p in group["params"]}
    assert by_id[id(model.classifier.weight)]["lr"] == 1e-3 and by_id[id(model.pre_classifier.weight)]["lr"] == 1e-4
    assert by_id[id(model.classifier.bias)]["weight_decay"] == 0 < by_id[id(model.classifier.weight)]["weight_decay"]
