"""Batches of whole rankings in which no work is spent on padding.

A step holds a few prompts with all their answers, since the objectives compare a prompt's answers. The
answers are then encoded in chunks of like length: shape (answers of a chunk, their longest). The rewards are
put back in order before any comparison is made, so chunking changes the time and not the result. Where the model's
layers run unpadded (`preference.unpadding`) a step is one chunk, unless memory sets a bound.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase

# What one more forward pass costs, in tokens of work: many small passes or some padding, whichever is less.
CHUNK_COST_CPU = 64
CHUNK_COST_GPU = 4096
MAX_CHUNK_TOKENS = 8_192  # bounds the memory of a forward pass


def plan_chunks(lengths: Sequence[int], chunk_cost: int | None, max_tokens: int = MAX_CHUNK_TOKENS) -> list[list[int]]:
    """Partition the positions of `lengths` into chunks of like length at the least total cost.

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


def encode_pairs(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], answers: Sequence[str], max_length: int):
    """Encode each (prompt, answer) pair; truncation cuts the longer side first, token by token.

    Returns:
        A list with one dict of model inputs a pair (without the attention mask, which padding makes), and a
        list that says of each pair whether it was cut at `max_length` tokens.
    """
    encoded = tokenizer(list(prompts), list(answers), truncation="longest_first", max_length=max_length, return_attention_mask=False)
    names = list(encoded.keys())
    pairs = [dict(zip(names, values, strict=True)) for values in zip(*(encoded[name] for name in names), strict=True)]
    if encoded.encodings is None:  # a tokenizer written in Python does not tell
        return pairs, [len(pair["input_ids"]) >= max_length for pair in pairs]
    return pairs, [bool(encoding.overflowing) for encoding in encoded.encodings]


def pad_chunk(tokenizer: PreTrainedTokenizerBase, encoded: Sequence[dict]) -> dict[str, Tensor]:
    """Pad encoded texts to their longest: tensors of shape (texts, longest), as the model takes them."""
    fill = {"input_ids": tokenizer.pad_token_id, "token_type_ids": tokenizer.pad_token_type_id}
    inputs = {name: [torch.tensor(text[name]) for text in encoded] for name in encoded[0]}
    inputs["attention_mask"] = [torch.ones_like(ids) for ids in inputs["input_ids"]]
    return {
        name: pad_sequence(texts, batch_first=True, padding_value=fill.get(name, 0), padding_side=tokenizer.padding_side)
        for name, texts in inputs.items()
    }


def cut_evenly(sizes: Sequence[int], parts: int, least: int = 1) -> list[range]:
    """Cut a sequence into `parts` runs of about equal total size, each of at least `least` items.

    >>> cut_evenly([4, 4, 4, 4, 12], parts=3)
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    if parts * least > len(sizes):
        raise ValueError(f"{len(sizes)} items cannot be cut into {parts} parts of at least {least}")
    totals = np.concatenate([[0], np.cumsum(sizes)])
    bounds = [0]
    for part in range(1, parts):
        target = totals[-1] * part / parts
        after = int(np.searchsorted(totals, target))
        nearest = after - 1 if after and target - totals[after - 1] < totals[after] - target else after
        bounds.append(min(max(nearest, bounds[-1] + least), len(sizes) - (parts - part) * least))
    bounds.append(len(sizes))
    return [range(a, b) for a, b in zip(bounds, bounds[1:], strict=False)]


class RankingBatchSampler:
    """Yields, for each step, the positions of the rankings that this process trains on.

    Every epoch shuffles the rankings anew and cuts them into steps of about `answers_per_step` answers;
    a ranking is never broken. With several processes a step is cut once more, so that together they train
    on the same rankings as one process would. The order follows from `seed` and the epoch alone.

    Args:
        sizes: answers of each ranking.
        answers_per_step: over all processes together.
    """

    def __init__(self, sizes: Sequence[int], answers_per_step: int, seed: int, processes: int = 1, process: int = 0):
        if len(sizes) < processes:
            raise ValueError(f"{len(sizes)} prompts cannot be shared by {processes} processes; start at most {len(sizes)}")
        self.sizes, self.seed, self.epoch = np.asarray(sizes), seed, 0
        self.processes, self.process = processes, process
        wanted = max(1, round(int(self.sizes.sum()) / answers_per_step))
        self.steps = min(wanted, len(self.sizes) // processes)

    def __len__(self) -> int:
        return self.steps

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.sizes))
        sizes = self.sizes[order]
        for step in cut_evenly(sizes, self.steps, least=self.processes):
            share = cut_evenly(sizes[step.start : step.stop], self.processes)[self.process]
            yield [int(i) for i in order[step.start + share.start : step.start + share.stop]]


class RankingCollator:
    """Turns encoded rankings into the tensors of one step.

    Two prompts with 2 and 1 answers, the second answer much longer than the others, give

        {"chunks": [{"input_ids": (2, 9), "attention_mask": (2, 9)},      # answers 0 and 2
                    {"input_ids": (1, 80), "attention_mask": (1, 80)}],   # answer 1
         "positions": [[0, 2], [1, 0]],   # where each answer's reward stands in the chunks' joined output
         "ranks":     [[1, 2], [1, 0]]}   # 0 is padding
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, chunk_cost: int | None = CHUNK_COST_CPU):
        self.tokenizer, self.chunk_cost = tokenizer, chunk_cost

    def __call__(self, rankings: Sequence[dict]) -> dict:
        answers = [answer for ranking in rankings for answer in split_answers(ranking)]
        chunks = plan_chunks([len(answer["input_ids"]) for answer in answers], self.chunk_cost)
        place = {answer: position for position, answer in enumerate(i for chunk in chunks for i in chunk)}
        widest = max(len(ranking["ranks"]) for ranking in rankings)
        positions = torch.zeros(len(rankings), widest, dtype=torch.long)
        ranks = torch.zeros(len(rankings), widest, dtype=torch.long)
        answer = 0
        for row, ranking in enumerate(rankings):
            for column, rank in enumerate(ranking["ranks"]):
                positions[row, column], ranks[row, column] = place[answer], rank
                answer += 1
        padded = [pad_chunk(self.tokenizer, [answers[i] for i in chunk]) for chunk in chunks]
        return {"chunks": padded, "positions": positions, "ranks": ranks}


def split_answers(ranking: dict) -> list[dict]:
    """Split an encoded ranking (lists with one entry an answer) into one dict of model inputs an answer."""
    names = [name for name in ranking if name not in ("ranks", "truncated")]
    return [dict(zip(names, values, strict=True)) for values in zip(*(ranking[name] for name in names), strict=True)]


def rewards_of_chunks(model, chunks: Sequence[dict[str, Tensor]]) -> Tensor:
    """Return the rewards of all chunks joined, shape (answers,), in fp32."""
    return torch.cat([model(**chunk).logits.squeeze(-1).float() for chunk in chunks])
