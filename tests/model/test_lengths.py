"""How long an input may be: RoBERTa and its kin have positions that no token can have, and some tokenizers name no
length."""

import json
import os
import shutil

import pytest
import torch
from conftest import run_script, train
from transformers import (
    AutoModel,
    AutoTokenizer,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    MPNetConfig,
    RobertaConfig,
    RobertaModel,
)

from preference.model.loading import longest_input
from preference.model.reward_model import RewardModel

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 66,
}


def test_the_length_that_is_named_is_the_longest_that_works():
    configs = RobertaConfig(pad_token_id=1, **SMALL), RobertaConfig(pad_token_id=3, **SMALL), MPNetConfig(**SMALL)
    for model in map(AutoModel.from_config, configs):
        longest = longest_input(model)
        assert longest == 66 - model.config.pad_token_id - 1
        model(torch.full((1, longest), 7))
        with pytest.raises((IndexError, RuntimeError)):
            model(torch.full((1, longest + 1), 7))
    model = DistilBertForSequenceClassification(
        DistilBertConfig(dim=32, hidden_dim=64, n_layers=1, n_heads=2, max_position_embeddings=66)
    )
    assert longest_input(model) == 66


def test_who_follows_the_message_trains(folder, tiny_distilbert):
    roberta = shutil.copytree(tiny_distilbert, folder / "roberta")
    words = len(AutoTokenizer.from_pretrained(roberta))
    RobertaModel(RobertaConfig(vocab_size=words, pad_token_id=0, **SMALL)).save_pretrained(roberta)
    done = train(folder, "--base-model", "roberta", "--max-length", 66, "--max-steps", 1, status=2)
    assert done.stderr == "error: --max-length 66: roberta takes at most 65 tokens; give --max-length 65\n"
    rows = [f"p{i},{word * 200},{rank}\n" for i in range(3) for rank, word in ((1, "energy "), (2, "code "))]
    (folder / "training_data.csv").write_text("prompt,answer,rank\n" + "".join(rows))
    train(folder, "--base-model", "roberta", "--max-length", 65, "--max-steps", 1, "--validation-fraction", 0)


def test_a_tokenizer_that_names_no_length_takes_the_models(folder, tiny_distilbert):
    model = shutil.copytree(tiny_distilbert, folder / "model")
    DistilBertForSequenceClassification(
        DistilBertConfig(
            vocab_size=len(AutoTokenizer.from_pretrained(model)),
            max_position_embeddings=64,
            dim=32,
            hidden_dim=64,
            n_layers=2,
            n_heads=2,
            num_labels=1,
        )
    ).save_pretrained(model)
    settings = json.loads((model / "tokenizer_config.json").read_text())
    del settings["model_max_length"]
    (model / "tokenizer_config.json").write_text(json.dumps(settings))
    assert RewardModel.load(model).tokenizer.model_max_length == 64
    run_script(
        "score_answers.py",
        "--model",
        "model",
        "--prompt",
        "make coffee",
        "--answer",
        "water " * 100,
        "--answer",
        "beans",
        cwd=folder,
    )


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_pipe_among_the_files_of_a_model_is_refused(folder, tiny_distilbert, name):
    piped = shutil.copytree(tiny_distilbert, folder / "piped")
    (piped / name).unlink()
    os.mkfifo(piped / name)
    done = train(folder, "--base-model", "piped", status=2)
    assert done.stderr == f"error: piped/{name}: not a file; name a folder written by save_pretrained\n"
    assert (
        f"error: piped/{name}: not a file; "
        in run_script("score_answers.py", "--model", "piped", "training_data.csv", cwd=folder, status=2).stderr
    )
