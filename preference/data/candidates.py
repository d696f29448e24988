"""Candidates: a prompt's unranked answers, how they are sampled, and the file of them, one object per prompt."""

import contextlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preference.data.table_writing import find_unwritable
from preference.data.tables import TableError, kind_of, read_table, read_text
from preference.durable_files import append_durably
from preference.errors import InputError
from preference.wording import shorten

DEFAULT_CANDIDATES = Path("candidates.jsonl")
_SENTENCE_END = re.compile(r"""[.!?…。！？]["'”’)\]]*(?=\s|$)""")


@dataclass(frozen=True)
class SamplingSettings:
    """How candidates are sampled; the same settings and seed give the same candidates."""

    num_candidates: int = 4  # answers per prompt; with 4, one ranking holds 6 comparisons
    max_new_tokens: int = 80  # the longest answer: 50 to 60 English words, a few lines on the screen
    temperature: float = 0.9  # below 1 keeps small models to the point, and the answers still differ
    top_p: float = 0.95  # leaves out the unlikeliest tokens, which derail an answer
    seed: int = 42  # also decides the order on the screen


def read_prompts(path: str | Path) -> list[str]:
    """Read prompts, each once: one per line, or the column `prompt` of a table, or a JSON list of texts.

    Raises InputError where there are none, or one cannot be saved in a CSV.
    """
    if kind_of(path):
        prompts = list(read_candidates(path, with_answers=False))
    else:
        prompts = read_text(path).split("\n")
    if found := distinct(map(str.strip, prompts)):
        return found
    raise InputError(f"{path}: has no prompts; write one per line")


def read_candidates(path: str | Path, *, with_answers: bool = True) -> dict[str, list[str]]:
    """Read a table of prompts and their answers, in order; those of several records of one prompt are joined.

    Answers stay as they are, with their indentation; see `distinct` for those that are dropped. Raises InputError where
    a record lacks a `prompt`, a list of texts `answers` or one `answer`, or a CSV cannot hold one of the texts.
    """
    found: dict[str, list[str]] = {}
    table, problems = read_table(path), list[str]()
    prompt = table.need("prompt")[0] if table.columns else ""
    one, many = table.find("answer"), table.find("answers")
    for i, record in enumerate(table.records):
        text: Any = record.get(prompt)
        listed = _listed(record, one, many) if with_answers else []
        if problem := _problem_with(text, listed):
            problems.append(f"{table.at(i)}: {problem}")
        else:
            found.setdefault(text.strip(), []).extend(listed)
    if problems:
        raise TableError(problems)
    return {text: distinct(listed) for text, listed in found.items()}


def _listed(record: dict[str, Any], one: str | None, many: str | None) -> Any:
    """Return the answers of a record: its one answer, or what should be a list, which a cell of a CSV holds as JSON."""
    if one and not many:
        return ["" if record.get(one) is None else record[one]]
    listed: Any = record.get(many) if many else None
    with contextlib.suppress(TypeError, ValueError, RecursionError):
        return json.loads(listed)
    return listed


def _problem_with(prompt: Any, answers: Any) -> str:
    """Say what is wrong with a record, and what to do; "" where nothing is."""
    if not isinstance(prompt, str) or not prompt.strip():
        return f"prompt is not a text: {shorten(str(prompt))}; write the text or delete the row"
    if not isinstance(answers, list):
        wrong = "missing" if answers is None else f"not a list: {shorten(str(answers))}"
        return f'"answers" is {wrong}; write ["one", "two"]'
    for text in (prompt, *answers):
        if not isinstance(text, str):
            return f"answer is not a text: {shorten(str(text))}; write a text"
        if what := find_unwritable(text):
            return f"{what} in {shorten(text)}; remove it"
    return ""


def append_candidates(path: str | Path, prompt: str, answers: list[str], **details: Any) -> None:
    """Add one prompt's candidates to the file, with what they were made by; they are on the disk when this returns."""
    if kind_of(path, "jsonl") != "jsonl" or str(path).lower().endswith(".gz"):
        raise InputError(f"{path}: candidates are added to JSONL only; choose another --candidates")
    record = {"prompt": prompt, "answers": answers, **details}
    try:
        append_durably(path, json.dumps(record, ensure_ascii=False))
    except OSError as error:
        remedy = "make room, or choose another --candidates"
        raise InputError(f"{path}: cannot be written ({error.strerror}); {remedy}") from error


def distinct(answers: Iterable[str], key: Callable[[str], str] = str.strip) -> list[str]:
    """Drop empty answers, and those whose key an earlier one has; by default, white space around it does not count.

    >>> distinct(["US", "us", "  if x:", "", "us "])
    ['US', 'us', '  if x:']
    """
    kept: dict[str, str] = {}
    for answer in answers:
        if answer.strip():
            kept.setdefault(key(answer), answer)
    return list(kept.values())


def folded(answer: str) -> str:
    """Return what two sampled answers share that differ only in case and white space.

    >>> folded(" Yes,  I do")
    'yes, i do'
    """
    return " ".join(answer.casefold().split())


def cut_at_sentence(text: str) -> str:
    """Shorten a text that the token limit broke off to its whole sentences, if it has any.

    >>> cut_at_sentence("It is 3.5 m long. It weighs abo")
    'It is 3.5 m long.'
    """
    ends = list(_SENTENCE_END.finditer(text))
    return text[: ends[-1].end()] if ends else text
