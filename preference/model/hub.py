"""Models of the Hugging Face Hub: what the local cache has, and downloads, whose errors are put into words here."""

import contextlib
import functools
import json
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from preference.machine import PROCESS

SECONDS = 7  # an unreachable Hub is noticed within this time
_BESIDE_WEIGHTS = ["*.json", "*.txt", "*.model", "*.jinja", "README.md"]  # configuration, tokenizer, licence
_WEIGHTS = ["model*.safetensors", "*.safetensors", "pytorch_model*.bin"]  # the first that the repository has
_TOKENIZERS = ["tokenizer.json", "vocab.*", "*.model"]
_STATUS = {  # what the status of an answer means, and what to do
    401: ("does not accept your token", "run `hf auth login`"),
    429: ("takes no more requests from here for now", "try again in a few minutes"),
}


class Unavailable(Exception):
    """The Hub cannot be asked or does not deliver; the text says why, and `remedy` what to do."""

    def __init__(self, why: str, remedy: str):
        super().__init__(why)
        self.remedy = remedy


class Refused(Exception):
    """The Hub has no such model for this user; the text says why and what to do."""


def cached_model(name: str) -> Path | None:
    """Return the folder of a model that is whole in the local Hub cache, else None."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        found = snapshot_download(name, local_files_only=True)
    except HFValidationError:
        raise Refused("no such folder, and not a valid name of a model on the Hugging Face Hub") from None
    except OSError as error:  # it wants every file of the repository; we need those that are loaded
        found = getattr(error, "snapshot_path", None)
    folder = Path(found or "none")
    has_tokenizer = any(next(folder.glob(pattern), None) for pattern in _TOKENIZERS)
    return folder if has_tokenizer and (folder / "config.json").exists() and has_weights(folder) else None


def has_weights(folder: Path) -> bool:
    """Whether the folder has weights that are read here, and all parts of weights in several files."""
    for index in folder.glob("*.index.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, AttributeError):
            parts = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            if all((folder / name).exists() for name in parts):
                return True
    single = [path for pattern in ("*.safetensors", "pytorch_model*.bin", "*.gguf") for path in folder.glob(pattern)]
    return any("-of-" not in path.name and path.exists() for path in single)


def download_model(name: str) -> Path:
    """Download what is loaded of the model `name` into the local Hub cache, with a bar on a terminal; return its
    folder.

    Raises:
        Unavailable: the Hub does not deliver; the files that have arrived stay.
        Refused: there is no such model, or not for this user, or none that can be loaded.
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
    with _errors_in_words(Path(constants.HF_HUB_CACHE)):
        info = _in_thread(lambda: HfApi().model_info(name, timeout=SECONDS), SECONDS)
        for files in _files_to_load([file.rfilename for file in info.siblings]):
            download = functools.partial(snapshot_download, name, allow_patterns=files, tqdm_class=OneBar)
            folder = _in_thread(download)
        return Path(folder)


def _in_thread(work: Callable[[], Any], seconds: float | None = None) -> Any:
    """Return what `work` returns: Ctrl-C ends the process at once, and after `seconds` no server is waited for."""
    outcome: Future = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # handed to the caller
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome.result(timeout=seconds)


def _files_to_load(files: list[str]) -> list[list[str]]:
    """Return the files that are loaded: the weights last, so that a model that has them is whole."""
    files = [file for file in files if "/" not in file]
    weights = next((pattern for pattern in _WEIGHTS if any(fnmatch(file, pattern) for file in files)), None)
    lacks = "its repository on the Hugging Face Hub has no"
    if "config.json" not in files:
        raise Refused(f"{lacks} config.json, so it cannot be loaded; name another model")
    if not weights:
        raise Refused(f"{lacks} weights to load (*.safetensors or pytorch_model*.bin); name another model")
    return [
        [file for file in files if any(fnmatch(file, pattern) for pattern in patterns)]
        for patterns in (_BESIDE_WEIGHTS, [weights])
    ]


@contextlib.contextmanager
def _errors_in_words(cache: Path) -> Iterator[None]:
    """Turn whatever the library, its HTTP client and the disk raise into Unavailable or Refused."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

    hub = "the Hugging Face Hub"
    try:
        yield
    except Refused:
        raise
    except GatedRepoError:
        raise Refused(f"{hub} asks you to accept its terms; do so on its page and run `hf auth login`") from None
    except RepositoryNotFoundError:
        remedy = "check the spelling, or run `hf auth login` if it is private"
        raise Refused(f"no such folder, and no such model on {hub}; {remedy}") from None
    except OfflineModeIsEnabled:
        raise Unavailable(f"HF_HUB_OFFLINE is set, so {hub} is not asked", "go online") from None
    except Exception as error:
        cause = error if isinstance(error, HfHubHTTPError) else error.__cause__
        if isinstance(cause, HfHubHTTPError):
            status = cause.response.status_code
            fault = ("has a fault of its own", "try again later") if status >= 500 else None
            why, remedy = _STATUS.get(status) or fault or ("refused the request", "name another model")
            raise Unavailable(f"{hub} {why} (status {status})", remedy) from error
        if isinstance(error, OSError) and error.strerror:
            remedy = "set HF_HOME to a folder that you can write and that has enough space"
            raise Unavailable(
                f"the download from {hub} cannot be kept in {cache} ({error.strerror})", remedy
            ) from error
        raise Unavailable(f"{hub} is unavailable", "go online") from error  # the HTTP client's own errors
