"""The reward model in the libraries of others, by the recipes of docs/recipes.md: they are run as they stand there."""

import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import requests
from conftest import ROOT, run_script

from preference.model.reward_model import RewardModel

PROMPTS = ["Name a prime number", "Name a prime number", "Tell me a funny joke about programming"]
ANSWERS = ["7", "Bananas are yellow.", "Code code code."]
CHAT = (
    "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
POLICY = "HuggingFaceTB/SmolLM2-135M-Instruct"  # what the recipes train; here a tiny model in a folder of that name


README = (ROOT / "README.md").read_text(encoding="utf-8")
RECIPES = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8").split("\n## ")[1:]

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")  # of transformers to TRL


def recipe(title: str) -> str:
    [text] = [text for text in RECIPES if text.startswith(title + "\n")]
    [code] = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    return code


@pytest.fixture(scope="module")
def tiny_llama(tmp_path_factory) -> Path:
    """A chat model with random weights whose tokens are single letters."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("peers") / "llama"
    vocabulary = {
        character: i for i, character in enumerate([*sorted(pre_tokenizers.ByteLevel.alphabet()), "<|end|>", "<|pad|>"])
    }
    backend = Tokenizer(models.BPE(vocabulary, []))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|end|>", pad_token="<|pad|>", chat_template=CHAT
    ).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 256,
    }
    LlamaForCausalLM(
        LlamaConfig(vocab_size=258, bos_token_id=None, eos_token_id=256, pad_token_id=257, **sizes)
    ).save_pretrained(folder)
    return folder


def sharpen(folder: Path, copy: Path) -> Path:
    """Copy a reward model with larger weights: after a few steps its rewards would hardly differ, and a wrong one would
    not be seen."""
    model = RewardModel.load(folder)
    for parameter in model.model.parameters():
        if parameter.dim() == 2:
            parameter.data.mul_(5)
    model.model.save_pretrained(copy)
    model.tokenizer.save_pretrained(copy)
    assert np.ptp(RewardModel.load(copy).score(PROMPTS, ANSWERS)) > 0.1
    return copy


@pytest.fixture(scope="module")
def encoder(tiny_reward_model, tmp_path_factory) -> Path:
    return sharpen(tiny_reward_model, tmp_path_factory.mktemp("peers") / "encoder")


@pytest.fixture(scope="module")
def decoder(tiny_llama, sample_folder, tmp_path_factory) -> Path:
    run_script(
        "reward_model_trainer.py", "--base-model", tiny_llama, "--max-length", 128, "--max-steps", 1, "--no-plot",
        "--output-dir", "peers_decoder", cwd=sample_folder,
    )  # fmt: skip
    return sharpen(sample_folder / "peers_decoder", tmp_path_factory.mktemp("peers") / "decoder")


@pytest.fixture
def beside(tmp_path, monkeypatch, tiny_llama):
    """Return a function that makes the test's folder the working folder, with `reward_model_final` and the policy in
    it."""

    def put(model: Path) -> None:
        shutil.copytree(model, tmp_path / "reward_model_final")
        shutil.copytree(tiny_llama, tmp_path / POLICY)
        monkeypatch.chdir(tmp_path)

    return put


def test_every_recipe_is_run_here():
    used = set(re.findall(r'recipe\("(.+?)"\)', Path(__file__).read_text(encoding="utf-8")))
    assert used == {text.partition("\n")[0] for text in RECIPES}


def test_transformers_pipeline(beside, encoder, capsys):
    beside(encoder)
    exec(recipe("Transformers"), found := {})
    [first, second] = [
        one["score"] for one in found["reward"]([{"text": PROMPTS[i], "text_pair": ANSWERS[i]} for i in range(2)])
    ]
    np.testing.assert_allclose([first, second], RewardModel.load(encoder).score(PROMPTS[:2], ANSWERS[:2]), atol=1e-4)
    assert f"{first:.4f}"[:-1] in capsys.readouterr().out


def test_cross_encoder_predicts_and_ranks(beside, encoder, capsys):
    beside(encoder)
    exec(recipe("sentence-transformers"), found := {})
    ours = RewardModel.load(encoder).score(PROMPTS, ANSWERS)
    np.testing.assert_allclose(found["model"].predict(list(zip(PROMPTS, ANSWERS, strict=True))), ours, atol=1e-4)
    ranked = found["model"].rank(PROMPTS[0], ANSWERS[:2])
    assert [one["corpus_id"] for one in ranked] == np.argsort(-ours[:2]).tolist()
    np.testing.assert_allclose([one["score"] for one in ranked], sorted(ours[:2], reverse=True), atol=1e-4)


def test_a_decoder_scores_chats_in_both(beside, decoder):
    beside(decoder)
    exec(recipe("A decoder in both"), found := {})
    ours = RewardModel.load(decoder).score(PROMPTS[:2], ANSWERS[:2])
    np.testing.assert_allclose(found["CrossEncoder"]("reward_model_final").predict(found["chats"]), ours, atol=1e-4)
    chats = found["reward"].tokenizer.apply_chat_template(found["chats"], tokenize=False)
    np.testing.assert_allclose([one["score"] for one in found["reward"](chats)], ours, atol=1e-4)


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_the_lines_of_the_readme(beside, kind, encoder, decoder):
    """As they stand there; only told to use the CPU."""
    from datasets import Dataset
    from sentence_transformers import CrossEncoder
    from transformers import pipeline
    from trl import GRPOConfig, GRPOTrainer, RewardConfig, RewardTrainer

    beside(encoder if kind == "encoder" else decoder)
    (pipe, pair, function, folder, train_on) = re.search(r"## In other libraries.*?```python\n(.*?)```", README, re.S)[
        1
    ].splitlines()
    cpu = {"use_cpu": True, "bf16": False, "report_to": "none"}
    grpo = GRPOConfig("policy", num_generations=2, per_device_train_batch_size=2, **cpu)
    prompts, completions = as_chats(PROMPTS, ANSWERS)
    chats = Dataset.from_list([{"prompt": prompt} for prompt in prompts])
    pairs = Dataset.from_list([{"chosen": prompts[0] + completions[0], "rejected": prompts[0] + completions[1]}])
    names = {
        "pipeline": pipeline, "CrossEncoder": CrossEncoder, "RewardModel": RewardModel, "policy": POLICY,
        "prompts": chats, "chats": chats, "pairs": pairs,
        "GRPOTrainer": partial(GRPOTrainer, args=grpo),
        "RewardTrainer": partial(RewardTrainer, args=RewardConfig("trained_on", **cpu)),
    }  # fmt: skip
    ours = RewardModel.load("reward_model_final").score(PROMPTS, ANSWERS)
    np.testing.assert_allclose(rewards_in(eval(function, names), prompts, completions), ours, atol=1e-4)
    if kind == "encoder":
        assert eval(pipe, names)["score"] == pytest.approx(ours[0], abs=1e-4)
        assert eval(pair, names)[0] == pytest.approx(ours[0], abs=1e-4)
    else:
        np.testing.assert_allclose(rewards_in(eval(folder, names), prompts, completions), ours, atol=1e-4)
        assert eval(train_on, names).model.num_labels == 1


def as_chats(prompts, answers) -> tuple[list, list]:
    return [[{"role": "user", "content": prompt}] for prompt in prompts], [
        [{"role": "assistant", "content": answer}] for answer in answers
    ]


def test_the_reward_function_scores_texts_and_chats(encoder):
    model = RewardModel.load(encoder)
    reward = model.reward_function()
    rewards = reward(prompts=PROMPTS, completions=ANSWERS, completion_ids=[[1]] * 3, trainer_state=None)
    assert rewards == model.score(PROMPTS, ANSWERS).tolist() and all(type(value) is float for value in rewards)
    prompts, completions = as_chats(PROMPTS, ANSWERS)
    assert reward(prompts=prompts, completions=completions) == rewards
    turns = [
        [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": PROMPTS[0]},
        ]
    ]
    assert (
        reward(turns, completions[:1])
        == model.score([f"User: Hi\n\nAssistant: Hello\n\nUser: {PROMPTS[0]}"], ANSWERS[:1]).tolist()
    )
    assert reward.__name__ == "preference_reward"


def rewards_in(trainer, prompts, completions) -> np.ndarray:
    """Return the rewards that a GRPOTrainer reckons with: shape (completions,)."""
    inputs = [{"prompt": prompt} for prompt in prompts]
    return trainer._calculate_rewards(inputs, prompts, completions, [[1]] * len(prompts))[:, 0].numpy()


def test_grpo_with_the_reward_function(beside, encoder):
    beside(encoder)
    exec(recipe("TRL: a reward function"), found := {})
    trainer, logged = found["trainer"], found["trainer"].state.log_history[0]
    assert trainer.state.global_step == 1 and np.isfinite(logged["rewards/preference_reward/mean"])
    ours = RewardModel.load(encoder).score(PROMPTS, ANSWERS)
    np.testing.assert_allclose(rewards_in(trainer, *as_chats(PROMPTS, ANSWERS)), ours, atol=1e-4)
    np.testing.assert_allclose(rewards_in(trainer, PROMPTS, ANSWERS), ours, atol=1e-4)


def test_grpo_scores_something_else_with_the_folder_of_an_encoder(beside, encoder):
    """Why docs/recipes.md warns: TRL joins prompt and completion without [CLS] and [SEP], and refuses chats. When this
    fails, the warning can go."""
    beside(encoder)
    exec(recipe("TRL: the folder of a decoder").replace("trainer.train()", ""), found := {})
    ours = RewardModel.load(encoder).score(PROMPTS, ANSWERS)
    assert np.abs(rewards_in(found["trainer"], PROMPTS, ANSWERS) - ours).max() > 0.1
    with pytest.raises(ValueError, match="chat_template"):
        rewards_in(found["trainer"], *as_chats(PROMPTS, ANSWERS))


def test_grpo_with_the_folder_of_a_decoder(beside, decoder):
    beside(decoder)
    exec(recipe("TRL: the folder of a decoder"), found := {})
    trainer = found["trainer"]
    assert trainer.state.global_step == 1 and np.isfinite(trainer.state.log_history[0]["reward"])
    ours = RewardModel.load(decoder)
    np.testing.assert_allclose(
        rewards_in(trainer, *as_chats(PROMPTS, ANSWERS)), ours.score(PROMPTS, ANSWERS), atol=1e-4
    )


def test_reward_trainer_trains_on(beside, decoder):
    beside(decoder)
    exec(recipe("TRL: more training"), found := {})
    assert found["trainer"].state.global_step == 1
    before, after = (RewardModel.load(folder).score(PROMPTS, ANSWERS) for folder in (decoder, "trained_on"))
    assert 0 < np.abs(after - before).max() < 0.1 * np.ptp(before)  # one step from the same weights


PYTHONPATH = os.environ | {"PYTHONPATH": str(ROOT)}
IN_CHATML = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture
def endpoint(tmp_path):
    """Return a function that serves the recipe's endpoint beside the model, and gives its address."""
    servers = []

    def serve() -> str:
        (tmp_path / "rewards.py").write_text(recipe("A rewards endpoint for OpenRLHF"), encoding="utf-8")
        command = [sys.executable, "-m", "uvicorn", "rewards:app", "--port", "0"]
        server = subprocess.Popen(command, cwd=tmp_path, env=PYTHONPATH, stderr=subprocess.PIPE, text=True)
        servers.append(server)
        for line in server.stderr:
            if found := re.search(r"running on http://([\d.:]+)", line):
                return found[1]
        raise AssertionError("the server did not start")

    yield serve
    for server in servers:
        server.terminate()
        server.wait(30)
        server.stderr.close()


@pytest.mark.parametrize("kind", ["encoder", pytest.param("decoder", marks=pytest.mark.faults)])
def test_rewards_over_http(beside, endpoint, kind, encoder, decoder):
    """What OpenRLHF sends and verl's function, by real requests; the policy's template changes no reward."""
    model = encoder if kind == "encoder" else decoder
    beside(model)
    address, ours = endpoint(), RewardModel.load(model).score(PROMPTS, ANSWERS)
    for template, end in (("{}", ""), (IN_CHATML, "<|im_end|>")):
        prompts = [template.format(prompt) for prompt in PROMPTS]
        samples = {
            "query": [prompt + answer + end for prompt, answer in zip(prompts, ANSWERS, strict=True)],
            "prompts": prompts, "labels": [""] * len(PROMPTS),
        }  # fmt: skip
        answered = requests.post(f"http://{address}/get_reward", json=samples, timeout=60)
        np.testing.assert_allclose(answered.json()["rewards"], ours, atol=1e-4)
        assert answered.json()["scores"] == answered.json()["rewards"]
    refused = requests.post(
        f"http://{address}/get_reward", json={"query": ["7"], "prompts": ["Name a prime"]}, timeout=60
    )
    assert refused.status_code == 422 and "must begin with its prompt" in refused.json()["detail"]
    exec(recipe("verl: a reward function").replace("127.0.0.1:5000", address), found := {})
    reward = found["compute_score"](
        data_source="mine", solution_str=ANSWERS[0], ground_truth="", extra_info={"question": PROMPTS[0]}
    )
    assert reward == pytest.approx(ours[0], abs=1e-4)


def test_the_endpoint_is_short():
    assert len(recipe("A rewards endpoint for OpenRLHF").splitlines()) <= 30


@pytest.mark.faults
def test_ray_data_scores_as_one_process_does(beside, encoder, tmp_path):
    beside(encoder)
    (tmp_path / "answers").mkdir()
    answers = pd.DataFrame(
        {"row": range(60), "prompt": PROMPTS * 20, "answer": [f"{answer} {i}" for i in range(20) for answer in ANSWERS]}
    )
    for i in range(2):
        answers[i::2].to_parquet(tmp_path / "answers" / f"{i}.parquet")
    answers.to_parquet(tmp_path / "answers.parquet")
    (tmp_path / "score_many.py").write_text(recipe("Millions of answers with Ray Data"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "score_many.py"], cwd=tmp_path, env=PYTHONPATH | {"RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run_script("score_answers.py", "answers.parquet", "--output", "one.parquet", "--precision", "fp32", cwd=tmp_path)
    scored = pd.read_parquet(tmp_path / "scored").sort_values("row")
    ours = pd.read_parquet(tmp_path / "one.parquet")
    assert scored["answer"].tolist() == ours["answer"].tolist()
    np.testing.assert_allclose(scored["reward"], ours["reward"], atol=1e-4)
