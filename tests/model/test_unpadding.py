import copy

import pytest
import torch
import transformers
from transformers.models.modernbert import modeling_modernbert

from preference.model.attention import attend, first_tokens
from preference.model.encoding import CHUNK_COST_CPU, chunk_cost_of
from preference.model.unpadding import FAMILIES, runs_unpadded, unpad_layers
from preference.model.unpadding_modernbert import cut_into_blocks

SMALL = {"vocab_size": 50, "pad_token_id": 0, "num_labels": 1}
BERT = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64}


# Windows of 4 and 8 tokens to either side, in texts of up to 40; the last layer is global, or local.
MODERNBERT = {"global last": {"num_hidden_layers": 4, "local_attention": 8}, "local last": {"num_hidden_layers": 3, "local_attention": 16}}


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


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("layers", MODERNBERT.values(), ids=MODERNBERT)
@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize("padded", [True, False])
def test_modernbert_gives_the_same_rewards_and_gradients(monkeypatch, pooling, layers, biases, padded):
    def rotate_in_fp64(query, key, cos, sin, unsqueeze_dim=1):  # transformers rounds to fp32 here
        return [part * cos[:, None] + modeling_modernbert.rotate_half(part) * sin[:, None] for part in (query, key)]

    monkeypatch.setattr(modeling_modernbert, "apply_rotary_pos_emb", rotate_in_fp64)
    also = {f"{part}_bias": biases for part in ("attention", "mlp", "norm", "classifier")}
    model, batch = small_model("modernbert", classifier_pooling=pooling, **layers, **also), padded_batch()
    if not padded:
        del batch["attention_mask"]
    rewards, gradients = rewards_and_gradients(model, batch)
    assert rewards.std() > 0.1
    unpad_layers(model)
    assert runs_unpadded(model) and chunk_cost_of(model, "cpu") is None
    unpadded_rewards, unpadded_gradients = rewards_and_gradients(model, batch)
    torch.testing.assert_close(unpadded_rewards, rewards, atol=1e-9, rtol=1e-9)
    assert unpadded_gradients.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(unpadded_gradients[name], gradient, atol=1e-9 * float(gradient.abs().max()), rtol=1e-7)


def test_modernbert_sees_no_padding_and_its_last_layer_only_what_is_read():
    for pooling, last in (("cls", 4), ("mean", 12 + 40 + 1 + 33)):
        model, batch = small_model("modernbert", classifier_pooling=pooling, **MODERNBERT["local last"]), padded_batch()
        unpad_layers(model)
        rows = []
        for layer in model.model.layers:
            layer.mlp.register_forward_pre_hook(lambda module, inputs, rows=rows: rows.append(len(inputs[0])))
        model(**batch)
        assert rows == [12 + 40 + 1 + 33] * 2 + [last]


def test_modernbert_in_bf16_stays_near_itself_in_fp32():
    model, batch = small_model("modernbert", **MODERNBERT["global last"]).float(), padded_batch()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    unpad_layers(model)
    rewards, _ = rewards_and_gradients(model, batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        narrow, gradients = rewards_and_gradients(model, batch)
    torch.testing.assert_close(narrow.float(), rewards, atol=0.05 * float(rewards.std()) + 0.02, rtol=0)
    assert all(gradient.isfinite().all() for gradient in gradients.values())


def test_hidden_states_that_are_asked_for_are_the_padded_ones():
    model, batch = small_model("modernbert", **MODERNBERT["global last"]), padded_batch()
    unpad_layers(model)
    hidden = model(**batch, output_hidden_states=True).hidden_states
    assert [state.shape for state in hidden] == [(4, 40, 32)] * 5


@pytest.mark.parametrize("tokens", [5, 6, 31, 64, 100])
def test_blocks_show_every_token_those_within_the_window(tokens):
    blocks, window = cut_into_blocks(tokens, window=4), 4
    seen = {(i, j) for block in blocks for i, j in (block.open.nonzero() + torch.tensor([block.asking.start, block.seen.start])).tolist()}
    expected = {(i, j) for i in range(tokens) for j in range(tokens) if abs(i - j) <= window}
    assert blocks == [] if tokens == 5 else {pair for pair in seen if pair[0] < tokens} == expected


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
