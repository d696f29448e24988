"""The Hugging Face Trainer, taught to train on whole rankings, and what it shows while it does."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase, Trainer, TrainerCallback, TrainerControl, TrainingArguments
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from preference.console import make_bar
from preference.data.rankings import Ranking
from preference.data.splits import Parts
from preference.durable_files import writing_to
from preference.errors import InputError
from preference.evaluation.metrics import count_pairs, split_rewards
from preference.machine import PROCESS
from preference.model.encoding import chunk_cost_of, rewards_of_chunks
from preference.model.layers import output_layer
from preference.training.batching import RankingBatchSampler, RankingCollator
from preference.training.model_folder import last_checkpoint
from preference.training.objectives import LOSSES
from preference.training.settings import TrainingSettings

_RANKINGS_AT_ONCE = 256
_ROUNDING = 4 * float(np.finfo(np.float32).eps)  # rewards that differ by less, relative to their size, are equal
_BEST_WEIGHTS, _BEST = "best.safetensors", "best.json"


class TrainingDiverged(InputError):
    """Training diverged: a loss, a reward or a weight is not finite, or all rewards are equal."""


@dataclass(frozen=True)
class Best:
    """The evaluation that did best so far, and the rewards that it found."""

    step: int
    accuracy: float
    loss: float
    rewards: list[float]  # of the validation answers, in order


class RankingTrainer(Trainer):
    """Trains a model with one output on encoded rankings, and keeps the weights that did best on the validation part.

    The best weights are kept in memory and in every checkpoint, so that evaluations can be more frequent than these.
    Under torchrun a step's rankings are shared out whole, and the gradient is that of one process.

    Args:
        rows: of all rankings: see `encode_rankings`; or ranks and `states`, without a tokenizer.
        parts: what of them to train on, and what to evaluate, which may be nothing.
        new_output: the output layer is not fitted yet, and has its own learning rate.
    """

    optimizer: torch.optim.Optimizer | None
    control: TrainerControl

    def __init__(
        self, model: nn.Module, args: TrainingArguments, settings: TrainingSettings, rankings: Sequence[Ranking],
        rows: Dataset | list[dict], parts: Parts, *, tokenizer: PreTrainedTokenizerBase | None = None,
        new_output: bool = False, callbacks: Sequence[TrainerCallback] = (),
    ):  # fmt: skip
        train, validation = (rows.select(p) if isinstance(rows, Dataset) else [rows[i] for i in p] for p in parts)
        super().__init__(model=model, args=args, train_dataset=train, eval_dataset=validation)
        self.objective, self.settings = LOSSES[settings.objective], settings
        self.validation_rankings = [rankings[i] for i in parts.validation]
        self.head_learning_rate = settings.head_learning_rate if new_output else settings.learning_rate
        self.collator = RankingCollator(tokenizer, chunk_cost_of(str(args.device)))
        sizes, share = [len(rankings[i].answers) for i in parts.training], (args.world_size, args.process_index)
        self.batch_sampler = RankingBatchSampler(sizes, settings.batch_size, args.seed, *share)
        self.best: Best | None = None
        self.best_weights: dict[str, Tensor] = {}
        self.history: list[dict] = []  # one entry per evaluation: step, accuracy, loss
        for callback in (PrinterCallback, ProgressCallback):
            self.remove_callback(callback)
        for callback in callbacks if PROCESS == 0 else ():
            self.add_callback(callback)

    def get_train_dataloader(self) -> DataLoader:
        loader = DataLoader(self.train_dataset, batch_sampler=self.batch_sampler, collate_fn=self.collator)
        loader.set_epoch = self.batch_sampler.set_epoch  # type: ignore[attr-defined]  # the Trainer calls it
        return loader

    def create_optimizer(self, model=None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            learning_rate, decay = self.settings.learning_rate, self.settings.weight_decay
            groups = parameter_groups(self.model, learning_rate, self.head_learning_rate, decay)
            self.optimizer = torch.optim.AdamW(groups, fused=True)
        return self.optimizer

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        with self.accelerator.autocast():  # around all chunks, so that weights are cast once
            rewards = rewards_of_chunks(model, inputs["chunks"])
        loss = self.objective(rewards[inputs["positions"]], inputs["ranks"])
        own = torch.tensor([len(inputs["ranks"]), not torch.isfinite(loss)], dtype=torch.float32, device=loss.device)
        several = self.args.world_size > 1
        all_rankings, diverged = self.accelerator.reduce(own) if several else own  # all stop where one diverged
        if several:  # processes average their gradients: weight each by its share of the step's rankings
            loss = loss * own[0] * self.args.world_size / all_rankings
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
        # Few prompts give few distinct accuracies; among equals the lower loss is the better model.
        if self.best is None or (accuracy, -loss) > (self.best.accuracy, -self.best.loss):
            self.best = Best(step, accuracy, loss, rewards.tolist())
            self.best_weights = {name: t.detach().cpu().clone() for name, t in self.model.state_dict().items()}
        self.history.append({"step": step, "pairwise_accuracy": accuracy, "loss": loss})
        metrics = {"eval_pairwise_accuracy": accuracy, "eval_loss": loss}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def rewards(self, encoded: Dataset | list[dict]) -> np.ndarray:
        """Return the rewards of all answers of `encoded`, in order: shape (answers,). Processes share the work."""
        self.model.eval()
        starts = np.cumsum([0, *(len(ranking.answers) for ranking in self.validation_rankings)])
        rewards = np.zeros(starts[-1], dtype=np.float32)
        own = range(self.args.process_index, len(encoded), self.args.world_size)
        for first in range(0, len(own), _RANKINGS_AT_ONCE):
            rows = own[first : first + _RANKINGS_AT_ONCE]
            inputs = self._prepare_inputs(self.collator([encoded[row] for row in rows]))
            with torch.inference_mode(), self.accelerator.autocast():
                values = rewards_of_chunks(self.model, inputs["chunks"])[inputs["positions"]]
            found = iter(values[inputs["ranks"] > 0].cpu().numpy())
            for row in rows:
                rewards[starts[row] : starts[row + 1]] = list(islice(found, starts[row + 1] - starts[row]))
        if self.args.world_size > 1:
            rewards = self.accelerator.reduce(torch.from_numpy(rewards).to(self.args.device)).cpu().numpy()
        return rewards

    def restore_best(self) -> int:
        """Put the best weights into the model, in fp32 and without the Trainer's wrappers; return their step."""
        self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        if self.best is None:
            return self.state.global_step
        self.model.load_state_dict(self.best_weights)
        return self.best.step

    def check_rewards(self, rewards: np.ndarray, step: int) -> None:
        """Raise TrainingDiverged unless the rewards, by the weights of `step`, are finite and at least two differ."""
        if not np.isfinite(rewards).all():
            raise self._diverged(step, "the rewards are not finite numbers")
        if np.ptp(rewards) > _ROUNDING * np.abs(rewards).max():
            return
        if step == 0:  # no learning rate has done anything yet
            raise TrainingDiverged(
                "these rankings teach no order: they contradict each other, or their answers differ only beyond"
                " --max-length tokens. No model was saved"
            )
        raise self._diverged(step, f"the model gives every answer the same reward ({rewards[0]:.4g})")

    def _diverged(self, step: int, why: str) -> TrainingDiverged:
        kept = last_checkpoint(Path(self.args.output_dir))
        return TrainingDiverged(
            f"training failed at step {step} of {self.args.max_steps}: {why}; lower --learning-rate (now"
            f" {self.settings.learning_rate:g}) or --head-learning-rate (now {self.head_learning_rate:g})."
            " No model was saved" + (f"; the last good checkpoint is {kept}" if kept else "")
        )

    def _save_checkpoint(self, model, trial) -> None:
        if not all(torch.isfinite(parameter).all() for parameter in self.model.parameters()):
            raise self._diverged(self.state.global_step, "the weights are not finite numbers")
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        try:
            with writing_to(folder):
                if self.args.should_save:
                    folder.mkdir(parents=True, exist_ok=True)
                    kept = {"best": self.best and asdict(self.best), "history": self.history}
                    (folder / _BEST).write_text(json.dumps(kept), encoding="utf-8")
                    save_file(self.best_weights, folder / _BEST_WEIGHTS)
                super()._save_checkpoint(model, trial)
        except InputError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise InputError(f"{error} and repeat the command with --resume") from error

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model=None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        kept = json.loads(Path(resume_from_checkpoint, _BEST).read_text(encoding="utf-8"))
        self.history, self.best = kept["history"], Best(**kept["best"]) if kept["best"] else None
        self.best_weights = load_file(Path(resume_from_checkpoint, _BEST_WEIGHTS))


def parameter_groups(
    model: nn.Module, learning_rate: float, head_learning_rate: float, weight_decay: float
) -> list[dict]:
    """Group the parameters for the optimiser: output layer or not, with weight decay (matrices) or without."""
    head = {id(parameter) for parameter in output_layer(model).parameters()}
    groups: dict[tuple[float, float], list] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            rate = head_learning_rate if id(parameter) in head else learning_rate
            groups.setdefault((rate, weight_decay * (parameter.ndim > 1)), []).append(parameter)
    return [{"params": group, "lr": rate, "weight_decay": decay} for (rate, decay), group in groups.items()]


def objective_value(
    objective: Callable[[Tensor, Tensor], Tensor], rankings: Sequence[Ranking], rewards: np.ndarray
) -> float:
    """Return the mean of `objective` over rankings of any size."""
    values = [
        objective(torch.from_numpy(part)[None].float(), torch.tensor(ranking.ranks)[None]).item()
        for ranking, part in zip(rankings, split_rewards(rankings, rewards), strict=True)
    ]
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
