import json
import os
import re
import shutil
import time

import numpy as np
import pytest
import torch
from conftest import score_one_by_one
from safetensors.torch import load_file, save_file
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    DistilBertModel,
    GPT2Config,
    GPT2ForSequenceClassification,
    ViTConfig,
    ViTModel,
)

from preference.data.rankings import SAMPLES, read_rankings
from preference.errors import InputError
from preference.machine import check_device
from preference.model.base_models import find_base_model
from preference.model.encoding import encode_pairs
from preference.model.layers import freeze_lower_layers, output_layer, standardise_rewards
from preference.model.loading import load_base_model
from preference.model.reward_model import CACHE_DAYS, RewardModel, states_of

PROMPTS = ["make good coffee", "make good coffee", "why reading matters", "read"]
ANSWERS = ["grind fresh beans", "coffee hot. " * 12, "books", "N/A"]


def test_scores_keep_their_order_and_do_not_depend_on_the_batch(tiny_reward_model):
    model = RewardModel.load(tiny_reward_model)
    scored = []
    together = model.score(PROMPTS, ANSWERS, on_progress=scored.append)
    assert together.shape == (4,) and together.dtype == np.float32 and sum(scored) == 4
    np.testing.assert_allclose(score_one_by_one(model, PROMPTS, ANSWERS), together, atol=1e-5)
    for i in range(4):
        np.testing.assert_allclose(model.score(PROMPTS[i : i + 1], ANSWERS[i : i + 1]), together[i], atol=1e-5)
    np.testing.assert_allclose(model.score(PROMPTS[::-1], ANSWERS[::-1])[::-1], together, atol=1e-5)
    assert model.score([], []).shape == (0,)


def test_bf16_stays_within_a_thousandth_of_itself_in_any_batch(tiny_reward_model):
    model = RewardModel.load(tiny_reward_model, precision="bf16")
    np.testing.assert_allclose(score_one_by_one(model, PROMPTS, ANSWERS), model.score(PROMPTS, ANSWERS), atol=1e-3)


def test_other_loaders_give_the_raw_reward(tiny_reward_model):
    from sentence_transformers import CrossEncoder
    from transformers import pipeline

    ours = RewardModel.load(tiny_reward_model).score(PROMPTS, ANSWERS)
    classify = pipeline("text-classification", model=str(tiny_reward_model), device="cpu")
    theirs = [
        classify({"text": p, "text_pair": a}, truncation=True)["score"] for p, a in zip(PROMPTS, ANSWERS, strict=True)
    ]
    np.testing.assert_allclose(theirs, ours, atol=1e-5)
    cross_encoder = CrossEncoder(str(tiny_reward_model), device="cpu")
    np.testing.assert_allclose(cross_encoder.predict(list(zip(PROMPTS, ANSWERS, strict=True))), ours, atol=1e-5)


def test_states_are_removed_when_they_were_not_used_for_long(tiny_reward_model, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model, days = RewardModel.load(tiny_reward_model), 86_400
    pairs, _ = encode_pairs(model.tokenizer, PROMPTS, ANSWERS, 64)
    files = []
    for key in "ab":
        states_of(model, pairs, key=key)
        files += [path for path in (tmp_path / "preference" / "states").iterdir() if path not in files]
    before, long_before = (time.time() - number * days for number in (CACHE_DAYS - 1, CACHE_DAYS + 1))
    for file in files:
        os.utime(file, (before, before))
    states_of(model, pairs, key="a")  # all known: the file is only read
    assert time.time() - files[0].stat().st_mtime < days < time.time() - files[1].stat().st_mtime
    os.utime(files[1], (long_before, long_before))
    states_of(model, pairs, key="a")
    assert files[0].exists() and not files[1].exists()
    (files[1].parent / "gone").symlink_to("nowhere")  # as a file that another process renames in between
    states_of(model, pairs, key="a")


def test_standardised_rewards_have_mean_0_and_deviation_1(tiny_distilbert):
    model, tokenizer, _ = load_base_model(tiny_distilbert, seed=1)
    reward_model = RewardModel(model, tokenizer)
    with torch.no_grad():
        output_layer(model).weight.mul_(10_000)  # untrained, its rewards would hardly vary
    before = reward_model.score(PROMPTS, ANSWERS)
    told = standardise_rewards(model, before)
    after = reward_model.score(PROMPTS, ANSWERS)
    assert after.mean() == pytest.approx(0, abs=1e-4) and after.std() == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(after, told, atol=1e-4)


def test_constant_rewards_are_not_blown_up(tiny_distilbert):
    model, *_ = load_base_model(tiny_distilbert, seed=1)
    weight = output_layer(model).weight.clone()
    assert not standardise_rewards(model, np.full(5, 0.3, dtype=np.float32)).any()
    torch.testing.assert_close(output_layer(model).weight, weight)


def test_the_base_model_has_one_new_output_and_no_dropout(tiny_distilbert):
    model, *_ = load_base_model(tiny_distilbert, seed=1)
    assert output_layer(model).out_features == 1
    assert {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)} == {0.0}
    other, *_ = load_base_model(tiny_distilbert, seed=1)
    torch.testing.assert_close(output_layer(other).weight, output_layer(model).weight)


def frozen_in(model, pattern: str) -> set[str]:
    """The parts of `model` that are frozen, named by the groups of `pattern`."""
    return {
        re.match(pattern, name).group(1) for name, parameter in model.named_parameters() if not parameter.requires_grad
    }


@pytest.mark.parametrize(
    "layers, frozen, parts",
    [(None, 2, {"embeddings", "encoder.layer.0", "encoder.layer.1"}), (0, 0, {"embeddings"}), (-1, -1, set())],
)
def test_a_third_of_the_layers_is_frozen_unless_told_otherwise(layers, frozen, parts):
    model, *_ = load_base_model(find_base_model("sentence-transformers/all-MiniLM-L6-v2").path, seed=1)
    assert freeze_lower_layers(model, layers) == frozen
    assert frozen_in(model, r"bert\.(embeddings|encoder\.layer\.\d)") == parts


def test_layers_are_found_in_other_architectures(tiny_distilbert):
    model, *_ = load_base_model(tiny_distilbert, seed=1)
    assert freeze_lower_layers(model, 1) == 1
    assert frozen_in(model, r"distilbert\.(embeddings|transformer\.layer\.\d)") == {"embeddings", "transformer.layer.0"}
    gpt2 = GPT2ForSequenceClassification(GPT2Config(n_layer=3, n_embd=8, n_head=2, vocab_size=10, num_labels=1))
    assert freeze_lower_layers(gpt2) == 1
    assert frozen_in(gpt2, r"transformer\.(wte|wpe|h\.\d)") == {"wte", "wpe", "h.0"}
    with pytest.raises(InputError, match="--freeze-layers 3: the base model has 3 layers; leave at least one to train"):
        freeze_lower_layers(gpt2, 3)


def test_what_is_no_reward_model_gets_one_plain_message(tmp_path, tiny_distilbert, tiny_reward_model):
    for folder, message in (
        (tmp_path / "none", "no such folder; check the name, or train one with `python reward_model_trainer.py`"),
        (
            tmp_path,
            "this folder is not a reward model (no config.json); train one with `python reward_model_trainer.py`",
        ),
        (
            tiny_distilbert,
            "this folder is not a reward model (DistilBertModel with 2 outputs, "
            "not a sequence-classification model with 1)",
        ),
    ):
        with pytest.raises(InputError) as caught:
            RewardModel.load(folder)
        assert str(caught.value).startswith(f"{folder}: {message}") and "\n" not in str(caught.value)
    damaged = shutil.copytree(tiny_reward_model, tmp_path / "damaged")
    (damaged / "model.safetensors").unlink()
    with pytest.raises(InputError, match="damaged: cannot be loaded .*; train it again"):
        RewardModel.load(damaged)


class Runs:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def rewrite(path, **changed) -> None:
    """Change entries of a JSON file; None removes one."""
    values = json.loads(path.read_text()) | changed
    path.write_text(json.dumps({name: value for name, value in values.items() if value is not None}))


def save_as_pickle(folder, content) -> None:
    torch.save(content, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def save_model(folder, model) -> None:
    model.save_pretrained(folder)


SMALL_VIT = ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, image_size=32)
FEW_TOKENS = DistilBertConfig(vocab_size=50, max_position_embeddings=64, dim=32, hidden_dim=64, n_layers=2, n_heads=2)
DAMAGES = {
    "empty weights": (lambda f: (f / "model.safetensors").write_bytes(b""), "its weights are damaged: "),
    "cut weights": (lambda f: os.truncate(f / "model.safetensors", 60_000), "its weights are damaged: "),
    "a pickle that runs code": (
        lambda f: save_as_pickle(f, {"a": Runs(f / "ran")}),
        "pytorch_model.bin holds more than weights, or is damaged; only weights are ever loaded from it",
    ),
    "cut config": (lambda f: (f / "config.json").write_text("{"), "is not a valid JSON file"),
    "code of its own": (
        lambda f: rewrite(f / "config.json", model_type="other", auto_map={"AutoConfig": "code.Config"}),
        "it needs its own code, which is never run",
    ),
    "images": (
        lambda f: save_model(f, ViTModel(SMALL_VIT)),
        "Transformers has no model of this architecture for this task",
    ),
    "another size": (
        lambda f: rewrite(f / "config.json", dim=64),
        "its weights do not fit its config.json (distilbert.embeddings.LayerNorm.bias, ",
    ),
    "small vocabulary": (
        lambda f: save_model(f, DistilBertModel(FEW_TOKENS)),
        "tokens, but the model only 50; they do not belong together",
    ),
    "no padding": (
        lambda f: rewrite(f / "tokenizer_config.json", pad_token=None),
        "its tokenizer has neither a padding token nor an end-of-text token to pad with",
    ),
    "half a tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "its tokenizer files are missing or damaged"),
    "no tokenizer": (
        lambda f: [file.unlink() for file in f.glob("tokenizer*")],
        "it has no tokenizer (none of tokenizer.json, vocab.txt)",
    ),
    "cut tokenizer": (lambda f: (f / "tokenizer.json").write_text("{"), "cannot be loaded (Expecting property name"),
}


@pytest.mark.parametrize("damage, message", DAMAGES.values(), ids=DAMAGES)
def test_a_bad_base_model_gets_one_plain_message_and_runs_no_code(tmp_path, tiny_distilbert, damage, message):
    folder = shutil.copytree(tiny_distilbert, tmp_path / "model")
    (folder / "code.py").write_text(f"import os; os.mkdir({str(folder / 'ran')!r})")
    damage(folder)
    with pytest.raises(InputError) as caught:
        load_base_model(folder, seed=0)
    text = str(caught.value)
    assert (
        text.startswith(f"{folder}: ")
        and message in text
        and text.endswith("; choose another --base-model")
        and "\n" not in text
    )
    assert not (folder / "ran").exists()


def test_weights_that_are_not_numbers_are_refused(tmp_path, tiny_distilbert):
    model, tokenizer, _ = load_base_model(tiny_distilbert, seed=0)
    with torch.no_grad():
        model.distilbert.embeddings.word_embeddings.weight[7, 3] = float("nan")
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    for load in (lambda: load_base_model(tmp_path, seed=0), lambda: RewardModel.load(tmp_path)):
        with pytest.raises(InputError, match="some of its weights are not finite numbers"):
            load()


def test_a_base_model_may_come_as_a_pickle_of_weights_or_with_another_output(tmp_path, tiny_distilbert):
    pickled = shutil.copytree(tiny_distilbert, tmp_path / "pickled")
    save_as_pickle(pickled, DistilBertModel.from_pretrained(tiny_distilbert).state_dict())
    five = shutil.copytree(tiny_distilbert, tmp_path / "five")
    save_model(five, DistilBertForSequenceClassification.from_pretrained(tiny_distilbert, num_labels=5))
    expected, *_ = load_base_model(tiny_distilbert, seed=0)
    for folder in (pickled, five):
        model, *_ = load_base_model(folder, seed=0)
        assert output_layer(model).out_features == 1
        torch.testing.assert_close(model.distilbert.state_dict(), expected.distilbert.state_dict())


@pytest.mark.parametrize("missing", ["classifier.weight", "distilbert.transformer.layer.0.ffn.lin1.weight"])
def test_a_reward_model_that_lacks_weights_is_refused(tmp_path, tiny_reward_model, missing):
    folder = shutil.copytree(tiny_reward_model, tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    weights.pop(missing)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        InputError,
        match=f"its weights do not fit its config.json \\({missing} missing or of another size\\); train it again",
    ):
        RewardModel.load(folder)


def test_config_names_what_other_loaders_look_for(tiny_reward_model):
    config = json.loads((tiny_reward_model / "config.json").read_text())
    assert config["num_labels"] == 1
    assert config["problem_type"] == "regression"
    assert config["sentence_transformers"] == {"activation_fn": "torch.nn.modules.linear.Identity"}
    assert config["architectures"] == ["DistilBertForSequenceClassification"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA GPU is there")
def test_a_device_that_is_not_there():
    with pytest.raises(InputError, match="--device cuda: PyTorch sees no CUDA GPU here; use --device cpu"):
        check_device("cuda")
    with pytest.raises(InputError, match="--device cpu:3: name the kind alone"):
        check_device("cpu:3")
    with pytest.raises(InputError, match="--device toaster: no such device; use cpu, cuda or mps"):
        check_device("toaster")


def test_the_head_computes_in_fp32_under_autocast(tiny_distilbert):
    model, *_ = load_base_model(tiny_distilbert, seed=0)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        rewards = model(input_ids=torch.randint(4, 50, (64, 12))).logits
    assert rewards.dtype == torch.float32
    assert (rewards != rewards.bfloat16().float()).sum() > 60  # of 64: not rounded to bf16


def test_real_weights_give_the_same_rewards_in_any_batch():
    base, tokenizer, _ = load_base_model(find_base_model("sentence-transformers/all-MiniLM-L6-v2").path, seed=0)
    model = RewardModel(base, tokenizer)
    texts = [
        (ranking.prompt, answer)
        for sample in SAMPLES
        for ranking in read_rankings(sample).rankings
        for answer in ranking.answers
    ]
    prompts, answers = zip(*texts, strict=True)
    standardise_rewards(base, model.score(prompts, answers))
    together = model.score(prompts, answers)
    assert together.std() == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(score_one_by_one(model, prompts, answers), together, atol=1e-5)
    np.testing.assert_allclose(model.score(prompts[:7], answers[:7]), together[:7], atol=1e-5)
