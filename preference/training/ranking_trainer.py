"""The Hugging Face Trainer, taught to train on whole rankings, and what it shows while it does.

A step holds a few prompts with all their answers, since the objectives compare a prompt's answers. No work is spent on
padding: the answers are encoded in chunks of like length, and the rewards put back in order before they are compared.
"""

import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset
from transformers import PreTrainedTokenizerBase, Trainer, TrainerCallback, TrainerControl, TrainingArguments
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from preference.console import make_bar
from preference.data.rankings import Ranking
from preference.data.splits import Parts
from preference.durable_files import writing_to
from preference.errors import InputError
from preference.evaluation.metrics import by_ranking, count_pairs
from preference.machine import PROCESS
from preference.model.encoding import CHUNK_COST_CPU, chunk_cost_of, pad_chunk, plan_chunks, rewards_of_chunks
from preference.model.layers import output_layer
from preference.training.model_folder import last_checkpoint
from preference.training.objectives import LOSSES, pad_rankings
from preference.training.settings import TrainingSettings

_RANKINGS_AT_ONCE = 256
_ROUNDING = 4 * float(np.finfo(np.float32).eps)  # rewards that differ by less, relative to their size, are equal
_BEST_WEIGHTS, _BEST = "best.safetensors", "best.json"


class TrainingDiverged(InputError):
    """Training diverged: a loss, a reward or a weight is not finite, or all rewards are equal."""


def cut_evenly(sizes: Sequence[int] | np.ndarray, parts: int, least: int = 1) -> list[range]:
    """Cut a sequence into `parts` runs of about equal total size, each of at least `least` items.

    >>> cut_evenly([4, 4, 4, 4, 12], parts=3)
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    ends, bounds = np.cumsum(sizes), [0]
    middles = ends - np.asarray(sizes) / 2  # a run ends before an item whose middle lies beyond the target
    for part in range(1, parts):
        nearest = int(np.searchsorted(middles, ends[-1] * part / parts, side="right"))
        bounds.append(min(max(nearest, bounds[-1] + least), len(sizes) - (parts - part) * least))
    return [range(*ends) for ends in pairwise([*bounds, len(sizes)])]


class RankingBatchSampler:
    """Yields, for each step, the positions of the rankings that this process trains on.

    Every epoch shuffles the rankings, which have `sizes` answers, and cuts them into steps of about `answers_per_step`
    answers; a ranking is never broken. With several processes a step is cut once more, so that together they train on
    the same rankings as one process would. The order follows from `seed` and the epoch alone.
    """

    def __init__(self, sizes: Sequence[int], answers_per_step: int, seed: int, processes: int = 1, process: int = 0):
        if len(sizes) < processes:
            only = "is only 1 ranking" if len(sizes) == 1 else f"are only {len(sizes)} rankings"
            raise InputError(f"there {only} for {processes} processes; start at most {len(sizes)}")
        self.sizes, self.seed, self.epoch = np.asarray(sizes), seed, 0
        self.processes, self.process = processes, process
        self.steps = min(max(1, round(int(self.sizes.sum()) / answers_per_step)), len(self.sizes) // processes)

    def __len__(self) -> int:
        return self.steps

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.sizes))
        for step in cut_evenly(self.sizes[order], self.steps, least=self.processes):
            own = order[step.start : step.stop]
            share = cut_evenly(self.sizes[own], self.processes)[self.process]
            yield own[share.start : share.stop].tolist()


class RankingCollator:
    """Turns encoded rankings into the tensors of one step.

    Two prompts with 2 and 1 answers, the second answer much longer than the others, give

        {"chunks": [{"input_ids": (2, 9), "attention_mask": (2, 9)},      # answers 0 and 2
                    {"input_ids": (1, 80), "attention_mask": (1, 80)}],   # answer 1
         "positions": [[0, 2], [1, 0]],   # where each answer's reward is in the joined output of the chunks
         "ranks":     [[1, 2], [1, 0]]}   # 0 is padding

    Without a tokenizer the answers are `states`, shape (answers, width), instead of token ids: one chunk.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase | None, chunk_cost: int = CHUNK_COST_CPU):
        self.tokenizer, self.chunk_cost = tokenizer, chunk_cost

    def __call__(self, rows: Sequence[dict]) -> dict:
        if self.tokenizer is None:
            inputs = [{"states": torch.from_numpy(np.concatenate([row["states"] for row in rows]))}]
            places = torch.arange(len(inputs[0]["states"]))
        else:
            pairs = [pair for row in rows for pair in row["pairs"]]
            chunks = plan_chunks([len(pair["input_ids"]) for pair in pairs], self.chunk_cost)
            inputs = [pad_chunk(self.tokenizer, [pairs[i] for i in chunk]) for chunk in chunks]
            places = torch.tensor([i for chunk in chunks for i in chunk]).argsort()
        positions, ranks = pad_rankings([row["ranks"] for row in rows], places)
        return {"chunks": inputs, "positions": positions, "ranks": ranks}


class RankingTrainer(Trainer):
    """Trains a model with one output on encoded rankings, and keeps the weights that did best on the validation part.

    These are in memory and in every checkpoint, so that evaluations can be more frequent than checkpoints. Under
    torchrun a step's rankings are shared out whole, and the gradient is that of one process.

    Args:
        rows: of all rankings: see `encode_rankings`; or `ranks` and `states`, without a tokenizer.
        parts: what of them to train on, and what to evaluate, which may be nothing.
        new_output: the output layer is not fitted yet, and has its own learning rate.
    """

    optimizer: torch.optim.Optimizer | None
    control: TrainerControl

    def __init__(
        self, model: nn.Module, args: TrainingArguments, settings: TrainingSettings, rankings: Sequence[Ranking],
        rows: Sequence[dict] | Dataset, parts: Parts, *, tokenizer: PreTrainedTokenizerBase | None = None,
        new_output: bool = False, callbacks: Sequence[TrainerCallback] = (),
    ):  # fmt: skip
        train, validation = (Subset(rows, part) for part in parts)
        super().__init__(model=model, args=args, train_dataset=train, eval_dataset=validation)
        self.objective, self.settings = LOSSES[settings.objective], settings
        self.validation_rankings = [rankings[i] for i in parts.validation]
        self.head_learning_rate = settings.head_learning_rate if new_output else settings.learning_rate
        self.collator = RankingCollator(tokenizer, chunk_cost_of(str(args.device)))
        sizes, share = [len(rankings[i].ranks) for i in parts.training], (args.world_size, args.process_index)
        self.batch_sampler = RankingBatchSampler(sizes, settings.batch_size, args.seed, *share)
        self.history: list[dict] = []  # one entry per evaluation: step, pairwise_accuracy, loss
        self.best: dict[str, Any] | None = None  # the best of these, and the rewards of the validation answers
        self.best_weights: dict[str, Tensor] = {}
        for callback in (PrinterCallback, ProgressCallback):
            self.remove_callback(callback)
        for callback in callbacks if PROCESS == 0 else ():
            self.add_callback(callback)

    def get_train_dataloader(self) -> DataLoader:
        loader = DataLoader(self.train_dataset, batch_sampler=self.batch_sampler, collate_fn=self.collator)
        loader.set_epoch = self.batch_sampler.set_epoch  # type: ignore[attr-defined]  # the Trainer calls it
        return loader

    def create_optimizer(self, model=None) -> torch.optim.Optimizer:
        rates = self.settings.learning_rate, self.head_learning_rate
        self.optimizer = torch.optim.AdamW(parameter_groups(self.model, *rates, self.settings.weight_decay), fused=True)
        return self.optimizer

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        with self.accelerator.autocast():  # around all chunks, so that weights are cast once
            rewards = rewards_of_chunks(model, inputs["chunks"])
        loss = self.objective(rewards[inputs["positions"]], inputs["ranks"])
        own = torch.tensor([len(inputs["ranks"]), not torch.isfinite(loss)], dtype=torch.float32, device=loss.device)
        all_rankings, diverged = self.accelerator.reduce(own)  # all processes stop where one diverged
        # They average their gradients: weight each by its share of the step's rankings.
        loss = loss * (own[0] * self.args.world_size / all_rankings)
        if diverged:
            raise self._diverged(self.state.global_step + 1, "the loss is not a finite number")
        return (loss, rewards) if return_outputs else loss

    def floating_point_ops(self, inputs) -> int:
        return 0  # the Trainer's estimate would look for one padded batch

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval") -> dict[str, float]:
        rewards, step = self.rewards(self.eval_dataset), self.state.global_step
        if not np.isfinite(rewards).all():
            raise self._diverged(step, "the rewards of the validation part are not finite numbers")
        accuracy = count_pairs(self.validation_rankings, rewards).accuracy()
        loss = objective_value(self.objective, self.validation_rankings, rewards)
        self.history.append({"step": step, "pairwise_accuracy": accuracy, "loss": loss})
        # Few prompts give few distinct accuracies; among equals the lower loss is the better model.
        if self.best is None or (accuracy, -loss) > (self.best["pairwise_accuracy"], -self.best["loss"]):
            self.best = self.history[-1] | {"rewards": rewards.tolist()}
            self.best_weights = {name: t.detach().cpu().clone() for name, t in self.model.state_dict().items()}
        metrics = {"eval_pairwise_accuracy": accuracy, "eval_loss": loss}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def rewards(self, rows: list[dict]) -> np.ndarray:
        """Return the rewards of all validation answers, in order: shape (answers,). Processes share the work."""
        self.model.eval()
        of_row = np.repeat(np.arange(len(rows)), [len(ranking.ranks) for ranking in self.validation_rankings])
        rewards = torch.zeros(len(of_row), device=self.args.device)
        own = range(self.args.process_index, len(rows), self.args.world_size)
        for first in range(0, len(own), _RANKINGS_AT_ONCE):
            at_once = own[first : first + _RANKINGS_AT_ONCE]
            inputs = self._prepare_inputs(self.collator([rows[i] for i in at_once]))
            with torch.inference_mode(), self.accelerator.autocast():
                values = rewards_of_chunks(self.model, inputs["chunks"])[inputs["positions"]]
                rewards[np.isin(of_row, at_once)] = values[inputs["ranks"] > 0]
        return self.accelerator.reduce(rewards).cpu().numpy()

    @property
    def best_step(self) -> int:
        """The step whose weights `restore_best` gives."""
        return self.best["step"] if self.best else self.state.global_step

    def restore_best(self) -> None:
        """Put the best weights into the model, in fp32 and without the Trainer's wrappers."""
        self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        if self.best:
            self.model.load_state_dict(self.best_weights)

    def check_rewards(self, rewards: np.ndarray) -> None:
        """Raise TrainingDiverged unless the rewards, by the best weights, are finite and at least two differ."""
        if not np.isfinite(rewards).all():
            raise self._diverged(self.best_step, "the rewards are not finite numbers")
        if np.ptp(rewards) > _ROUNDING * np.abs(rewards).max():
            return
        if self.best_step == 0:  # no learning rate has done anything yet
            why = "they contradict each other, or their answers differ only beyond --max-length tokens"
            raise TrainingDiverged(f"these rankings teach no order: {why}. No model was saved")
        raise self._diverged(self.best_step, f"the model gives every answer the same reward ({rewards[0]:.4g})")

    def _diverged(self, step: int, why: str) -> TrainingDiverged:
        kept = last_checkpoint(Path(self.args.output_dir))
        rate, head_rate = self.settings.learning_rate, self.head_learning_rate
        remedy = f"lower --learning-rate (now {rate:g}) or --head-learning-rate (now {head_rate:g})"
        saved = "No model was saved" + (f"; the last good checkpoint is {kept}" if kept else "")
        return TrainingDiverged(f"training failed at step {step} of {self.args.max_steps}: {why}; {remedy}. {saved}")

    def _save_checkpoint(self, model, trial) -> None:
        if not all(torch.isfinite(parameter).all() for parameter in self.model.parameters()):
            raise self._diverged(self.state.global_step, "the weights are not finite numbers")
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        try:
            with writing_to(folder):
                if self.args.should_save:
                    folder.mkdir(parents=True, exist_ok=True)
                    kept = {"best": self.best, "history": self.history}
                    (folder / _BEST).write_text(json.dumps(kept), encoding="utf-8")
                    save_file(self.best_weights, folder / _BEST_WEIGHTS)
                super()._save_checkpoint(model, trial)
        except InputError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise InputError(f"{error} and repeat the command with --resume") from error

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model=None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        kept = json.loads(Path(resume_from_checkpoint, _BEST).read_text(encoding="utf-8"))
        self.history, self.best = kept["history"], kept["best"]
        self.best_weights = load_file(Path(resume_from_checkpoint, _BEST_WEIGHTS))


def parameter_groups(model: nn.Module, rate: float, head_rate: float, weight_decay: float) -> list[dict]:
    """Group the parameters for the optimiser: output layer or not, with weight decay (matrices) or without."""
    head = {*output_layer(model).parameters()}
    groups = defaultdict[tuple[float, float], list](list)
    for parameter in model.parameters():
        if parameter.requires_grad:
            groups[head_rate if parameter in head else rate, weight_decay * (parameter.ndim > 1)].append(parameter)
    return [{"params": group, "lr": rate, "weight_decay": decay} for (rate, decay), group in groups.items()]


def objective_value(objective: Callable[..., Tensor], rankings: Sequence[Ranking], rewards: np.ndarray) -> float:
    """Return the mean of `objective` over rankings of any size."""
    both = by_ranking(rankings, rewards)
    values = [objective(torch.from_numpy(own)[None].float(), torch.tensor([r.ranks])).item() for r, own in both]
    return float(np.mean(values))


class ShowProgress(TrainerCallback):
    """One bar on standard error, where that is a terminal: steps, time left, loss, validation accuracy."""

    def __init__(self) -> None:
        self.bar = make_bar("training")
        self.task = self.bar.add_task("", total=None)
        self.loss = self.accuracy = ""

    def on_train_begin(self, args, state, control, **kwargs):
        self.bar.update(self.task, total=state.max_steps)
        self.bar.start()

    def on_step_end(self, args, state, control, **kwargs):
        self.bar.update(self.task, completed=state.global_step, description=f"{self.loss} {self.accuracy}")

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "loss" in logs:
            self.loss = f"loss {logs['loss']:.3f}"
        if "eval_pairwise_accuracy" in logs:
            self.accuracy = f"validation accuracy {logs['eval_pairwise_accuracy']:.3f}"

    def on_train_end(self, args, state, control, **kwargs):
        self.bar.stop()
