"""The Hugging Face Trainer, taught to train on whole rankings."""

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
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainingArguments,
)
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from preference.data.rankings import Ranking
from preference.durable_files import writing_to
from preference.errors import InputError
from preference.evaluation.metrics import count_pairs, split_rewards
from preference.model.encoding import chunk_cost_of, rewards_of_chunks
from preference.model.head import output_layer
from preference.training.batching import RankingBatchSampler, RankingCollator, StatesCollator
from preference.training.resuming import checkpoint_size, last_checkpoint

_RANKINGS_AT_ONCE = 256
_ROUNDING = 4 * float(
    np.finfo(np.float32).eps
)  # rewards that differ by less, relative to their size, cannot be told apart
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

    Differs from `Trainer` in what a batch is (`RankingBatchSampler`, `RankingCollator`), in the loss (an objective over
    the rewards of whole rankings), in evaluation (pairwise accuracy), and in keeping the best weights in memory and in
    every checkpoint, so that one can evaluate more often than write checkpoints. Works under torchrun and
    `accelerate launch`: a step's rankings are shared out whole, and the gradient is that of one process.

    Args:
        tokenizer: None where the answers of the data sets are `states` instead of token ids.
        objective: see `preference.training.objectives`.
        train_dataset, validation_dataset: see `preference.training.encoded_table.encode_rankings`; the second may be empty.
        sizes: answers of each ranking of `train_dataset`.
        validation_rankings: the texts and ranks of `validation_dataset`.
        answers_per_step: over all processes together.
        head_learning_rate: of the layers that the base model does not have pretrained.
    """

    optimizer: torch.optim.Optimizer | None
    control: TrainerControl

    def __init__(
        self,
        model: nn.Module,
        args: TrainingArguments,
        *,
        tokenizer: PreTrainedTokenizerBase | None,
        objective: Callable[[Tensor, Tensor], Tensor],
        train_dataset: Dataset | list[dict],
        validation_dataset: Dataset | list[dict],
        sizes: Sequence[int],
        validation_rankings: Sequence[Ranking],
        answers_per_step: int,
        head_learning_rate: float,
        callbacks: Sequence[TrainerCallback] = (),
    ):
        super().__init__(model=model, args=args, train_dataset=train_dataset, eval_dataset=validation_dataset)
        self.objective = objective
        self.validation_rankings, self.head_learning_rate = validation_rankings, head_learning_rate
        self.collator = (
            RankingCollator(tokenizer, chunk_cost_of(model, str(args.device))) if tokenizer else StatesCollator()
        )
        self.batch_sampler = RankingBatchSampler(
            sizes, answers_per_step, args.seed, args.world_size, args.process_index
        )
        self.best: Best | None = None
        self.best_weights: dict[str, Tensor] = {}
        self.history: list[dict] = []  # one entry per evaluation: step, accuracy, loss
        for callback in (PrinterCallback, ProgressCallback):
            self.remove_callback(callback)
        for callback in (_SetEpoch(self.batch_sampler), *callbacks):
            self.add_callback(callback)

    def get_train_dataloader(self) -> DataLoader:
        return DataLoader(self.train_dataset, batch_sampler=self.batch_sampler, collate_fn=self.collator)

    def create_optimizer(self, model=None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            self.optimizer = torch.optim.AdamW(
                parameter_groups(self.model, self.args.learning_rate, self.head_learning_rate, self.args.weight_decay),
                fused=True,
            )
        return self.optimizer

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        with self.accelerator.autocast():  # around all chunks, so that weights are cast once
            rewards = rewards_of_chunks(model, inputs["chunks"])
        loss = self.objective(rewards[inputs["positions"]], inputs["ranks"])
        own = torch.tensor([len(inputs["ranks"]), not torch.isfinite(loss)], dtype=torch.float32, device=loss.device)
        all_rankings, diverged = (
            self.accelerator.reduce(own) if self.args.world_size > 1 else own
        )  # all stop where one diverged
        if (
            self.args.world_size > 1
        ):  # processes average their gradients: weight each by its share of the step's rankings
            loss = loss * own[0] * self.args.world_size / all_rankings
        if diverged:
            raise self._diverged(self.state.global_step + 1, "the loss is not a finite number")
        return (loss, rewards) if return_outputs else loss

    def floating_point_ops(self, inputs) -> int:
        return 0  # the Trainer's estimate would look for one padded batch

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval") -> dict[str, float]:
        rewards = self.rewards(self.eval_dataset)
        if not np.isfinite(rewards).all():
            raise self._diverged(self.state.global_step, "the rewards of the validation part are not finite numbers")
        accuracy = count_pairs(self.validation_rankings, rewards).accuracy()
        loss = objective_value(self.objective, self.validation_rankings, rewards)
        metrics = {"eval_pairwise_accuracy": accuracy, "eval_loss": loss}
        # Few prompts give few distinct accuracies; among equals the lower loss is the better model.
        if self.best is None or (accuracy, -loss) > (self.best.accuracy, -self.best.loss):
            self.best = Best(self.state.global_step, accuracy, loss, rewards.tolist())
            self.best_weights = {
                name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()
            }
        self.history.append({"step": self.state.global_step, "pairwise_accuracy": accuracy, "loss": loss})
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
        """Raise TrainingDiverged unless the rewards are finite and at least two of them differ.

        Args:
            step: whose weights gave them.
        """
        if not np.isfinite(rewards).all():
            raise self._diverged(step, "the rewards are not finite numbers")
        if np.ptp(rewards) <= _ROUNDING * np.abs(rewards).max():
            if step == 0:  # no learning rate has done anything yet
                raise TrainingDiverged(
                    "these rankings teach no order: they contradict each other, or their answers differ only beyond --max-length "
                    "tokens. No model was saved"
                )
            raise self._diverged(step, f"the model gives every answer the same reward ({rewards[0]:.4g})")

    def _diverged(self, step: int, why: str) -> TrainingDiverged:
        lower = f"lower --learning-rate (now {self.args.learning_rate:g}) or --head-learning-rate (now {self.head_learning_rate:g})"
        kept = last_checkpoint(Path(self.args.output_dir))
        return TrainingDiverged(
            f"training failed at step {step} of {self.args.max_steps}: {why}; {lower}. No model was saved"
            + (f"; the last good checkpoint is {kept}" if kept else "")
        )

    def _save_checkpoint(self, model, trial) -> None:
        if not all(torch.isfinite(parameter).all() for parameter in self.model.parameters()):
            raise self._diverged(self.state.global_step, "the weights are not finite numbers")
        folder = Path(self._get_output_dir(trial=trial)) / f"checkpoint-{self.state.global_step}"
        try:
            with writing_to(folder, checkpoint_size(self.model, keeps_best=bool(self.best_weights))):
                if self.args.should_save:
                    folder.mkdir(parents=True, exist_ok=True)
                    kept = {"best": self.best and asdict(self.best), "history": self.history}
                    (folder / _BEST).write_text(json.dumps(kept), encoding="utf-8")
                    if self.best_weights:
                        save_file(self.best_weights, folder / _BEST_WEIGHTS)
                super()._save_checkpoint(model, trial)
        except InputError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise InputError(f"{error}; free some space and repeat the command with --resume") from error

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model=None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        folder = Path(resume_from_checkpoint)
        kept = json.loads((folder / _BEST).read_text(encoding="utf-8"))
        self.history = kept["history"]
        if kept["best"]:
            self.best, self.best_weights = Best(**kept["best"]), load_file(folder / _BEST_WEIGHTS)


class _SetEpoch(TrainerCallback):
    """Tells the batch sampler the epoch, from which its order follows; also after a resume."""

    def __init__(self, batch_sampler: RankingBatchSampler):
        self.batch_sampler = batch_sampler

    def on_epoch_begin(self, args, state, control, **kwargs):
        self.batch_sampler.set_epoch(state.global_step // len(self.batch_sampler))


def parameter_groups(
    model: PreTrainedModel, learning_rate: float, head_learning_rate: float, weight_decay: float
) -> list[dict]:
    """Group the parameters for the optimiser: new output or pretrained, with weight decay (matrices) or without."""
    head = {id(parameter) for parameter in output_layer(model).parameters()}
    groups: dict[tuple[bool, bool], list] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            groups.setdefault((id(parameter) in head, parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": some,
            "lr": head_learning_rate if is_head else learning_rate,
            "weight_decay": weight_decay * is_matrix,
        }
        for (is_head, is_matrix), some in groups.items()
    ]


def objective_value(
    objective: Callable[[Tensor, Tensor], Tensor], rankings: Sequence[Ranking], rewards: np.ndarray
) -> float:
    """Return the mean of `objective` over rankings of any size."""
    parts = split_rewards(rankings, rewards)
    values = [
        objective(torch.from_numpy(part)[None].float(), torch.tensor(ranking.ranks)[None]).item()
        for ranking, part in zip(rankings, parts, strict=True)
    ]
    return float(np.mean(values))
