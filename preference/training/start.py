"""What a training starts from: the base model, cut at a middle layer whose pooled states a linear head reads."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from preference.data.rankings import Ranking
from preference.data.splits import prompt_digest
from preference.errors import InputError
from preference.evaluation.record import read_record
from preference.model.base_models import BaseModel, longest_input
from preference.model.layers import can_pool, freeze_lower_layers, layer_stack, output_layer, pool_at
from preference.model.loading import load_base_model
from preference.model.reward_model import RewardModel
from preference.model.states import states_of
from preference.training.batching import split_answers
from preference.training.probe import Probe, fit_probe
from preference.training.settings import TrainingSettings, layers_to_freeze, layers_to_keep
from preference.wording import counted


@dataclass(frozen=True)
class Start:
    """A model with one output, and what of it is to be trained.

    Attributes:
        layers: how many of the base's layers it keeps.
        frozen: how many of these stay as pretrained; -1: not even the embeddings do.
        pooled: its output layer reads pooled states of a middle layer, or is that of a reward model; else the
            architecture is not known.
        output: the output layer of a base that is a reward model itself: shape (width,).
        key: stands for what decides the states.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    base: BaseModel
    layers: int
    frozen: int
    pooled: bool
    output: np.ndarray | None
    key: str

    def fit(self, states: np.ndarray, rankings: Sequence[Ranking], objective: str) -> Probe:
        """Return the probe for the output layer, which has a bias except in most decoders; see `fit_probe`."""
        return fit_probe(states, rankings, objective, start=self.output, bias=output_layer(self.model).bias is not None)

    @property
    def head_only(self) -> bool:
        return self.pooled and self.frozen >= self.layers

    def states(
        self, encoded: Dataset, device: str, precision: str, on_progress: Callable[[int], object] = lambda read: None
    ) -> np.ndarray:
        """Return what the output layer reads of all answers of `encoded`: shape (answers, width), float32."""
        pairs = [pair for ranking in encoded for pair in split_answers(ranking)]
        model = RewardModel(self.model, self.tokenizer, device=device, precision=precision)
        return states_of(model, pairs, key=self.states_key(precision), on_progress=on_progress)

    def states_key(self, precision: str) -> str:
        """Return what stands for the cut model and the precision in the cache of states."""
        return hashlib.sha256(f"{self.key} {precision}".encode()).hexdigest()[:32]


def start_from(
    base: BaseModel, settings: TrainingSettings, rankings: Sequence[Ranking], *,
    on_message: Callable[[str], object] = lambda text: None,
) -> Start:  # fmt: skip
    """Load the base model with one output, and cut it for as many rankings as there are.

    A base that is a reward model keeps all its layers and its output layer. One of an architecture that is not known is
    left whole too, with a new output layer, and a third of its layers frozen; this is told to `on_message`.
    """
    model, tokenizer, is_reward_model = load_base_model(base.path, seed=settings.seed)
    most = longest_input(model)
    if most and settings.max_length > most:
        raise InputError(
            f"--max-length {settings.max_length}: {base.used} takes at most {most} tokens; give --max-length {most}"
        )
    tokenizer.model_max_length = settings.max_length  # saved, so that every loader truncates as training did
    depth = len(layer_stack(model))
    if is_reward_model:
        kept, output = depth, output_layer(model).weight.detach().double().numpy()[0].copy()
    elif can_pool(model):
        kept, output = layers_to_keep(settings, depth, len(rankings)), None
        if not 0 < kept <= depth:
            raise InputError(f"--layers {kept}: {base.used} has {depth} layers; give 1 to {depth}")
        pool_at(model, kept)
    else:
        kind = model.config.model_type
        on_message(f"{base.used}: no probe supports {kind}; fine-tuning the whole model from a new output layer")
        frozen = freeze_lower_layers(model, settings.freeze_layers)
        return Start(model, tokenizer, base, depth, frozen, False, None, "")
    frozen = min(layers_to_freeze(settings, kept, len(rankings)), kept)
    if frozen < kept:
        freeze_lower_layers(model, frozen, below=kept)
    files = [path for path in base.path.iterdir() if path.is_file()] if base.path.is_dir() else [base.path]
    facts = sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files)
    key = f"1 {base.used} {facts} {kept} {settings.max_length}"
    return Start(model, tokenizer, base, kept, frozen, True, output, key)


def check_unseen(rankings: Sequence[Ranking], base: BaseModel) -> None:
    """Raise InputError if `base` is a reward model that was trained on a prompt of `rankings`, as no review may be."""
    seen, prompts = set(read_record(base.path).seen_prompts or ()), {ranking.key for ranking in rankings}
    known = sum(prompt_digest(prompt) in seen for prompt in prompts)
    if known:
        raise InputError(
            f"--base-model {base.asked}: was trained on {known} of the {counted(len(prompts), 'prompt')} of these"
            " rankings, so no probe of it can be asked about prompts that it never saw; review with the base model that"
            " it started from, or review rankings that it has not seen"
        )


class StatesModel(nn.Module):
    """The head alone, as a model for the Trainer: from standardised states, (answers, width), to rewards, (answers, 1).

    Args:
        weights: those of a probe, to start from: shape (width,).
    """

    def __init__(self, weights: np.ndarray):
        super().__init__()
        self.output = nn.Linear(len(weights), 1, bias=False)
        with torch.no_grad():
            self.output.weight.copy_(torch.from_numpy(weights)[None])

    def forward(self, states: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.output(states))

    def weights(self) -> np.ndarray:
        """Return the weights as they are now: shape (width,)."""
        return self.output.weight.detach().double().cpu().numpy()[0]
