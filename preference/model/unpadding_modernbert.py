"""ModernBERT and its like (Ettin, mmBERT) on a CPU, with no work on padding: see `preference.model.unpadding`.

A text's attention is computed whole in the global layers. In the local ones, where a token sees those at most `window` away,
it is computed in blocks of tokens that ask, each with the tokens that it can see: its time grows with the length of a text, not
with its square. Where the head reads the mean of all tokens (`classifier_pooling`), the last layer computes them all.
"""

from types import MethodType
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from preference.model import attention


class Block(NamedTuple):
    """Some tokens of a text that ask, and the tokens that they can see."""

    asking: slice
    seen: slice
    open: Tensor  # shape (asking, seen): whether one sees the other


class ModernBertLayer:
    """One layer for texts of `lengths`.

    Args:
        cos, sin: the rotation that tells positions, shape (2 for queries and keys, 1, tokens, half the width of a head).
        blocks: of each text, for a local layer.
    """

    def __init__(self, layer: nn.Module, cos: Tensor, sin: Tensor, blocks: list[list[Block]] | None):
        self.layer, self.cos, self.sin, self.blocks = layer, cos, sin, blocks
        self.attention = layer.attn
        self.scale = self.attention.head_dim**-0.5

    def __call__(self, tokens: Tensor, lengths: list[int], read: Tensor | None = None) -> Tensor:
        """Run the layer for all tokens, or only for those at the positions `read`, the first of each text.

        Args:
            tokens: shape (tokens, width).
        """
        own, dropout = self.attention, self.attention.attention_dropout if self.attention.training else 0.0
        parts = own.Wqkv(self.layer.attn_norm(tokens)).unflatten(1, (3, -1, own.head_dim)).permute(1, 2, 0, 3)
        if read is None:
            parts = torch.cat([rotate(parts[:2], self.cos, self.sin), parts[2:]])
            texts = parts.split(lengths, dim=2)
            if self.blocks is None:
                attended = [attention.attend(text, None, dropout) for text in texts]
            else:
                attended = [attend_nearby(text, blocks, dropout) for text, blocks in zip(texts, self.blocks, strict=True)]
        else:
            queries = (parts[0][:, read] * self.scale).split(1, dim=1)  # at position 0 the rotation changes nothing
            parts = torch.cat([rotate(parts[1:2], self.cos[1:], self.sin[1:]), parts[2:]])
            reach = None if self.blocks is None else self.attention.sliding_window
            texts = [text[:, :, :reach] for text in parts.split(lengths, dim=2)]
            attended = [attention.attend(text, query, dropout) for text, query in zip(texts, queries, strict=True)]
            tokens = tokens[read]
        tokens = tokens + own.out_drop(own.Wo(torch.cat(attended)))
        return tokens + self.layer.mlp(self.layer.mlp_norm(tokens))


def rotate(parts: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate each pair of numbers, one from either half of a head's width, by the angle of the token's position."""
    left, right = parts.chunk(2, dim=-1)
    return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1).to(parts.dtype)


def attend_nearby(parts: Tensor, blocks: list[Block], dropout: float) -> Tensor:
    """Attention within one text, of each token to those near it: see `preference.model.attention.attend`."""
    tokens = parts.shape[2]
    if not blocks:
        return attention.attend(parts, None, dropout)
    by_matmul = parts.dtype == torch.bfloat16
    query, key, value = F.pad(parts, (0, 0, 0, blocks[-1].seen.stop - tokens)).unbind()
    attended = []
    for asking, seen, is_open in blocks:
        if by_matmul:
            scores = (query[:, asking] @ key[:, seen].mT).masked_fill_(~is_open, float("-inf"))
            attended.append(F.dropout(scores.softmax(dim=-1), dropout) @ value[:, seen])
        else:
            some = (query[:, asking], key[:, seen], value[:, seen])
            attended.append(F.scaled_dot_product_attention(*some, attn_mask=is_open, dropout_p=dropout, scale=1.0))
    return torch.cat(attended, dim=1)[:, :tokens].transpose(0, 1).flatten(1)


def cut_into_blocks(tokens: int, window: int) -> list[Block]:
    """Cut a text, with padding after its last token, into blocks; none where every token sees every other.

    >>> [(block.asking, block.seen) for block in cut_into_blocks(300, window=64)]
    [(slice(0, 128, None), slice(0, 192, None)), (slice(128, 256, None), slice(64, 320, None)), (slice(256, 320, None), slice(192, 320, None))]
    """
    if tokens <= window + 1:
        return []
    padded = tokens + -tokens % attention.ALIGNMENT
    position = torch.arange(padded)
    blocks = []
    for start in range(0, padded, 2 * window):
        asking = slice(start, min(start + 2 * window, padded))
        seen = slice(max(start - window, 0), min(asking.stop + window, padded))
        of_asking, of_seen = position[asking, None], position[None, seen]
        near = (of_asking - of_seen).abs() <= window
        blocks.append(Block(asking, seen, near & ((of_seen < tokens) | (of_asking >= tokens))))  # padding sees itself: a softmax needs something
    return blocks


def unpad(model: PreTrainedModel) -> None:
    """Let a ModernBERT run unpadded on a CPU (see `preference.model.unpadding.unpad_layers`)."""
    model.base_model.forward = MethodType(forward_unpadded, model.base_model)


def is_unpadded(model: PreTrainedModel) -> bool:
    """Return whether `unpad` was called for the model."""
    return getattr(model.base_model.forward, "__func__", None) is forward_unpadded


def forward_unpadded(
    model: PreTrainedModel,
    input_ids: Tensor | None = None,
    attention_mask: Tensor | None = None,
    position_ids: Tensor | None = None,
    inputs_embeds: Tensor | None = None,
    **options,
):
    """Stand in for the `forward` of transformers' ModernBertModel, which runs wherever this one does not fit."""
    config = model.config
    told = config.output_hidden_states or config.output_attentions or any(options.values())
    if input_ids is None or input_ids.device.type != "cpu" or position_ids is not None or isinstance(attention_mask, dict) or told:
        return type(model).forward(
            model, input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, inputs_embeds=inputs_embeds, **options
        )
    present = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
    lengths = present.sum(dim=1).tolist()
    tokens = model.embeddings(input_ids=input_ids[present])
    layers = layers_for(model, tokens, lengths)
    if config.classifier_pooling == "cls":
        rows = attention.run_layers(layers, tokens, lengths)
        return BaseModelOutput(last_hidden_state=model.final_norm(rows)[:, None])
    for layer in layers:
        tokens = layer(tokens, lengths)
    hidden = tokens.new_zeros(*present.shape, tokens.shape[1])
    return BaseModelOutput(last_hidden_state=hidden.masked_scatter(present[..., None], model.final_norm(tokens)))


def layers_for(model: PreTrainedModel, tokens: Tensor, lengths: list[int]) -> list[ModernBertLayer]:
    """Return the layers with what all local and all global ones share: positions, and who sees whom."""
    positions = torch.cat([torch.arange(length) for length in lengths])[None]
    shared = {}
    for kind in set(model.config.layer_types):
        angles = [part[0].chunk(2, dim=-1)[0] for part in model.rotary_emb(tokens, positions, kind)]  # both halves of a head turn alike
        scale = model.layers[0].attn.head_dim ** -0.5
        cos, sin = (torch.stack([angle * scale, angle])[:, None] for angle in angles)
        local = kind == "sliding_attention"
        shared[kind] = cos, sin, [cut_into_blocks(length, model.config.sliding_window) for length in lengths] if local else None
    return [ModernBertLayer(layer, *shared[layer.attention_type]) for layer in model.layers]
