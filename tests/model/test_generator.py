import json
import shlex
import shutil
import time

import pytest
import torch
from conftest import run_process, run_script
from pseudo_terminal import Terminal, write_candidates

from preference.data.candidates import SamplingSettings, read_candidates
from preference.errors import InputError
from preference.model.base_models import SMOLLM2, BaseModel, find_base_model
from preference.model.encoding import encode_pairs
from preference.model.generator import Generator
from preference.model.layers import freeze_lower_layers
from preference.model.loading import load_base_model

PROMPTS = ["make good coffee", "why", "tell me why reading matters and what good friends read"]


@pytest.fixture(scope="session")
def generator(tiny_gpt2):
    return Generator(BaseModel("tiny", "tiny", "folder", tiny_gpt2))


def test_without_a_chat_template_the_prompt_ends_with_the_end_of_text_token(generator):
    ids = generator.encode("ab")
    assert generator.tokenizer.decode(ids) == "ab<|endoftext|>"


def test_candidates_do_not_depend_on_what_else_is_in_the_batch(generator):
    settings = SamplingSettings(num_candidates=3, max_new_tokens=20)
    together = generator.sample(PROMPTS, settings)
    assert together == [generator.sample([prompt], settings)[0] for prompt in PROMPTS]
    assert together[::-1] == generator.sample(PROMPTS[::-1], settings)


def test_the_seed_and_the_attempt_decide(generator):
    settings = SamplingSettings(num_candidates=3, max_new_tokens=20)
    assert generator.sample(PROMPTS, settings) == generator.sample(PROMPTS, settings)
    assert generator.sample(PROMPTS, settings) != generator.sample(PROMPTS, settings, attempt=1)
    assert generator.sample(PROMPTS, settings) != generator.sample(
        PROMPTS, SamplingSettings(num_candidates=3, max_new_tokens=20, seed=1)
    )


def test_sampling_follows_the_model_and_the_temperature(generator):
    """One token after a prompt: the shares in many samples are those of the softmax at that temperature."""
    prompt, temperature = "a", 0.7
    with torch.no_grad():
        logits = generator.model(torch.tensor([generator.encode(prompt)])).logits[0, -1]
    expected = torch.softmax(logits / temperature, 0)
    settings = SamplingSettings(num_candidates=1, max_new_tokens=1, temperature=temperature, top_p=1.0)
    names = [str(i) for i in range(4000)]
    texts = []
    for start in range(0, len(names), 500):
        some = names[start : start + 500]
        texts += generator._sample([generator.encode(prompt)] * len(some), some, settings, lambda: None)
    shares: dict[str, float] = {}  # several tokens can decode to the same text
    for token, probability in enumerate(expected.tolist()):
        text = generator.tokenizer.decode([token], skip_special_tokens=True).replace("\0", "").strip()
        shares[text] = shares.get(text, 0) + probability
    for text, share in shares.items():
        assert texts.count(text) / len(texts) == pytest.approx(
            share, abs=4.5 * (share * (1 - share) / len(texts)) ** 0.5 + 1e-3
        )


def test_what_no_csv_can_hold_is_not_sampled(tmp_path, tiny_gpt2, generator):
    """A model whose most likely next character is NUL: the tiny one, with the two tokens exchanged in its
    vocabulary."""
    with torch.no_grad():
        most_likely = generator.model(torch.tensor([generator.encode("a")])).logits[0, -1].argmax().item()
    shutil.copytree(tiny_gpt2, tmp_path / "gpt2")
    path = tmp_path / "gpt2" / "tokenizer.json"
    content = json.loads(path.read_text())
    vocabulary = content["model"]["vocab"]
    nul, other = (
        "Ā",
        next(text for text, token in vocabulary.items() if token == most_likely),
    )  # Ā is the byte 0 in byte-level BPE
    vocabulary[nul], vocabulary[other] = vocabulary[other], vocabulary[nul]
    path.write_text(json.dumps(content))
    swapped = Generator(BaseModel("swapped", "swapped", "folder", tmp_path / "gpt2"))
    assert swapped.tokenizer.decode([most_likely]) == "\0" and swapped.encode("a") == generator.encode("a")
    settings = SamplingSettings(num_candidates=1, max_new_tokens=8, top_p=1e-6)
    [text] = swapped._sample([swapped.encode("a")], ["0"], settings, lambda: None)
    assert "\0" not in text


def test_candidates_are_distinct_not_empty_and_may_be_fewer(generator):
    sampled = generator.sample(["a"], SamplingSettings(num_candidates=6, max_new_tokens=1, temperature=0.05))[0]
    assert 0 < len(sampled) < 6  # nearly greedy: hardly another token comes up
    assert len({answer.casefold() for answer in sampled}) == len(sampled) and all(sampled)


def test_a_prompt_longer_than_the_model_takes_is_cut_from_the_left(generator):
    assert len(generator.sample(["x" * 500], SamplingSettings(num_candidates=2, max_new_tokens=10))[0]) == 2
    with pytest.raises(InputError, match="--max-new-tokens 200: tiny takes at most 128 tokens with the prompt"):
        generator.sample(["x"], SamplingSettings(max_new_tokens=200))


def test_what_is_not_a_language_model_is_refused(tiny_distilbert):
    with pytest.raises(InputError, match="cannot be loaded .*choose another --generator"):
        Generator(BaseModel("d", "d", "folder", tiny_distilbert))
    nonsense = tiny_distilbert.parent / "nonsense.gguf"
    nonsense.write_bytes(b"GGUF nonsense")
    with pytest.raises(InputError, match="cannot be read as a GGUF model"):
        Generator(find_base_model(str(nonsense)))


def test_something_moves_while_the_generator_is_loaded(tmp_path, tiny_gpt2):
    """From the first second, on a terminal only."""
    (tmp_path / "p.txt").write_text("why")
    flags = [
        "--generate-only",
        "--generator",
        tiny_gpt2,
        "--prompts",
        "p.txt",
        "--max-new-tokens",
        5,
        "--num-candidates",
        2,
    ]
    terminal = Terminal(tmp_path, *flags, lines=24)
    terminal.wait_for("looking for the generator")
    for _ in range(3):  # each time that it moves, it is written again
        terminal.wait_for("loading the generator")
    rest = terminal.summary()
    assert "c.jsonl: 2 candidates for 1 prompt in" in rest
    done = run_script("generate_data.py", *flags[:-2], "--candidates", "d.jsonl", cwd=tmp_path)
    assert done.stderr == "" and "loading" not in done.stdout


def test_the_script_samples_saves_and_resumes(tmp_path, tiny_gpt2):
    (tmp_path / "p.txt").write_text("\n".join(PROMPTS[:2]))
    arguments = [
        "generate_data.py",
        "--prompts",
        "p.txt",
        "--generator",
        tiny_gpt2,
        "--max-new-tokens",
        12,
        "--generate-only",
    ]
    done = run_script(*arguments, cwd=tmp_path)
    assert "candidates.jsonl: 8 candidates for 2 prompts in" in done.stdout
    told = shlex.split(done.stdout.splitlines()[-1])
    assert told[:3] == ["rank", "them:", "python"] and told[4:] == list(map(str, arguments[1:-1]))
    first = (tmp_path / "candidates.jsonl").read_text()
    sampled = read_candidates(tmp_path / "candidates.jsonl")
    assert list(sampled) == PROMPTS[:2] and [len(answers) for answers in sampled.values()] == [4, 4]
    assert json.loads(first.partition("\n")[0]) == {
        "prompt": PROMPTS[0], "answers": sampled[PROMPTS[0]], "generator": str(tiny_gpt2),
        "settings": {"num_candidates": 4, "max_new_tokens": 12, "temperature": 0.9, "top_p": 0.95}, "seed": 42,
    }  # fmt: skip
    (tmp_path / "p.txt").write_text("\n".join(PROMPTS))
    run_script(*arguments, cwd=tmp_path)
    after = (tmp_path / "candidates.jsonl").read_text()
    assert after.startswith(first) and after.count("\n") == 3
    done = run_script("generate_data.py", *told[4:], cwd=tmp_path, stdin="1 2 3 4\n\nr\n4 3 2 1\n\n")
    assert "2 done, 1 left" in done.stdout and "new answers" in done.stdout


@pytest.mark.faults
def test_ctrl_c_while_sampling_keeps_finished_batches_and_says_how_to_continue(tmp_path, tiny_gpt2):
    (tmp_path / "my prompts.txt").write_text("\n".join(f"prompt {i}" for i in range(24)))
    flags = ["--generate-only", "--generator", tiny_gpt2, "--prompts", "my prompts.txt", "--max-new-tokens", 100]
    terminal = Terminal(tmp_path, *flags, columns=500)
    while not (tmp_path / "c.jsonl").exists() or (tmp_path / "c.jsonl").read_text().count("\n") < 8:
        time.sleep(0.01)
    terminal.child.send("\x03")
    rest = terminal.rest()
    assert terminal.child.exitstatus == 130 and "Traceback" not in rest
    assert "stopped; what was done so far is saved\r\n" in rest
    before = (tmp_path / "c.jsonl").read_text()
    told = shlex.split([line for line in rest.splitlines() if line.startswith("continue:")][0])
    done = run_script("generate_data.py", *told[3:], cwd=tmp_path)
    assert (
        f"c.jsonl: {4 * (24 - before.count(chr(10)))} candidates for {24 - before.count(chr(10))} prompts in"
        in done.stdout
    )
    sampled = read_candidates(tmp_path / "c.jsonl")
    assert list(sampled) == [f"prompt {i}" for i in range(24)] and (tmp_path / "c.jsonl").read_text().startswith(before)


@pytest.mark.parametrize(
    "seconds", [0.6, *(pytest.param(seconds, marks=pytest.mark.faults) for seconds in (0.3, 0.9, 1.2))]
)
def test_ctrl_c_while_the_model_is_loaded_for_new_answers_saves_and_quits(tmp_path, tiny_gpt2, seconds):
    write_candidates(tmp_path, ["p"])
    terminal = Terminal(tmp_path, "--generator", tiny_gpt2)
    terminal.wait_for("\n> ")
    terminal.type("r")
    terminal.wait_for("sampling new answers …")
    time.sleep(seconds)
    terminal.child.send("\x03")
    rest = terminal.summary()
    assert terminal.child.exitstatus == 130 and "Traceback" not in rest
    assert "0 done, 1 left continue:" in rest


@pytest.mark.smollm2
def test_the_packaged_model_gives_real_answers_and_is_converted_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # on a busy machine two threads wait for each other most of the time
    (tmp_path / "p.txt").write_text("Name a fruit")
    flags = ["--prompts", "p.txt", "--generate-only", "--max-new-tokens", 8, "--num-candidates", 2]
    done = run_process("generate_data.py", *flags, cwd=tmp_path)
    assert "using the packaged SmolLM2-135M-Instruct instead" in " ".join(done.stdout.split()) and done.stderr == ""
    answers = read_candidates(tmp_path / "candidates.jsonl")["Name a fruit"]
    assert any(
        fruit in " ".join(answers).lower()
        for fruit in ("fruit", "apple", "banana", "orange", "mango", "berry", "pear", "grape")
    )
    converted = list((tmp_path / "cache" / "preference" / "gguf").iterdir())
    assert len(converted) == 1
    weights = converted[0] / "model.safetensors"
    written = weights.stat().st_mtime_ns
    again = Generator(find_base_model(SMOLLM2.hub_name)).sample(
        ["Name a fruit"], SamplingSettings(max_new_tokens=8, num_candidates=2)
    )
    assert again == [answers] and weights.stat().st_mtime_ns == written
    assert list((tmp_path / "cache" / "preference" / "gguf").iterdir()) == converted
    model, tokenizer, _ = load_base_model(
        find_base_model(SMOLLM2.hub_name).path, seed=0
    )  # as the base of a reward model
    [pair], _ = encode_pairs(tokenizer, ["Name a fruit"], ["An apple"], 99)
    text = tokenizer.decode(pair["input_ids"])
    assert text.endswith("<|im_start|>user\nName a fruit<|im_end|>\n<|im_start|>assistant\nAn apple<|im_end|>\n")
    assert (tokenizer.pad_token, model.config.pad_token_id) == ("<|pad|>", 49152) and freeze_lower_layers(model) == 10
    assert list((tmp_path / "cache" / "preference" / "gguf").iterdir()) == converted
