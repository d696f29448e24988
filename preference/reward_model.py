"""The trained reward model: load it, score answers, put its rewards on a scale."""

import contextlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import MethodType

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from preference.batching import CHUNK_COST_CPU, CHUNK_COST_GPU, encode_pairs, pad_chunk, plan_chunks, rewards_of_chunks
from preference.errors import InputError
from preference.precision import choose_precision
from preference.unpadding import runs_unpadded, unpad_layers

LEAST_STD = 0.01  # rewards that vary less are not scaled up: that would only magnify rounding errors
_TEXTS_AT_ONCE = 1024


class RewardModel:
    """A reward model and its tokenizer on a device.

    Example:
        >>> model = RewardModel.load("reward_model_final")  # doctest: +SKIP
        >>> model.score(["Name a prime number"] * 2, ["7", "Bananas are yellow."])  # doctest: +SKIP
        array([ 0.61, -1.2 ], dtype=float32)  # shape (2,)
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, device: str = "cpu", precision: str = "fp32"):
        self.model, self.tokenizer = model.to(device).eval(), tokenizer
        self.device, self.precision = device, precision

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "cpu", precision: str = "fp32") -> "RewardModel":
        """Load a folder that `reward_model_trainer.py` wrote, or any sequence-classification model with one output.

        Raises:
            InputError: the folder holds no such model.
        """
        check_reward_model_folder(folder)
        check_device(device)
        with quiet_transformers():
            try:
                model = AutoModelForSequenceClassification.from_pretrained(folder)
                tokenizer = AutoTokenizer.from_pretrained(folder)
            except (OSError, ValueError) as error:
                raise InputError(f"{folder}: the reward model cannot be loaded ({error}); train it again") from error
        unpad_layers(model)
        keep_head_in_fp32(model)
        return cls(model, tokenizer, device=device, precision=choose_precision(precision, device, model.config.hidden_size))

    def score(
        self,
        prompts: Sequence[str],
        answers: Sequence[str],
        *,
        one_by_one: bool = False,
        on_progress: Callable[[int], object] = lambda scored: None,
    ) -> np.ndarray:
        """Return the reward of each answer to its prompt: shape (answers,), float32, in the order given.

        Texts are sorted by length and encoded in chunks of like length, so padding costs next to nothing.

        Args:
            one_by_one: encode every text alone.
            on_progress: called with the number of answers scored since the last call.
        """
        if len(prompts) != len(answers):
            raise ValueError(f"{len(prompts)} prompts for {len(answers)} answers")
        rewards = np.empty(len(answers), dtype=np.float32)
        # White space around a text does not count, here as in training.
        prompts, answers = [p.strip() for p in prompts], [a.strip() for a in answers]
        order = sorted(range(len(answers)), key=lambda i: len(prompts[i]) + len(answers[i]))
        for start in range(0, len(order), _TEXTS_AT_ONCE):
            some = order[start : start + _TEXTS_AT_ONCE]
            pairs, _ = encode_pairs(self.tokenizer, [prompts[i] for i in some], [answers[i] for i in some], self.tokenizer.model_max_length)
            values = score_encoded(
                self.model, self.tokenizer, pairs, device=self.device, precision=self.precision,
                one_by_one=one_by_one, on_progress=on_progress,
            )  # fmt: skip
            rewards[some] = values
        return rewards


@torch.inference_mode()
def score_encoded(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[dict],
    *,
    device: str,
    precision: str = "fp32",
    one_by_one: bool = False,
    on_progress: Callable[[int], object] = lambda scored: None,
) -> np.ndarray:
    """Return the rewards of encoded pairs, shape (pairs,), in the order given. Leaves the model in evaluation mode."""
    model.eval()
    if one_by_one:
        chunks = [[i] for i in range(len(pairs))]
    else:
        chunks = plan_chunks([len(pair["input_ids"]) for pair in pairs], chunk_cost_of(model, device))
    rewards = np.empty(len(pairs), dtype=np.float32)
    autocast = torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=precision == "bf16")
    with autocast:
        for chunk in chunks:
            inputs = pad_chunk(tokenizer, [pairs[i] for i in chunk])
            inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
            rewards[chunk] = rewards_of_chunks(model, [inputs]).cpu().numpy()
            on_progress(len(chunk))
    return rewards


def chunk_cost_of(model: PreTrainedModel, device: str) -> int | None:
    """Return what one more forward pass of `model` costs on `device`, in tokens; None: padding costs nothing (see `plan_chunks`)."""
    if torch.device(device).type != "cpu":
        return CHUNK_COST_GPU
    return None if runs_unpadded(model) else CHUNK_COST_CPU


def check_device(device: str) -> None:
    """Raise InputError unless `device` (`cpu`, `cuda`, `mps`) can be used here."""
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise InputError(f"--device {device}: no such device; use cpu, cuda or mps") from None
    if device != kind:
        raise InputError(f"--device {device}: name the kind alone; CUDA_VISIBLE_DEVICES chooses among several GPUs")
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(f"--device {device}: PyTorch sees no CUDA GPU here; use --device cpu, or install a CUDA build of torch")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise InputError(f"--device {device}: PyTorch sees no Apple GPU here; use --device cpu")
    if kind not in ("cpu", "cuda", "mps"):
        raise InputError(f"--device {device}: not supported; use cpu, cuda or mps")


def check_reward_model_folder(folder: str | Path) -> None:
    """Raise InputError unless `folder` holds a sequence-classification model with one output."""
    path = Path(folder)
    train = "train one with `python reward_model_trainer.py`"
    if not path.is_dir():
        raise InputError(f"{folder}: no such folder; {train}")
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{folder}: this folder holds no reward model (no config.json); {train}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: config.json cannot be read ({error}); {train}") from None
    architecture = (config.get("architectures") or ["unknown"])[0]
    labels = config.get("num_labels", len(config.get("id2label") or {0: "", 1: ""}))
    if not architecture.endswith("ForSequenceClassification") or labels != 1:
        raise InputError(
            f"{folder}: this folder holds no reward model ({architecture} with {labels} outputs, wanted a"
            f" sequence-classification model with 1); {train}"
        )


def load_base_model(folder: str | Path, *, seed: int) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a base model with one new output, and its tokenizer.

    Dropout is 0 everywhere: on a CPU it doubles the time of a step, since its random numbers are drawn on
    one core and it forces attention off the fused path.
    """
    from transformers import AutoConfig

    with quiet_transformers():
        config = AutoConfig.from_pretrained(folder)
        for name, value in config.to_dict().items():
            if isinstance(value, float) and ("dropout" in name or name.endswith("pdrop")):
                setattr(config, name, 0.0)
        config.num_labels = 1
        config.problem_type = "regression"
        config.id2label, config.label2id = {0: "reward"}, {"reward": 0}
        tokenizer = AutoTokenizer.from_pretrained(folder)
        torch.manual_seed(seed)  # the new output's weights
        model = AutoModelForSequenceClassification.from_pretrained(folder, config=config, dtype=torch.float32)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
    unpad_layers(model)
    keep_head_in_fp32(model)
    # sentence_transformers.CrossEncoder applies a sigmoid to one output unless the config names this.
    model.config.sentence_transformers = {"activation_fn": "torch.nn.modules.linear.Identity"}
    return model, tokenizer


def freeze_lower_layers(model: PreTrainedModel, layers: int | None = None) -> int:
    """Keep the embeddings and the lowest `layers` layers as they were pretrained; None is a third of the layers, -1 nothing.

    They hold general language, which some hundred rankings spoil rather than improve; and they need no backward pass.
    See Lee, Tang & Lin 2019, "What Would Elsa Do? Freezing Layers During Transformer Fine-Tuning".

    Returns:
        How many layers are frozen; -1: not even the embeddings.

    Raises:
        InputError: the model has no layer left to train.
    """
    stack = max((module for module in model.modules() if isinstance(module, nn.ModuleList)), key=len, default=[])
    if layers is None:
        layers = len(stack) // 3 if len(stack) else -1
    if layers >= len(stack):
        raise InputError(f"--freeze-layers {layers}: the base model has {len(stack)} layers; leave at least one to train")
    if layers >= 0:
        first_trained = next(stack[layers].parameters())
        for parameter in model.parameters():  # in the order of definition: embeddings, layers, head
            if parameter is first_trained:
                break
            parameter.requires_grad_(False)
    return layers


def keep_head_in_fp32(model: PreTrainedModel) -> None:
    """Let the linear layers after the transformer compute in fp32 under autocast too: their work is one token's a text.

    A reward rounded to bf16 would come in steps of 1/128 from 1 on.
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


@contextlib.contextmanager
def quiet_transformers():
    """Keep the load reports and progress bars of transformers from the user; errors still raise."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
