"""Reward models from causal language models: one tiny model of each kind, with random weights and a byte-level
vocabulary."""

import json
import shutil

import numpy as np
import pytest
import torch
from conftest import run_script, score_one_by_one
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    DistilBertConfig,
)

from preference.data.rankings import read_rankings
from preference.data.splits import Parts
from preference.errors import InputError
from preference.model.base_models import find_base_model
from preference.model.encoding import beginning, encode_pairs, longest_first, write_chats
from preference.model.layers import freeze_lower_layers, is_decoder, output_layer
from preference.model.loading import FIXED_DATE, load_base_model
from preference.model.reward_model import RewardModel
from preference.training.settings import TrainingSettings
from preference.training.train import train

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}
KINDS = {
    "llama": SIZES,
    "qwen2": SIZES,
    "qwen3": SIZES | {"head_dim": 16},
    "gemma": SIZES | {"head_dim": 16, "pad_token_id": None},
    "gemma3_text": SIZES | {"head_dim": 16, "pad_token_id": None},
    "mistral": SIZES,
    "gpt2": {"n_embd": 32, "n_layer": 3, "n_head": 2},
    "gpt_neox": SIZES,
}
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] | trim }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
END, START, STOP = 256, 257, 258
PROMPTS = ["Name a prime", "Name a prime", "Why is the sky blue?"]
ANSWERS = ["7", ("Bananas are yellow, " * 4).strip(), "Light scatters."]


def write_tokenizer(folder, **settings):
    """Save a tokenizer of bytes, without merges: every letter is a token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {
        character: i for i, character in enumerate([*alphabet, "<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    }
    backend = Tokenizer(models.BPE(vocabulary, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    settings = {"eos_token": "<|endoftext|>", "additional_special_tokens": ["<|im_start|>", "<|im_end|>"]} | settings
    PreTrainedTokenizerFast(tokenizer_object=backend, **settings).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def decoder(tmp_path_factory):
    """Return a function that makes a folder with a tiny causal model of a kind."""

    def make(kind="llama", rows=259, **tokenizer):
        folder = write_tokenizer(tmp_path_factory.mktemp(kind), **tokenizer)
        torch.manual_seed(0)
        sizes = {"vocab_size": rows, "bos_token_id": END, "eos_token_id": END, "max_position_embeddings": 512} | KINDS[
            kind
        ]
        AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes)).save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def trained_decoder(decoder, sample_folder):
    """A reward model trained for a few steps from a tiny Llama that has no chat template."""
    run_script(
        "reward_model_trainer.py", "--base-model", decoder(), "--max-length", 128, "--max-steps", 4, "--no-plot",
        "--learning-rate", 1e-3, "--head-learning-rate", 1e-2, "--output-dir", "decoder", cwd=sample_folder,
    )  # fmt: skip
    return sample_folder / "decoder"


def chat(prompt, answer):
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_reads_the_reward_at_the_last_token_saves_and_reloads(decoder, tmp_path, kind):
    model, tokenizer, _ = load_base_model(decoder(kind), seed=0)
    assert is_decoder(model.config) and tokenizer.padding_side == "right"
    assert model.config.pad_token_id == tokenizer.pad_token_id == 259 == model.get_input_embeddings().num_embeddings - 1
    torch.nn.init.normal_(output_layer(model).weight)
    tokenizer.model_max_length = 128
    ours = RewardModel(model, tokenizer)
    rewards = ours.score(PROMPTS, ANSWERS)
    [ids] = [pair["input_ids"] for pair in encode_pairs(tokenizer, PROMPTS[:1], ANSWERS[:1], 128)[0]]
    assert ids == [*tokenizer(PROMPTS[0] + "\n\n" + ANSWERS[0])["input_ids"], END]
    with torch.no_grad():
        hidden = model.base_model(input_ids=torch.tensor([ids])).last_hidden_state
        expected = output_layer(model)(hidden[0, -1]).item()
    assert rewards[0] == pytest.approx(expected, abs=1e-5)
    np.testing.assert_allclose(score_one_by_one(ours, PROMPTS, ANSWERS), rewards, atol=1e-4)

    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    again = RewardModel.load(tmp_path)
    assert (
        again.tokenizer.padding_side == "right"
        and again.tokenizer.pad_token_id == again.model.config.pad_token_id == 259
    )
    np.testing.assert_allclose(again.score(PROMPTS, ANSWERS), rewards, atol=1e-5)


@pytest.mark.parametrize(
    "kind, stack", [("llama", "model.layers"), ("gpt2", "transformer.h"), ("gpt_neox", "gpt_neox.layers")]
)
def test_a_third_of_the_layers_and_all_embeddings_are_frozen(decoder, kind, stack):
    model, *_ = load_base_model(decoder(kind), seed=0)
    assert freeze_lower_layers(model) == 1
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    assert all(name.startswith(f"{stack}.0.") or "emb" in name or ".wte" in name or ".wpe" in name for name in frozen)
    assert any(name.startswith(f"{stack}.0.") for name in frozen) and {
        name.split(".")[2] for name in trained if name.startswith(stack)
    } == {"1", "2"}
    assert any("norm" in name or ".ln_f" in name for name in trained) and "score.weight" in trained


def test_padding_adds_no_weight_that_a_reward_depends_on(decoder):
    folder = decoder(pad_token="<|endoftext|>")  # as SmolLM2 has it: padding = end of text
    model, tokenizer, _ = load_base_model(folder, seed=0)
    plain = AutoModelForCausalLM.from_pretrained(folder)
    for name, weight in plain.model.state_dict().items():
        torch.testing.assert_close(model.model.state_dict()[name][: len(weight)], weight, atol=0, rtol=0)
    assert tokenizer.pad_token == "<|pad|>" and len(tokenizer) == 260
    rewards = RewardModel(model, tokenizer).score(PROMPTS, ANSWERS)
    torch.nn.init.constant_(model.get_input_embeddings().weight[259], 1e3)
    np.testing.assert_array_equal(RewardModel(model, tokenizer).score(PROMPTS, ANSWERS), rewards)


def test_an_unused_row_or_token_pads_without_a_larger_model(decoder):
    model, tokenizer, _ = load_base_model(decoder(rows=320), seed=0)
    assert (tokenizer.pad_token_id, model.get_input_embeddings().num_embeddings) == (259, 320)
    model, tokenizer, _ = load_base_model(
        decoder(additional_special_tokens=["<|im_start|>", "<pad>"], rows=260), seed=0
    )
    assert (tokenizer.pad_token, tokenizer.pad_token_id, model.config.vocab_size) == ("<pad>", 259, 260)
    model, tokenizer, _ = load_base_model(decoder(pad_token="<|im_end|>"), seed=0)  # a token of its own already
    assert (tokenizer.pad_token, tokenizer.pad_token_id, model.config.vocab_size) == ("<|im_end|>", STOP, 259)


def test_padding_that_the_chat_template_writes_is_replaced(decoder):
    _, tokenizer, _ = load_base_model(decoder(pad_token="<|im_end|>", chat_template=CHAT), seed=0)
    assert tokenizer.pad_token == "<|pad|>"


def test_token_ids_are_those_of_trl(decoder):
    from trl.data_utils import _tokenize, apply_chat_template

    for settings in ({}, {"chat_template": CHAT}, {"bos_token": "<|im_start|>"}):
        _, tokenizer, _ = load_base_model(decoder(**settings), seed=0)
        pairs, cut = encode_pairs(tokenizer, PROMPTS, ANSWERS, 512)
        for prompt, answer, pair in zip(PROMPTS, ANSWERS, pairs, strict=True):
            messages = chat(prompt, answer)
            assert pair == {"input_ids": _tokenize(tokenizer, messages)["input_ids"]}  # RewardTrainer
            texts = apply_chat_template({"prompt": messages[:1], "completion": messages[1:]}, tokenizer)
            assert (
                tokenizer(texts["prompt"] + texts["completion"], add_special_tokens=False)["input_ids"]
                == pair["input_ids"]
            )
        assert not any(cut)


def test_a_model_that_begins_every_text_with_a_token_gets_it_in_the_plain_template(decoder):
    folder = decoder(bos_token="<|im_start|>")
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    content["post_processor"] = {
        "type": "TemplateProcessing", "pair": [],
        "single": [{"SpecialToken": {"id": "<|im_start|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "special_tokens": {"<|im_start|>": {"id": "<|im_start|>", "ids": [START], "tokens": ["<|im_start|>"]}},
    }  # fmt: skip
    path.write_text(json.dumps(content))
    _, tokenizer, _ = load_base_model(folder, seed=0)
    assert write_chats(tokenizer, ["a"], ["b"]) == ["<|im_start|>a\n\nb<|endoftext|>"]
    assert encode_pairs(tokenizer, ["a"], ["b"], 99)[0][0]["input_ids"].count(START) == 1


@pytest.mark.parametrize("template", [None, CHAT])
def test_truncation_keeps_both_beginnings_and_the_whole_template(decoder, template):
    _, tokenizer, _ = load_base_model(decoder(chat_template=template), seed=0)
    around = len(tokenizer(write_chats(tokenizer, [""], [""])[0], add_special_tokens=False)["input_ids"])
    for prompt, answer in (("p" * 40, "a" * 90), ("p" * 9, "a" * 90), ("p" * 200, "abc")):
        pairs, cut = encode_pairs(tokenizer, [prompt], [answer], 60 + around)
        of_prompt, of_answer = longest_first(len(prompt), len(answer), 60)
        expected = write_chats(tokenizer, [prompt[:of_prompt]], [answer[:of_answer]])
        assert (
            [tokenizer.decode(pairs[0]["input_ids"])] == expected
            and len(pairs[0]["input_ids"]) == 60 + around
            and cut == [True]
        )
    pairs, _ = encode_pairs(tokenizer, ["é" * 90], ["日本" * 40], 61 + around)  # two and three tokens a letter
    assert [tokenizer.decode(pairs[0]["input_ids"])] == write_chats(tokenizer, ["é" * 15], ["日本" * 5])
    with pytest.raises(
        InputError, match=f"--max-length {around}: the model's chat template alone takes as many tokens; raise it"
    ):
        encode_pairs(tokenizer, ["p"], ["a"], around)


def test_the_beginning_of_a_text(decoder):
    tokenizer = AutoTokenizer.from_pretrained(decoder())
    assert [beginning(tokenizer, "ab c", n) for n in range(6)] == ["", "a", "ab", "ab ", "ab c", "ab c"]
    assert beginning(tokenizer, "日本", 3) == "日"


def test_the_date_does_not_change_the_reward(decoder):
    _, tokenizer, _ = load_base_model(decoder(chat_template="Today: {{ strftime_now('%d %b %Y') }}\n" + CHAT), seed=0)
    assert write_chats(tokenizer, ["a"], ["b"])[0].startswith("Today: 26 Jul 2024\n<|im_start|>user")
    assert tokenizer.chat_template.count(FIXED_DATE) == 1


def test_several_templates_become_the_default_one(decoder):
    folder = decoder(chat_template={"default": CHAT, "tools": "nothing"})
    assert load_base_model(folder, seed=0)[1].chat_template == CHAT


@pytest.mark.parametrize(
    "settings, message",
    [
        (
            {"eos_token": None, "pad_token": "<|im_end|>"},
            "its tokenizer has neither a chat template nor an end-of-text token",
        ),
        (
            {"chat_template": "{{ messages[0]['content'] }}"},
            "its chat template does not show a prompt and then an answer",
        ),
        ({"chat_template": "{{ raise_exception('only tools here') }}"}, "only tools here"),
        ({"rows": 200}, "its tokenizer has 259 tokens, but the model only 200; they do not belong together"),
    ],
)
def test_what_cannot_score_gets_one_plain_message(decoder, settings, message):
    with pytest.raises(InputError) as caught:
        load_base_model(decoder(**settings), seed=0)
    assert (
        message in str(caught.value)
        and str(caught.value).endswith("; choose another --base-model")
        and "\n" not in str(caught.value)
    )


def test_encoders_are_no_decoders(tiny_distilbert):
    for config in (
        BertConfig(),
        BertConfig(is_decoder=True),
        DistilBertConfig(),
        AutoConfig.for_model("bart"),
        AutoConfig.for_model("xlnet"),
    ):
        assert not is_decoder(config)
    assert load_base_model(tiny_distilbert, seed=0)[1].chat_template is None


def test_an_encoder_whose_tokenizer_has_a_chat_template_still_gets_pairs(tmp_path, tiny_distilbert):
    folder = shutil.copytree(tiny_distilbert, tmp_path / "model")
    (folder / "chat_template.jinja").write_text(CHAT)
    assert AutoTokenizer.from_pretrained(folder).chat_template
    _, tokenizer, _ = load_base_model(folder, seed=0)
    assert (
        tokenizer.decode(encode_pairs(tokenizer, ["make coffee"], ["water"], 20)[0][0]["input_ids"])
        == "[CLS] make coffee [SEP] water [SEP]"
    )


def test_training_from_a_decoder_leaves_a_folder_that_plain_transformers_reads_alike(trained_decoder):
    tokenizer = AutoTokenizer.from_pretrained(trained_decoder)
    model = AutoModelForSequenceClassification.from_pretrained(trained_decoder).eval()
    inputs = tokenizer(
        write_chats(tokenizer, PROMPTS, ANSWERS), add_special_tokens=False, padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        theirs = model(**inputs).logits[:, 0].numpy()
    np.testing.assert_allclose(RewardModel.load(trained_decoder).score(PROMPTS, ANSWERS), theirs, atol=1e-4)


@pytest.mark.parametrize("frozen", [None, 0])
def test_the_rewards_that_percentiles_are_of_are_those_of_the_saved_model(decoder, sample_folder, tmp_path, frozen):
    settings = TrainingSettings(
        max_length=128, max_steps=60, learning_rate=0.05, freeze_layers=frozen, precision="fp32"
    )
    rankings, base = read_rankings(sample_folder / "training_data.csv").rankings, find_base_model(str(decoder()))
    found = train(rankings, Parts([*range(5)], []), base, settings, checkpoints=tmp_path / "checkpoints")
    np.testing.assert_allclose(found.rewards, found.reward_model.score_rankings(rankings), atol=1e-4)
    assert found.rewards.std() == pytest.approx(1, abs=1e-4)


@pytest.mark.faults
def test_reward_trainer_goes_on_from_a_decoder_folder(trained_decoder, tmp_path):
    from datasets import Dataset
    from trl import RewardConfig, RewardTrainer

    rows = [{"chosen": chat(PROMPTS[0], "7"), "rejected": chat(PROMPTS[0], "Bananas")}] * 2
    arguments = RewardConfig(
        str(tmp_path),
        max_steps=1,
        per_device_train_batch_size=2,
        report_to=[],
        use_cpu=True,
        bf16=False,
        save_strategy="no",
        disable_tqdm=True,
    )
    trainer = RewardTrainer(str(trained_decoder), arguments, train_dataset=Dataset.from_list(rows))
    tokenizer = AutoTokenizer.from_pretrained(trained_decoder)
    assert trainer.train_dataset[0]["chosen_ids"] == encode_pairs(tokenizer, PROMPTS[:1], ["7"], 128)[0][0]["input_ids"]
    assert trainer.model.config.pad_token_id == tokenizer.pad_token_id
    trainer.train()
    assert np.isfinite(trainer.state.log_history[-1]["train_loss"])
