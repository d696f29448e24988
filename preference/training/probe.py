"""A linear probe: the head on frozen states of a base model that explains a person's rankings best.

Linear probing, then fine-tuning: Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features and Underperform
Out-of-Distribution" (arXiv 2202.10054). An objective of linear rewards is convex; L-BFGS finds its minimum.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from preference.data.rankings import Ranking
from preference.data.splits import Parts, folds_by_prompt
from preference.errors import InputError
from preference.evaluation.evaluation import Evaluation, evaluate
from preference.evaluation.learning_curve import Measured
from preference.evaluation.metrics import by_ranking, count_pairs, pair_margins, split_answers
from preference.evaluation.odds import calibrate
from preference.evaluation.record import Calibration
from preference.machine import check_device, choose_precision, one_thread
from preference.model.base_models import BaseModel
from preference.model.layers import can_pool, freeze_lower_layers, layer_stack, output_layer, pool_at
from preference.model.loading import load_base_model, longest_input
from preference.model.reward_model import RewardModel, states_of
from preference.training.objectives import LOSSES, pad_rankings
from preference.training.settings import TrainingSettings, layers_to_freeze, layers_to_keep

# Half of it times the sum of the squared weights is the penalty on the summed loss: a prior that does not depend on the
# number of rankings. Chosen on 12 to 300 rankings, see docs/measurements.md.
PENALTY = {"regression": 150.0, "bradley-terry": 25.0, "plackett-luce": 25.0}
_ITERATIONS = 500
SMALLEST_PART, MIN_CURVE_PROMPTS = 4, 10  # prompts
_FITS = 200


@dataclass(frozen=True)
class Probe:
    """reward = (state - mean) / scale @ weights; `mean`, `scale` and `weights` have shape (width,)."""

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray

    def inputs(self, states: np.ndarray) -> np.ndarray:
        """Return standardised states: shape (answers, width), float32."""
        return ((states - self.mean) / self.scale).astype(np.float32)

    def rewards(self, states: np.ndarray) -> np.ndarray:
        """Return the rewards of states of shape (answers, width): shape (answers,), float32."""
        return (self.inputs(states) @ self.weights).astype(np.float32)

    def output(self) -> tuple[np.ndarray, float]:
        """Return the weights and the bias of an output layer that reads the states as they are."""
        weights = self.weights / self.scale
        return weights, -float(self.mean @ weights)


@dataclass(frozen=True)
class Start:
    """What a training starts from: a base model, cut at a middle layer whose pooled states a linear head reads."""

    reward_model: RewardModel
    base: BaseModel
    settings: TrainingSettings
    layers: int  # that it keeps of the base's
    frozen: int  # how many of these stay as pretrained; -1: not even the embeddings do
    pooled: bool  # a probe can be fitted; False: of this architecture it is not known how to pool the states
    output: np.ndarray | None  # the output layer of a base that is a reward model itself: shape (width,)
    key: str  # stands for what decides the states

    @property
    def model(self) -> PreTrainedModel:
        return self.reward_model.model

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self.reward_model.tokenizer

    @property
    def head_only(self) -> bool:
        return self.pooled and self.frozen >= self.layers

    @property
    def has_bias(self) -> bool:
        """Whether the output layer has one; that of most decoders has none, and the mean of its rewards stays."""
        return output_layer(self.model).bias is not None

    def states(self, pairs: Sequence[dict], on_progress: Callable[[int], object] = lambda read: None) -> np.ndarray:
        """Return what the output layer reads of encoded pairs: shape (pairs, width), float32."""
        return states_of(self.reward_model, pairs, key=self.key, on_progress=on_progress)

    def fit(self, states: np.ndarray, rankings: Sequence[Ranking]) -> Probe:
        """Return the probe for the output layer; see `fit_probe`."""
        return fit_probe(states, rankings, self.settings.objective, start=self.output, bias=self.has_bias)


def start_from(
    base: BaseModel, settings: TrainingSettings, rankings: Sequence[Ranking], *,
    on_message: Callable[[str], object] = lambda text: None,
) -> Start:  # fmt: skip
    """Load the base model with one output, and cut it for as many rankings as there are.

    A base that is a reward model keeps all its layers and its output layer. One of an architecture that is not known is
    left whole too, with a new output layer, and a third of its layers frozen; this is told to `on_message`.
    """
    check_device(settings.device)
    model, tokenizer, is_reward_model = load_base_model(base.path, seed=settings.seed)
    most = longest_input(model)
    if most and settings.max_length > most:
        takes = f"{base.used} takes at most {most} tokens; give --max-length {most}"
        raise InputError(f"--max-length {settings.max_length}: {takes}")
    tokenizer.model_max_length = settings.max_length  # saved, so that every loader truncates as training did
    kept = depth = len(layer_stack(model))
    pooled, output = is_reward_model or can_pool(model), None
    if is_reward_model:
        output = output_layer(model).weight.detach().double().numpy()[0].copy()
    elif pooled:
        kept = layers_to_keep(settings, depth, len(rankings))
        if not 0 < kept <= depth:
            raise InputError(f"--layers {kept}: {base.used} has {depth} layers; give 1 to {depth}")
        pool_at(model, kept)
    if pooled:
        frozen = min(layers_to_freeze(settings, kept, len(rankings)), kept)
        if frozen < kept:  # only the layers below the states that the probe reads are trained
            model.requires_grad_(False)
            embeddings = [model.get_input_embeddings()] if frozen < 0 else []
            for module in (*embeddings, *layer_stack(model)[max(frozen, 0) : kept]):
                module.requires_grad_(True)
    else:
        kind = model.config.model_type
        on_message(f"{base.used}: no probe supports {kind}; fine-tuning the whole model from a new output layer")
        frozen = freeze_lower_layers(model, settings.freeze_layers)
    precision = choose_precision(settings.precision, settings.device, model.config.get_text_config().hidden_size)
    reward_model = RewardModel(model, tokenizer, device=settings.device, precision=precision)
    files = [path for path in base.path.iterdir() if path.is_file()] if base.path.is_dir() else [base.path]
    facts = sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files)
    key = f"1 {base.used} {facts} {kept} {settings.max_length}"
    return Start(reward_model, base, settings, kept, frozen, pooled, output, key)


def fit_probe(
    states: np.ndarray, rankings: Sequence[Ranking], objective: str, *, start: np.ndarray | None = None,
    bias: bool = True,
) -> Probe:  # fmt: skip
    """Return the probe that minimises the objective, averaged over `rankings`, and the penalty on its weights.

    Args:
        states: of all answers of `rankings`, in order: shape (answers, width).
        start: the output layer of a reward model, shape (width,): how much of its rewards to keep is fitted freely, and
            what is learned besides is penalised.
        bias: False for an output layer without one: the weights are then such that the mean state gets the reward 0.

        >>> probe = fit_probe(np.array([[1.0], [0.0]]), [Ranking("p", ["a", "b"], [1, 2])], "bradley-terry")
        >>> [round(float(reward), 2) for reward in probe.rewards(np.array([[1.0], [0.0]]))]
        [0.04, -0.04]
    """
    mean, scale = states.mean(axis=0), states.std(axis=0)
    scale = np.maximum(scale, 1e-3 * scale.mean()) + np.finfo(np.float32).tiny
    inputs = torch.from_numpy((states - mean) / scale).double()
    if not bias:  # the direction of the mean is left out
        direction = torch.from_numpy(_unit(mean / scale)).double()
        inputs = inputs - torch.outer(inputs @ direction, direction)
    free = np.zeros((len(scale), 0)) if start is None else _unit(start * scale)[:, None]
    columns = torch.cat([inputs, inputs @ torch.from_numpy(free).double()], dim=1)
    positions, ranks = pad_rankings([ranking.ranks for ranking in rankings], torch.arange(len(states)))
    loss, penalty = LOSSES[objective], PENALTY[objective] / len(rankings)
    weights = torch.zeros(columns.shape[1], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=_ITERATIONS, tolerance_change=1e-8, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        total = loss((columns @ weights)[positions], ranks) + penalty / 2 * weights[: len(scale)].square().sum()
        total.backward()
        return total

    with one_thread():  # many small steps, which only wait for a second one
        optimiser.step(closure)
    found = weights.detach().numpy()
    total = found[: len(scale)] + free @ found[len(scale) :]
    return Probe(mean, scale, total if bias else total - direction.numpy() * (total @ direction.numpy()))


def cross_validate(start: Start, states: np.ndarray, rankings: Sequence[Ranking], folds: Sequence[Parts]) -> np.ndarray:
    """Return the reward of each answer by a probe that never saw its prompt: shape (answers,), float32.

    Each fold has a scale of its own: rewards that its probe was fitted to have mean 0 and standard deviation 1.
    """
    of_answer = np.repeat(np.arange(len(rankings)), [len(ranking.answers) for ranking in rankings])
    rewards = np.zeros(len(states), dtype=np.float32)
    for fold in folds:
        learned, held_out = states[np.isin(of_answer, fold.training)], np.isin(of_answer, fold.validation)
        probe = start.fit(learned, [rankings[i] for i in fold.training])
        rewards[held_out] = probe.rewards(states[held_out]) / max(float(probe.rewards(learned).std()), 1e-12)
    return rewards


@dataclass(frozen=True)
class Review:
    """A cross-validation: the rewards of all answers and what they prove, the odds, and how many models gave them."""

    evaluation: Evaluation
    calibration: Calibration
    models: int


def review_states(start: Start, states: np.ndarray, rankings: Sequence[Ranking]) -> Review | None:
    """Cross-validate probes on the states of all answers, shape (answers, width); None if there is only one prompt."""
    if len({ranking.key for ranking in rankings}) < 2:
        return None
    seed = start.settings.seed
    folds = folds_by_prompt(rankings, seed)
    rewards = cross_validate(start, states, rankings, folds)
    margins = [pair_margins(ranking, values) for ranking, values in by_ranking(rankings, rewards)]
    by_fold = [np.concatenate([margins[i] for i in fold.validation]) for fold in folds]
    return Review(evaluate("cross-validation", rankings, rewards, seed=seed), calibrate(by_fold), len(folds))


def measure_curve(start: Start, states: np.ndarray, rankings: Sequence[Ranking]) -> Measured | None:
    """Return how accurate probes of few to four fifths of the prompts are on the other fifth, at each size.

    Each is the mean of as many random subsets as `_FITS` allows; below `MIN_CURVE_PROMPTS` prompts there is none.
    """
    of_prompt = defaultdict[str, list[tuple[np.ndarray, Ranking]]](list)
    for own, ranking in zip(split_answers(states, rankings), rankings, strict=True):
        of_prompt[ranking.key].append((own, ranking))
    prompts, count = sorted(of_prompt), len(of_prompt)
    if count < MIN_CURVE_PROMPTS:
        return None
    held = -(-count // 5)
    sizes = {round(SMALLEST_PART * 2 ** (i / 2)) for i in range(40)} & {*range(count - held)} | {count - held}
    generator = np.random.default_rng(start.settings.seed)
    right, pairs, times = np.zeros((count, len(sizes))), np.zeros(count), np.zeros(count)

    def chosen(numbers: np.ndarray) -> tuple[np.ndarray, list[Ranking]]:
        own, those = zip(*(both for number in numbers for both in of_prompt[prompts[number]]), strict=True)
        return np.concatenate(own), [*those]

    for _ in range(max(_FITS // len(sizes), 5)):
        order = generator.permutation(count)
        others, unseen = chosen(order[:held])
        times[order[:held]] += 1
        for column, size in enumerate(sorted(sizes)):
            learned, known = chosen(order[held : held + size])
            counts = count_pairs(unseen, start.fit(learned, known).rewards(others))
            right[order[:held], column] += counts.right
            pairs[order[:held]] = counts.pairs
    kept = times > 0
    return Measured(np.array(sorted(sizes)), right[kept] / times[kept, None], pairs[kept])


def _unit(weights: np.ndarray) -> np.ndarray:
    return weights / max(float(np.linalg.norm(weights)), 1e-12)
