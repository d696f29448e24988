"""Files that survive a crash: a reader sees the old content or the new, never a half-written file."""

import contextlib
import datetime
import os
import shutil
import tempfile
from pathlib import Path


def write_atomically(path: str | Path, content: str | bytes) -> None:
    """Replace `path` by `content` so that a crash at any instant leaves the old file or the new one.

    The content goes to a temporary file in the same folder, is flushed to the disk, and takes the
    name in one rename. Text is written as UTF-8 with its line ends untouched. A symbolic link is
    followed; the file keeps its permission bits.
    """
    path = Path(os.path.realpath(path))
    data = content.encode("utf-8") if isinstance(content, str) else content
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.chmod(temporary, path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_folder(path.parent)


def append_durably(path: str | Path, line: str) -> None:
    """Append one line (a line end is added) and return once it is on the disk.

    A last line that a crash left without its line end is closed first, so that two records never run together.
    """
    path = Path(path)
    created = not path.exists()
    with open(path, "ab+") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(line.encode("utf-8") + b"\n")
        file.flush()
        os.fsync(file.fileno())
    if created:
        sync_folder(path.parent)


def back_up(path: str | Path) -> Path:
    """Copy `path` to `path.backup-YYYYmmdd-HHMMSS` (numbered if that exists) and return the copy's path."""
    path = Path(path)
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    copy, number = path.with_name(f"{path.name}.backup-{stamp}"), 1
    while copy.exists():
        number += 1
        copy = path.with_name(f"{path.name}.backup-{stamp}-{number}")
    shutil.copy2(path, copy)
    return copy


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
