"""Training: rankings and a base model become a reward model. Prints nothing; messages go to a callback."""

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import torch
from datasets import Dataset
from transformers import TrainerCallback, TrainingArguments

from preference.data.rankings import Ranking
from preference.data.splits import Parts
from preference.machine import PROCESS, PROCESSES, check_device, choose_precision
from preference.model.base_models import BaseModel, quiet_transformers
from preference.model.layers import set_output, standardise_rewards
from preference.model.reward_model import RewardModel
from preference.training.batching import encode_rankings, split_answers, warn_of_cut_answers
from preference.training.model_folder import begin_run, check_same_run, last_checkpoint, steps_done
from preference.training.probe import Probe, split_states
from preference.training.ranking_trainer import RankingTrainer
from preference.training.settings import TrainingSettings
from preference.training.start import Start, StatesModel, start_from
from preference.wording import as_size, counted

EVALUATE_EVERY = 20  # steps
SCALE_RANKINGS = 16  # put the rewards on their scale where not those of all answers are known
CHECKPOINTS_KEPT = 2


@dataclass(frozen=True)
class Trained:
    """A reward model, and how it was trained.

    `reward_model` has the weights of `best_step`, where step 0 is the probe, and rewards with mean 0 and standard
    deviation 1 on `scaled_on_answers` of the answers. `rewards` are those of all answers of the rankings, in order,
    where they are known (the head alone was trained), shape (answers,); the model has then learned from all rankings,
    the validation part too, and `states` and `start_output` are what its cross-validation takes.
    `ranked_answers_per_second` counts the answers of the training part once per epoch, in the time of the steps, the
    evaluations and the checkpoints.
    """

    reward_model: RewardModel
    base: BaseModel
    settings: TrainingSettings
    layers: int  # that the model keeps
    frozen_layers: int
    steps: int
    best_step: int
    epochs: float  # really trained, which --min-steps and --max-steps change
    truncated_answers: int
    scaled_on_answers: int  # on these, rewards have mean 0 and standard deviation 1
    seconds: float
    ranked_answers_per_second: float
    precision: str  # bf16 or fp32
    processes: int
    training_loss: float  # mean of all steps
    history: list[dict]  # evaluations of the validation part: step, pairwise_accuracy, loss
    rewards: np.ndarray | None = None
    states: np.ndarray | None = None
    start_output: np.ndarray | None = None

    def record(self) -> dict:
        """Return all of it but models and arrays, as JSON can hold it; what was asked for stands under `settings`."""
        left_out = ("reward_model", "base", "settings", "rewards", "states", "start_output")
        facts = {name: value for name, value in vars(self).items() if name not in left_out}
        return {"settings": asdict(self.settings), **facts}


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
    settings: TrainingSettings
    start: Start
    encoded: Dataset
    schedule: Schedule
    precision: str
    checkpoints: Path
    callbacks: Sequence[TrainerCallback]


class _Result(NamedTuple):
    trainer: RankingTrainer
    best_step: int
    steps: int  # of this process, which may have resumed a run
    scaled_on: int  # answers
    rewards: np.ndarray | None = None
    states: np.ndarray | None = None


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

    Raises:
        TrainingDiverged: a loss or a reward is not a finite number, or all rewards are equal.
    """
    check_device(settings.device)
    start = start_from(base, settings, rankings, on_message=on_message)
    precision = choose_precision(settings.precision, settings.device, start.model.config.get_text_config().hidden_size)
    encoded = encode_rankings(rankings, start.tokenizer, settings.max_length)
    if warning := warn_of_cut_answers(encoded, rankings, settings.max_length):
        on_message(warning)
    train_answers, validation_answers = (sum(len(rankings[i].answers) for i in part) for part in parts)
    schedule = plan_schedule(train_answers, validation_answers, settings)
    job = _Job(rankings, parts, settings, start, encoded, schedule, precision, checkpoints, callbacks)
    on_message(_in_words(job, train_answers))
    began = time.perf_counter()
    result = _train_head(job) if start.head_only else _train_layers(job, resume, on_message)
    seconds = time.perf_counter() - began
    if torch.distributed.is_initialized():
        torch.distributed.barrier()  # a process that ended earlier would take the others down with it
        torch.distributed.destroy_process_group()
    return _trained(job, result, seconds, answers_trained_on=result.steps * train_answers / schedule.steps_per_epoch)


def _trained(job: _Job, result: _Result, seconds: float, answers_trained_on: float) -> Trained:
    settings, start, schedule, trainer = job.settings, job.start, job.schedule, result.trainer
    return Trained(
        RewardModel(start.model, start.tokenizer, device=settings.device, precision="fp32"), start.base, settings,
        layers=start.layers, frozen_layers=start.frozen, steps=schedule.steps, best_step=result.best_step,
        epochs=schedule.steps / schedule.steps_per_epoch, truncated_answers=sum(job.encoded["truncated"]),
        scaled_on_answers=result.scaled_on, seconds=round(seconds, 2),
        ranked_answers_per_second=round(answers_trained_on / seconds, 2), precision=job.precision, processes=PROCESSES,
        training_loss=float(np.mean([entry["loss"] for entry in trainer.state.log_history if "loss" in entry])),
        history=trainer.history, rewards=result.rewards, states=result.states, start_output=start.output,
    )  # fmt: skip


def _in_words(job: _Job, train_answers: int) -> str:
    """Say in one line what is trained, and how."""
    start, settings = job.start, job.settings
    training, validation = (len({job.rankings[i].key for i in part}) for part in job.parts)
    kept, trained = start.layers, start.layers - max(start.frozen, 0)
    what = f"the head on layer {kept}" if start.head_only else f"{trained} of {kept} layers"
    held = f"; {counted(validation, 'prompt')} held out to choose the step" if validation else ""
    return (
        f"training: {counted(training, 'prompt')}, {train_answers} answers, {counted(job.schedule.steps, 'step')} of"
        f" {counted(settings.batch_size, 'answer')}, {settings.objective}, {job.precision} on {settings.device};"
        f" {what}{held}" + (f", {PROCESSES} processes" if PROCESSES > 1 else "")
    )


def _train_head(job: _Job) -> _Result:
    """Train the head alone, on states that are computed once, and let it learn from all rankings.

    The validation part tells how many steps from the probe are best, none among them. So many are then repeated on all.
    """
    rankings, parts, start, objective = job.rankings, job.parts, job.start, job.settings.objective
    states = start.states(job.encoded, job.settings.device, job.precision)
    of_rankings = split_states(states, rankings)

    def run(parts: Parts, steps: int, callbacks: Sequence[TrainerCallback]) -> tuple[Probe, RankingTrainer, int]:
        learned = np.concatenate([of_rankings[i] for i in parts.training])
        probe = start.fit(learned, [rankings[i] for i in parts.training], objective)
        rows = [{"ranks": r.ranks, "states": probe.inputs(s)} for r, s in zip(rankings, of_rankings, strict=True)]
        head = StatesModel(probe.weights)
        schedule = job.schedule._replace(steps=steps, evaluate_every=min(job.schedule.evaluate_every, steps))
        arguments = _training_arguments(job, schedule, "fp32", evaluates=bool(parts.validation), saves=False)
        trainer = RankingTrainer(head, arguments, job.settings, rankings, rows, parts, callbacks=callbacks)
        _run_trainer(trainer, None)
        best_step = trainer.restore_best()
        return replace(probe, weights=head.weights()), trainer, best_step

    probe, trainer, best_step = run(parts, job.schedule.steps, job.callbacks)
    if parts.validation and best_step:
        probe, _, _ = run(Parts([*range(len(rankings))], []), best_step, ())
    elif parts.validation:
        probe = start.fit(states, rankings, objective)
    rewards = probe.rewards(states)
    trainer.check_rewards(rewards, best_step)
    probe = probe.standardised(rewards)
    set_output(start.model, *probe.output())
    return _Result(trainer, best_step, job.schedule.steps, len(rewards), probe.rewards(states), states)


def _train_layers(job: _Job, resume: bool, on_message: Callable[[str], object]) -> _Result:
    """Train the model's layers, from the probe's head where there is one, and keep the best weights."""
    rankings, parts, settings, start = job.rankings, job.parts, job.settings, job.start
    if start.pooled:
        states = start.states(job.encoded.select(parts.training), settings.device, job.precision)
        probe = start.fit(states, [rankings[i] for i in parts.training], settings.objective)
        set_output(start.model, *probe.output())
    trained = sum(p.numel() * 4 for p in start.model.parameters() if p.requires_grad)
    if (needed := 3 * trained) > (free := psutil.virtual_memory().available):  # the gradients and Adam's two averages
        on_message(
            f"warning: training takes more than {as_size(needed)} of memory, and {as_size(free)} is free;"
            " raise --freeze-layers"
        )
    checkpoint = _start_or_resume(job, resume, on_message)
    arguments = _training_arguments(job, job.schedule, job.precision, evaluates=bool(parts.validation), saves=True)
    trainer = RankingTrainer(
        start.model, arguments, settings, rankings, job.encoded, parts,
        tokenizer=start.tokenizer, new_output=not start.pooled, callbacks=job.callbacks,
    )  # fmt: skip
    _run_trainer(trainer, checkpoint)
    best_step = trainer.restore_best()
    scaled_on = _put_on_scale(trainer, job, best_step)
    return _Result(trainer, best_step, job.schedule.steps - steps_done(checkpoint), scaled_on)


def _start_or_resume(job: _Job, resume: bool, on_message: Callable[[str], object]) -> Path | None:
    """Return the checkpoint to continue from, if any."""
    folder, start = job.checkpoints, job.start
    data = json.dumps([[r.prompt, r.answers, r.ranks] for r in job.rankings])
    run = asdict(job.settings) | {
        "data": hashlib.sha256(data.encode()).hexdigest(), "parts": job.parts.training, "base_model": start.base.used,
        "frozen_layers": start.frozen, "steps": job.schedule.steps, "precision": job.precision,
    }  # fmt: skip
    checkpoint = last_checkpoint(folder)
    if resume and checkpoint:
        check_same_run(folder, run)
        return checkpoint
    if resume:
        on_message(f"{folder} holds no checkpoint: starting from the beginning")
    elif checkpoint:
        on_message(f"{folder}: an unfinished run is replaced (--resume would continue it)")
    if PROCESS == 0:
        begin_run(folder, run)
    return None


def _run_trainer(trainer: RankingTrainer, checkpoint: Path | None) -> None:
    with quiet_transformers():
        try:
            if checkpoint is None and len(trainer.validation_rankings):
                trainer.evaluate()  # step 0: fine-tuning that helps nothing leaves the start as it was
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        except BaseException:
            with contextlib.suppress(Exception):  # on a full disk the log cannot end either
                trainer.callback_handler.on_train_end(trainer.args, trainer.state, trainer.control)
            raise


def _put_on_scale(trainer: RankingTrainer, job: _Job, best_step: int) -> int:
    """Give the rewards of validation or some training answers mean 0 and standard deviation 1; return how many."""
    if trainer.best and len(job.parts.validation) >= SCALE_RANKINGS:
        rewards = np.asarray(trainer.best.rewards)
    else:
        drawn = np.random.default_rng(job.settings.seed).permutation(job.parts.training)[:SCALE_RANKINGS]
        pairs = [pair for i in sorted(drawn.tolist()) for pair in split_answers(job.encoded[i])]
        scorer = RewardModel(job.start.model, job.start.tokenizer, device=job.settings.device, precision=job.precision)
        rewards = scorer.score_encoded(pairs)
    trainer.check_rewards(rewards, best_step)
    standardise_rewards(job.start.model, rewards)
    return len(rewards)


def _training_arguments(
    job: _Job, schedule: Schedule, precision: str, *, evaluates: bool, saves: bool
) -> TrainingArguments:
    settings = job.settings
    arguments = TrainingArguments(
        output_dir=str(job.checkpoints), seed=settings.seed, max_steps=schedule.steps,
        learning_rate=settings.learning_rate, lr_scheduler_type="cosine",
        warmup_steps=max(1, round(settings.warmup_fraction * schedule.steps)),
        weight_decay=settings.weight_decay, max_grad_norm=1.0, bf16=precision == "bf16",
        eval_strategy="steps" if evaluates else "no", eval_steps=schedule.evaluate_every,
        save_strategy="steps" if saves else "no", save_steps=schedule.save_every, save_total_limit=CHECKPOINTS_KEPT,
        logging_steps=max(1, min(10, schedule.steps // 6)), disable_tqdm=True, log_level="error",
        use_cpu=settings.device == "cpu", dataloader_pin_memory=False, remove_unused_columns=False,
        ddp_backend="gloo" if settings.device == "cpu" and PROCESSES > 1 else None, ddp_find_unused_parameters=False,
        ddp_broadcast_buffers=False,  # a step encodes several chunks before its one backward pass
    )  # fmt: skip
    arguments._n_gpu = min(arguments.n_gpu, 1)  # several GPUs are torchrun's job: DataParallel would tear prompts apart
    return arguments
