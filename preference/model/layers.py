"""The layers of a sequence-classification model: which are frozen, what pools a middle one, and the output."""

import copy
from itertools import takewhile
from types import MethodType

import numpy as np
import torch
from torch import Tensor, nn
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_MASKED_LM_MAPPING, PretrainedConfig, PreTrainedModel

from preference.errors import InputError

FAMILIES = ("bert", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta")  # that a layer of their own pools
IDENTITY = (
    "attention.self.value", "attention.output.dense",  # BERT, ELECTRA, RoBERTa
    "attention.v_lin", "attention.out_lin",  # DistilBERT
    "attention.attn.v", "attention.attn.o",  # MPNet
)  # fmt: skip
NEAR_ZERO = 1e-3  # tanh(x) = x within a millionth, relative to x
MIN_STD = 0.01  # rewards that vary less are not scaled up: that would only magnify rounding errors


def is_decoder(config: PretrainedConfig) -> bool:
    """Return whether such a model reads a text from left to right, so that only its last token has seen all of it."""
    kind, masked = type(config), MODEL_FOR_MASKED_LM_MAPPING  # BERT and its like can be made decoders too
    causal = kind in MODEL_FOR_CAUSAL_LM_MAPPING and kind not in masked and not config.is_encoder_decoder
    return causal and config.model_type != "xlnet"


def layer_stack(model: PreTrainedModel) -> nn.ModuleList | list:
    """Return the model's layers: the outermost list of as many modules as the config names, else its longest list."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    layers = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    return next((stack for stack in lists if len(stack) == layers), max(lists, key=len, default=[]))


def freeze_lower_layers(model: PreTrainedModel, layers: int | None = None) -> int:
    """Freeze the embeddings and the lowest `layers` layers (None: a third; -1: nothing); return how many layers.

    They hold general knowledge of language, which a few hundred rankings tend to degrade. See Lee, Tang & Lin 2019,
    "What Would Elsa Do? Freezing Layers During Transformer Fine-Tuning".
    """
    stack = layer_stack(model)
    if layers is None:
        layers = len(stack) // 3 if stack else -1
    if layers >= len(stack):
        too_many = f"the base model has {len(stack)} layers; leave at least one to train"
        raise InputError(f"--freeze-layers {layers}: {too_many}")
    if layers >= 0:
        first_trained = next(stack[layers].parameters())
        for parameter in takewhile(lambda parameter: parameter is not first_trained, model.parameters()):
            parameter.requires_grad_(False)  # in the order of definition: embeddings, layers, head
        # DeBERTa defines its embeddings of distances, and their norm, after the layers that read them.
        for name, module in model.named_modules():
            if isinstance(module, nn.Embedding) or name == "deberta.encoder.LayerNorm":
                module.requires_grad_(False)
    return layers


def can_pool(model: PreTrainedModel) -> bool:
    """Return whether `pool_at` knows this architecture."""
    kind, decodes = model.config.model_type, getattr(model.config, "is_decoder", False)
    return (kind in FAMILIES and not decodes) or kind == "modernbert" or is_decoder(model.config)


@torch.no_grad()
def pool_at(model: PreTrainedModel, layers: int) -> None:
    """Keep the lowest `layers` layers of a model with one output, and let its output layer read their pooled states.

    What people like can be read best in the middle of a pretrained model: a linear head on the mean of the tokens there
    does better than one after the last layer. The mean is computed by a layer of the model's own kind, so that every
    library loads the folder. Its queries and keys are zero, which makes attention uniform over the tokens that are not
    padding (in MPNet, whose positions weigh, nearly so); values and output are the identity, the feed-forward part is
    zero. The first token then holds LayerNorm(mean + itself). The head's dense layer is made the identity: where tanh
    follows, near zero, where that is linear; where ReLU or GELU follow, far above zero, where these are.

    ModernBERT pools the mean by itself. A decoder's last token has seen all others and needs no pooling.
    """
    stack, kind = layer_stack(model), model.config.model_type
    pooling = copy.deepcopy(stack[-1])
    del stack[layers:]
    if kind in FAMILIES:
        for name, module in pooling.named_modules():
            if isinstance(module, nn.LayerNorm):
                module.reset_parameters()
            elif isinstance(module, nn.Linear):
                _let_multiply(module, float(name in IDENTITY))
        stack.append(pooling)
        if kind in ("distilbert", "electra"):  # no number of a normalised state is below -sqrt(width); GELU(6) = 6
            dense = model.pre_classifier if kind == "distilbert" else model.classifier.dense
            _let_multiply(dense, 1.0, model.config.hidden_size**0.5 + 6)
        else:
            _let_multiply(model.bert.pooler.dense if kind == "bert" else model.classifier.dense, NEAR_ZERO)
    elif kind == "modernbert":
        model.config.classifier_pooling, model.config.classifier_activation = "mean", "linear"
        model.head.act = nn.Identity()
        _let_multiply(model.head.dense, 1.0)
        model.head.norm.reset_parameters()
    config = model.config.get_text_config()
    config.num_hidden_layers = len(stack)
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[: len(stack)]


def _let_multiply(layer: nn.Linear, factor: float, bias: float = 0.0) -> None:
    layer.weight.copy_(factor * torch.eye(*layer.weight.shape))
    if layer.bias is not None:
        layer.bias.fill_(bias)


def spare_last_layer(model: PreTrainedModel) -> None:
    """Let the last layer compute its feed-forward part for the first token alone: the head reads no other."""
    if model.config.model_type in FAMILIES:
        inner, _ = [m for m in layer_stack(model)[-1].modules() if isinstance(m, nn.Linear)][-2:]
        inner.register_forward_pre_hook(_first_token)


def _first_token(module: nn.Linear, inputs: tuple[Tensor]) -> Tensor:
    return inputs[0][:, :1]


def keep_head_in_fp32(model: PreTrainedModel) -> None:
    """Let the linear layers after the transformer compute in fp32 under autocast: above 1, bf16 resolves only 1/128."""
    in_stack = {module for stack in model.modules() if isinstance(stack, nn.ModuleList) for module in stack.modules()}
    for module in model.modules():
        if isinstance(module, nn.Linear) and module not in in_stack:
            module.forward = MethodType(_forward_in_fp32, module)


def _forward_in_fp32(module: nn.Linear, inputs: Tensor) -> Tensor:
    with torch.autocast(inputs.device.type, enabled=False):
        return type(module).forward(module, inputs.float())


def output_layer(model: PreTrainedModel) -> nn.Linear:
    """Return the layer that makes the reward: the last linear layer with one output."""
    return [module for module in model.modules() if isinstance(module, nn.Linear) and module.out_features == 1][-1]


@torch.no_grad()
def set_output(model: PreTrainedModel, weights: np.ndarray, bias: float) -> None:
    """Let the output layer give `states @ weights + bias`; one without a bias (a decoder's) leaves that out."""
    layer = output_layer(model)
    layer.weight.copy_(torch.as_tensor(weights, dtype=torch.float32)[None])
    if layer.bias is not None:
        layer.bias.fill_(bias)


@torch.no_grad()
def standardise_rewards(model: PreTrainedModel, rewards: np.ndarray) -> np.ndarray:
    """Change the output layer so that `rewards`, which the model gave, would have mean 0 and standard deviation 1.

    An output layer without a bias (GPT-2's) can only be scaled. Rewards that vary less than `MIN_STD` are only
    centred. Returns the rewards as the model gives them now.
    """
    layer = output_layer(model)
    mean = 0.0 if layer.bias is None else float(rewards.mean())
    scale = std if (std := float(rewards.std())) > MIN_STD else 1.0
    layer.weight.div_(scale)
    if layer.bias is not None:
        layer.bias.sub_(mean).div_(scale)
    return (rewards - mean) / scale
