"""Reward models from modern encoders: one tiny model of each kind, with random weights, trained, saved, loaded and
scored."""

import numpy as np
import pytest
import torch
from conftest import read_csv, run_script, score_one_by_one
from transformers import AutoConfig, AutoModel, AutoTokenizer

from preference.model.layers import freeze_lower_layers, output_layer
from preference.model.loading import load_base_model
from preference.model.reward_model import RewardModel

WIDTH = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "max_position_embeddings": 64,
}
WIDE = {"initializer_range": 0.3}  # rewards of a model as it is usually initialised hardly differ
DEBERTA = {
    "relative_attention": True, "position_buckets": 16, "pos_att_type": ["p2c", "c2p"], "share_att_key": True,
    "norm_rel_ebd": "layer_norm", "position_biased_input": False, "type_vocab_size": 0,
}  # fmt: skip
KINDS = {
    "modernbert": ("modernbert", {"local_attention": 8}),  # and Ettin, mmBERT
    "modernbert, mean": ("modernbert", {"local_attention": 8, "classifier_pooling": "mean"}),
    "eurobert": ("eurobert", {"num_key_value_heads": 1}),
    "eurobert, first": ("eurobert", {"num_key_value_heads": 2, "classifier_pooling": "bos"}),
    "deberta-v3": ("deberta-v2", DEBERTA),
}
PROMPTS = ["make good coffee", "make good coffee", "why reading matters", "read"]
ANSWERS = ["grind fresh beans", "coffee hot. " * 12, "books", "N/A"]


@pytest.fixture(scope="module", params=KINDS)
def encoder(request, tiny_distilbert, tmp_path_factory):
    """A folder with random weights, and the tokenizer of the tiny DistilBERT."""
    kind, settings = KINDS[request.param]
    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = AutoTokenizer.from_pretrained(tiny_distilbert)
    tokenizer.save_pretrained(folder)
    tokens = {"pad_token_id": 0, "cls_token_id": 2, "bos_token_id": 2, "sep_token_id": 3, "eos_token_id": 3}
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, vocab_size=len(tokenizer), **WIDTH, **WIDE, **tokens, **settings)
    AutoModel.from_config(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def trained(encoder, sample_folder):
    """A reward model trained for a few steps."""
    run_script(
        "reward_model_trainer.py", "--base-model", encoder, "--max-length", 64, "--max-steps", 3, "--no-plot",
        "--precision", "fp32",
        "--learning-rate", 1e-3, "--head-learning-rate", 1e-2, "--output-dir", encoder.name, cwd=sample_folder,
    )  # fmt: skip
    return sample_folder / encoder.name


def test_it_trains_saves_reloads_and_scores_alike_in_any_batch_and_library(trained):
    from sentence_transformers import CrossEncoder
    from transformers import pipeline

    model = RewardModel.load(trained)
    rows = [row for row in read_csv(trained / "rewards.csv") if row["part"] == "test"]
    written = [float(row["reward"]) for row in rows]
    assert np.std(written) > 0.01
    np.testing.assert_allclose(
        model.score([row["prompt"] for row in rows], [row["answer"] for row in rows]), written, atol=1e-4
    )
    together = model.score(PROMPTS, ANSWERS)
    np.testing.assert_allclose(score_one_by_one(model, PROMPTS, ANSWERS), together, atol=1e-4)
    classify = pipeline("text-classification", model=str(trained), device="cpu")
    answers = [answer.strip() for answer in ANSWERS]
    theirs = [
        classify({"text": p, "text_pair": a}, truncation=True)["score"] for p, a in zip(PROMPTS, answers, strict=True)
    ]
    np.testing.assert_allclose(theirs, together, atol=1e-4)
    cross_encoder = CrossEncoder(str(trained), device="cpu")
    np.testing.assert_allclose(cross_encoder.predict(list(zip(PROMPTS, answers, strict=True))), together, atol=1e-4)


def test_frozen_layers_need_no_backward_pass(encoder):
    model, tokenizer, _ = load_base_model(encoder, seed=0)
    assert freeze_lower_layers(model) == 1
    layers = next(module for name, module in model.named_modules() if name.endswith(("layers", "encoder.layer")))
    need_backward: list[set] = [set(), set(), set()]
    for layer, found in zip(layers, need_backward, strict=True):
        for module in layer.modules():
            module.register_forward_hook(
                lambda module, inputs, output, found=found: found.add(getattr(output, "requires_grad", None))
            )
    model(**tokenizer(PROMPTS[0], ANSWERS[0], return_tensors="pt")).logits.sum().backward()
    assert True not in need_backward[0] and True in need_backward[1] and True in need_backward[2]
    assert not any(
        parameter.requires_grad for parameter in [*layers[0].parameters(), *model.get_input_embeddings().parameters()]
    )
    assert output_layer(model).weight.grad is not None
