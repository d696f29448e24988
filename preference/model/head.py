"""The layers that make the reward: in fp32, and put on a scale after training."""

from types import MethodType

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

LEAST_STD = 0.01  # rewards that vary less are not scaled up: that would only magnify rounding errors


def keep_head_in_fp32(model: PreTrainedModel) -> None:
    """Let the linear layers after the transformer compute in fp32 under autocast too: they see one token per text.

    Above 1, bf16 has a resolution of 1/128.
    """
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
    """Let the output layer give `states @ weights + bias`; one without a bias (a decoder's) leaves that out.

    Args:
        weights: shape (width of the output layer,).
    """
    layer = output_layer(model)
    layer.weight.copy_(torch.as_tensor(weights, dtype=torch.float32)[None])
    if layer.bias is not None:
        layer.bias.fill_(bias)


@torch.no_grad()
def standardise_rewards(model: PreTrainedModel, rewards: np.ndarray) -> tuple[float, float]:
    """Change the last layer so that `rewards`, which the model gave, would have mean 0 and standard deviation 1.

    Every loader of the model then gives the new rewards; their order stays. An output layer without a bias
    (GPT-2's) can only be scaled. Rewards that vary less than `LEAST_STD` are only centred.

    Returns:
        The mean and the standard deviation that were taken out.
    """
    mean, std = float(rewards.mean()), float(rewards.std())
    scale = std if std > LEAST_STD else 1.0
    layer = output_layer(model)
    layer.weight.div_(scale)
    if layer.bias is not None:
        layer.bias.sub_(mean).div_(scale)
    return mean, scale
