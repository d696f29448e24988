"""A reward model on a middle layer, as an ordinary sequence-classification model: the lowest layers, pooling, a linear head.

How much people like an answer can be read best in the middle of a pretrained model: a linear head on the mean of the
tokens there, fitted to a few rankings, does better than one after the last layer. For the folder to be one that every
library loads, the mean is computed by a layer of the model's own kind. Its queries and keys are zero, so that attention
is uniform over the tokens that are not padding (in MPNet, whose positions weigh, nearly so); values and output are the
identity, the feed-forward part is zero. What the first token then holds is LayerNorm(mean + itself). The dense layer of
the head is made the identity: where tanh follows, near zero, where that is linear; where ReLU or GELU follow, far above
zero, where these are.

ModernBERT pools the mean by itself (`classifier_pooling`). A decoder's last token has seen all others and needs no pooling.
"""

import copy

import torch
from torch import nn
from transformers import PreTrainedModel

from preference.model.decoders import is_decoder
from preference.model.fine_tuning import layer_stack

FAMILIES = ("bert", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta")  # that a layer of their own pools
NEAR_ZERO = 1e-3  # tanh(x) = x within a millionth, relative to x
IDENTITY = (
    "attention.self.value", "attention.output.dense",  # BERT, ELECTRA, RoBERTa
    "attention.v_lin", "attention.out_lin",  # DistilBERT
    "attention.attn.v", "attention.attn.o",  # MPNet
)  # fmt: skip


def can_pool(model: PreTrainedModel) -> bool:
    """Return whether `pool_at` knows this architecture."""
    kind = model.config.model_type
    return (
        (kind in FAMILIES and not getattr(model.config, "is_decoder", False))
        or kind == "modernbert"
        or is_decoder(model.config)
    )


@torch.no_grad()
def pool_at(model: PreTrainedModel, layers: int) -> None:
    """Keep the lowest `layers` layers of a model with one output, and let its output layer read their pooled states."""
    stack, kind = layer_stack(model), model.config.model_type
    if kind in FAMILIES:
        pooling = copy.deepcopy(stack[-1])
        _make_uniform(pooling)
        del stack[layers:]
        stack.append(pooling)
        if kind in (
            "distilbert",
            "electra",
        ):  # no number of a normalised state is below -sqrt(width), and GELU(x) = x from 6 on
            _open_dense(_dense(model), bias=model.config.hidden_size**0.5 + 6)
        else:
            _open_dense(_dense(model), bias=0.0, scale=NEAR_ZERO)
    else:
        del stack[layers:]
        if kind == "modernbert":
            model.config.classifier_pooling, model.config.classifier_activation = "mean", "linear"
            model.head.act = nn.Identity()
            _open_dense(model.head.dense, bias=0.0)
            model.head.norm.reset_parameters()
    config = model.config.get_text_config()
    config.num_hidden_layers = len(stack)
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[: len(stack)]


def _make_uniform(layer: nn.Module) -> None:
    """Let a layer add the mean over all tokens to each of them, and normalise the sum."""
    for name, module in layer.named_modules():
        if isinstance(module, nn.LayerNorm):
            module.weight.fill_(1.0)
            module.bias.zero_()
        elif isinstance(module, nn.Linear):
            module.weight.copy_(torch.eye(len(module.weight))) if name in IDENTITY else module.weight.zero_()
            module.bias.zero_()


def _dense(model: PreTrainedModel) -> nn.Linear:
    """Return the layer between the first token's state and the output layer."""
    if model.config.model_type == "bert":
        return model.bert.pooler.dense
    return model.pre_classifier if model.config.model_type == "distilbert" else model.classifier.dense


def _open_dense(dense: nn.Linear, bias: float, scale: float = 1.0) -> None:
    dense.weight.copy_(torch.eye(dense.in_features) * scale)
    if dense.bias is not None:
        dense.bias.fill_(bias)
