"""JSONL files: one JSON object a line, and a last line that a crash may have cut short."""

import json
from pathlib import Path

from preference.errors import InputError


def read_jsonl(path: str | Path) -> list[tuple[int, dict]]:
    """Return each object of a JSONL file with its line; a last line that a crash cut short is passed over.

    Raises:
        InputError: the file cannot be read, or a line is no JSON object.
    """
    lines = read_text(path).split("\n")
    records = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            if number == len(lines):  # no line end: a crash cut it short
                continue
            raise InputError(f"{path}:{number}: no JSON: {line[:60]!r}; write one object a line") from None
        if not isinstance(record, dict):
            raise InputError(f"{path}:{number}: no JSON object: {line[:60]!r}; write one object a line")
        records.append((number, record))
    return records


def drop_cut_line(path: Path) -> None:
    """Remove a last line without its end that is no whole JSON, which only a crash can leave."""
    if not path.exists():
        return
    data = path.read_bytes()
    last = data[data.rfind(b"\n") + 1 :]
    try:
        json.loads(last or b"0")
    except ValueError:
        with open(path, "rb+") as file:
            file.truncate(len(data) - len(last))


def read_text(path: str | Path) -> str:
    """Return the text of a UTF-8 file, with or without a byte-order mark; raise InputError where that fails."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the name") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
