"""Models of the Hugging Face Hub: what the local cache has, and downloads by huggingface_hub, whose errors are put into words here."""

import contextlib
import functools
import json
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from preference.machine import PROCESS

SECONDS = 7  # an unreachable Hub is noticed within this time
_BESIDE_WEIGHTS = [
    "*.json",
    "*.txt",
    "*.model",
    "*.jinja",
    "README.md",
]  # the configuration, the tokenizer, and the licence
_WEIGHTS = ["model*.safetensors", "*.safetensors", "pytorch_model*.bin"]  # the first that the repository has
_TOKENIZERS = ("tokenizer.json", "vocab.*", "*.model")


class Unavailable(Exception):
    """The Hub cannot be asked or does not deliver; the text says why, and `remedy` what to do."""

    def __init__(self, why: str, remedy: str):
        super().__init__(why)
        self.remedy = remedy


class Refused(Exception):
    """The Hub has no such model for this user; the text says why and what to do."""


def cached_model(name: str) -> Path | None:
    """Return the folder of a model that is whole in the local Hub cache, else None.

    Raises:
        Refused: `name` cannot be the name of a model.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        found = snapshot_download(name, local_files_only=True)
    except HFValidationError:
        raise Refused("no such folder, and not a valid name of a model on the Hugging Face Hub") from None
    except OSError as error:  # it wants every file of the repository; we need those that are loaded
        found = getattr(error, "snapshot_path", None)
    return Path(found) if found and _is_whole(Path(found)) else None


def has_weights(folder: Path) -> bool:
    """Whether the folder has weights that are read here, and all parts of weights in several files."""
    for index in folder.glob("*.index.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, AttributeError):
            if all(
                (folder / name).exists()
                for name in set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            ):
                return True
    single = [path for pattern in ("*.safetensors", "pytorch_model*.bin", "*.gguf") for path in folder.glob(pattern)]
    return any("-of-" not in path.name and path.exists() for path in single)


def _is_whole(folder: Path) -> bool:
    return (
        (folder / "config.json").exists()
        and has_weights(folder)
        and any(next(folder.glob(pattern), None) for pattern in _TOKENIZERS)
    )


def download_model(name: str) -> Path:
    """Download the model `name` into the local Hub cache and return its folder; standard error, if a terminal, shows the progress.

    The library works in another thread: so Ctrl-C ends the process at once, and a name server or a server that never answers
    is not waited for.

    Raises:
        Unavailable: the Hub does not deliver; the files that have arrived stay.
        Refused: there is no such model, or not for this user, or none that can be loaded.
    """
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
        logging,
        tqdm,
    )

    class OneBar(tqdm):
        """Of the library's five bars, that of the bytes."""

        def __init__(self, *args, **options):
            hidden = options.get("name") != "huggingface_hub.snapshot_download"
            super().__init__(
                *args,
                **options | {"desc": f"downloading {name}", "leave": False} | ({"disable": True} if hidden else {}),
            )

        def set_description(self, desc=None, refresh=True) -> None:
            pass

    verbosity, no_bars = logging.get_verbosity(), are_progress_bars_disabled()
    logging.set_verbosity_error()  # what goes wrong is said here
    if PROCESS != 0 or not sys.stderr.isatty():
        disable_progress_bars()
    try:
        with _errors_in_words(Path(constants.HF_HUB_CACHE)):
            info = _in_thread(lambda: HfApi().model_info(name, timeout=SECONDS), SECONDS)
            for files in _files_to_load([file.rfilename for file in info.siblings]):
                folder = _in_thread(
                    functools.partial(snapshot_download, name, allow_patterns=files, tqdm_class=OneBar), None
                )
            return Path(folder)
    finally:
        logging.set_verbosity(verbosity)
        if not no_bars:
            enable_progress_bars()


def _in_thread(work: Callable[[], Any], seconds: float | None) -> Any:
    """Return what `work` returns, or raise what it raises; after `seconds`, TimeoutError."""
    outcome: queue.SimpleQueue = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put((work(), None))
        except BaseException as error:  # handed to the caller
            outcome.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = outcome.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if error:
        raise error
    return result


def _files_to_load(files: list[str]) -> list[list[str]]:
    """Return the files that are loaded, of those in the repository: first all others, then the weights, so that a model that has them is whole."""
    files = [file for file in files if "/" not in file]
    weights = next((pattern for pattern in _WEIGHTS if any(fnmatch(file, pattern) for file in files)), None)
    if "config.json" not in files:
        raise Refused(
            "its repository on the Hugging Face Hub has no config.json, so it cannot be loaded; name another model"
        )
    if not weights:
        raise Refused(
            "its repository on the Hugging Face Hub has no weights to load (*.safetensors or pytorch_model*.bin); name another model"
        )
    return [
        [file for file in files if any(fnmatch(file, pattern) for pattern in wanted)]
        for wanted in (_BESIDE_WEIGHTS, [weights])
    ]


@contextlib.contextmanager
def _errors_in_words(cache: Path) -> Iterator[None]:
    """Turn whatever the library, its HTTP client and the disk raise into Unavailable or Refused."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

    try:
        yield
    except (Refused, Unavailable):
        raise
    except GatedRepoError:
        raise Refused(
            "the Hugging Face Hub asks you to accept its terms; do so on its page and run `hf auth login`"
        ) from None
    except RepositoryNotFoundError:
        raise Refused(
            "no such folder, and no such model on the Hugging Face Hub; check the spelling, or run `hf auth login` if it is private"
        ) from None
    except OfflineModeIsEnabled:
        raise Unavailable("HF_HUB_OFFLINE is set, so the Hugging Face Hub is not asked", "go online") from None
    except Exception as error:
        cause = error if isinstance(error, HfHubHTTPError) else error.__cause__
        if isinstance(cause, HfHubHTTPError):
            raise Unavailable(*_status_in_words(cause.response.status_code)) from error
        if isinstance(error, OSError) and error.strerror:
            raise Unavailable(
                f"the download from the Hugging Face Hub cannot be kept in {cache} ({error.strerror})",
                "set HF_HOME to a folder that you can write and that has enough space",
            ) from error
        # What the HTTP client raises, which is another one between releases of the library.
        raise Unavailable("the Hugging Face Hub is unavailable", "go online") from error


def _status_in_words(status: int) -> tuple[str, str]:
    """Return what an answer's status means, and what to do."""
    if status == 401:
        return "the Hugging Face Hub does not accept your token (status 401)", "run `hf auth login`"
    if status == 429:
        return (
            "the Hugging Face Hub takes no more requests from here for now (status 429)",
            "try again in a few minutes",
        )
    if status >= 500:
        return f"the Hugging Face Hub has a fault of its own (status {status})", "try again later"
    return f"the Hugging Face Hub refused the request (status {status})", "name another model"
