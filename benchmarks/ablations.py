"""This project's training with one of its measures for speed left out."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from unittest.mock import patch

import checkout  # noqa: F401

from preference.training.settings import TrainingSettings

PADDED = "a step's answers padded together"
DROPOUT = "dropout on"
ALL_LAYERS = "all layers trained"
FUSED_ATTENTION = "PyTorch's own attention in bf16"
WHOLE_LAST_LAYER = "the whole last layer computed"
ABLATIONS = [PADDED, DROPOUT, ALL_LAYERS, FUSED_ATTENTION, WHOLE_LAST_LAYER]


def ablate_settings(settings: TrainingSettings, ablation: str | None) -> TrainingSettings:
    """Return the settings that `ablation` trains with. Most ablations are not a matter of settings: see `ablated`."""
    return replace(settings, freeze_layers=-1) if ablation == ALL_LAYERS else settings


@contextmanager
def ablated(ablation: str | None) -> Iterator[None]:
    """Inside this context, training leaves out the code that `ablation` is about."""
    with ExitStack() as stack:
        for target, replacement in _replacements(ablation):
            stack.enter_context(patch(target, replacement))
        yield


def _replacements(ablation: str | None) -> list[tuple[str, Callable]]:
    if ablation == PADDED:  # one padded chunk per step
        return [
            ("preference.model.fine_tuning.unpad_layers", lambda model: None),
            ("preference.training.ranking_trainer.chunk_cost_of", lambda model, device: None),
        ]
    if ablation == DROPOUT:
        return [("preference.training.train.load_base_model", _load_with_dropout)]
    if ablation == FUSED_ATTENTION:
        return [("preference.model.attention.attend_by_matmul", _fused_attention)]
    if ablation == WHOLE_LAST_LAYER:
        return [("preference.model.attention.run_layers", _run_whole_layers)]
    return []


def _load_with_dropout(*args, **kwargs):
    """`load_base_model`, but with dropout of 0.1."""
    from torch import nn

    from preference.model.fine_tuning import load_base_model

    model, tokenizer = load_base_model(*args, **kwargs)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.1
    return model, tokenizer


def _fused_attention(query, key, value, tokens: int, dropout: float):
    """`attend_by_matmul`, but with PyTorch's own attention."""
    import torch.nn.functional as F

    return F.scaled_dot_product_attention(query[:, :tokens], key[:, :tokens], value[:, :tokens], dropout_p=dropout, scale=1.0)


def _run_whole_layers(layers: Sequence[Callable], tokens, lengths: list[int]):
    """`run_layers`, but computing the last layer for all tokens."""
    from preference.model.attention import first_tokens

    for layer in layers:
        tokens = layer(tokens, lengths)
    return tokens[first_tokens(lengths)]
