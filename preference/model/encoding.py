"""Texts to tensors: a prompt and an answer as token ids, padded together in chunks of similar length."""

from collections.abc import Callable, Sequence

import torch
from datasets import Dataset
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from preference.data.rankings import Ranking
from preference.errors import InputError
from preference.wording import name_some, shorten

# The fixed cost of a forward pass, in tokens: how much padding one pass less is worth.
CHUNK_COST_CPU = 64
CHUNK_COST_GPU = 4096
MAX_CHUNK_TOKENS = 8_192  # bounds the memory of a forward pass


def encode_pairs(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], answers: Sequence[str], max_length: int):
    """Encode each (prompt, answer) pair, as the tokenizer lays out a pair or, where it has a chat template, as a chat.

    Truncation cuts the end of the longer side first, token by token; a chat's template stays whole.

    Returns:
        A list with one dict of model inputs per pair, without the attention mask, and a list that says of each pair
        whether it was cut at `max_length` tokens.
    """
    if tokenizer.chat_template:
        ids = _token_ids(tokenizer, write_chats(tokenizer, prompts, answers))
        cut = [len(of_chat) > max_length for of_chat in ids]
        for i in (i for i, is_cut in enumerate(cut) if is_cut):
            ids[i] = _encode_cut_chat(tokenizer, prompts[i], answers[i], max_length)
        return [{"input_ids": of_chat} for of_chat in ids], cut
    encoded = tokenizer(
        list(prompts), list(answers), truncation="longest_first", max_length=max_length, return_attention_mask=False
    )
    pairs = [dict(zip(encoded.keys(), values, strict=True)) for values in zip(*encoded.values(), strict=True)]
    if encoded.encodings is None:  # a tokenizer written in Python does not tell
        return pairs, [len(pair["input_ids"]) >= max_length for pair in pairs]
    return pairs, [bool(encoding.overflowing) for encoding in encoded.encodings]


def encode_rankings(
    rankings: Sequence[Ranking], tokenizer: PreTrainedTokenizerBase, max_length: int,
    on_message: Callable[[str], object] = lambda text: None,
) -> Dataset:  # fmt: skip
    """Return a table with one row per ranking: its `ranks`, `pairs` (see `encode_pairs`), and how many were `cut`.

    Where answers were cut, `on_message` gets a warning.
    """
    rows = []
    for ranking in rankings:
        pairs, cut = encode_pairs(tokenizer, [ranking.prompt] * len(ranking.answers), ranking.answers, max_length)
        rows.append({"ranks": ranking.ranks, "pairs": pairs, "cut": sum(cut)})
    if prompts := dict.fromkeys(shorten(r.prompt) for r, row in zip(rankings, rows, strict=True) if row["cut"]):
        share = f"{sum(row['cut'] for row in rows)} of {sum(len(row['pairs']) for row in rows)} answers"
        how = f"were cut at {max_length} tokens, the longer of prompt and answer first"
        on_message(f"warning: {share} {how}; to {name_some(prompts)}")
    return Dataset.from_list(rows)


def write_chats(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], answers: Sequence[str]) -> list[str]:
    """Write each prompt and answer as a chat of two messages, in the tokenizer's template."""
    chats = []
    for prompt, answer in zip(prompts, answers, strict=True):
        chats.append([{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}])
    return tokenizer.apply_chat_template(chats, tokenize=False)


def _token_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    return tokenizer(list(texts), add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]


def _encode_cut_chat(tokenizer: PreTrainedTokenizerBase, prompt: str, answer: str, max_length: int) -> list[int]:
    """Return the token ids of the chat with the beginnings of `prompt` and `answer` that fit in `max_length` tokens."""
    prompt_length, answer_length = (len(ids) for ids in _token_ids(tokenizer, [prompt, answer]))
    room = max_length - len(_token_ids(tokenizer, write_chats(tokenizer, [""], [""]))[0])
    while room > 0:
        kept = longest_first(prompt_length, answer_length, room)
        texts = [beginning(tokenizer, text, tokens) for text, tokens in zip((prompt, answer), kept, strict=True)]
        ids = _token_ids(tokenizer, write_chats(tokenizer, texts[:1], texts[1:]))[0]
        if len(ids) <= max_length:
            return ids
        room -= len(ids) - max_length  # at a seam, tokens of two texts may part or join
    raise InputError(f"--max-length {max_length}: the model's chat template alone takes as many tokens; raise it")


def longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """Return how many tokens of two texts are kept where the longer loses one after the other until both fit in `room`.

    >>> longest_first(5, 40, 20), longest_first(40, 40, 21), longest_first(5, 6, 20)
    ((5, 15), (10, 11), (5, 6))
    """
    if first + second <= room:
        return first, second
    shorter = min(first, second, room // 2)
    return (shorter, room - shorter) if first <= second else (room - shorter, shorter)


def beginning(tokenizer: PreTrainedTokenizerBase, text: str, tokens: int) -> str:
    """Return the part of `text` that its first `tokens` tokens cover."""
    if not tokenizer.is_fast:
        return tokenizer.decode(_token_ids(tokenizer, [text])[0][:tokens])
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    places = encoded["offset_mapping"][:tokens]
    return text[: places[-1][1]] if places else ""


def pad_chunk(tokenizer: PreTrainedTokenizerBase, encoded: Sequence[dict]) -> dict[str, Tensor]:
    """Pad encoded texts to their longest: tensors of shape (texts, longest), as the model takes them."""
    side = "right" if tokenizer.chat_template else None  # None: the tokenizer's own
    return dict(tokenizer.pad(list(encoded), padding_side=side, return_tensors="pt"))


def plan_chunks(lengths: Sequence[int], chunk_cost: int, max_tokens: int = MAX_CHUNK_TOKENS) -> list[list[int]]:
    """Partition the positions of `lengths` into chunks of similar length.

    A chunk takes the next longer text as long as its padding stays within `chunk_cost`, what another pass would cost,
    and its padded size within `max_tokens`.

    >>> plan_chunks([10, 100, 11, 98], chunk_cost=32)
    [[0, 2], [3, 1]]
    """
    chunks: list[list[int]] = []
    tokens = 0  # of the last chunk, without padding
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        padded = (len(chunks[-1]) + 1) * lengths[i] if chunks else 0
        tokens += lengths[i]
        if chunks and padded <= max_tokens and padded - tokens <= chunk_cost:
            chunks[-1].append(i)
        else:
            chunks.append([i])
            tokens = lengths[i]
    return chunks


def chunk_cost_of(device: str) -> int:
    """Return what one more forward pass costs on `device`, in tokens."""
    return CHUNK_COST_CPU if torch.device(device).type == "cpu" else CHUNK_COST_GPU


def rewards_of_chunks(model, chunks: Sequence[dict[str, Tensor]]) -> Tensor:
    """Return the rewards of all chunks joined, shape (answers,), in fp32."""
    return torch.cat([model(**chunk).logits.squeeze(-1).float() for chunk in chunks])
