"""JSONL files: one JSON object per line. Also text files, and files to write."""

import json
import os
import stat
from pathlib import Path

from preference.data.tables import read_bytes
from preference.errors import InputError


def read_jsonl(path: str | Path) -> list[tuple[int, dict]]:
    """Return each object of a JSONL file with its line number.

    Raises:
        InputError: the file cannot be read, or a line is not a JSON object: also a last one that a crash cut short.
    """
    records = []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            raise InputError(f"{path}:{number}: not JSON: {line[:60]!r}; write one object per line, or delete the line") from None
        except RecursionError:
            raise InputError(f"{path}:{number}: nested too deeply: {line[:60]!r}; write one flat object per line") from None
        if not isinstance(record, dict):
            raise InputError(f"{path}:{number}: not a JSON object: {line[:60]!r}; write one object per line")
        records.append((number, record))
    return records


def read_text(path: str | Path) -> str:
    """Return the text of a UTF-8 file, with or without a byte-order mark; raise InputError if it cannot be read."""
    try:
        return read_bytes(path).decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the name") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


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
