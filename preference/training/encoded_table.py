"""Rankings as token ids, in a memory-mapped table that is made once and read lazily."""

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from datasets import Dataset, Features, List, Value
from datasets.arrow_writer import ArrowWriter
from transformers import PreTrainedTokenizerBase

from preference.cache import cache_folder, remove_old
from preference.data.rankings import Ranking
from preference.durable_files import writing_to
from preference.model.encoding import encode_pairs, input_names
from preference.wording import counted, name_some, shorten

_TABLE_FORMAT = "1"
_RANKINGS_AT_ONCE = 256


def encode_rankings(rankings: Sequence[Ranking], tokenizer: PreTrainedTokenizerBase, max_length: int) -> Dataset:
    """Return a memory-mapped table with one row per ranking.

    Columns: `ranks`, list of n; each model input (`input_ids`, …), list of n lists of token ids; and
    `truncated`, how many of the n answers were cut at `max_length` tokens.

    The table is kept in the cache folder under a key of the texts and ranks, the tokenizer and `max_length`. Several
    processes may ask for the same one at once; a damaged one is made again.

    Raises:
        InputError: the disk is full.
    """
    parts = [_TABLE_FORMAT, digest_of(rankings), _description(tokenizer), str(max_length)]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    path = cache_folder("encoded") / f"{key}.arrow"
    table = _read_table(path, rankings)
    if table is None:
        remove_old(path.parent)
        texts = sum(len(ranking.prompt) + len(answer) for ranking in rankings for answer in ranking.answers)
        with writing_to(path.parent, size=texts):  # four bytes a token, four letters a token
            _write_table(path, rankings, tokenizer, max_length)
        table = Dataset.from_file(str(path))
    os.utime(path)
    return table


def warn_of_cut_answers(encoded: Dataset, rankings: Sequence[Ranking], max_length: int) -> str | None:
    """Return a warning where answers were cut in `encoded`, the table of `rankings` at `max_length` tokens.

    It also counts the rankings in which answers of different ranks became the same input: what the person saw, no model can.
    """
    cut = encoded["truncated"][:]
    if not sum(cut):
        return None
    prompts = name_some(dict.fromkeys(shorten(ranking.prompt) for ranking, count in zip(rankings, cut, strict=True) if count))
    answers = sum(len(ranking.answers) for ranking in rankings)
    warning = f"warning: {sum(cut)} of {answers} answers were cut at {max_length} tokens, the longer of prompt and answer first; to {prompts}"
    alike = []
    for i in (i for i, count in enumerate(cut) if count > 1):
        row = encoded[i]
        inputs = [tuple(ids) for ids in row["input_ids"]]
        if len({*inputs}) < len({*zip(inputs, row["ranks"], strict=True)}):
            alike.append(shorten(rankings[i].prompt))
    if not alike:
        return warning
    which = f"In {counted(len(alike), 'ranking')} answers of different ranks are identical up to there, and can only get the same reward"
    return f"{warning}. {which}; give a larger --max-length, or shorten what they share: {name_some(alike)}"


def digest_of(rankings: Sequence[Ranking]) -> str:
    """Return the SHA-256 of the rankings' texts and ranks: the same for the same rankings in the same order."""
    digest = hashlib.sha256()
    for ranking in rankings:
        digest.update(json.dumps([ranking.prompt, ranking.answers, ranking.ranks]).encode())
    return digest.hexdigest()


def _description(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return all that decides which token ids the tokenizer gives, and nothing of the calls made so far."""
    chat = json.dumps([tokenizer.chat_template, tokenizer.special_tokens_map]) if tokenizer.chat_template else ""
    if not hasattr(tokenizer, "backend_tokenizer"):
        return f"{tokenizer.__class__.__name__}{sorted(tokenizer.get_vocab().items())}{chat}"
    return json.dumps(json.loads(tokenizer.backend_tokenizer.to_str()) | {"truncation": None, "padding": None}) + chat


def _read_table(path: Path, rankings: Sequence[Ranking]) -> Dataset | None:
    """Return the table of `rankings` at `path`, or None if there is none or it is damaged."""
    if not path.exists():
        return None
    try:
        table = Dataset.from_file(str(path))
        return table if table["ranks"][:] == [ranking.ranks for ranking in rankings] else None
    except Exception:  # a damaged file can raise anything
        return None


def _write_table(path: Path, rankings: Sequence[Ranking], tokenizer: PreTrainedTokenizerBase, max_length: int) -> None:
    inputs = input_names(tokenizer)
    features = Features({name: List(List(Value("int32"))) for name in inputs} | {"ranks": List(Value("int32")), "truncated": Value("int32")})
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    os.close(descriptor)
    try:
        writer = ArrowWriter(path=temporary, features=features, writer_batch_size=_RANKINGS_AT_ONCE)
        for start in range(0, len(rankings), _RANKINGS_AT_ONCE):
            some = rankings[start : start + _RANKINGS_AT_ONCE]
            pairs, cut = encode_pairs(tokenizer, [r.prompt for r in some for _ in r.answers], [a for r in some for a in r.answers], max_length)
            first = 0
            for ranking in some:
                of_prompt = slice(first, first := first + len(ranking.answers))
                row = {name: [pair[name] for pair in pairs[of_prompt]] for name in inputs}
                writer.write(row | {"ranks": ranking.ranks, "truncated": sum(cut[of_prompt])})
        writer.finalize()
        writer.close()
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def split_answers(ranking: dict) -> list[dict]:
    """Split an encoded ranking (lists with one entry per answer) into one dict of model inputs per answer."""
    names = [name for name in ranking if name not in ("ranks", "truncated")]
    return [dict(zip(names, values, strict=True)) for values in zip(*(ranking[name] for name in names), strict=True)]
