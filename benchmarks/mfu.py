"""MFU (model FLOPs utilisation): the share of the processor's matrix-product rate that training spends on useful tokens.

The rate that it is relative to is measured on this machine, in the precision of the training and at the model's width.
"""

from dataclasses import dataclass

from request import base_folder

from preference.data.rankings import read_rankings
from preference.training.settings import TrainingSettings, layers_to_freeze


@dataclass(frozen=True)
class Encoder:
    """The sizes of an encoder: `width` of the hidden state, `inner` of the feed-forward layer."""

    layers: int
    width: int
    inner: int


def forward_flops(encoder: Encoder, tokens: int, layers: int) -> int:
    """Return the floating-point operations of the upper `layers` layers for one text of `tokens` tokens.

    Of the last layer only the first token is read, so only its keys and values are computed for all tokens.
    """
    whole = 4 * encoder.width**2 + 2 * encoder.width * encoder.inner  # weights of a layer: query, key, value, output; feed-forward
    keys_and_values = 2 * encoder.width**2
    attention = 4 * tokens**2 * encoder.width
    return 2 * tokens * ((layers - 1) * whole + keys_and_values) + (layers - 1) * attention


def training_flops(encoder: Encoder, tokens: int, frozen_layers: int) -> int:
    """Return the operations of one training step for one text; a backward pass costs two forward passes of the trained layers."""
    return forward_flops(encoder, tokens, encoder.layers) + 2 * forward_flops(encoder, tokens, encoder.layers - frozen_layers)


def measure_matmul_rate(base_model: str) -> tuple[str, float]:
    """Return the precision that suits this processor, and its floating-point operations per second in it, at the model's width."""
    import torch
    from transformers import AutoConfig

    from preference.machine import choose_precision, matmul_rate

    width = AutoConfig.from_pretrained(base_folder(base_model)).hidden_size
    precision = choose_precision("auto", "cpu", width)
    return precision, max(matmul_rate(torch.bfloat16 if precision == "bf16" else torch.float32, 2048, width, 1.0) for _ in range(3))


def mean_training_flops(data: str, base_model: str) -> tuple[float, float]:
    """Return, as means over the answers of `data`, the operations of one step with the default settings and the tokens."""
    from transformers import AutoConfig, AutoTokenizer

    from preference.model.encoding import encode_pairs

    config = AutoConfig.from_pretrained(base_folder(base_model))
    width = config.hidden_size
    encoder = Encoder(config.num_hidden_layers, width, getattr(config, "intermediate_size", getattr(config, "hidden_dim", 4 * width)))
    rankings = read_rankings(data).rankings
    frozen = layers_to_freeze(TrainingSettings(), len(rankings))
    frozen_layers = encoder.layers // 3 if frozen is None else frozen

    tokenizer = AutoTokenizer.from_pretrained(base_folder(base_model))
    prompts, answers = [r.prompt for r in rankings for _ in r.answers], [answer for r in rankings for answer in r.answers]
    pairs, _ = encode_pairs(tokenizer, prompts, answers, TrainingSettings().max_length)
    lengths = [len(pair["input_ids"]) for pair in pairs]
    return sum(training_flops(encoder, tokens, frozen_layers) for tokens in lengths) / len(lengths), sum(lengths) / len(lengths)
