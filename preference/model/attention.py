"""Attention of texts that lie one after the other in a row of tokens, with no padding between them; and the layers around it."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

# Attention's sizes are rounded up to a multiple of this many tokens: few sizes mean few kernels to prepare, and
# preparing one takes longer than running it.
ALIGNMENT = 32


def attend(parts: Tensor, query: Tensor | None = None, dropout: float = 0.0) -> Tensor:
    """Attention within one text.

    Args:
        parts: the text's queries, keys and values, shape (3, heads, tokens, width of a head); scaled already.
        query: shape (heads, 1, width of a head), where only one token asks; `parts` are then keys and values.

    Returns:
        Shape (tokens that ask, width).
    """
    tokens = parts.shape[2]
    # PyTorch's fused attention works in small blocks, for which the bf16 kernels of a CPU are slow.
    by_matmul = parts.dtype == torch.bfloat16
    if by_matmul:
        parts = F.pad(parts, (0, 0, 0, -tokens % ALIGNMENT)).contiguous()
    *own, key, value = parts.unbind()
    query = own[0] if query is None else query
    if by_matmul:
        attended = attend_by_matmul(query, key, value, tokens, dropout)
    else:
        attended = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, scale=1.0)
    return attended[:, :tokens].transpose(0, 1).flatten(1)


def attend_by_matmul(query: Tensor, key: Tensor, value: Tensor, tokens: int, dropout: float) -> Tensor:
    """Attention of one text in two whole matrix products; keys and values after the first `tokens` are padding."""
    scores = query @ key.mT
    if key.shape[1] > tokens:
        closed = torch.zeros(key.shape[1], dtype=scores.dtype)
        closed[tokens:] = float("-inf")
        scores += closed
    return F.dropout(scores.softmax(dim=-1), dropout) @ value


def run_layers(layers: Sequence[Callable[..., Tensor]], tokens: Tensor, lengths: list[int]) -> Tensor:
    """Run tokens, shape (tokens, width), through the layers; return the first of each text, shape (texts, width)."""
    for layer in layers[:-1]:
        tokens = layer(tokens, lengths)
    return layers[-1](tokens, lengths, read=first_tokens(lengths))


def first_tokens(lengths: list[int]) -> Tensor:
    """Return where each text starts.

    >>> first_tokens([3, 5, 2])
    tensor([0, 3, 8])
    """
    return torch.tensor([0, *lengths[:-1]]).cumsum(0)
