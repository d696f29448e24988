"""Training: rankings and a base model become a reward model. Prints nothing; messages go to a callback."""

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn
from transformers import TrainerCallback, TrainingArguments

from preference.data.rankings import Ranking
from preference.data.splits import Parts
from preference.evaluation.metrics import split_answers
from preference.machine import PROCESS, PROCESSES, free_memory
from preference.model.base_models import BaseModel
from preference.model.encoding import encode_rankings
from preference.model.layers import output_layer, set_output, standardise_rewards
from preference.model.loading import quiet_transformers
from preference.model.reward_model import RewardModel
from preference.training.model_folder import begin_run, check_same_run, last_checkpoint, remove_run, steps_done
from preference.training.probe import Probe, Start, start_from
from preference.training.ranking_trainer import RankingTrainer
from preference.training.settings import TrainingSettings
from preference.wording import as_size, counted

EVALUATE_EVERY = 20  # steps
SCALE_RANKINGS = 16  # put the rewards on their scale where not those of all answers are known
CHECKPOINTS_KEPT = 2


@dataclass(frozen=True)
class Trained:
    """A reward model, and how it was trained.

    `rewards` are of the answers whose rewards were given standard deviation 1, and mean 0 where the output layer has a
    bias. Where the head alone was trained, these are all answers, in order: the model has learned from all rankings,
    the validation part too, and `states` are what a cross-validation takes.
    """

    start: Start
    reward_model: RewardModel  # with the weights of `best_step`
    steps: int
    best_step: int  # 0 is the probe
    epochs: float  # really trained, which --min-steps and --max-steps change
    truncated_answers: int
    seconds: float
    ranked_answers_per_second: float  # those of the training part once per epoch, with evaluations and checkpoints
    processes: int
    training_loss: float  # mean of all steps
    history: list[dict]  # evaluations of the validation part: step, pairwise_accuracy, loss
    rewards: np.ndarray  # (answers,)
    states: np.ndarray | None = None  # (answers, width)

    def record(self) -> dict:
        """Return all of it but models and arrays, as JSON can hold it; what was asked for stands under `settings`."""
        start, left_out = self.start, ("start", "reward_model", "rewards", "states")
        facts = {name: value for name, value in vars(self).items() if name not in left_out}
        facts |= {"layers": start.layers, "frozen_layers": start.frozen, "precision": start.reward_model.precision}
        return {"settings": asdict(start.settings), **facts, "scaled_on_answers": len(self.rewards)}


class Schedule(NamedTuple):
    """How many steps, and how often to evaluate and to write a checkpoint."""

    steps: int
    steps_per_epoch: int
    evaluate_every: int
    save_every: int


def plan_schedule(train_answers: int, validation_answers: int, settings: TrainingSettings) -> Schedule:
    """Plan the steps from the number of answers in both parts.

    >>> plan_schedule(16, 4, TrainingSettings())
    Schedule(steps=60, steps_per_epoch=2, evaluate_every=20, save_every=20)
    """
    steps_per_epoch = max(1, round(train_answers / settings.batch_size))
    steps = max(round(settings.epochs * steps_per_epoch), settings.min_steps)
    if settings.max_steps is not None:
        steps = min(steps, settings.max_steps)
    # Evaluating an answer costs a third of training on it: stay below about a tenth of the training time.
    evaluate_every = min(max(EVALUATE_EVERY, round(10 * validation_answers / (3 * settings.batch_size))), steps)
    return Schedule(steps, steps_per_epoch, evaluate_every, evaluate_every * -(-EVALUATE_EVERY // evaluate_every))


@dataclass(frozen=True)
class _Job:
    rankings: Sequence[Ranking]
    parts: Parts
    start: Start
    encoded: Dataset
    schedule: Schedule
    checkpoints: Path
    callbacks: Sequence[TrainerCallback]
    on_message: Callable[[str], object]

    def states(self, part: Sequence[int]) -> np.ndarray:
        """Return what the output layer reads of the answers of some rankings: shape (answers, width)."""
        return self.start.states([pair for i in part for pair in self.encoded[i]["pairs"]])


def train(
    rankings: Sequence[Ranking], parts: Parts, base: BaseModel, settings: TrainingSettings, *, checkpoints: Path,
    resume: bool = False, on_message: Callable[[str], object] = lambda text: None,
    callbacks: Sequence[TrainerCallback] = (),
) -> Trained:  # fmt: skip
    """Fit a probe to the rankings, fine-tune from it, and keep the weights that do best on the validation part.

    Args:
        checkpoints: the folder of the unfinished run, which `resume` continues; the caller removes it at the end.
        on_message: called with each warning and with what is about to be trained.
        callbacks: the Trainer's, for process 0: a progress bar, a log.
    """
    start = start_from(base, settings, rankings, on_message=on_message)
    encoded = encode_rankings(rankings, start.tokenizer, settings.max_length, on_message)
    train_answers, validation_answers = (sum(len(rankings[i].answers) for i in part) for part in parts)
    schedule = plan_schedule(train_answers, validation_answers, settings)
    job = _Job(rankings, parts, start, encoded, schedule, checkpoints, callbacks, on_message)
    on_message(_in_words(job, train_answers))
    began, checkpoint = time.perf_counter(), _start_or_resume(job, resume)
    trainer, rewards, states = _train_head(job) if start.head_only else _train_layers(job, checkpoint)
    seconds = time.perf_counter() - began
    epochs = (schedule.steps - steps_done(checkpoint)) / schedule.steps_per_epoch  # in that time
    if torch.distributed.is_initialized():
        torch.distributed.barrier()  # a process that ended earlier would take the others down with it
        torch.distributed.destroy_process_group()
    return Trained(
        start, RewardModel(start.model, start.tokenizer, device=settings.device), steps=schedule.steps,
        best_step=trainer.best_step, epochs=schedule.steps / schedule.steps_per_epoch,
        truncated_answers=sum(encoded["cut"]), seconds=round(seconds, 2),
        ranked_answers_per_second=round(epochs * train_answers / seconds, 2), processes=PROCESSES,
        training_loss=float(np.mean([entry["loss"] for entry in trainer.state.log_history if "loss" in entry])),
        history=trainer.history, rewards=rewards, states=states,
    )  # fmt: skip


def _in_words(job: _Job, train_answers: int) -> str:
    """Say in one line what is trained, and how."""
    start, settings = job.start, job.start.settings
    training, validation = (len({job.rankings[i].key for i in part}) for part in job.parts)
    kept, trained = start.layers, start.layers - max(start.frozen, 0)
    what = f"the head on layer {kept}" if start.head_only else f"{trained} of {kept} layers"
    held = f"; {counted(validation, 'prompt')} held out to choose the step" if validation else ""
    return (
        f"training: {counted(training, 'prompt')}, {train_answers} answers, {counted(job.schedule.steps, 'step')} of"
        f" {counted(settings.batch_size, 'answer')}, {settings.objective}, {start.reward_model.precision} on"
        f" {settings.device}; {what}{held}" + (f", {PROCESSES} processes" if PROCESSES > 1 else "")
    )


class StatesModel(nn.Module):
    """The head alone, as the Trainer takes it: standardised states, (answers, width), become rewards, (answers, 1)."""

    def __init__(self, weights: np.ndarray):
        super().__init__()
        self.output = nn.Linear(len(weights), 1, bias=False)
        self.output.weight.data.copy_(torch.from_numpy(weights)[None])

    def forward(self, states: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.output(states))


def _train_head(job: _Job) -> tuple[RankingTrainer, np.ndarray, np.ndarray]:
    """Train the head alone, on states that are computed once, and let it learn from all rankings.

    The validation part tells how many steps from the probe are best, none among them. So many are then repeated on all.
    Returns the trainer, and the rewards and states of all answers.
    """
    rankings, start, everything = job.rankings, job.start, [*range(len(job.rankings))]
    states = job.states(everything)
    of_rankings = split_answers(states, rankings)

    def run(job: _Job) -> tuple[Probe, RankingTrainer]:
        training = job.parts.training
        probe = start.fit(np.concatenate([of_rankings[i] for i in training]), [rankings[i] for i in training])
        rows = [{"ranks": r.ranks, "states": probe.inputs(s)} for r, s in zip(rankings, of_rankings, strict=True)]
        head = StatesModel(probe.weights)
        trainer = _fine_tune(job, head, rows)
        return replace(probe, weights=head.output.weight.detach().double().cpu().numpy()[0]), trainer

    probe, trainer = run(job)
    if job.parts.validation and trainer.best_step:
        schedule = job.schedule._replace(steps=trainer.best_step)
        probe, _ = run(replace(job, parts=Parts(everything, []), schedule=schedule, callbacks=()))
    elif job.parts.validation:
        probe = start.fit(states, rankings)
    set_output(start.model, *probe.output())
    with torch.inference_mode():
        rewards = output_layer(start.model)(torch.from_numpy(states).to(start.model.device))[:, 0].cpu().numpy()
    trainer.check_rewards(rewards)
    return trainer, standardise_rewards(start.model, rewards), states


def _train_layers(job: _Job, checkpoint: Path | None) -> tuple[RankingTrainer, np.ndarray, None]:
    """Train the model's layers, from the probe's head where there is one.

    Returns the trainer, and the rewards of the answers that their scale is of: of the validation part where it is large
    enough, else of some training answers.
    """
    start, training = job.start, job.parts.training
    if start.pooled:
        set_output(start.model, *start.fit(job.states(training), [job.rankings[i] for i in training]).output())
    trained = sum(p.numel() * 4 for p in start.model.parameters() if p.requires_grad)
    if (needed := 3 * trained) > (free := free_memory(start.settings.device)):  # the gradients and Adam's two averages
        takes = f"training takes more than {as_size(needed)} of memory, and {as_size(free)} is free"
        job.on_message(f"warning: {takes}; raise --freeze-layers")
    trainer = _fine_tune(job, start.model, job.encoded, checkpoint)
    if trainer.best and len(job.parts.validation) >= SCALE_RANKINGS:
        rewards = np.asarray(trainer.best["rewards"])
    else:
        drawn = np.random.default_rng(start.settings.seed).permutation(training)[:SCALE_RANKINGS]
        rewards = start.reward_model.score_encoded([pair for i in sorted(drawn) for pair in job.encoded[i]["pairs"]])
    trainer.check_rewards(rewards)
    return trainer, standardise_rewards(start.model, rewards), None


def _start_or_resume(job: _Job, resume: bool) -> Path | None:
    """Return the checkpoint to continue from, if any."""
    folder, start = job.checkpoints, job.start
    data = json.dumps([[r.prompt, r.answers, r.ranks] for r in job.rankings])
    run = asdict(start.settings) | {
        "data": hashlib.sha256(data.encode()).hexdigest(), "parts": job.parts.training, "base_model": start.base.used,
        "frozen_layers": start.frozen, "steps": job.schedule.steps, "precision": start.reward_model.precision,
    }  # fmt: skip
    checkpoint = last_checkpoint(folder)
    if resume and checkpoint:
        check_same_run(folder, run)
        return checkpoint
    if resume:
        job.on_message(f"{folder} holds no checkpoint: starting from the beginning")
    elif checkpoint:
        job.on_message(f"{folder}: an unfinished run is replaced (--resume would continue it)")
    if PROCESS == 0 and start.head_only:  # which is never continued
        remove_run(folder)
    elif PROCESS == 0:
        begin_run(folder, run)
    return None


def _fine_tune(job: _Job, model: nn.Module, rows: Sequence[dict], checkpoint: Path | None = None) -> RankingTrainer:
    """Fine-tune `model` on the training part of `rows`, and give it the weights that do best on the validation part."""
    start, settings, schedule = job.start, job.start.settings, job.schedule
    arguments = TrainingArguments(
        output_dir=str(job.checkpoints), seed=settings.seed, max_steps=schedule.steps,
        learning_rate=settings.learning_rate, lr_scheduler_type="cosine",
        warmup_steps=max(1, round(settings.warmup_fraction * schedule.steps)),
        weight_decay=settings.weight_decay, max_grad_norm=1.0,
        bf16=start.reward_model.precision == "bf16" and not start.head_only,
        eval_strategy="steps" if job.parts.validation else "no",
        eval_steps=min(schedule.evaluate_every, schedule.steps), save_total_limit=CHECKPOINTS_KEPT,
        save_strategy="no" if start.head_only else "steps", save_steps=schedule.save_every,
        logging_steps=max(1, min(10, schedule.steps // 6)), disable_tqdm=True, log_level="error",
        use_cpu=settings.device == "cpu", dataloader_pin_memory=False, remove_unused_columns=False,
        ddp_backend="gloo" if settings.device == "cpu" and PROCESSES > 1 else None, ddp_find_unused_parameters=False,
        ddp_broadcast_buffers=False,  # a step encodes several chunks before its one backward pass
    )  # fmt: skip
    arguments._n_gpu = min(arguments.n_gpu, 1)  # several GPUs are torchrun's job: DataParallel would tear prompts apart
    trainer = RankingTrainer(
        model, arguments, settings, job.rankings, rows, job.parts, new_output=not start.pooled,
        tokenizer=None if start.head_only else start.tokenizer, callbacks=job.callbacks,
    )  # fmt: skip
    with quiet_transformers():
        try:
            if checkpoint is None and job.parts.validation:
                trainer.evaluate()  # step 0: fine-tuning that helps nothing leaves the start as it was
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        except BaseException:
            with contextlib.suppress(Exception):  # on a full disk the log cannot end either
                trainer.callback_handler.on_train_end(trainer.args, trainer.state, trainer.control)
            raise
    trainer.restore_best()
    return trainer
