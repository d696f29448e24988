"""Candidates: a prompt's unranked answers, how they are sampled, and the file that keeps them (`candidates.jsonl`, one object per prompt)."""

import contextlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from preference.data.jsonl import read_jsonl, read_text
from preference.data.tables import TableError, find_unwritable, kind_of, read_table
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
    """Read prompts: one per line, or the column `prompt` of a table (CSV, TSV, JSONL, JSON, Parquet, .xlsx), or a JSON list of texts.

    Repeated prompts count once; white space around a prompt is ignored.

    Raises:
        InputError: the file cannot be read, has no prompts, or one that cannot be saved in a CSV.
    """
    if kind_of(path):
        table = read_table(path)
        (column,) = table.need("prompt") if table.columns else ("",)
        problems = []
        for i, record in enumerate(table.records):
            value = record.get(column)
            if not isinstance(value, str) or not value.strip():
                problems.append(f"{table.at(i)}: prompt is not a text: {shorten(str(value))}; write the text or delete the row")
            elif what := find_unwritable(value):
                problems.append(f"{table.at(i)}: {what} in {shorten(value)}; remove it")
        if problems:
            raise TableError(problems)
        prompts = [record[column] for record in table.records]
    else:
        prompts = read_text(path).split("\n")
        for line, prompt in enumerate(prompts, 1):
            _check_writable(f"{path}:{line}", prompt)
    prompts = list(dict.fromkeys(prompt.strip() for prompt in prompts if prompt.strip()))
    if not prompts:
        raise InputError(f"{path}: has no prompts; write one per line")
    return prompts


def read_candidates(path: str | Path) -> list[Candidates]:
    """Read a candidates file in order; several objects for one prompt are joined. Other keys are kept.

    Answers stay as they are, with their indentation; see `distinct` for those that are dropped.

    Raises:
        InputError: a line is not an object with a `prompt` and a list of texts `answers`, or a CSV cannot hold one of the texts.
    """
    found: dict[str, Candidates] = {}
    if kind_of(path) == "jsonl":
        records = read_jsonl(path)
    else:
        table = read_table(path)
        columns = table.need("prompt"), table.find("answer"), table.find("answers")
        records = [(number, _as_candidates(record, *columns)) for number, record in zip(table.numbers, table.records, strict=True)]
    for line, record in records:
        prompt = _text(path, line, record, "prompt")
        answers = record.get("answers")
        if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
            raise InputError(f'{path}:{line}: "answers" is not a list of texts: {str(answers)[:60]!r}; write ["one", "two"]')
        for answer in answers:
            _check_writable(f'{path}:{line}: "answers"', answer)
        details = {key: value for key, value in record.items() if key not in ("prompt", "answers")}
        candidates = found.setdefault(prompt, Candidates(prompt, [], details))
        candidates.answers = distinct([*candidates.answers, *answers])
    return list(found.values())


def _as_candidates(record: dict, prompt: list[str], answer: str | None, answers: str | None) -> dict:
    """Return a record of any table, with one answer or a list of them, as a line of candidates.jsonl has them."""
    listed = record.get(answers) if answers else [record.get(answer) or ""] if answer else None
    if isinstance(listed, str) and listed.lstrip().startswith("["):  # a cell of a CSV
        with contextlib.suppress(ValueError):
            listed = json.loads(listed)
    return {"prompt": record.get(prompt[0]), "answers": listed}


def append_candidates(path: str | Path, candidates: Candidates) -> None:
    """Add one prompt's candidates to the file; they are on the disk when this returns.

    Raises:
        InputError: the file cannot be written, as on a full disk.
    """
    if kind_of(path, "jsonl") != "jsonl":
        raise InputError(f"{path}: candidates are added to JSONL only; choose another --candidates")
    record = {"prompt": candidates.prompt, "answers": candidates.answers, **candidates.details}
    try:
        append_durably(path, json.dumps(record, ensure_ascii=False))
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); make room, or choose another --candidates") from error


def distinct(answers: Iterable[str], key: Callable[[str], str] = str.strip) -> list[str]:
    """Drop empty answers, and those whose key an earlier one has; by default, white space around an answer does not count.

    >>> distinct(["US", "us", "  if x:", "", "us "])
    ['US', 'us', '  if x:']
    """
    kept: dict[str, str] = {}
    for answer in answers:
        if answer.strip():
            kept.setdefault(key(answer), answer)
    return list(kept.values())


def folded(answer: str) -> str:
    """Return what two answers share that say the same: a model that differs only in case and white space has nothing new to say.

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


def _text(path: str | Path, line: int, record: dict, key: str) -> str:
    value = record.get(key)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f'{path}:{line}: "{key}" is not a text: {str(value)[:60]!r}; write "{key}": "…"')
    _check_writable(f'{path}:{line}: "{key}"', value)
    return value.strip()


def _check_writable(place: str, text: str) -> None:
    if what := find_unwritable(text):
        raise InputError(f"{place}: {what} in {shorten(text)}; remove it")
