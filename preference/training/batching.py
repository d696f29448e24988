"""Batches of whole rankings in which no work is spent on padding.

A step holds a few prompts with all their answers, since the objectives compare a prompt's answers. The
answers are then encoded in chunks of like length: shape (answers of a chunk, their longest). The rewards are
put back in order before any comparison is made, so chunking changes the time and not the result.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from preference.errors import InputError
from preference.model.encoding import CHUNK_COST_CPU, pad_chunk, plan_chunks
from preference.training.encoded_table import split_answers
from preference.wording import counted


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

    Every epoch shuffles the rankings and cuts them into steps of about `answers_per_step` answers;
    a ranking is never broken. With several processes a step is cut once more, so that together they train
    on the same rankings as one process would. The order follows from `seed` and the epoch alone.

    Args:
        sizes: answers of each ranking.
        answers_per_step: over all processes together.
    """

    def __init__(self, sizes: Sequence[int], answers_per_step: int, seed: int, processes: int = 1, process: int = 0):
        if len(sizes) < processes:
            raise InputError(
                f"{counted(len(sizes), 'ranking')} to train on cannot be shared by {processes} processes; start at most {len(sizes)}"
            )
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
         "positions": [[0, 2], [1, 0]],   # where each answer's reward is in the joined output of the chunks
         "ranks":     [[1, 2], [1, 0]]}   # 0 is padding
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, chunk_cost: int = CHUNK_COST_CPU):
        self.tokenizer, self.chunk_cost = tokenizer, chunk_cost

    def __call__(self, rankings: Sequence[dict]) -> dict:
        answers = [answer for ranking in rankings for answer in split_answers(ranking)]
        chunks, padded = self.chunks_of(answers)
        place = {answer: position for position, answer in enumerate(i for chunk in chunks for i in chunk)}
        widest = max(len(ranking["ranks"]) for ranking in rankings)
        positions = torch.zeros(len(rankings), widest, dtype=torch.long)
        ranks = torch.zeros(len(rankings), widest, dtype=torch.long)
        answer = 0
        for row, ranking in enumerate(rankings):
            for column, rank in enumerate(ranking["ranks"]):
                positions[row, column], ranks[row, column] = place[answer], rank
                answer += 1
        return {"chunks": padded, "positions": positions, "ranks": ranks}

    def chunks_of(self, answers: Sequence[dict]) -> tuple[list[list[int]], list[dict[str, Tensor]]]:
        """Return chunks of answers, by their positions, and the model inputs of each."""
        chunks = plan_chunks([len(answer["input_ids"]) for answer in answers], self.chunk_cost)
        return chunks, [pad_chunk(self.tokenizer, [answers[i] for i in chunk]) for chunk in chunks]


class StatesCollator(RankingCollator):
    """The same for rankings whose answers are states, shape (answers, width), instead of token ids: one chunk."""

    def __init__(self) -> None:
        pass

    def chunks_of(self, answers: Sequence[dict]) -> tuple[list[list[int]], list[dict[str, Tensor]]]:
        return [list(range(len(answers)))], [
            {"states": torch.from_numpy(np.stack([answer["states"] for answer in answers]))}
        ]
