"""A pretrained model made ready for training: one new output, no dropout, its lower layers frozen."""

import sys
from pathlib import Path

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from preference.errors import InputError
from preference.model.base_models import LOAD_SAFELY, check_loaded, loading
from preference.model.decoders import give_chat_template, give_padding, is_decoder
from preference.model.encoding import encode_pairs, pad_chunk
from preference.model.generator import converted_gguf
from preference.model.head import keep_head_in_fp32, output_layer
from preference.model.unpadding import unpad_layers


def load_base_model(path: str | Path, *, seed: int) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, bool]:
    """Load a base model, a folder or a GGUF file, with one output, and its tokenizer; say whether the output is pretrained too.

    Dropout is 0 everywhere: on a CPU it doubles the time of a step, since its random numbers are drawn on
    one core and it forces attention off the fused path. No code that the folder may hold is run.

    A decoder's tokenizer has a chat template afterwards, and a token for padding alone; an encoder's has no chat template, so
    that it lays out a pair.

    Raises:
        InputError: the folder does not hold such a model, or parts of it are damaged or do not fit together.
    """
    remedy = "choose another --base-model"
    folder = converted_gguf(Path(path), remedy) if Path(path).is_file() else path
    with loading(folder, remedy):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        for name, value in config.to_dict().items():
            if isinstance(value, float) and ("dropout" in name or name.endswith("pdrop")):
                setattr(config, name, 0.0)
        config.num_labels = 1
        config.problem_type = "regression"
        config.id2label, config.label2id = {0: "reward"}, {"reward": 0}
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        torch.manual_seed(seed)  # the new output's weights
        model, report = AutoModelForSequenceClassification.from_pretrained(
            folder, config=config, dtype=torch.float32, **LOAD_SAFELY
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    # What lies above the pretrained layers is new: the output layer, and the pooler that some models come without.
    missing = {*report["missing_keys"], *(name for name, *_ in report["mismatched_keys"])}
    pretrained = {name for name in missing if name.startswith(model.base_model_prefix + ".") and "pooler" not in name}
    check_loaded(folder, model, tokenizer, pretrained, remedy)
    with loading(folder, remedy), torch.no_grad():
        if is_decoder(config):
            give_chat_template(tokenizer)
            give_padding(model, tokenizer)
        else:
            tokenizer.chat_template = None
            model.config.pad_token_id = tokenizer.pad_token_id
        pairs, _ = encode_pairs(tokenizer, ["prompt"], ["answer"], sys.maxsize)
        model(**pad_chunk(tokenizer, pairs)).logits.view(1, 1)  # some architectures want more than text
    unpad_layers(model)
    keep_head_in_fp32(model)
    # sentence_transformers.CrossEncoder applies a sigmoid to one output unless the config names this.
    model.config.sentence_transformers = {"activation_fn": "torch.nn.modules.linear.Identity"}
    return model, tokenizer, not any(name.endswith(output_name(model)) for name in missing)


def output_name(model: PreTrainedModel) -> str:
    """Return the name of the output layer's weight, as a report of loading has it."""
    layer = output_layer(model)
    return next(name for name, module in model.named_modules() if module is layer) + ".weight"


def freeze_lower_layers(model: PreTrainedModel, layers: int | None = None) -> int:
    """Keep the embeddings and the lowest `layers` layers as they were pretrained; None is a third of the layers, -1 nothing.

    They hold general knowledge of language, which a few hundred rankings tend to degrade; and frozen layers need no
    backward pass.
    See Lee, Tang & Lin 2019, "What Would Elsa Do? Freezing Layers During Transformer Fine-Tuning".

    Returns:
        How many layers are frozen; -1: not even the embeddings.

    Raises:
        InputError: the model has no layer left to train.
    """
    stack = layer_stack(model)
    if layers is None:
        layers = len(stack) // 3 if len(stack) else -1
    if layers >= len(stack):
        raise InputError(
            f"--freeze-layers {layers}: the base model has {len(stack)} layers; leave at least one to train"
        )
    if layers >= 0:
        first_trained = next(stack[layers].parameters())
        for parameter in model.parameters():  # in the order of definition: embeddings, layers, head
            if parameter is first_trained:
                break
            parameter.requires_grad_(False)
        # DeBERTa defines its embeddings of distances, and their norm, after the layers that read them.
        for name, module in model.named_modules():
            if isinstance(module, nn.Embedding) or name == "deberta.encoder.LayerNorm":
                module.requires_grad_(False)
    return layers


def layer_stack(model: PreTrainedModel) -> nn.ModuleList | list:
    """Return the model's layers: the outermost list of as many modules as the config names layers, or else its longest list."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    layers = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    return next((some for some in lists if len(some) == layers), max(lists, key=len, default=[]))
