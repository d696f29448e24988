"""Models from the Hub, downloaded for real from a small server: see hub_server.py. The tests' own process stays
offline."""

import json
import os
import pickle
import re
import subprocess
import sys
import time
from pathlib import Path

import pexpect
import pytest
from conftest import ROOT, run_script
from hub_server import COMMIT, Hub

DISTILBERT, DIALOGPT = "distilbert-base-uncased", "microsoft/DialoGPT-medium"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
FIND = """
import json, sys, time
from preference.errors import InputError
from preference.model.base_models import find_base_model
for name in sys.argv[1:]:
    start = time.perf_counter()
    try:
        base = find_base_model(name)
        found = {"source": base.source, "path": str(base.path), "note": base.note}
    except InputError as error:
        found = {"error": str(error)}
    print(json.dumps({**found, "seconds": time.perf_counter() - start}), flush=True)
"""
WATCH = """
import os, sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        with open(os.environ["CONNECTIONS"], "a") as file:
            file.write(f"{arguments[1] if event != 'socket.getaddrinfo' else arguments[:2]}\\n")

sys.addaudithook(watch)
"""


@pytest.fixture(scope="session")
def distilbert(tmp_path_factory) -> Path:
    """A tiny model with the files of distilbert-base-uncased's repository, some of them of no use here."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import DistilBertConfig, DistilBertForMaskedLM

    folder = tmp_path_factory.mktemp("hub") / "distilbert"
    torch.manual_seed(0)
    DistilBertForMaskedLM(
        DistilBertConfig(vocab_size=57, dim=64, hidden_dim=128, n_layers=2, n_heads=2)
    ).save_pretrained(folder)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *("##" + letter for letter in LETTERS)]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n")
    backend = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    backend.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true, "model_max_length": 512}')
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    for name in (".gitattributes", "pytorch_model.bin", "tf_model.h5"):
        (folder / name).write_bytes(b"not loaded")
    return folder


@pytest.fixture(scope="session")
def dialogpt(tmp_path_factory) -> Path:
    """A tiny GPT-2 with the files of DialoGPT's repository: pickled weights, no chat template, no tokenizer.json.

    Its weights say the same after any text: each letter as likely as the next, and the end of the turn in one of six
        tokens.
    """
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    folder = tmp_path_factory.mktemp("hub") / "dialogpt"
    folder.mkdir()
    vocabulary = {character: i for i, character in enumerate([*bytes_to_unicode().values(), "<|endoftext|>"])}
    config = GPT2Config(
        vocab_size=257, n_embd=8, n_layer=1, n_head=1, n_positions=128, bos_token_id=256, eos_token_id=256
    )
    model = GPT2LMHeadModel(config)
    scores = torch.full((257,), -30.0)
    scores[[vocabulary[letter] for letter in LETTERS]] = 0.0
    scores[256] = 1.7
    with torch.no_grad():
        model.transformer.wte.weight[:, 0] = scores
        model.transformer.ln_f.weight.zero_()
        model.transformer.ln_f.bias.zero_()[0] = 1.0
    weights = {**model.state_dict(), "transformer.h.0.attn.bias": torch.ones(1, 1, 128, 128, dtype=torch.uint8).tril()}
    torch.save(weights, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    (folder / "config.json").write_text(json.dumps({**config.to_diff_dict(), "architectures": ["GPT2LMHeadModel"]}))
    (folder / "generation_config.json").write_text(
        '{"_from_model_config": true, "bos_token_id": 256, "eos_token_id": 256}'
    )
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    return folder


@pytest.fixture(scope="module")
def server(distilbert, dialogpt):
    folders = {"distilbert/distilbert-base-uncased": distilbert, DIALOGPT: dialogpt, "someone/elses": distilbert}
    with Hub(folders, {DISTILBERT: "distilbert/distilbert-base-uncased"}) as hub:
        yield hub


@pytest.fixture
def hub(server):
    server.start_anew()
    return server


@pytest.fixture
def online(hub, tmp_path):
    """The environment of a process whose Hub is our server, with an empty cache; it notes whom the process speaks
    to."""
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(WATCH)
    mine = {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(tmp_path / "home"),
        "CONNECTIONS": str(tmp_path / "connections"),
    }
    kept = {
        key: value for key, value in os.environ.items() if key not in ("HF_HUB_OFFLINE", "HF_TOKEN", "HF_HUB_CACHE")
    }
    return {**kept, **mine, "PYTHONPATH": str(tmp_path / "watch"), "TERM": "xterm-256color"}


def find(environment, *names) -> list[dict]:
    done = subprocess.run(
        [sys.executable, "-c", FIND, *names], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100
    )
    assert done.stderr == "" and done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def weights_of(found: dict) -> bytes:
    return (Path(found["path"]) / "model.safetensors").read_bytes()


def train_on(terminal_folder, environment, *arguments) -> pexpect.spawn:
    command = [
        str(ROOT / "reward_model_trainer.py"),
        "--max-steps",
        "1",
        "--no-plot",
        "--max-length",
        "64",
        "--precision",
        "fp32",
        *arguments,
    ]
    return pexpect.spawn(
        sys.executable, command, cwd=terminal_folder, env=environment, dimensions=(40, 160), encoding="utf-8",
        timeout=120
    )  # fmt: skip


@pytest.fixture
def data(sample_folder, tmp_path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "training_data.csv").write_bytes((sample_folder / "training_data.csv").read_bytes())
    return folder


def test_the_first_training_downloads_with_a_bar_and_the_second_needs_no_network(hub, online, data, distilbert):
    hub.faults.body_seconds, hub.faults.part = 0.1, 40_000  # long enough for a bar to be seen
    first = train_on(data, online)
    first.expect(r"downloading distilbert-base-uncased: .*kB.*base model: distilbert-base-uncased \(hub\)")
    first.expect(pexpect.EOF)
    first.close()
    assert first.exitstatus == 0, first.before
    loaded = {"README.md", "config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "model.safetensors"}
    assert {request.split("/")[-1] for request in hub.requests if "/resolve/" in request} == loaded
    addresses = set(Path(online["CONNECTIONS"]).read_text().splitlines())
    spoken_to = {str(("127.0.0.1", int(url.rpartition(":")[2]))) for url in (hub.endpoint, hub.storage)}
    assert spoken_to <= addresses
    assert all("'127.0.0.1'" in address for address in addresses), addresses  # the rest: looking that address up

    Path(online["CONNECTIONS"]).unlink()
    hub.requests.clear()
    [found] = find(online | {"HF_HUB_OFFLINE": "1"}, DISTILBERT)
    assert found["source"] == "cache" and weights_of(found) == (distilbert / "model.safetensors").read_bytes()
    assert not Path(online["CONNECTIONS"]).exists() and not hub.requests


@pytest.mark.faults
def test_dialogpt_is_downloaded_and_ends_its_turns_by_the_end_of_text_token(hub, online, tmp_path, dialogpt):
    command = [sys.executable, str(ROOT / "generate_data.py"), "--generate-only", "--max-new-tokens", "40"]
    done = subprocess.run(command, cwd=tmp_path, env=online, capture_output=True, text=True)
    assert done.returncode == 0 and "generator: microsoft/DialoGPT-medium (hub)" in done.stdout, done.stderr
    answers = [
        answer
        for line in (tmp_path / "candidates.jsonl").read_text().splitlines()
        for answer in json.loads(line)["answers"]
    ]
    assert len(answers) == 20 and all(re.fullmatch("[a-z]+", answer) for answer in answers)
    lengths = sorted(len(answer) for answer in answers)
    assert lengths[0] < 8 and lengths[-1] < 40 and len(set(lengths)) > 5  # each ends where the model ends its turn
    folder = tmp_path / "home" / "hub" / "models--microsoft--DialoGPT-medium" / "snapshots" / COMMIT
    assert {path.name for path in folder.iterdir()} == {path.name for path in dialogpt.iterdir()}


def test_a_prompt_of_dialogpt_is_followed_by_the_end_of_text_token(dialogpt):
    from preference.model.base_models import find_base_model
    from preference.model.generator import Generator

    generator = Generator(find_base_model(str(dialogpt)))
    assert generator.end_tokens == {256} and generator.tokenizer.chat_template is None
    assert generator.encode("hi") == [*generator.tokenizer.convert_tokens_to_ids(["h", "i"]), 256]


def test_a_download_that_breaks_off_continues(hub, online, distilbert):
    hub.faults.break_off = [100_000, 50_000]
    [found] = find(online | {"HF_TOKEN": "hf_secret"}, DISTILBERT)
    assert found["source"] == "hub" and weights_of(found) == (distilbert / "model.safetensors").read_bytes()
    assert any("/resolve/" in path for path in hub.shown_token) and not any(
        "/storage/" in path for path in hub.shown_token
    )
    assert sum("/storage/" in request for request in hub.requests) == 3


@pytest.mark.faults
def test_a_download_that_ends_early_is_said_and_not_taken_for_a_model(hub, online, distilbert):
    hub.faults.break_off = [100_000, *[0] * 9]
    [broken] = find(online, "someone/elses")
    assert (
        broken["error"]
        == "someone/elses: no such folder, not in the local cache, and the Hugging Face Hub is unavailable; go online, "
        "or give a folder"
    )
    hub.start_anew()
    [found] = find(online, "someone/elses")
    assert found["source"] == "hub" and weights_of(found) == (distilbert / "model.safetensors").read_bytes()


@pytest.mark.faults
def test_what_the_hub_refuses_is_said_in_one_line(hub, online):
    gated = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to this model is restricted."}
    hub.folders |= {"someone/gated": hub.folders["someone/elses"]}
    hub.faults.status = {
        "someone/gated/resolve": (401, gated),
        "someone/busy": (429, {"RateLimit": '"api";r=0;t=55'}),
        "someone/broken": (500, {}),
        "someone/token": (401, {"X-Error-Message": "Invalid credentials in Authorization header"}),
        "someone/forbidden": (403, {}),
        "someone/elses/resolve": (503, {}),
    }
    names = [f"someone/{name}" for name in ("private", "gated", "busy", "broken", "token", "forbidden", "elses")]
    found = find(online, *names)
    away = "no such folder, not in the local cache, and the Hugging Face Hub"
    assert [one["error"] for one in found] == [
        "someone/private: no such folder, and no such model on the Hugging Face Hub; check the spelling, "
        "or run `hf auth login` if it is private",
        "someone/gated: the Hugging Face Hub asks you to accept its terms; do so on its page and run `hf auth login`",
        f"someone/busy: {away} answered with status 429; try again later, or give a folder",
        f"someone/broken: {away} answered with status 500; try again later, or give a folder",
        f"someone/token: {away} answered with status 401; run `hf auth login`, or give a folder",
        f"someone/forbidden: {away} answered with status 403; run `hf auth login`, or give a folder",
        f"someone/elses: {away} answered with status 503; try again later, or give a folder",
    ]


def test_a_repository_without_a_model_is_refused_before_anything_is_downloaded(hub, online, tmp_path, distilbert):
    for name, kept in (("adapter", "README.md"), ("tensorflow", "config.json")):
        (tmp_path / name).mkdir()
        (tmp_path / name / kept).write_bytes((distilbert / kept).read_bytes())
        (tmp_path / name / "tf_model.h5").touch()
        hub.folders[f"someone/{name}"] = tmp_path / name
    [adapter, tensorflow] = find(online, "someone/adapter", "someone/tensorflow")
    assert adapter["error"].endswith("has no config.json, so it cannot be loaded; name another model")
    assert tensorflow["error"].endswith(
        "has no weights to load (*.safetensors or pytorch_model*.bin); name another model"
    )
    assert not any("/resolve/" in request for request in hub.requests)


@pytest.mark.faults
def test_a_server_that_trickles_counts_as_unavailable(hub, online):
    hub.faults.header_seconds = 0.5
    [found] = find(online, DISTILBERT)
    assert (
        "the Hugging Face Hub is unavailable; using the packaged all-MiniLM-L6-v2 instead" in found["note"]
        and found["seconds"] < 10
    )


@pytest.mark.faults
def test_a_cache_that_cannot_be_written(hub, online, tmp_path):
    (tmp_path / "home").write_text("a file where the folder should be")
    [named, default] = find(online, "someone/elses", DISTILBERT)
    cache = tmp_path / "home" / "hub"
    assert named["error"] == (
        "someone/elses: no such folder, not in the local cache, and the download from the Hugging Face Hub cannot be "
        f"kept in {cache}"
        " (Not a directory); set HF_HOME to a folder that you can write and that has enough space, or give a folder"
    )
    assert (
        default["source"] == "package"
        and "(Not a directory); using the packaged all-MiniLM-L6-v2 instead" in default["note"]
    )


@pytest.mark.faults
def test_ctrl_c_during_a_download_ends_at_once(hub, online, data):
    hub.faults.body_seconds, hub.faults.part = 1, 20_000
    started = train_on(data, online, "--base-model", "someone/elses")
    started.expect(r"[1-9]\d*\.?\d*kB")
    start = time.perf_counter()
    started.sendintr()
    started.expect(pexpect.EOF)
    started.close()
    assert time.perf_counter() - start < 2
    assert started.exitstatus == 130 and "stopped" in started.before and "Traceback" not in started.before


class RunsWhenLoaded:
    def __init__(self, path: Path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.fixture
def pickled(dialogpt, tmp_path):
    """Return a function that puts weights into a copy of a model which run code when they are unpickled, and where that
    leaves a file."""

    def put(folder: Path) -> tuple[Path, Path]:
        copy, proof = tmp_path / "pickled", tmp_path / "the code has run"
        copy.mkdir()
        for file in folder.glob("*.*"):
            if file.suffix in (".json", ".txt"):
                (copy / file.name).write_bytes(file.read_bytes())
        (copy / "pytorch_model.bin").write_bytes(
            pickle.dumps({"transformer.wte.weight": RunsWhenLoaded(proof)}, protocol=2)
        )
        return copy, proof

    return put


def test_code_in_pickled_weights_of_a_base_model_is_never_run(pickled, distilbert, data):
    folder, proof = pickled(distilbert)
    done = run_script("reward_model_trainer.py", "--base-model", folder, cwd=data, status=2)
    assert done.stderr.count("\n") == 1 and "pytorch_model.bin holds more than weights, or is damaged" in done.stderr
    assert not proof.exists()
    pickle.loads((folder / "pytorch_model.bin").read_bytes())
    assert proof.exists()  # so it would have been, had the trainer loaded it in another way


def test_code_in_pickled_weights_of_a_generator_is_never_run(pickled, dialogpt):
    from preference.errors import InputError
    from preference.model.base_models import find_base_model
    from preference.model.generator import Generator

    folder, proof = pickled(dialogpt)
    with pytest.raises(InputError, match="holds more than weights.*choose another --generator"):
        Generator(find_base_model(str(folder)))
    assert not proof.exists()
