import json
from dataclasses import replace

import pytest
import torch

from preference.data.rankings import Ranking, read_rankings
from preference.data.splits import Parts
from preference.data.tables import format_rows
from preference.errors import InputError
from preference.model.base_models import find_base_model
from preference.model.head import output_layer
from preference.model.reward_model import RewardModel
from preference.training.settings import TrainingSettings
from preference.training.train import plan_schedule, train

TINY = TrainingSettings(max_length=64, max_steps=3, precision="fp32")


@pytest.fixture
def rankings(sample_folder):
    return read_rankings(sample_folder / "training_data.csv").rankings


def test_training_prints_nothing_and_hands_its_messages_over(rankings, tiny_distilbert, tmp_path, capfd):
    messages = []
    base = find_base_model(str(tiny_distilbert))
    trained = train(rankings, Parts([0, 1, 2, 3], [4]), base, TINY, checkpoints=tmp_path / "checkpoints", on_message=messages.append)
    assert capfd.readouterr() == ("", "")
    assert [message.split(":")[0] for message in messages] == ["warning", "training"]
    assert messages[1] == "training: 4 prompts, 16 answers, 3 steps of 8 answers, regression, fp32 on cpu"
    assert trained.steps == 3 and trained.history[-1]["step"] == 3 and trained.reward_model.precision == "fp32"
    record = json.loads(json.dumps(trained.record()))
    assert record["settings"]["epochs"] == 3.0 and record["epochs"] == 1.5  # asked for, and trained
    assert record["settings"]["weight_decay"] == 0.01 and record["precision"] == "fp32"


def test_rankings_of_one_prompt_are_one_prompt_in_messages(tiny_distilbert, tmp_path):
    rows = [[prompt, answer, rank, group] for prompt in "pq" for group in ("ann", "bob") for rank, answer in enumerate(["coffee", "water"], 1)]
    (tmp_path / "data.csv").write_text(format_rows([["prompt", "answer", "rank", "group"], *rows]))
    rankings = read_rankings(tmp_path / "data.csv").rankings
    messages = []
    train(
        rankings, Parts([0, 1, 2, 3], []), find_base_model(str(tiny_distilbert)), TINY, checkpoints=tmp_path / "c", on_message=messages.append
    )  # fmt: skip
    assert messages[0].startswith("training: 2 prompts, 8 answers, ")


@pytest.mark.parametrize("count, trained_layers", [(199, [1, 2]), (200, [0, 1, 2])])
def test_many_rankings_train_the_lower_layers_too(rankings, tmp_path, tiny_distilbert, count, trained_layers):
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    config = AutoConfig.from_pretrained(tiny_distilbert)
    config.n_layers = 3
    AutoModel.from_config(config).save_pretrained(tmp_path / "base")
    AutoTokenizer.from_pretrained(tiny_distilbert).save_pretrained(tmp_path / "base")
    some = [Ranking(f"{i} {r.prompt}", r.answers[:2], r.ranks[:2]) for i in range(40) for r in rankings]
    trained = train(
        some, Parts(list(range(count)), []), find_base_model(str(tmp_path / "base")), TINY, checkpoints=tmp_path / "checkpoints"
    )  # fmt: skip
    model = trained.reward_model.model
    assert [i for i, layer in enumerate(model.distilbert.transformer.layer) if all(p.requires_grad for p in layer.parameters())] == trained_layers
    assert not model.distilbert.embeddings.word_embeddings.weight.requires_grad and trained.frozen_layers == trained_layers[0]


def test_a_reward_model_as_base_keeps_its_output_layer(rankings, tiny_reward_model, tmp_path):
    kept = output_layer(RewardModel.load(tiny_reward_model).model).weight
    hardly = replace(TINY, max_steps=1, learning_rate=1e-12, head_learning_rate=1e-12)
    trained = train(rankings, Parts([0, 1, 2, 3, 4], []), find_base_model(str(tiny_reward_model)), hardly, checkpoints=tmp_path / "checkpoints")
    # put on a scale again, which is a factor; a new layer would point elsewhere
    assert torch.cosine_similarity(kept, output_layer(trained.reward_model.model).weight).item() == pytest.approx(1, abs=1e-5)


def test_texts_longer_than_the_model_takes_are_refused(rankings, tiny_distilbert, tmp_path):
    with pytest.raises(InputError, match="--max-length 65: .* takes at most 64 tokens; give --max-length 64"):
        train(
            rankings, Parts([0], []), find_base_model(str(tiny_distilbert)), TrainingSettings(max_length=65), checkpoints=tmp_path / "c"
        )  # fmt: skip


def test_evaluating_stays_a_small_share_of_the_work():
    large = plan_schedule(32_000, 8_000, TrainingSettings())
    assert large.steps == 12_000 and large.steps_per_epoch == 4_000
    evaluations = large.steps / large.evaluate_every
    assert evaluations * 8_000 / 3 < 0.15 * 3 * 32_000  # answers evaluated, at a third of the cost of one trained on
    assert plan_schedule(16, 0, TrainingSettings(max_steps=5)).steps == 5
