"""Training: rankings and a base model become a reward model. Prints nothing; messages go to a callback."""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback, TrainingArguments

from preference.data.rankings import Ranking
from preference.data.splits import Parts
from preference.machine import PROCESS, PROCESSES, check_device, choose_precision
from preference.model.base_models import BaseModel, quiet_transformers
from preference.model.layers import set_output, standardise_rewards
from preference.model.reward_model import RewardModel
from preference.training.encoded_table import encode_rankings, split_answers, warn_of_cut_answers
from preference.training.objectives import LOSSES
from preference.training.probe import Probe
from preference.training.ranking_trainer import RankingTrainer
from preference.training.resuming import (
    CHECKPOINTS_KEPT,
    begin_run,
    check_space,
    digest_of,
    last_checkpoint,
    model_size,
    started_settings,
    steps_done,
)
from preference.training.settings import TrainingSettings
from preference.training.start import Start, freeze, start_from
from preference.training.states_model import StatesModel
from preference.wording import as_size, counted

EVALUATE_EVERY = 20  # steps
SCALE_RANKINGS = 16  # put the rewards on their scale where not those of all answers are known


@dataclass(frozen=True)
class Trained:
    """A reward model, and how it was trained.

    `reward_model` has the weights of `best_step`, where step 0 is the probe, and rewards with mean 0 and standard deviation 1
    on `scaled_on_answers` of the answers. `rewards` are those of all answers of the rankings, in order, where they are known
    (the head alone was trained), shape (answers,); the model has then learned from all rankings, the validation part too,
    and `states` and `start_output` are what its cross-validation takes. `ranked_answers_per_second` counts the answers of the training part once per
    epoch, in the time of the steps, the evaluations and the checkpoints.
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
    scaled_on_answers: int
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
        return {
            "settings": asdict(self.settings),
            **{name: value for name, value in vars(self).items() if name not in left_out},
        }


@dataclass(frozen=True)
class Schedule:
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


def train(
    rankings: Sequence[Ranking],
    parts: Parts,
    base: BaseModel,
    settings: TrainingSettings,
    *,
    checkpoints: Path,
    resume: bool = False,
    on_message: Callable[[str], object] = lambda text: None,
    callbacks: Sequence[TrainerCallback] = (),
) -> Trained:
    """Fit a probe to the rankings, fine-tune from it, and keep the weights that do best on the validation part, where there is one.

    The same arguments give the same model on the same machine, also under `torchrun`.

    Args:
        checkpoints: the folder of the unfinished run; the caller removes it when the model is saved.
        resume: continue the run that `checkpoints` holds.
        on_message: called with each warning and with what is about to be trained.
        callbacks: the Trainer's, for process 0: a progress bar, a log.

    Raises:
        InputError: the base model, the device or the settings do not fit, `checkpoints` holds a run with other settings, or
            the disk is too full.
        TrainingDiverged: a loss or a reward is not a finite number, or all rewards are equal.
    """
    # 1. The base model, cut where its states tell most, with one output; and the token ids.
    check_device(settings.device)
    start = start_from(base, settings, rankings, on_message=on_message)
    model, tokenizer = start.model, start.tokenizer
    precision = choose_precision(settings.precision, settings.device, model.config.get_text_config().hidden_size)
    encoded = encode_rankings(rankings, tokenizer, settings.max_length)
    if warning := warn_of_cut_answers(encoded, rankings, settings.max_length):
        on_message(warning)
    train_answers, validation_answers = (sum(len(rankings[i].answers) for i in part) for part in parts)
    schedule = plan_schedule(train_answers, validation_answers, settings)
    held = (
        f"; {counted(len({rankings[i].key for i in parts.validation}), 'prompt')} held out to choose the step"
        if parts.validation
        else ""
    )
    on_message(
        f"training: {counted(len({rankings[i].key for i in parts.training}), 'prompt')}, {train_answers} answers,"
        f" {counted(schedule.steps, 'step')} of {counted(settings.batch_size, 'answer')}, {settings.objective}, {precision} on {settings.device};"
        f" {start.in_words()}{held}" + (f", {PROCESSES} processes" if PROCESSES > 1 else "")
    )

    # 2. The head that explains the training part best, and what is trained from there.
    job = _Job(rankings, encoded, settings, precision, callbacks)
    began = time.perf_counter()
    states: np.ndarray | None = None
    rewards: np.ndarray | None = None
    if start.head_only:
        states = start.states(encoded, settings.device, precision)
        probe, trainer, best_step = _train_head(job, parts, start, states, checkpoints, schedule)
        rewards = probe.rewards(states)
        trainer.check_rewards(rewards, best_step)
        set_output(model, *probe.standardised(rewards).output())
        rewards, scaled_on, steps_here = probe.standardised(rewards).rewards(states), len(rewards), schedule.steps
    else:
        if start.pooled:
            states_of_part = start.states(encoded.select(parts.training), settings.device, precision)
            set_output(
                model, *start.fit(states_of_part, [rankings[i] for i in parts.training], settings.objective).output()
            )
        trainer, best_step, steps_here = _train_layers(job, parts, start, checkpoints, schedule, resume, on_message)
        scaled_on = _put_on_scale(trainer, job, parts, best_step, model, tokenizer)
    seconds = time.perf_counter() - began
    if torch.distributed.is_initialized():
        torch.distributed.barrier()  # a process that ended earlier would take the others down with it
        torch.distributed.destroy_process_group()
    return Trained(
        reward_model=RewardModel(model, tokenizer, device=settings.device, precision="fp32"),
        base=base,
        settings=settings,
        layers=start.layers,
        frozen_layers=start.frozen,
        steps=schedule.steps,
        best_step=best_step,
        epochs=schedule.steps / schedule.steps_per_epoch,
        truncated_answers=sum(encoded["truncated"]),
        scaled_on_answers=scaled_on,
        seconds=round(seconds, 2),
        ranked_answers_per_second=round(steps_here * train_answers / schedule.steps_per_epoch / seconds, 2),
        precision=precision,
        processes=PROCESSES,
        training_loss=float(np.mean([entry["loss"] for entry in trainer.state.log_history if "loss" in entry])),
        history=trainer.history,
        rewards=rewards,
        states=states,
        start_output=start.output,
    )


@dataclass(frozen=True)
class _Job:
    rankings: Sequence[Ranking]
    encoded: Dataset
    settings: TrainingSettings
    precision: str
    callbacks: Sequence[TrainerCallback]


def _train_head(
    job: _Job, parts: Parts, start: Start, states: np.ndarray, checkpoints: Path, schedule: Schedule
) -> tuple[Probe, RankingTrainer, int]:
    """Train the head alone, on states that are computed already; return what learned from all rankings.

    The validation part tells how many steps from the probe are best, none among them. So many are then repeated on all rankings.
    """
    everything = Parts([*range(len(job.rankings))], [])
    offsets = np.cumsum([len(ranking.answers) for ranking in job.rankings])[:-1]
    of_rankings = np.split(states, offsets)

    def run(part: Parts, steps: int, callbacks: Sequence[TrainerCallback]) -> tuple[Probe, RankingTrainer, int]:
        learned = [job.rankings[i] for i in part.training]
        probe = start.fit(np.concatenate([of_rankings[i] for i in part.training]), learned, job.settings.objective)
        rows = [{"ranks": r.ranks, "states": probe.inputs(s)} for r, s in zip(job.rankings, of_rankings, strict=True)]
        head = StatesModel(probe.weights)
        plan = replace(schedule, steps=steps, evaluate_every=min(schedule.evaluate_every, steps))
        arguments = _training_arguments(
            job.settings, plan, checkpoints, "fp32", evaluates=bool(part.validation), saves=False
        )
        trainer = _make_trainer(replace(job, callbacks=callbacks), part, head, None, rows, arguments, new_output=False)
        _run_trainer(trainer, None)
        best = trainer.restore_best()
        return replace(probe, weights=head.weights()), trainer, best

    probe, trainer, best_step = run(parts, schedule.steps, job.callbacks)
    if parts.validation:
        if best_step:
            probe, _, _ = run(everything, best_step, ())
        else:
            probe = start.fit(states, job.rankings, job.settings.objective)
    return probe, trainer, best_step


def _train_layers(
    job: _Job,
    parts: Parts,
    start: Start,
    checkpoints: Path,
    schedule: Schedule,
    resume: bool,
    on_message: Callable[[str], object],
) -> tuple[RankingTrainer, int, int]:
    """Train the model's layers; return the trainer, whose model has the best weights, their step, and how many steps were run."""
    settings, model = job.settings, start.model
    if start.pooled:
        freeze(model, start)
    run = {
        "data": digest_of(job.rankings),
        "train_part": parts.training,
        "base_model": start.base.used,
        "frozen_layers": start.frozen,
    }
    run |= asdict(settings) | {"steps": schedule.steps}
    check_space(
        checkpoints, model, checkpoints=-(-schedule.steps // schedule.save_every), keeps_best=bool(parts.validation)
    )
    if warning := _warn_of_memory(model):
        on_message(warning)
    checkpoint, precision = _start_or_resume(checkpoints, run, resume, job.precision, on_message)
    arguments = _training_arguments(
        settings, schedule, checkpoints, precision, evaluates=bool(parts.validation), saves=True
    )
    trainer = _make_trainer(job, parts, model, start.tokenizer, job.encoded, arguments, new_output=not start.pooled)
    _run_trainer(trainer, checkpoint)
    return trainer, trainer.restore_best(), schedule.steps - steps_done(checkpoint)


def _make_trainer(
    job: _Job,
    parts: Parts,
    model: torch.nn.Module,
    tokenizer: PreTrainedTokenizerBase | None,
    rows: Dataset | list[dict],
    arguments: TrainingArguments,
    *,
    new_output: bool,
) -> RankingTrainer:
    select = rows.select if isinstance(rows, Dataset) else lambda part: [rows[i] for i in part]
    return RankingTrainer(
        model,
        arguments,
        tokenizer=tokenizer,
        objective=LOSSES[job.settings.objective],
        train_dataset=select(parts.training),
        validation_dataset=select(parts.validation),
        sizes=[len(job.rankings[i].answers) for i in parts.training],
        validation_rankings=[job.rankings[i] for i in parts.validation],
        answers_per_step=job.settings.batch_size,
        head_learning_rate=job.settings.head_learning_rate if new_output else job.settings.learning_rate,
        callbacks=job.callbacks if PROCESS == 0 else (),
    )


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


def _put_on_scale(
    trainer: RankingTrainer,
    job: _Job,
    parts: Parts,
    best_step: int,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
) -> int:
    """Give the rewards mean 0 and standard deviation 1, of the validation part, which are known, or else of some of training; return of how many."""
    if trainer.best and len(parts.validation) >= SCALE_RANKINGS:
        rewards = np.asarray(trainer.best.rewards)
    else:
        some = np.random.default_rng(job.settings.seed).permutation(parts.training)[:SCALE_RANKINGS]
        pairs = [pair for i in sorted(some.tolist()) for pair in split_answers(job.encoded[i])]
        scorer = RewardModel(model, tokenizer, device=job.settings.device, precision=job.precision)
        rewards = scorer.score_encoded(pairs)
    trainer.check_rewards(rewards, best_step)
    standardise_rewards(model, rewards)
    return len(rewards)


def _warn_of_memory(model: PreTrainedModel) -> str | None:
    """Return a warning where the gradients and Adam's averages alone exceed the memory that is free."""
    needed, free = (
        3 * sum(p.numel() * 4 for p in model.parameters() if p.requires_grad) + model_size(model),
        psutil.virtual_memory().available,
    )
    return (
        f"warning: training takes more than {as_size(needed)} of memory, and {as_size(free)} is free; raise --freeze-layers"
        if needed > free
        else None
    )


def _start_or_resume(
    checkpoints: Path, run: dict, resume: bool, precision: str, on_message: Callable[[str], object]
) -> tuple[Path | None, str]:
    """Return the checkpoint to continue from, if any, and the precision: what the run began with, or `precision`."""
    checkpoint = last_checkpoint(checkpoints)
    if resume and checkpoint:
        return checkpoint, started_settings(checkpoints, run)["chosen_precision"]
    if resume:
        on_message(f"{checkpoints} holds no checkpoint: starting from the beginning")
    elif checkpoint:
        on_message(f"{checkpoints}: an unfinished run is replaced (--resume would continue it)")
    if PROCESS == 0:
        begin_run(checkpoints, run | {"chosen_precision": precision})
    return None, precision


def _training_arguments(
    settings: TrainingSettings, schedule: Schedule, checkpoints: Path, precision: str, *, evaluates: bool, saves: bool
) -> TrainingArguments:
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        max_steps=schedule.steps,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=max(1, round(settings.warmup_fraction * schedule.steps)),
        weight_decay=settings.weight_decay,
        max_grad_norm=1.0,
        eval_strategy="steps" if evaluates else "no",
        eval_steps=schedule.evaluate_every,
        save_strategy="steps" if saves else "no",
        save_steps=schedule.save_every,
        save_total_limit=CHECKPOINTS_KEPT,
        logging_steps=max(1, min(10, schedule.steps // 6)),
        disable_tqdm=True,
        seed=settings.seed,
        use_cpu=settings.device == "cpu",
        bf16=precision == "bf16",
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        ddp_backend="gloo" if settings.device == "cpu" and PROCESSES > 1 else None,
        ddp_find_unused_parameters=False,
        ddp_broadcast_buffers=False,  # a step encodes several chunks before its one backward pass
        log_level="error",
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # several GPUs are torchrun's job: DataParallel would tear prompts apart
    return arguments
