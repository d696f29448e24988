"""Rankings as token ids: a table of the datasets library, one row per ranking."""

from collections.abc import Sequence

from datasets import (
    Dataset,
    Features,
    List,
    Value,
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)
from transformers import PreTrainedTokenizerBase

from preference.data.rankings import Ranking
from preference.model.encoding import encode_pairs, input_names
from preference.wording import counted, name_some, shorten

_RANKINGS_AT_ONCE = 256


def encode_rankings(rankings: Sequence[Ranking], tokenizer: PreTrainedTokenizerBase, max_length: int) -> Dataset:
    """Return a table with one row per ranking.

    Columns: `ranks`, list of n; each model input (`input_ids`, …), list of n lists of token ids; and
    `truncated`, how many of the n answers were cut at `max_length` tokens.
    """
    inputs = input_names(tokenizer)

    def encode(rows: dict[str, list]) -> dict[str, list]:
        prompts = [prompt for prompt, answers in zip(rows["prompt"], rows["answers"], strict=True) for _ in answers]
        pairs, cut = encode_pairs(
            tokenizer, prompts, [answer for answers in rows["answers"] for answer in answers], max_length
        )
        encoded: dict[str, list] = {name: [] for name in (*inputs, "truncated")}
        first = 0
        for answers in rows["answers"]:
            of_ranking = slice(first, first := first + len(answers))
            for name in inputs:
                encoded[name].append([pair[name] for pair in pairs[of_ranking]])
            encoded["truncated"].append(sum(cut[of_ranking]))
        return encoded

    texts = {
        "prompt": [r.prompt for r in rankings],
        "answers": [r.answers for r in rankings],
        "ranks": [r.ranks for r in rankings],
    }
    features = Features(
        {name: List(List(Value("int32"))) for name in inputs}
        | {"ranks": List(Value("int32")), "truncated": Value("int32")}
    )
    hidden = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        table = Dataset.from_dict(texts)
        return table.map(
            encode,
            batched=True,
            batch_size=_RANKINGS_AT_ONCE,
            remove_columns=["prompt", "answers"],
            features=features,
            keep_in_memory=True,
        )
    finally:
        if not hidden:
            enable_progress_bars()


def warn_of_cut_answers(encoded: Dataset, rankings: Sequence[Ranking], max_length: int) -> str | None:
    """Return a warning where answers were cut in `encoded`, the table of `rankings` at `max_length` tokens.

    It also counts the rankings in which answers of different ranks became the same input: what the person saw, no model can.
    """
    cut = encoded["truncated"][:]
    if not sum(cut):
        return None
    prompts = name_some(
        dict.fromkeys(shorten(ranking.prompt) for ranking, count in zip(rankings, cut, strict=True) if count)
    )
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


def split_answers(ranking: dict) -> list[dict]:
    """Split an encoded ranking (one entry per answer under each name) into one dict of model inputs per answer."""
    names = [name for name in ranking if name not in ("ranks", "truncated")]
    return [dict(zip(names, values, strict=True)) for values in zip(*(ranking[name] for name in names), strict=True)]
