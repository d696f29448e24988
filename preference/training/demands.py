"""What a training will take, said before it begins: memory where the machine has less, time where it is long."""

import contextlib
import json
import math
from pathlib import Path

import psutil
import pyarrow.compute as pc
import torch
from datasets import Dataset
from torch import nn
from transformers import PreTrainedModel

from preference.machine import matmul_rate
from preference.training.settings import TrainingSettings
from preference.wording import as_size

LONG = 600  # seconds
_EFFICIENCY = 0.4  # of the machine's rate in one large product, which a training reaches with all else that it does
_LONGEST_HEADER = 100_000_000  # bytes, as safetensors allows


def warn_of_weights(base: Path) -> str | None:
    """Return a warning where the weights of the folder `base`, loaded in fp32, exceed the memory that is free."""
    numbers = 0
    for path in base.glob("*.safetensors"):
        with contextlib.suppress(OSError, ValueError, KeyError), open(path, "rb") as file:  # damaged: loading says so
            header = json.loads(file.read(min(int.from_bytes(file.read(8), "little"), _LONGEST_HEADER)))
            numbers += sum(math.prod(part["shape"]) for name, part in header.items() if name != "__metadata__")
    return _compare("loading the base model", 4 * numbers, psutil.virtual_memory().available, "choose a smaller --base-model")


def warn_of_memory(model: PreTrainedModel, encoded: Dataset, settings: TrainingSettings, *, keeps_best: bool) -> str | None:
    """Return a warning where training the loaded `model` exceeds the memory that is free."""
    if settings.device == "cpu":
        free = psutil.virtual_memory().available
    elif settings.device == "cuda":
        free = torch.cuda.mem_get_info()[0]
    else:
        return None
    largest = max(settings.batch_size, max(len(ranks) for ranks in encoded["ranks"]))
    needed = memory_of_training(model, sum(sorted(token_counts(encoded))[-largest:]), keeps_best=keeps_best)
    return _compare("training", needed, free, "lower --batch-size or --max-length, or raise --freeze-layers")


def _compare(what: str, needed: float, free: float, remedy: str) -> str | None:
    return f"warning: {what} takes about {as_size(needed)} of memory, and {as_size(free)} is free; {remedy}" if needed > free else None


def memory_of_training(model: PreTrainedModel, tokens: int, *, keeps_best: bool) -> int:
    """Estimate the bytes that training takes beside the loaded weights.

    Four bytes for each number: of trained weights, the gradient and Adam's two averages; of all weights a copy of the best; and what
    each trained matrix reads and writes in a step, for the backward pass.

    Args:
        tokens: of a step.
    """
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    everything = sum(parameter.numel() for parameter in model.parameters())
    return 4 * (3 * trained + everything * keeps_best + tokens * sum(sum(matrix.shape) for matrix in _matrices(model) if matrix.requires_grad))


def token_counts(encoded: Dataset) -> list[int]:
    """Return the number of tokens of every answer in an encoded table."""
    texts = encoded.with_format("arrow")["input_ids"][:]
    return pc.list_value_length(pc.list_flatten(texts)).to_pylist()


def say_time(model: PreTrainedModel, encoded: Dataset, settings: TrainingSettings, steps: int, precision: str) -> str | None:
    """Return one line on how long training takes, where it takes longer than `LONG` on this CPU."""
    if settings.device != "cpu":
        return None
    counts = token_counts(encoded)
    work = operations(model) * steps * settings.batch_size * sum(counts) / len(counts)
    rate = matmul_rate(
        torch.bfloat16 if precision == "bf16" else torch.float32, rows=512, width=model.config.get_text_config().hidden_size, seconds=0.05
    )
    seconds = work / (rate * _EFFICIENCY)
    if seconds < LONG:
        return None
    return f"training will take about {round(seconds / 60)} minutes on this machine; a lower --max-length or --epochs makes it shorter"


def operations(model: PreTrainedModel) -> int:
    """Return the floating-point operations for a token of a training step: two for each weight, and four more where it is trained."""
    return sum(matrix.numel() * (6 if matrix.requires_grad else 2) for matrix in _matrices(model))


def _matrices(model: PreTrainedModel) -> list[nn.Parameter]:
    return [
        parameter
        for module in model.modules()
        if not isinstance(module, nn.Embedding)
        for parameter in module.parameters(recurse=False)
        if parameter.ndim == 2
    ]
