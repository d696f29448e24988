"""Candidates: a prompt's unranked answers, how they are sampled, and the file of them, one object per prompt."""

import contextlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
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

    def as_record(self) -> dict:
        """Return the settings as the candidates file keeps them: `settings` and `seed`."""
        values = asdict(self)
        seed = values.pop("seed")
        return {"settings": values, "seed": seed}


@dataclass
class Candidates:
    """One prompt's candidates; `details` hold what else the file says about them (generator, settings, seed)."""

    prompt: str
    answers: list[str]
    details: dict = field(default_factory=dict)


def read_prompts(path: str | Path) -> list[str]:
    """Read prompts, each once: one per line, or the column `prompt` of a table, or a JSON list of texts.

    Raises InputError where there are none, or one cannot be saved in a CSV.
    """
    if kind_of(path):
        table = read_table(path)
        (column,) = table.need("prompt") if table.columns else ("",)
        prompts: list[Any] = [record.get(column) for record in table.records]
        problems = []
        for i, value in enumerate(prompts):
            if not isinstance(value, str) or not value.strip():
                what = f"prompt is not a text: {shorten(str(value))}; write the text or delete the row"
                problems.append(f"{table.at(i)}: {what}")
            elif what := find_unwritable(value):
                problems.append(f"{table.at(i)}: {what} in {shorten(value)}; remove it")
        if problems:
            raise TableError(problems)
    else:
        prompts = read_text(path).split("\n")
    if found := distinct(map(str.strip, prompts)):
        return found
    raise InputError(f"{path}: has no prompts; write one per line")


def read_candidates(path: str | Path) -> list[Candidates]:
    """Read a candidates file in order; several records of one prompt are joined. Other keys are kept.

    Answers stay as they are, with their indentation; see `distinct` for those that are dropped. Raises InputError where
    a record lacks a `prompt` or a list of texts `answers`, or a CSV cannot hold one of the texts.
    """
    found: dict[str, Candidates] = {}
    table = read_table(path)
    prompt = table.need("prompt")[0] if table.records else ""
    answer, answers = table.find("answer"), table.find("answers")
    for i, record in enumerate(table.records):
        text = record.get(prompt)
        listed = record.get(answers) if answers else [record.get(answer) or ""] if answer else None
        if not isinstance(text, str) or not text.strip():
            raise InputError(f'{table.at(i)}: "prompt" is not a text: {shorten(str(text))}; write "prompt": "…"')
        if isinstance(listed, str) and listed.lstrip().startswith("["):  # a cell of a CSV
            with contextlib.suppress(ValueError):
                listed = json.loads(listed)
        if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
            wrong = "missing" if listed is None else f"not a list of texts: {shorten(str(listed))}"
            raise InputError(f'{table.at(i)}: "answers" is {wrong}; write ["one", "two"]')
        for name, item in [("prompt", text), *(("answers", item) for item in listed)]:
            if what := find_unwritable(item):
                raise InputError(f'{table.at(i)}: "{name}": {what} in {shorten(item)}; remove it')
        details = {key: value for key, value in record.items() if key not in (prompt, answer, answers)}
        candidates = found.setdefault(text.strip(), Candidates(text.strip(), [], details))
        candidates.answers = distinct([*candidates.answers, *listed])
    return list(found.values())


def append_candidates(path: str | Path, candidates: Candidates) -> None:
    """Add one prompt's candidates to the file; they are on the disk when this returns."""
    if kind_of(path, "jsonl") != "jsonl" or str(path).lower().endswith(".gz"):
        raise InputError(f"{path}: candidates are added to JSONL only; choose another --candidates")
    record = {"prompt": candidates.prompt, "answers": candidates.answers, **candidates.details}
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
