"""The layers of BERT-like encoders on a CPU, with no work on padding and none that the reward does not read.

The embeddings of a padded batch, shape (texts, longest, width), go through the layers as one row of tokens, shape
(tokens, width), text after text; attention alone takes the texts one by one. Of the last layer only the first token of
each text is computed, which is all that the head reads. Modules and weights are the model's own, and so are its rewards
and gradients. Known as unpadding (Portes et al. 2023, "MosaicBERT").

A reward then hardly depends on what shares the batch, in bf16 either: attention and its softmax see one text, so only
the rounding of the products over all tokens is left. Rewards of standard deviation 1 differed by 2.5e-4 at most, and by
0.031 with padding.
"""

from collections.abc import Callable, Sequence
from types import MethodType

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

# Attention's sizes are rounded up to a multiple of this many tokens: few sizes mean few kernels to prepare, and
# preparing one takes longer than running it.
_ALIGNMENT = 32
FAMILIES = ("bert", "distilbert", "electra", "roberta", "xlm-roberta")


class EncoderLayer:
    """One layer's modules, under one set of names for BERT and DistilBERT."""

    def __init__(self, layer: nn.Module):
        if hasattr(layer, "ffn"):  # DistilBERT
            self.attention = layer.attention
            self.query, self.key, self.value = self.attention.q_lin, self.attention.k_lin, self.attention.v_lin
            self.heads = self.attention.n_heads
            self.add_attended = lambda attended, tokens: layer.sa_layer_norm(self.attention.out_lin(attended) + tokens)
            self.feed_forward = lambda tokens: layer.output_layer_norm(layer.ffn(tokens) + tokens)
        else:
            self.attention = layer.attention.self
            self.query, self.key, self.value = self.attention.query, self.attention.key, self.attention.value
            self.heads = self.attention.num_attention_heads
            self.add_attended = layer.attention.output
            self.feed_forward = lambda tokens: layer.output(layer.intermediate(tokens), tokens)
        self.scale = (self.query.out_features // self.heads) ** -0.5

    def __call__(self, tokens: Tensor, lengths: list[int], read: Tensor | None = None) -> Tensor:
        """Run the layer for all tokens, or only for those at the positions `read`, one of each text.

        Args:
            tokens: shape (tokens, width), of texts of `lengths`.
        """
        narrow = tokens.to(torch.get_autocast_dtype("cpu")) if torch.is_autocast_enabled("cpu") else tokens
        query = self.query.weight * self.scale, self.query.bias * self.scale
        key, value = (self.key.weight, self.key.bias), (self.value.weight, self.value.bias)
        if read is None:
            parts = project(narrow, query, key, value)
            queries = [None] * len(lengths)
        else:
            parts = project(narrow, key, value)
            queries = project(narrow[read], query).unflatten(1, (self.heads, 1, -1))
            tokens = tokens[read]
        parts = parts.unflatten(1, (-1, self.heads, self.query.out_features // self.heads)).permute(1, 2, 0, 3)
        dropout = self.attention.dropout.p if self.attention.training else 0.0
        attended = [
            attend(text, query, dropout) for text, query in zip(parts.split(lengths, dim=2), queries, strict=True)
        ]
        return self.feed_forward(self.add_attended(torch.cat(attended), tokens))


def project(tokens: Tensor, *layers: tuple[Tensor, Tensor]) -> Tensor:
    """Apply several linear layers, each a weight and a bias, in one matrix product; their outputs are joined."""
    weights, biases = zip(*layers, strict=True)
    return F.linear(tokens, torch.cat(weights), torch.cat(biases))


def unpad_layers(model: PreTrainedModel) -> None:
    """Let the layers of a BERT-like encoder run unpadded on a CPU; other models stay as they are. What is saved does not change.

    The hidden state that the model's encoder returns then has shape (texts, 1, width), unless its head reads all tokens.
    """
    if (stack := _layer_stack(model)) is not None:
        stack.forward = MethodType(forward_unpadded, stack)  # a method: a deep copy of the model gets its own


def runs_unpadded(model: PreTrainedModel) -> bool:
    """Return whether the model runs without padding on a CPU (see `unpad_layers`), so that padding costs nothing there."""
    stack = _layer_stack(model)
    return stack is not None and getattr(stack.forward, "__func__", None) is forward_unpadded


def _layer_stack(model: PreTrainedModel) -> nn.Module | None:
    if model.config.model_type not in FAMILIES or getattr(model.config, "is_decoder", False):
        return None
    return model.base_model.transformer if model.config.model_type == "distilbert" else model.base_model.encoder


def forward_unpadded(stack: nn.Module, hidden_states: Tensor, attention_mask: Tensor | None = None, **options):
    """Stand in for the `forward` of transformers' BertEncoder and its like, which runs wherever this one does not fit."""
    if hidden_states.device.type != "cpu" or (attention_mask is not None and attention_mask.dtype != torch.bool):
        return type(stack).forward(stack, hidden_states, attention_mask=attention_mask, **options)
    texts, longest, _ = hidden_states.shape
    present = torch.ones(texts, longest, dtype=torch.bool) if attention_mask is None else attention_mask[:, 0, 0]
    layers = [EncoderLayer(layer) for layer in stack.layer]
    rows = run_layers(layers, hidden_states[present], present.sum(dim=1).tolist())
    return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=rows[:, None])


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
        parts = F.pad(parts, (0, 0, 0, -tokens % _ALIGNMENT)).contiguous()
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
