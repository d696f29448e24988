"""A head on a middle layer is an ordinary model: in plain Transformers it gives the rewards of the probe that made
it."""

import numpy as np
import pytest
import torch
import transformers
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer, pipeline

from preference.data.rankings import SAMPLES, read_rankings
from preference.errors import InputError
from preference.model.base_models import BaseModel
from preference.model.encoding import encode_rankings
from preference.model.layers import freeze_lower_layers, layer_stack, set_output
from preference.training.probe import fit_probe, start_from
from preference.training.settings import TrainingSettings

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "initializer_range": 0.3,
}
ENCODERS = {
    "bert": {"max_position_embeddings": 64},
    "distilbert": {"max_position_embeddings": 64},
    "electra": {"max_position_embeddings": 64, "embedding_size": 16},
    "mpnet": {"max_position_embeddings": 80},
    "modernbert": {"max_position_embeddings": 64, "local_attention": 8},
    "roberta": {"max_position_embeddings": 80},
    "xlm-roberta": {"max_position_embeddings": 80},
}
RANKINGS = read_rankings(SAMPLES[0]).rankings


def base_of(kind: str, folder, tokenizer_folder) -> BaseModel:
    """A folder with random weights and the tokenizer of another."""
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    tokenizer.save_pretrained(folder)
    tokens = {"pad_token_id": 0, "cls_token_id": 2, "bos_token_id": 2, "sep_token_id": 3, "eos_token_id": 3}
    torch.manual_seed(0)
    AutoModel.from_config(
        AutoConfig.for_model(kind, vocab_size=len(tokenizer), **SIZES, **tokens, **ENCODERS[kind])
    ).save_pretrained(folder)
    return BaseModel(kind, kind, "folder", folder)


def probe_and_folder(base: BaseModel, folder, **settings):
    """Fit a probe, save the model whose output layer it is, and return the probe's rewards."""
    chosen = TrainingSettings(max_length=64, precision="fp32", **settings)
    start = start_from(base, chosen, RANKINGS)
    states = start.states([pair for row in encode_rankings(RANKINGS, start.tokenizer, 64) for pair in row["pairs"]])
    probe = fit_probe(states, RANKINGS, "bradley-terry")
    set_output(start.model, *probe.output())
    start.model.save_pretrained(folder)
    start.tokenizer.save_pretrained(folder)
    return start, probe.rewards(states)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("kind", ENCODERS)
def test_plain_transformers_gives_the_rewards_of_the_probe(tmp_path, tiny_distilbert, kind, layers):
    start, rewards = probe_and_folder(
        base_of(kind, tmp_path / "base", tiny_distilbert), tmp_path / "model", layers=layers
    )
    assert start.head_only and start.layers == layers
    texts = [{"text": r.prompt, "text_pair": answer} for r in RANKINGS for answer in r.answers]
    classify = pipeline("text-classification", model=str(tmp_path / "model"), device="cpu")
    plain = [classify(text, truncation=True, function_to_apply="none")["score"] for text in texts]
    assert np.std(rewards) > 0.1
    np.testing.assert_allclose(plain, rewards, atol=1e-3 * np.std(rewards))


def test_a_decoder_is_read_at_its_last_token(tmp_path, tiny_gpt2):
    base = BaseModel("gpt2", "gpt2", "folder", tiny_gpt2)
    start, rewards = probe_and_folder(base, tmp_path / "model", layers=1)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert model.config.num_hidden_layers == 1
    rows = encode_rankings(RANKINGS, start.tokenizer, 64)
    encoded = [pair["input_ids"] for row in rows for pair in row["pairs"]]
    with torch.inference_mode():
        plain = [model(input_ids=torch.tensor([ids])).logits.item() for ids in encoded]
    centred = np.array(plain) - np.mean(plain)  # its output layer has no bias
    np.testing.assert_allclose(centred, rewards - rewards.mean(), atol=1e-3 * np.std(rewards))
    assert tokenizer.chat_template


def test_what_pools_is_the_mean_over_the_tokens_that_are_not_padding(tmp_path, tiny_distilbert):
    base = base_of("bert", tmp_path / "base", tiny_distilbert)
    start = start_from(base, TrainingSettings(max_length=64, layers=2), RANKINGS)
    inputs = start.tokenizer(["read books", "coffee"], ["why reading matters", "no"], padding=True, return_tensors="pt")
    hidden = AutoModel.from_pretrained(tmp_path / "base").eval()(**inputs, output_hidden_states=True).hidden_states[2]
    mask = inputs["attention_mask"][..., None]
    expected = torch.nn.functional.layer_norm((hidden * mask).sum(1) / mask.sum(1) + hidden[:, 0], (32,))
    pooled = start.model.bert(**inputs).last_hidden_state[:, 0]
    torch.testing.assert_close(pooled, expected, atol=1e-4, rtol=1e-4)


def test_an_architecture_that_is_not_known_is_fine_tuned_and_a_line_says_so(tmp_path, tiny_distilbert):
    tokenizer = AutoTokenizer.from_pretrained(tiny_distilbert)
    tokenizer.save_pretrained(tmp_path)
    config = AutoConfig.for_model(
        "deberta-v2", vocab_size=len(tokenizer), max_position_embeddings=64, pad_token_id=0, **SIZES
    )
    AutoModel.from_config(config).save_pretrained(tmp_path)
    said = []
    start = start_from(
        BaseModel("d", "d", "folder", tmp_path), TrainingSettings(max_length=64), RANKINGS, on_message=said.append
    )
    assert not start.pooled and not start.head_only and start.layers == 3
    assert said == ["d: no probe supports deberta-v2; fine-tuning the whole model from a new output layer"]


SMALL = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "vocab_size": 20,
    "pad_token_id": 0,
}


def model_of(kind: str, **settings):
    config = transformers.AutoConfig.for_model(kind, num_labels=1, **SMALL, **settings)
    return transformers.AutoModelForSequenceClassification.from_config(config)


def test_the_layers_are_the_list_that_the_config_counts_not_the_longest():
    model = model_of("bert")
    model.bert.experts = nn.ModuleList(nn.Linear(2, 2) for _ in range(8))
    assert layer_stack(model) is model.bert.encoder.layer
    model.config.num_hidden_layers = 5
    assert layer_stack(model) is model.bert.experts


@pytest.mark.parametrize(
    "kind, settings",
    [
        ("mpnet", {}),
        ("deberta-v2", {"relative_attention": True, "norm_rel_ebd": "layer_norm", "pos_att_type": ["p2c"]}),
    ],
)
def test_embeddings_that_are_defined_after_the_layers_are_frozen_too(kind, settings):
    model = model_of(kind, **settings)
    assert freeze_lower_layers(model) == 1
    outputs = []
    layer_stack(model)[0].register_forward_hook(lambda module, inputs, output: outputs.append(output[0].requires_grad))
    model(input_ids=torch.randint(3, 20, (2, 6))).logits.sum().backward()
    assert outputs == [False]
    assert all(parameter.grad is not None for parameter in layer_stack(model)[1:].parameters())


def test_minus_one_trains_everything_and_at_least_one_layer_is_left():
    model = model_of("deberta-v2", relative_attention=True)
    assert freeze_lower_layers(model, -1) == -1 and all(parameter.requires_grad for parameter in model.parameters())
    with pytest.raises(InputError, match="--freeze-layers 3: the base model has 3 layers; leave at least one to train"):
        freeze_lower_layers(model, 3)
