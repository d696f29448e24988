"""Candidates: a prompt's unranked answers, and the file that keeps them (`candidates.jsonl`, one object a prompt)."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from preference.data.csv_table import check_texts, read_table
from preference.data.jsonl import drop_cut_line, read_jsonl, read_text
from preference.durable_files import append_durably
from preference.errors import InputError

_SENTENCE_END = re.compile(r"""[.!?…。！？]["'”’)\]]*(?=\s|$)""")


@dataclass
class Candidates:
    """One prompt's candidates; `made_with` holds what else the file says of them (generator, settings, seed)."""

    prompt: str
    answers: list[str]
    made_with: dict = field(default_factory=dict)


def read_prompts(path: str | Path) -> list[str]:
    """Read prompts: one a line, or the column `prompt` of a CSV, or the key `prompt` of a JSONL file.

    Repeated prompts count once; white space around a prompt does not count.

    Raises:
        InputError: the file cannot be read or holds no prompt.
    """
    kind = Path(path).suffix.lower()
    if kind == ".csv":
        table = read_table(path, ["prompt"])
        if problems := check_texts(table, ["prompt"]):
            raise InputError("\n".join(problems))
        prompts = table.column("prompt")
    elif kind in (".jsonl", ".ndjson"):
        prompts = [_text(path, line, record, "prompt") for line, record in read_jsonl(path)]
    else:
        prompts = read_text(path).splitlines()
    prompts = list(dict.fromkeys(prompt.strip() for prompt in prompts if prompt.strip()))
    if not prompts:
        raise InputError(f"{path}: holds no prompt; write one a line")
    return prompts


def read_candidates(path: str | Path) -> list[Candidates]:
    """Read a candidates file in order; several objects for one prompt are joined. Further keys are kept.

    A last line that a crash cut short is passed over.

    Raises:
        InputError: a line is no object with a `prompt` and a list of texts `answers`.
    """
    found: dict[str, Candidates] = {}
    for line, record in read_jsonl(path):
        prompt = _text(path, line, record, "prompt")
        answers = record.get("answers")
        if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
            raise InputError(f'{path}:{line}: "answers" is no list of texts: {str(answers)[:60]!r}; write ["one", "two"]')
        made_with = {key: value for key, value in record.items() if key not in ("prompt", "answers")}
        candidates = found.setdefault(prompt, Candidates(prompt, [], made_with))
        candidates.answers = distinct([*candidates.answers, *answers])
    return list(found.values())


def append_candidates(path: str | Path, candidates: Candidates) -> None:
    """Add one prompt's candidates to the file; they are on the disk when this returns."""
    record = {"prompt": candidates.prompt, "answers": candidates.answers, **candidates.made_with}
    drop_cut_line(Path(path))
    append_durably(path, json.dumps(record, ensure_ascii=False))


def distinct(answers: Iterable[str]) -> list[str]:
    """Trim the answers, and drop empty ones and those that differ from an earlier one only in case or white space.

    >>> distinct(["Yes. ", "", "yes.", "No."])
    ['Yes.', 'No.']
    """
    kept: dict[str, str] = {}
    for answer in answers:
        key = " ".join(answer.casefold().split())
        if key:
            kept.setdefault(key, answer.strip())
    return list(kept.values())


def cut_at_sentence(text: str) -> str:
    """Cut a text that the token limit broke off at the end of its last whole sentence, where it has one.

    >>> cut_at_sentence("It is 3.5 m long. It weighs abo")
    'It is 3.5 m long.'
    """
    ends = list(_SENTENCE_END.finditer(text))
    return text[: ends[-1].end()] if ends else text


def _text(path: str | Path, line: int, record: dict, key: str) -> str:
    value = record.get(key)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f'{path}:{line}: "{key}" is no text: {str(value)[:60]!r}; write "{key}": "…"')
    return value.strip()
