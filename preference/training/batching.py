"""Rankings as token ids, and batches of whole rankings in which no work is spent on padding.

A step holds a few prompts with all their answers, since the objectives compare a prompt's answers. The answers are
encoded in chunks of like length, shape (answers of a chunk, their longest), and the rewards put back in order before
any comparison is made.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from datasets import Dataset, concatenate_datasets
from transformers import PreTrainedTokenizerBase

from preference.data.rankings import Ranking
from preference.errors import InputError
from preference.model.encoding import CHUNK_COST_CPU, encode_pairs, pad_chunk, plan_chunks
from preference.training.objectives import pad_rankings
from preference.wording import counted, name_some, shorten

_RANKINGS_AT_ONCE = 1000


def encode_rankings(rankings: Sequence[Ranking], tokenizer: PreTrainedTokenizerBase, max_length: int) -> Dataset:
    """Return a table with one row per ranking.

    Columns: `ranks`, list of n; each model input (`input_ids`, …), list of n lists of token ids; `truncated`, how many
    of the n answers were cut at `max_length` tokens.
    """

    def rows(part: Sequence[Ranking]) -> Iterator[dict]:
        prompts = [ranking.prompt for ranking in part for _ in ranking.answers]
        answers = [answer for ranking in part for answer in ranking.answers]
        encoded = zip(*encode_pairs(tokenizer, prompts, answers, max_length), strict=True)
        for ranking in part:
            pairs, cut = zip(*islice(encoded, len(ranking.answers)), strict=True)
            inputs = {name: [pair[name] for pair in pairs] for name in pairs[0]}
            yield {"ranks": ranking.ranks, "truncated": sum(cut), **inputs}

    firsts = range(0, len(rankings), _RANKINGS_AT_ONCE)
    return concatenate_datasets([Dataset.from_list([*rows(rankings[i : i + _RANKINGS_AT_ONCE])]) for i in firsts])


def split_answers(ranking: dict) -> list[dict]:
    """Split an encoded ranking (one entry per answer under each name) into one dict of model inputs per answer."""
    names = [name for name in ranking if name not in ("ranks", "truncated")]
    return [dict(zip(names, values, strict=True)) for values in zip(*(ranking[name] for name in names), strict=True)]


def warn_of_cut_answers(encoded: Dataset, rankings: Sequence[Ranking], max_length: int) -> str | None:
    """Return a warning where answers were cut in `encoded`, the table of `rankings`."""
    cut, answers = encoded["truncated"][:], sum(len(ranking.answers) for ranking in rankings)
    prompts = dict.fromkeys(shorten(ranking.prompt) for ranking, count in zip(rankings, cut, strict=True) if count)
    if not prompts:
        return None
    return (
        f"warning: {sum(cut)} of {answers} answers were cut at {max_length} tokens, the longer of prompt and answer"
        f" first; to {name_some(prompts)}"
    )


def cut_evenly(sizes: Sequence[int] | np.ndarray, parts: int, least: int = 1) -> list[range]:
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

    Every epoch shuffles the rankings, which have `sizes` answers, and cuts them into steps of about `answers_per_step`
    answers; a ranking is never broken. With several processes a step is cut once more, so that together they train on
    the same rankings as one process would. The order follows from `seed` and the epoch alone.
    """

    def __init__(self, sizes: Sequence[int], answers_per_step: int, seed: int, processes: int = 1, process: int = 0):
        if len(sizes) < processes:
            raise InputError(
                f"{counted(len(sizes), 'ranking')} to train on cannot be shared by {processes} processes;"
                f" start at most {len(sizes)}"
            )
        self.sizes, self.seed, self.epoch = np.asarray(sizes), seed, 0
        self.processes, self.process = processes, process
        self.steps = min(max(1, round(int(self.sizes.sum()) / answers_per_step)), len(self.sizes) // processes)

    def __len__(self) -> int:
        return self.steps

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.sizes))
        sizes = self.sizes[order]
        for step in cut_evenly(sizes, self.steps, least=self.processes):
            share = cut_evenly(sizes[step.start : step.stop], self.processes)[self.process]
            yield order[step.start + share.start : step.start + share.stop].tolist()


class RankingCollator:
    """Turns encoded rankings into the tensors of one step.

    Two prompts with 2 and 1 answers, the second answer much longer than the others, give

        {"chunks": [{"input_ids": (2, 9), "attention_mask": (2, 9)},      # answers 0 and 2
                    {"input_ids": (1, 80), "attention_mask": (1, 80)}],   # answer 1
         "positions": [[0, 2], [1, 0]],   # where each answer's reward is in the joined output of the chunks
         "ranks":     [[1, 2], [1, 0]]}   # 0 is padding

    Without a tokenizer the answers are `states`, shape (answers, width), instead of token ids: one chunk.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase | None, chunk_cost: int = CHUNK_COST_CPU):
        self.tokenizer, self.chunk_cost = tokenizer, chunk_cost

    def __call__(self, rankings: Sequence[dict]) -> dict:
        if self.tokenizer is None:
            inputs = [{"states": torch.from_numpy(np.concatenate([ranking["states"] for ranking in rankings]))}]
            places = torch.arange(len(inputs[0]["states"]))
        else:
            answers = [answer for ranking in rankings for answer in split_answers(ranking)]
            chunks = plan_chunks([len(answer["input_ids"]) for answer in answers], self.chunk_cost)
            inputs = [pad_chunk(self.tokenizer, [answers[i] for i in chunk]) for chunk in chunks]
            places = torch.tensor([i for chunk in chunks for i in chunk]).argsort()
        positions, ranks = pad_rankings([ranking["ranks"] for ranking in rankings], places)
        return {"chunks": inputs, "positions": positions, "ranks": ranks}
