"""Files and folders that survive a crash: a reader sees the old content or the new, never a half-written one."""

import contextlib
import datetime
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from preference.errors import InputError
from preference.wording import as_size

_TORCH_CANNOT_WRITE = ("PytorchStreamWriter", "inline_container", "iostream error")  # in the text of its RuntimeError


def write_atomically(path: str | Path, content: str | bytes) -> None:
    """Replace `path` by `content`; see `open_atomically`. Text is written as UTF-8 with its line ends untouched.

    An OSError names `path`, not the temporary file.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        with open_atomically(path) as file:
            file.write(data)
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


@contextlib.contextmanager
def open_atomically(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file to replace `path` with, so that a crash or an error at any instant leaves the old file or the new one.

    What is written goes to a temporary file in the same folder, is flushed to the disk at the end, and takes the name in one
    rename. A symbolic link is followed; the file keeps its permission bits. A device or a pipe is written to, and stays what it is.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        with open(path, "wb") as file:
            yield file
        return
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:50]}.", suffix=".tmp")
    file = os.fdopen(descriptor, "wb")
    try:
        os.chmod(temporary, path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        yield file
        file.flush()
        os.fsync(file.fileno())
        file.close()
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):  # the disk is full
            file.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_folder(path.parent)


@contextlib.contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turn what is raised where a file of `folder` cannot be written, as on a full disk, into one line.

    Raises:
        InputError: instead of OSError, and of the errors that safetensors and PyTorch raise in its place.
    """
    try:
        yield
    except Exception as error:
        text = str(error)
        if isinstance(error, OSError):
            why = error.strerror or text
        elif type(error).__name__ == "SafetensorError" and "I/O error: " in text:
            why = text.rpartition("I/O error: ")[2].partition(" (os error")[0]
        elif isinstance(error, RuntimeError) and any(part in text for part in _TORCH_CANNOT_WRITE):
            why = "a file could not be written whole"
        else:
            raise
        free = as_size(free_space(folder))
        raise InputError(f"{folder}: cannot be written ({why}); {free} is free there; free some space") from error


def free_space(folder: Path) -> int:
    """Return the bytes that are free where `folder` is, or would be made."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def lock_file(path: Path) -> Path:
    """Return the lock file of `path`. Its name is like no other, since taking the lock empties the file."""
    followed = Path(os.path.realpath(path))
    return followed.with_name(f".{followed.name}.preference-lock")


@contextlib.contextmanager
def locked(path: Path, taken: str) -> Iterator[None]:
    """Keep `path` to this process by a hidden lock file beside it; beside what it leads to, where it is a link.

    Args:
        taken: the rest of the message if another process has it.

    Raises:
        InputError: another process has it, or the lock file cannot be made.
    """
    lock = FileLock(lock_file(path))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(f"{path}: {taken}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    try:
        yield
    finally:
        # Removed while it is still held: afterwards another process may hold it.
        with contextlib.suppress(PermissionError):  # Windows removes no open file; there the release does
            Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def prepare_file(path: str | Path, flag: str) -> None:
    """Make sure that the file `path`, new or not, can be written later; its folder is created if it is missing.

    Args:
        flag: the command-line flag that names the file, for the message.

    Raises:
        InputError: it is a folder, a pipe, a device or read-only, or a link that leads nowhere.
    """
    path, problem = Path(path), ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            problem = "a folder, not a file"
        elif not stat.S_ISREG(mode):
            problem = "a pipe or a device, not a file"
        elif not os.access(path, os.W_OK):
            problem = "cannot be written (it is read-only)"
    except FileNotFoundError:
        target = Path(os.path.realpath(path))
        if not target.parent.is_dir():
            problem = f"a link to {os.readlink(path)!r}, whose folder does not exist"
        elif not os.access(target.parent, os.W_OK):
            problem = "cannot be written (its folder is read-only)"
    except OSError as error:
        problem = f"cannot be written ({error.strerror})"
    if problem:
        raise InputError(f"{path}: {problem}; choose another {flag}")


def append_durably(path: str | Path, text: str, line_end: str = "\n") -> int:
    """Append `text` and a line end in one write, and return once they are on the disk: the size that the file had before.

    A last line that has no line end gets one first, so that two records never run together. Where there is no room, the
    file keeps its size.
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
        sync_folder(Path(path).parent)
    return size


def back_up(path: str | Path) -> Path:
    """Copy `path` to `path.backup-YYYYmmdd-HHMMSS` (numbered if that exists) and return the copy's path.

    An OSError, as on a full disk, names the copy; nothing is left of it.
    """
    path = Path(path)
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    copy, number = path.with_name(f"{path.name}.backup-{stamp}"), 1
    while copy.exists():
        number += 1
        copy = path.with_name(f"{path.name}.backup-{stamp}-{number}")
    write_atomically(copy, path.read_bytes())
    shutil.copystat(path, copy)
    return copy


def name_folder(new: Path, folder: Path) -> None:
    """Give the folder `new` the name `folder`; where another process made the same first, theirs stays and `new` is removed."""
    try:
        new.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        shutil.rmtree(new, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Make a rename or a new name in `folder` durable. Does nothing where folders cannot be opened (Windows)."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
