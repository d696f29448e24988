"""Models of the Hugging Face Hub: the local cache, and downloads that continue where they broke off.

huggingface_hub forgets what has arrived of a file when a download breaks off, which costs hundreds of megabytes. So the
files are fetched here, into its cache and under its lock, and it only links them.
"""

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from preference.durable_files import free_space
from preference.processes import PROCESS
from preference.wording import as_size

SECONDS = 7  # an unreachable Hub is noticed within this time, and so is a connection over which nothing arrives
TRIES = 3  # to continue a file of which nothing more arrives
_BESIDE_WEIGHTS = ("*.json", "*.txt", "*.model", "*.jinja", "README.md")  # the configuration, the tokenizer, and the licence
_TOKENIZERS = ("tokenizer.json", "vocab.*", "*.model")


class Unavailable(Exception):
    """The Hub cannot be asked or does not deliver; the text says why, and `remedy` what to do."""

    def __init__(self, why: str, remedy: str):
        super().__init__(why)
        self.remedy = remedy


class Refused(Exception):
    """The Hub has no such model for this user; the text says why and what to do."""


class DownloadStopped(KeyboardInterrupt):
    """Ctrl-C during a download; the text says what is kept, and what to type."""


@dataclass(frozen=True)
class _File:
    name: str
    url: str  # of this very version
    size: int
    etag: str  # the SHA-256 of a large file, the Git hash of a small one; "" where a mirror of the Hub does not tell


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
            if all((folder / name).exists() for name in set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())):
                return True
    single = [path for pattern in ("*.safetensors", "pytorch_model*.bin", "*.gguf") for path in folder.glob(pattern)]
    return any("-of-" not in path.name and path.exists() for path in single)


def _is_whole(folder: Path) -> bool:
    return (folder / "config.json").exists() and has_weights(folder) and any(next(folder.glob(pattern), None) for pattern in _TOKENIZERS)


def download_model(name: str) -> Path:
    """Download the model `name` into the local Hub cache and return its folder. One progress bar, where standard error is a terminal.

    Raises:
        Unavailable: the Hub does not deliver; what has arrived stays, and the next call continues.
        Refused: there is no such model, or not for this user, or none that can be loaded.
        DownloadStopped: Ctrl-C.
    """
    from filelock import FileLock
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.file_download import repo_folder_name
    from huggingface_hub.utils import logging

    cache = Path(constants.HF_HUB_CACHE)
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # what goes wrong is said here
    try:
        with _interrupts(name), _errors_in_words(cache):
            files = _files_to_load(name, _ask(name))
            folder = repo_folder_name(repo_id=name, repo_type="model")
            blobs, locks = cache / folder / "blobs", cache / ".locks" / folder
            with _bar(name, sum(file.size for file in files)) as arrived:
                _check_space(cache, sum(_missing(file, blobs / file.etag) for file in files))
                for path in (blobs, locks):
                    path.mkdir(parents=True, exist_ok=True)
                for file in files:
                    if file.etag:
                        with FileLock(locks / f"{file.etag}.lock"):  # which huggingface_hub takes, too
                            _fetch(file, blobs / file.etag, arrived)
                    linked = hf_hub_download(name, file.name)
            return Path(linked).parent
    finally:
        logging.set_verbosity(verbosity)


def _ask(name: str):
    """Return what the Hub tells about the model `name`: its commit and its files.

    It is asked in a separate thread: a name server that does not answer, and a server that trickles, block longer than
    any timeout of the client.
    """
    from huggingface_hub import HfApi

    answer: dict[str, Any] = {}

    def ask() -> None:
        try:
            answer["info"] = HfApi().model_info(name, files_metadata=True, timeout=SECONDS)
        except Exception as error:  # handed to the caller below
            answer["error"] = error

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(SECONDS)
    if "info" in answer:
        return answer["info"]
    if isinstance(error := answer.get("error"), OSError):  # what the Hub answered; offline mode
        raise error
    raise Unavailable("the Hugging Face Hub is unavailable", "go online") from error


def _files_to_load(name: str, info) -> list[_File]:
    """Return the files that are loaded, the weights last: a model that has them is whole."""
    from huggingface_hub import hf_hub_url

    listed = {file.rfilename: file for file in info.siblings if "/" not in file.rfilename}
    patterns = ("model*.safetensors", "*.safetensors", "pytorch_model*.bin")
    weights = next((found for pattern in patterns if (found := [file for file in listed if fnmatch(file, pattern)])), [])
    if "config.json" not in listed:
        raise Refused("its repository on the Hugging Face Hub has no config.json, so it cannot be loaded; name another model")
    if not weights:
        raise Refused("its repository on the Hugging Face Hub has no weights to load (*.safetensors or pytorch_model*.bin); name another model")
    others = [file for file in listed if any(fnmatch(file, pattern) for pattern in _BESIDE_WEIGHTS)]
    return [
        _File(
            file, hf_hub_url(name, file, revision=info.sha), listed[file].size or 0,
            (listed[file].lfs.sha256 if listed[file].lfs else listed[file].blob_id) or "",
        )
        for file in [*sorted(others), *sorted(weights)]
    ]  # fmt: skip


def _fetch(file: _File, blob: Path, arrived: Callable[[int], object]) -> None:
    """Bring a file to `blob`: what an earlier try left of it is continued."""
    if blob.exists():
        arrived(file.size)
        return
    part = _part_of(blob)
    failures, reached = 0, _size_of(part)
    arrived(reached)
    while True:
        try:
            if reached < file.size:
                _continue(file, part, arrived)
            if _digest(part, file) == file.etag:
                break
            arrived(-_size_of(part))
            part.unlink()
        except Exception as error:
            if not (_is_transport(error) or _is_passing(error)):
                raise
            if _is_passing(error) and failures == TRIES - 1:
                raise
        failures = 1 if _size_of(part) > reached else failures + 1
        reached = _size_of(part)
        if failures == TRIES:
            how_far = f"{as_size(reached)} of the {as_size(file.size)} of {file.name} have arrived; the same command continues"
            raise Unavailable(f"the download from the Hugging Face Hub broke off ({how_far})", "go online")
        time.sleep(failures)
    with open(part, "rb+") as stream:
        os.fsync(stream.fileno())
    os.replace(part, blob)


def _continue(file: _File, part: Path, arrived: Callable[[int], object]) -> None:
    from huggingface_hub import get_session
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    with open(part, "ab") as stream:
        size = stream.tell()
        headers = {**build_hf_headers(), "Accept-Encoding": "identity"} | ({"Range": f"bytes={size}-"} if size else {})
        with get_session().stream("GET", file.url, headers=headers, timeout=SECONDS, follow_redirects=True) as response:
            hf_raise_for_status(response)
            if size and response.status_code == 200:  # the whole file, although a part was asked for
                stream.truncate(0)
                arrived(-size)
            for content in response.iter_raw():
                stream.write(content)
                arrived(len(content))


def _digest(path: Path, file: _File) -> str:
    """Return what the file's ETag should be."""
    digest = hashlib.sha256() if len(file.etag) == 64 else hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, lambda: digest).hexdigest()


def _part_of(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.incomplete")  # a name that `hf cache` knows as unfinished


def _missing(file: _File, blob: Path) -> int:
    return 0 if blob.exists() else file.size - _size_of(_part_of(blob))


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _check_space(cache: Path, size: int) -> None:
    if size > (free := free_space(cache)):
        raise Unavailable(
            f"the download from the Hugging Face Hub takes {as_size(size)}, and {cache} has {as_size(free)} free",
            "set HF_HOME to a folder with more space",
        )


@contextlib.contextmanager
def _interrupts(name: str) -> Iterator[None]:
    """Say after Ctrl-C what stays."""
    try:
        yield
    except KeyboardInterrupt:
        raise DownloadStopped(f"what has arrived of {name} is kept, and the same command continues") from None


@contextlib.contextmanager
def _errors_in_words(cache: Path) -> Iterator[None]:
    """Turn whatever the client, its HTTP library and the disk raise into Unavailable or Refused."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, RepositoryNotFoundError

    try:
        yield
    except GatedRepoError:
        raise Refused("the Hugging Face Hub asks you to accept its terms; do so on its page and run `hf auth login`") from None
    except RepositoryNotFoundError:
        raise Refused(
            "no such folder, and no such model on the Hugging Face Hub; check the spelling, or run `hf auth login` if it is private"
        ) from None
    except OfflineModeIsEnabled:
        raise Unavailable("HF_HUB_OFFLINE is set, so the Hugging Face Hub is not asked", "go online") from None
    except HfHubHTTPError as error:
        raise Unavailable(*_status_in_words(error.response)) from error
    except LocalEntryNotFoundError as error:
        raise Unavailable("the Hugging Face Hub is unavailable", "go online") from error
    except OSError as error:
        reason = error.strerror or str(error).partition("\n")[0]
        raise Unavailable(
            f"the download from the Hugging Face Hub cannot be kept in {cache} ({reason})", "set HF_HOME to a folder that you can write"
        ) from error
    except Exception as error:
        if not _is_transport(error):
            raise
        raise Unavailable("the Hugging Face Hub is unavailable", "go online") from error


def _is_transport(error: Exception) -> bool:
    """Whether the connection failed: the client's HTTP library says so by its own errors; it is another one between releases."""
    return type(error).__module__.startswith("httpx")


def _is_passing(error: Exception) -> bool:
    """Whether the Hub answered with a status that another try may mend."""
    status = getattr(getattr(error, "response", None), "status_code", 0)
    return status == 429 or status >= 500


def _status_in_words(response) -> tuple[str, str]:
    """Return what an answer's status means, and what to do."""
    status = response.status_code
    if status == 401:
        return "the Hugging Face Hub does not accept your token (status 401)", "run `hf auth login`"
    if status == 429:
        return "the Hugging Face Hub takes no more requests from here for now (status 429)", "try again in a few minutes"
    if status >= 500:
        return f"the Hugging Face Hub has a fault of its own (status {status})", "try again later"
    return f"the Hugging Face Hub refused the request (status {status})", "name another model"


@contextlib.contextmanager
def _bar(name: str, size: int) -> Iterator[Callable[[int], object]]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    terminal = Console(stderr=True)
    columns = (TextColumn(f"downloading {escape(name)}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal or PROCESS != 0) as progress:
        task = progress.add_task("", total=size)
        yield lambda count: progress.advance(task, count)
