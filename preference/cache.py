"""The folder for what can be computed again. Imports nothing heavy."""

import atexit
import contextlib
import functools
import os
import shutil
import tempfile
import time
from pathlib import Path

CACHE_DAYS = 30


def cache_folder(part: str = "") -> Path:
    """Return the folder for what can be computed again, made if needed: `$XDG_CACHE_HOME/preference`, or `part` in it.

    Where that cannot be written it is a temporary folder, which is removed when the process ends.
    """
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "preference" / part
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except (OSError, RuntimeError):  # RuntimeError: there is no home folder
        pass
    folder = _temporary_cache() / part
    folder.mkdir(exist_ok=True)
    return folder


def remove_old(folder: Path) -> None:
    """Remove what lies in a cache folder and has not been used for `CACHE_DAYS`."""
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            if path.stat().st_mtime < time.time() - CACHE_DAYS * 86_400:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@functools.cache
def _temporary_cache() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="preference-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
