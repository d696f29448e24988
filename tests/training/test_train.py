import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import counting_texts
from safetensors.torch import load_file
from transformers import TrainerCallback

from preference.data.rankings import Ranking, read_rankings
from preference.data.splits import Parts
from preference.data.table_writing import format_rows
from preference.errors import InputError
from preference.model.base_models import find_base_model
from preference.model.layers import layer_stack
from preference.model.reward_model import RewardModel
from preference.training.model_folder import last_checkpoint
from preference.training.probe import fit_probe
from preference.training.settings import TrainingSettings
from preference.training.train import plan_schedule, train

TINY = TrainingSettings(max_length=64, max_steps=3, precision="fp32")
HARDLY = replace(TINY, learning_rate=1e-12)  # no weight changes
HELD = "1 prompt held out to choose the step"


@pytest.fixture
def rankings(sample_folder):
    return read_rankings(sample_folder / "training_data.csv").rankings


@pytest.fixture
def tests(sample_folder):
    return read_rankings(sample_folder / "test_data.csv").rankings


@pytest.fixture
def trained(rankings, tiny_distilbert, tmp_path):
    """Return a function that trains the tiny DistilBERT on the sample."""

    def make(settings=TINY, parts=Parts([0, 1, 2, 3], [4]), *, some=None, base=tiny_distilbert, **options):  # noqa: B008
        return train(
            some or rankings,
            parts,
            find_base_model(str(base)),
            settings,
            checkpoints=tmp_path / "checkpoints",
            **options,
        )

    return make


def test_training_prints_nothing_and_hands_its_messages_over(trained, capfd):
    messages = []
    found = trained(on_message=messages.append)
    assert capfd.readouterr() == ("", "")
    assert [message.split(":")[0] for message in messages] == ["warning", "training"]
    assert (
        messages[1]
        == "training: 4 prompts, 16 answers, 3 steps of 8 answers, regression, fp32 on cpu; the head on layer 1; "
        f"{HELD}"
    )
    assert found.steps == 3 and found.history[-1]["step"] == 3 and found.start.reward_model.precision == "fp32"
    record = json.loads(json.dumps(found.record()))
    assert record["settings"]["epochs"] == 2.0 and record["epochs"] == 1.5  # asked for, and trained
    assert record["settings"]["weight_decay"] == 0.01 and record["precision"] == "fp32"
    assert record["layers"] == record["frozen_layers"] == 1 and "states" not in record


def test_layers_that_are_trained_are_named(trained):
    messages = []
    trained(replace(TINY, layers=2, freeze_layers=1), on_message=messages.append)
    assert messages[-1].endswith(f"; 1 of 2 layers; {HELD}")


def test_rankings_of_one_prompt_are_one_prompt_in_messages(trained, tmp_path):
    rows = [
        [prompt, answer, rank, group]
        for prompt in "pq"
        for group in ("ann", "bob")
        for rank, answer in enumerate(["coffee", "water"], 1)
    ]
    (tmp_path / "data.csv").write_text(format_rows([["prompt", "answer", "rank", "group"], *rows]))
    messages = []
    trained(
        parts=Parts([0, 1, 2, 3], []), some=read_rankings(tmp_path / "data.csv").rankings, on_message=messages.append
    )
    assert messages[0].startswith("training: 2 prompts, 8 answers, ")


def test_the_head_alone_is_fitted_to_all_rankings_where_no_step_helps(trained, rankings):
    found = trained(HARDLY)
    assert (found.best_step, [entry["step"] for entry in found.history]) == (0, [0, 3])
    probe = fit_probe(found.states, rankings, "regression")
    expected = probe.rewards(found.states)
    np.testing.assert_allclose(found.rewards, expected / expected.std(), atol=1e-5)
    assert len(found.rewards) == 20 and found.rewards.std() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(found.reward_model.score_rankings(rankings), found.rewards, atol=1e-4)


def test_the_steps_that_the_validation_part_chose_are_repeated_on_all_rankings(trained, rankings):
    def evaluated(step: int) -> tuple[float, float]:
        [entry] = [entry for entry in found.history if entry["step"] == step]
        return -entry["pairwise_accuracy"], entry["loss"]

    settings = replace(TINY, max_steps=60, learning_rate=1e-2)
    found = trained(settings, Parts([1, 2, 3, 4], [0]))
    assert [entry["step"] for entry in found.history] == [0, 20, 40, 60]
    assert found.best_step == min((0, 20, 40, 60), key=evaluated) > 0
    everything = trained(replace(settings, max_steps=found.best_step), Parts([0, 1, 2, 3, 4], []))
    np.testing.assert_allclose(everything.rewards, found.rewards, atol=1e-5)
    start = trained(HARDLY)
    assert np.abs(found.rewards - start.rewards).max() > 0.05


def test_training_the_head_replaces_an_unfinished_run_and_says_so(trained, tmp_path):
    class Stop(TrainerCallback):
        def on_step_end(self, *_, **options):
            raise KeyboardInterrupt

    checkpoint, messages = tmp_path / "checkpoints" / "checkpoint-20", []
    checkpoint.mkdir(parents=True)
    (checkpoint / "trainer_state.json").write_text("{}")
    with pytest.raises(KeyboardInterrupt):
        trained(on_message=messages.append, callbacks=[Stop()])
    said = f"{tmp_path / 'checkpoints'}: an unfinished run is replaced (--resume would continue it)"
    assert said in messages and last_checkpoint(tmp_path / "checkpoints") is None  # nothing to continue


def test_no_text_is_read_twice(trained):
    settings = replace(TINY, max_length=60)
    with counting_texts() as first:
        trained(settings)
    with counting_texts() as second:
        trained(replace(settings, objective="bradley-terry", seed=1))
    assert first[0] - second[0] == 20 and second[0] < 3  # the base model is tried out on one text


@pytest.mark.parametrize("layers, frozen", [(1, 0), (2, 0), (2, 1), (2, -1)])
def test_layers_are_trained_where_the_user_says_so(trained, tiny_distilbert, layers, frozen):
    found = trained(replace(TINY, layers=layers, freeze_layers=frozen, learning_rate=1e-2))
    before, after = (
        load_file(tiny_distilbert / "model.safetensors"),
        dict(found.reward_model.model.distilbert.named_parameters()),
    )
    changed = {number for name, weights in after.items() if ".layer." in name for number in [int(name.split(".")[2])]
               if number < layers and not torch.equal(weights, before[name])}  # fmt: skip
    assert (found.start.layers, found.start.frozen, changed) == (layers, frozen, {*range(max(frozen, 0), layers)})
    embeddings = "embeddings.word_embeddings.weight"
    assert torch.equal(after[embeddings], before[embeddings]) == (frozen >= 0)
    assert found.states is None and found.rewards.std() == pytest.approx(1, abs=1e-5)


def test_the_probe_stays_where_training_the_layers_does_not_help(trained, rankings, tests):
    found = trained(replace(HARDLY, freeze_layers=0))
    assert (found.best_step, [entry["step"] for entry in found.history]) == (0, [0, 3])
    frozen = trained(
        replace(HARDLY, freeze_layers=9), Parts([0, 1, 2, 3], []), some=rankings[:4]
    )  # the same probe, and nothing else
    rewards, probes = (one.reward_model.score_rankings(tests) for one in (found, frozen))
    assert np.corrcoef(rewards, probes)[0, 1] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("count, layers, frozen", [(999, 3, 3), (1000, 4, 0)])
def test_many_rankings_train_the_layers_too(trained, rankings, tmp_path, tiny_distilbert, count, layers, frozen):
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    config = AutoConfig.from_pretrained(tiny_distilbert)
    config.n_layers = 6
    AutoModel.from_config(config).save_pretrained(tmp_path / "base")
    AutoTokenizer.from_pretrained(tiny_distilbert).save_pretrained(tmp_path / "base")
    some = [
        Ranking(f"{i} {r.prompt[:9]}", [answer[:9] for answer in r.answers[:2]], [1, 2])
        for i in range(200)
        for r in rankings
    ][:count]
    found = trained(replace(TINY, max_steps=1), Parts([*range(count)], []), some=some, base=tmp_path / "base")
    assert (found.start.layers, found.start.frozen, found.states is None) == (layers, frozen, not frozen)


def test_a_reward_model_as_base_keeps_its_layers_and_most_of_what_it_says(trained, tiny_reward_model, rankings, tests):
    base = RewardModel.load(tiny_reward_model)
    before = base.score_rankings(tests)
    for freeze in (None, 0):
        found = trained(
            replace(HARDLY, freeze_layers=freeze), Parts([0], []), some=rankings[:1], base=tiny_reward_model
        )
        assert found.start.layers == len(layer_stack(base.model)) and found.start.output is not None
        assert np.corrcoef(found.reward_model.score_rankings(tests), before)[0, 1] > 0.9
    new = trained(HARDLY, Parts([0], []), some=rankings[:1])
    assert np.corrcoef(new.reward_model.score_rankings(tests), before)[0, 1] < 0.9


def test_an_architecture_that_is_not_known_is_trained_from_a_new_output_layer(trained, tiny_deberta):
    messages = []
    found = trained(base=tiny_deberta, on_message=messages.append)
    assert (
        messages[0]
        == f"{tiny_deberta}: no probe supports deberta-v2; fine-tuning the whole model from a new output layer"
    )
    assert messages[-1].endswith(f"; 2 of 3 layers; {HELD}")
    assert (found.start.layers, found.start.frozen, found.states) == (3, 1, None)


def test_a_base_model_has_so_many_layers(trained, tiny_distilbert):
    with pytest.raises(InputError, match=f"--layers 3: {tiny_distilbert} has 2 layers; give 1 to 2"):
        trained(replace(TINY, layers=3))


def test_texts_longer_than_the_model_takes_are_refused(trained):
    with pytest.raises(InputError, match="--max-length 65: .* takes at most 64 tokens; give --max-length 64"):
        trained(TrainingSettings(max_length=65), Parts([0], []))


def test_evaluating_stays_a_small_share_of_the_work():
    large = plan_schedule(32_000, 8_000, TrainingSettings())
    assert large.steps == 8_000 and large.steps_per_epoch == 4_000
    evaluations = large.steps / large.evaluate_every
    assert evaluations * 8_000 / 3 < 0.15 * 2 * 32_000  # answers evaluated, at a third of the cost of one trained on
    assert plan_schedule(16, 0, TrainingSettings(max_steps=5)).steps == 5
