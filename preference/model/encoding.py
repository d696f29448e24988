"""Texts to tensors: a prompt and an answer as token ids, padded together in chunks of similar length."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from preference.errors import InputError
from preference.model.base_models import quiet_transformers
from preference.model.decoders import write_chats
from preference.model.unpadding import runs_unpadded

# The fixed cost of a forward pass, in tokens: it decides between more passes and more padding.
CHUNK_COST_CPU = 64
CHUNK_COST_GPU = 4096
MAX_CHUNK_TOKENS = 8_192  # bounds the memory of a forward pass


def encode_pairs(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], answers: Sequence[str], max_length: int):
    """Encode each (prompt, answer) pair, as the tokenizer lays out a pair or, where it has a chat template, as a chat.

    Truncation cuts the end of the longer side first, token by token. A chat is cut before it is written: its template and its
    end stay whole.

    Returns:
        A list with one dict of model inputs per pair (without the attention mask, which padding makes), and a
        list that says of each pair whether it was cut at `max_length` tokens.

    Raises:
        InputError: the chat template alone is longer than `max_length`.
    """
    if tokenizer.chat_template:
        return _encode_chats(tokenizer, prompts, answers, max_length)
    encoded = tokenizer(
        list(prompts), list(answers), truncation="longest_first", max_length=max_length, return_attention_mask=False
    )
    names = list(encoded.keys())
    pairs = [dict(zip(names, values, strict=True)) for values in zip(*(encoded[name] for name in names), strict=True)]
    if encoded.encodings is None:  # a tokenizer written in Python does not tell
        return pairs, [len(pair["input_ids"]) >= max_length for pair in pairs]
    return pairs, [bool(encoding.overflowing) for encoding in encoded.encodings]


def input_names(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return the names of the model inputs that `encode_pairs` gives."""
    return (
        ["input_ids"]
        if tokenizer.chat_template
        else [name for name in tokenizer.model_input_names if name != "attention_mask"]
    )


def _encode_chats(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], answers: Sequence[str], max_length: int):
    encoded = _token_ids(tokenizer, write_chats(tokenizer, prompts, answers))
    cut = [len(ids) > max_length for ids in encoded]
    for i in (i for i, is_cut in enumerate(cut) if is_cut):
        encoded[i] = _encode_cut_chat(tokenizer, prompts[i], answers[i], max_length)
    return [{"input_ids": ids} for ids in encoded], cut


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


def _token_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    return tokenizer(list(texts), add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]


def longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """Return how many tokens of two texts are kept where the longer loses one after the other until both fit in `room`.

    >>> longest_first(5, 40, 20), longest_first(40, 40, 21), longest_first(5, 6, 20)
    ((5, 15), (10, 11), (5, 6))
    """
    if first + second <= room:
        return first, second
    half = room // 2
    if first <= second:
        return (kept := min(first, half)), room - kept
    return room - (kept := min(second, half)), kept


def beginning(tokenizer: PreTrainedTokenizerBase, text: str, tokens: int) -> str:
    """Return the part of `text` that its first `tokens` tokens cover."""
    if not tokenizer.is_fast:
        return tokenizer.decode(_token_ids(tokenizer, [text])[0][:tokens])
    places = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)["offset_mapping"][
        :tokens
    ]
    return text[: places[-1][1]] if places else ""


def pad_chunk(tokenizer: PreTrainedTokenizerBase, encoded: Sequence[dict]) -> dict[str, Tensor]:
    """Pad encoded texts to their longest: tensors of shape (texts, longest), as the model takes them."""
    with (
        quiet_transformers()
    ):  # pad alone is slower than calling the tokenizer, it warns; the token ids come from the table
        side = "right" if tokenizer.chat_template else None  # None: the tokenizer's own
        return dict(tokenizer.pad(list(encoded), padding_side=side, return_tensors="pt"))


def plan_chunks(lengths: Sequence[int], chunk_cost: int | None, max_tokens: int = MAX_CHUNK_TOKENS) -> list[list[int]]:
    """Partition the positions of `lengths` into chunks of similar length at the least total cost.

    A chunk costs `chunk_cost` plus its padded size, both in tokens; its padded size stays within
    `max_tokens` unless one text alone is longer. Found by dynamic programming over the sorted lengths.
    None means that padding costs nothing: the chunks are as large as `max_tokens` allows.

    >>> plan_chunks([10, 100, 11, 98], chunk_cost=32)
    [[0, 2], [3, 1]]
    >>> plan_chunks([10, 100, 11, 98], chunk_cost=None)
    [[0, 2, 3, 1]]
    """
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    if chunk_cost is None:
        return _fill_chunks(order, lengths, max_tokens)
    best, start_of = [0], [0]  # best[n]: least cost of the n shortest; start_of[n]: where their last chunk starts
    for end in range(1, len(order) + 1):
        longest = lengths[order[end - 1]]
        first = max(0, end - max(1, max_tokens // max(longest, 1)))
        cost, start = min((best[s] + chunk_cost + (end - s) * longest, s) for s in range(first, end))
        best.append(cost)
        start_of.append(start)
    chunks, end = [], len(order)
    while end:
        chunks.append(order[start_of[end] : end])
        end = start_of[end]
    return chunks[::-1]


def _fill_chunks(order: list[int], lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Cut `order`, positions by rising length, into chunks whose padded size stays within `max_tokens`."""
    chunks: list[list[int]] = []
    for position in order:
        if chunks and (len(chunks[-1]) + 1) * lengths[position] <= max_tokens:
            chunks[-1].append(position)
        else:
            chunks.append([position])
    return chunks


def chunk_cost_of(model: PreTrainedModel, device: str) -> int | None:
    """Return what one more forward pass of `model` costs on `device`, in tokens; None: padding costs nothing (see `plan_chunks`)."""
    if torch.device(device).type != "cpu":
        return CHUNK_COST_GPU
    return None if runs_unpadded(model) else CHUNK_COST_CPU


def rewards_of_chunks(model, chunks: Sequence[dict[str, Tensor]]) -> Tensor:
    """Return the rewards of all chunks joined, shape (answers,), in fp32."""
    return torch.cat([model(**chunk).logits.squeeze(-1).float() for chunk in chunks])
