"""Files and folders that survive a crash: a reader sees the old content or the new, never a half-written one."""

import contextlib
import datetime
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from preference.errors import InputError
from preference.wording import as_size

_OF_TORCH = ("PytorchStreamWriter", "inline_container", "iostream error")  # in its RuntimeError where it cannot write


def write_atomically(path: str | Path, content: str | bytes) -> None:
    """Replace `path` by `content`, so that a crash or an error at any instant leaves the old file or the new one.

    Line ends stay as they are. A link is followed; the file keeps its permissions. A device or a pipe is written to. An
    OSError names `path`.
    """
    data, target = content.encode("utf-8") if isinstance(content, str) else content, Path(os.path.realpath(path))
    new = target.with_name(f".{target.name[:50]}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(data)
            return
        try:
            with open(new, "xb") as file:
                if target.exists():
                    shutil.copymode(target, new)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, target)
        finally:
            new.unlink(missing_ok=True)
        _sync_folder(target.parent)
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def append_durably(path: str | Path, text: str, line_end: str = "\n") -> int:
    """Append `text` and a line end, and return once they are on the disk: the size that the file had before.

    A last line that has no line end gets one first. Where there is no room, the file keeps its size.
    """
    with open(path, "ab+", buffering=0) as file:
        size, rest = file.tell(), f"{text}{line_end}".encode()
        try:
            if size:
                file.seek(-1, os.SEEK_END)
                if file.read(1) not in (b"\n", b"\r"):
                    rest = line_end.encode() + rest
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError as error:
            file.truncate(size)
            error.filename = str(path)
            raise
    if not size:
        _sync_folder(Path(path).parent)
    return size


def _sync_folder(folder: Path) -> None:
    """Make a new name in `folder` durable, where folders can be opened (not on Windows)."""
    with contextlib.suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def back_up(path: str | Path) -> Path:
    """Copy `path` to `path.backup-YYYYmmdd-HHMMSS` (numbered if that exists) and return the copy's path."""
    path, number = Path(path), 1
    copy = first = path.with_name(f"{path.name}.backup-{datetime.datetime.now():%Y%m%d-%H%M%S}")
    while copy.exists():
        number += 1
        copy = first.with_name(f"{first.name}-{number}")
    write_atomically(copy, path.read_bytes())
    shutil.copystat(path, copy)
    return copy


def prepare_file(path: str | Path, flag: str) -> None:
    """Make sure that the file `path`, new or not, can be written later; its folder is created if it is missing.

    Raises:
        InputError: it cannot; the message ends with the command-line flag that names it.
    """
    path, problem, target = Path(path), "", Path(os.path.realpath(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            problem = "a folder, not a file"
        elif path.exists() and not path.is_file():
            problem = "a pipe or a device, not a file"
        elif not target.parent.is_dir():
            problem = f"a link to {os.readlink(path)!r}, whose folder does not exist"
        elif not os.access(target.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
            problem = "cannot be written (it or its folder is read-only)"
    except OSError as error:
        problem = f"cannot be written ({error.strerror})"
    if problem:
        raise InputError(f"{path}: {problem}; choose another {flag}")


@contextlib.contextmanager
def locked(path: Path, taken: str) -> Iterator[None]:
    """Keep `path`, or what it links to, to this process; raise InputError with `taken` if another one has it."""
    target = Path(os.path.realpath(path))
    lock = FileLock(target.with_name(f".{target.name}.preference-lock"))  # taking the lock empties this file
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(f"{path}: {taken}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    try:
        yield
    finally:
        with contextlib.suppress(PermissionError):  # Windows removes no open file; there the release does
            Path(lock.lock_file).unlink(missing_ok=True)  # while it is held: afterwards another process may hold it
        lock.release()


@contextlib.contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turn what is raised where a file of `folder` cannot be written, as on a full disk, into one InputError."""
    try:
        yield
    except Exception as error:
        text = str(error)
        if type(error).__name__ == "SafetensorError" and "I/O error: " in text:
            text = text.rpartition("I/O error: ")[2].partition(" (os error")[0]
        elif isinstance(error, RuntimeError) and any(part in text for part in _OF_TORCH):
            text = "a file could not be written whole"
        elif not isinstance(error, OSError):
            raise
        there = next(place for place in (folder, *folder.parents) if place.exists())
        why, free = getattr(error, "strerror", None) or text, as_size(shutil.disk_usage(there).free)
        raise InputError(f"{folder}: cannot be written ({why}); {free} is free there; free some space") from error


def name_folder(new: Path, folder: Path) -> None:
    """Give the folder `new` the name `folder`; where another process made the same first, theirs stays."""
    try:
        new.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        shutil.rmtree(new, ignore_errors=True)
