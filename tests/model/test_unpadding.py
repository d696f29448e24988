import copy

import pytest
import torch
import transformers

from preference.model.encoding import CHUNK_COST_CPU, chunk_cost_of
from preference.model.unpadding import FAMILIES, attend, first_tokens, runs_unpadded, unpad_layers

SMALL = {"vocab_size": 50, "pad_token_id": 0, "num_labels": 1}
BERT = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64}


def small_model(family: str, **options):
    torch.manual_seed(0)
    if family == "distilbert":
        config = transformers.DistilBertConfig(**SMALL, dim=32, n_layers=3, n_heads=2, hidden_dim=64)
    elif family == "gpt2":
        config = transformers.GPT2Config(**SMALL, n_embd=32, n_layer=3, n_head=2)
    else:
        config = transformers.AutoConfig.for_model(family, **SMALL, **(BERT | options))
    model = transformers.AutoModelForSequenceClassification.from_config(config).eval().double()
    for name, parameter in model.named_parameters():  # as initialised, biases are 0 and attention is nearly even
        if "norm" not in name.lower() and "ln_" not in name:
            torch.nn.init.normal_(parameter, std=0.5)
    return model


def padded_batch():
    torch.manual_seed(1)
    ids, mask = torch.randint(1, 50, (4, 40)), torch.ones(4, 40, dtype=torch.long)
    for row, length in enumerate((12, 40, 1, 33)):
        mask[row, length:] = ids[row, length:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def rewards_and_gradients(model, batch):
    model.zero_grad()
    rewards = model(**batch).logits[:, 0]
    rewards.square().sum().backward()
    return rewards.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("family", [*FAMILIES, "gpt2"])
@pytest.mark.parametrize("padded", [True, False])
def test_unpadded_layers_give_the_same_rewards_and_gradients(family, padded):
    model, batch = small_model(family), padded_batch()
    if not padded:
        del batch["attention_mask"]
    rewards, gradients = rewards_and_gradients(model, batch)
    assert rewards.std() > 0.1
    unpad_layers(model)
    assert runs_unpadded(model) == (family in FAMILIES)
    unpadded_rewards, unpadded_gradients = rewards_and_gradients(model, batch)
    torch.testing.assert_close(unpadded_rewards, rewards, atol=1e-9, rtol=1e-9)
    assert unpadded_gradients.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(unpadded_gradients[name], gradient, atol=1e-9, rtol=1e-7)


@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_the_layers_see_no_padding_and_the_last_one_only_what_is_read(family):
    model, batch = small_model(family), padded_batch()
    unpad_layers(model)
    layers = model.bert.encoder.layer if family == "bert" else model.distilbert.transformer.layer
    rows = []
    for layer in layers:
        feed_forward = layer.intermediate if family == "bert" else layer.ffn
        feed_forward.register_forward_pre_hook(lambda module, inputs: rows.append(len(inputs[0])))
    model(**batch)
    assert rows == [12 + 40 + 1 + 33] * 2 + [4]


def test_a_copy_of_the_model_computes_with_its_own_weights():
    model, batch = small_model("bert"), padded_batch()
    unpad_layers(model)
    rewards, _ = rewards_and_gradients(model, batch)
    changed = copy.deepcopy(model)
    torch.nn.init.normal_(changed.bert.encoder.layer[0].output.dense.weight)
    assert (rewards_and_gradients(changed, batch)[0] - rewards).abs().max() > 0.01
    torch.testing.assert_close(rewards_and_gradients(model, batch)[0], rewards)


def test_a_decoder_stays_as_it_is():
    config = transformers.BertConfig(**SMALL, **BERT, is_decoder=True)
    decoder, encoder = transformers.BertForSequenceClassification(config), small_model("bert")
    for model in (decoder, encoder):
        unpad_layers(model)
    assert not runs_unpadded(decoder) and chunk_cost_of(decoder, "cpu") == CHUNK_COST_CPU
    assert runs_unpadded(encoder) and chunk_cost_of(encoder, "cpu") is None


def test_dropout_of_the_config_is_respected():
    model, batch = small_model("bert").train(), padded_batch()
    unpad_layers(model)
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5 if name.endswith("attention.self.dropout") else 0.0
    with torch.no_grad():
        assert not torch.equal(model(**batch).logits, model(**batch).logits)
        model.eval()
        assert torch.equal(model(**batch).logits, model(**batch).logits)


@pytest.mark.parametrize("tokens", [1, 31, 32, 45])
def test_attention_by_matrix_products_agrees_with_the_fused_one(tokens):
    torch.manual_seed(tokens)
    parts = torch.randn(3, 4, tokens, 16)
    scaled = torch.stack([parts[0] / 4, parts[1], parts[2]]).bfloat16()
    expected = torch.nn.functional.scaled_dot_product_attention(*parts).transpose(0, 1).flatten(1)
    torch.testing.assert_close(attend(scaled).float(), expected, atol=0.03, rtol=0)
    of_first = attend(scaled[1:], query=scaled[0, :, :1])
    torch.testing.assert_close(of_first.float(), expected[:1], atol=0.03, rtol=0)


def test_first_tokens():
    assert first_tokens([3, 5, 2]).tolist() == [0, 3, 8]
