"""Text files as people have them: pipes that nobody writes to, other encodings, and words for a place in a file."""

import codecs
import os
import select
from pathlib import Path
from typing import BinaryIO

from preference.errors import InputError
from preference.wording import shorten

PIPE_PATIENCE = 10.0  # seconds that a pipe may take until a program writes to it
OTHER_MARKS = {codecs.BOM_UTF32_LE: "UTF-32", codecs.BOM_UTF32_BE: "UTF-32", codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}


def open_pipe(path: str | Path) -> tuple[bytes, BinaryIO]:
    """Open a pipe, such as the shell's `<(...)`; return its first byte, if there is one yet, and the pipe, unbuffered.

    Opening it the usual way would wait for a writer for ever.

    Raises:
        InputError: no program writes to it within `PIPE_PATIENCE`.
    """
    pipe = open(path, "rb", buffering=0, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115  (the caller's)
    select.select([pipe], [], [], PIPE_PATIENCE)
    start = pipe.read(1)  # None: a program has opened the pipe and is still busy
    if start == b"":
        pipe.close()
        raise InputError(f"{path}: a pipe that no program has written to; start the program that writes it first, or name a file")
    os.set_blocking(pipe.fileno(), True)
    return start or b"", pipe


def read_bytes(path: str | Path) -> bytes:
    """Read a file or a pipe to its end."""
    if not Path(path).is_fifo():
        return Path(path).read_bytes()
    start, pipe = open_pipe(path)
    with pipe:
        return start + pipe.read()


def place_of(data: bytes, position: int) -> tuple[int, str]:
    """Return the line of the byte at `position`, and words for where on the line it stands.

    >>> place_of(b"one\\ntwo three", 8)
    (2, "after 'two '")
    """
    lines = (data[:position] + b".").splitlines()
    before = lines[-1][:-1].decode("utf-8-sig", "replace")
    return len(lines), f"after {shorten(before[-30:])}" if before else "at the start of the line"
