"""What a training starts from: the base model, cut at a middle layer whose pooled states a linear head reads."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from preference.data.rankings import Ranking
from preference.errors import InputError
from preference.model.base_models import BaseModel, longest_input
from preference.model.fine_tuning import freeze_lower_layers, layer_stack, load_base_model
from preference.model.head import output_layer
from preference.model.pooling import can_pool, pool_at
from preference.model.states import states_of
from preference.training.encoded_table import split_answers
from preference.training.probe import Probe, fit_probe
from preference.training.settings import TrainingSettings, layers_to_freeze, layers_to_keep


@dataclass(frozen=True)
class Start:
    """A model with one output, and what of it is to be trained.

    Attributes:
        layers: how many of the base's layers it keeps.
        frozen: how many of these stay as pretrained; -1: not even the embeddings do.
        pooled: its output layer reads pooled states of a middle layer, or is that of a reward model; else the architecture is not known.
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

    def in_words(self) -> str:
        """Say what is trained, for one line."""
        if self.head_only:
            return f"the head on layer {self.layers}"
        return f"{self.layers - max(self.frozen, 0)} of {self.layers} layers"

    def states(
        self, encoded: Dataset, device: str, precision: str, on_progress: Callable[[int], object] = lambda read: None
    ) -> np.ndarray:
        """Return what the output layer reads of all answers of `encoded`: shape (answers, width), float32."""
        pairs = [pair for ranking in encoded for pair in split_answers(ranking)]
        self.model.to(device)
        key = self.states_key(precision)
        return states_of(
            self.model, self.tokenizer, pairs, key=key, device=device, precision=precision, on_progress=on_progress
        )

    def states_key(self, precision: str) -> str:
        """Return what stands for the cut model and the precision in the cache of states."""
        return hashlib.sha256(f"{self.key} {precision}".encode()).hexdigest()[:32]


def start_from(
    base: BaseModel,
    settings: TrainingSettings,
    rankings: Sequence[Ranking],
    *,
    on_message: Callable[[str], object] = lambda text: None,
) -> Start:
    """Load the base model with one output, and cut it for as many rankings as there are.

    A base that is a reward model keeps all its layers and its output layer. One of an architecture that is not known is
    left whole too, with a new output layer, and a third of its layers frozen; this is told to `on_message`.

    Raises:
        InputError: it cannot be loaded, or the settings do not fit it.
    """
    model, tokenizer, is_reward_model = load_base_model(base.path, seed=settings.seed)
    longest = longest_input(model)
    if longest and settings.max_length > longest:
        raise InputError(
            f"--max-length {settings.max_length}: {base.used} takes at most {longest} tokens; give --max-length {longest}"
        )
    tokenizer.model_max_length = (
        settings.max_length
    )  # saved with the model, so that every loader truncates as training did
    depth = len(layer_stack(model))
    output = output_layer(model).weight.detach().double().numpy()[0].copy() if is_reward_model else None
    if not is_reward_model and not can_pool(model):
        on_message(
            f"{base.used}: no probe supports {model.config.model_type}; fine-tuning the whole model from a new output layer"
        )
        frozen = freeze_lower_layers(model, settings.freeze_layers)
        return Start(model, tokenizer, base, depth, frozen, False, None, "")
    kept = depth if is_reward_model else layers_to_keep(settings, depth, len(rankings))
    if not 0 < kept <= depth:
        raise InputError(f"--layers {kept}: {base.used} has {depth} layers; give 1 to {depth}")
    if not is_reward_model:
        pool_at(model, kept)
    frozen = min(layers_to_freeze(settings, kept, len(rankings)), kept)
    return Start(model, tokenizer, base, kept, frozen, True, output, _key(base, kept, settings))


def freeze(model: PreTrainedModel, start: Start) -> None:
    """Let only the layers from `start.frozen` on be trained: the head that the probe found stays, and what pools."""
    stack = layer_stack(model)[: start.layers]
    model.requires_grad_(False)
    for layer in stack[max(start.frozen, 0) :]:
        layer.requires_grad_(True)
    if start.frozen < 0:
        model.get_input_embeddings().requires_grad_(True)


def _key(base: BaseModel, kept: int, settings: TrainingSettings) -> str:
    """Return what tells the cut model from any other: the base's files with size and time, the layers, the length."""
    files = [path for path in base.path.iterdir() if path.is_file()] if base.path.is_dir() else [base.path]
    facts = sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files)
    return f"1 {base.used} {facts} {kept} {settings.max_length}"
