"""Training: rankings and a base model become a reward model. Prints nothing; messages go to a callback."""

import contextlib
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel, TrainerCallback, TrainingArguments

from preference.data.rankings import Ranking
from preference.data.splits import Parts
from preference.errors import InputError
from preference.machine import check_device, choose_precision
from preference.model.base_models import BaseModel, quiet_transformers
from preference.model.fine_tuning import freeze_lower_layers, load_base_model
from preference.model.head import standardise_rewards
from preference.model.reward_model import RewardModel, score_encoded
from preference.processes import PROCESS, PROCESSES
from preference.training.demands import say_time, warn_of_memory, warn_of_weights
from preference.training.encoded_table import digest_of, encode_rankings, split_answers, warn_of_cut_answers
from preference.training.objectives import LOSSES
from preference.training.ranking_trainer import RankingTrainer
from preference.training.resuming import CHECKPOINTS_KEPT, begin_run, check_space, last_checkpoint, started_settings, steps_done
from preference.training.settings import TrainingSettings, layers_to_freeze
from preference.wording import counted

EVALUATE_EVERY = 20  # steps
SCALE_RANKINGS = 16  # put the rewards on their scale: of the validation part, whose rewards are known, or else of training


@dataclass(frozen=True)
class Trained:
    """A reward model, and how it was trained.

    `reward_model` has the weights of `best_step`; its rewards are centred and scaled on validation or training answers
    (`scaled_on_answers` of them). `ranked_answers_per_second` counts the answers of the training part once per epoch, in the
    time of the steps, the evaluations and the checkpoints.
    """

    reward_model: RewardModel
    base: BaseModel
    settings: TrainingSettings
    steps: int
    best_step: int
    epochs: float  # really trained, which --min-steps and --max-steps change
    frozen_layers: int
    truncated_answers: int
    scaled_on_answers: int
    seconds: float
    ranked_answers_per_second: float
    precision: str  # bf16 or fp32
    processes: int
    training_loss: float  # mean of all steps
    history: list[dict]  # evaluations of the validation part: step, pairwise_accuracy, loss

    def record(self) -> dict:
        """Return all of it but the models, as JSON can hold it; what was asked for stands under `settings`."""
        own = {name: value for name, value in vars(self).items() if name not in ("reward_model", "base", "settings")}
        return {"settings": asdict(self.settings), **own}


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
    Schedule(steps=60, steps_per_epoch=2, evaluate_every=2, save_every=20)
    """
    steps_per_epoch = max(1, round(train_answers / settings.batch_size))
    steps = max(round(settings.epochs * steps_per_epoch), settings.min_steps)
    if settings.max_steps is not None:
        steps = min(steps, settings.max_steps)
    # Evaluating an answer costs a third of training on it: stay below about a tenth of the training time.
    affordable = round(10 * validation_answers / (3 * settings.batch_size))
    evaluate_every = min(steps_per_epoch, max(EVALUATE_EVERY, affordable), steps)
    save_every = evaluate_every * -(-EVALUATE_EVERY // evaluate_every)
    return Schedule(steps, steps_per_epoch, evaluate_every, save_every)


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
    """Fine-tune `base` on the training part; keep the weights that do best on the validation part, where there is one.

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
    # 1. The base model with one new output.
    check_device(settings.device)
    if warning := warn_of_weights(base.path):
        on_message(warning)
    model, tokenizer = load_base_model(base.path, seed=settings.seed)
    frozen_layers = freeze_lower_layers(model, layers_to_freeze(settings, len(parts.training)))
    longest = getattr(model.config, "max_position_embeddings", settings.max_length)
    if settings.max_length > longest:
        raise InputError(f"--max-length {settings.max_length}: {base.used} takes at most {longest} tokens; give --max-length {longest}")
    tokenizer.model_max_length = settings.max_length  # saved with the model, so that every loader truncates as training did

    # 2. How long, and from where.
    train_answers, validation_answers = (sum(len(rankings[i].answers) for i in part) for part in parts)
    schedule = plan_schedule(train_answers, validation_answers, settings)
    run = {"data": digest_of(rankings), "train_part": parts.training, "base_model": base.used, "frozen_layers": frozen_layers}
    run |= asdict(settings) | {"steps": schedule.steps}
    check_space(checkpoints, model, checkpoints=-(-schedule.steps // schedule.save_every), keeps_best=bool(parts.validation))
    checkpoint, precision = _start_or_resume(checkpoints, run, resume, model, settings, on_message)
    arguments = _training_arguments(settings, schedule, checkpoints, precision, evaluates=bool(parts.validation))

    # 3. Token ids, made by one process for all.
    with arguments.main_process_first(local=False):
        encoded = encode_rankings(rankings, tokenizer, settings.max_length)
    if warning := warn_of_cut_answers(encoded, rankings, settings.max_length):
        on_message(warning)

    # 4. Training.
    on_message(
        f"training: {counted(len({rankings[i].prompt for i in parts.training}), 'prompt')}, {train_answers} answers,"
        f" {counted(schedule.steps, 'step')} of {counted(settings.batch_size, 'answer')}, {settings.objective}, {precision} on {settings.device}"
        + (f", {PROCESSES} processes" if PROCESSES > 1 else "")
    )
    for demand in (
        warn_of_memory(model, encoded, settings, keeps_best=bool(parts.validation)),
        say_time(model, encoded, settings, schedule.steps, precision),
    ):
        if demand:
            on_message(demand)
    trainer = RankingTrainer(
        model,
        arguments,
        tokenizer=tokenizer,
        objective=LOSSES[settings.objective],
        train_dataset=encoded.select(parts.training),
        validation_dataset=encoded.select(parts.validation),
        validation_rankings=[rankings[i] for i in parts.validation],
        answers_per_step=settings.batch_size,
        head_learning_rate=settings.head_learning_rate,
        callbacks=callbacks if PROCESS == 0 else (),
    )
    start = time.perf_counter()
    with quiet_transformers():
        try:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        except BaseException:
            with contextlib.suppress(Exception):  # on a full disk the log cannot end either
                trainer.callback_handler.on_train_end(trainer.args, trainer.state, trainer.control)
            raise
    seconds = time.perf_counter() - start

    # 5. The best weights, on their scale.
    best_step = trainer.restore_best()
    if trainer.best and len(parts.validation) >= SCALE_RANKINGS:
        rewards = np.asarray(trainer.best.rewards)
    else:
        some = sorted(random.Random(settings.seed).sample(parts.training, min(len(parts.training), SCALE_RANKINGS)))
        pairs = [pair for i in some for pair in split_answers(encoded[i])]
        rewards = score_encoded(model, tokenizer, pairs, device=settings.device, precision=precision)
    trainer.check_rewards(rewards, best_step)
    standardise_rewards(model, rewards)
    if torch.distributed.is_initialized():
        torch.distributed.barrier()  # a process that ended earlier would take the others down with it
        torch.distributed.destroy_process_group()
    steps_here = schedule.steps - steps_done(checkpoint)
    return Trained(
        reward_model=RewardModel(model, tokenizer, device=settings.device, precision="fp32"),
        base=base,
        settings=settings,
        steps=schedule.steps,
        best_step=best_step,
        epochs=schedule.steps / schedule.steps_per_epoch,
        frozen_layers=frozen_layers,
        truncated_answers=sum(encoded["truncated"]),
        scaled_on_answers=len(rewards),
        seconds=round(seconds, 2),
        ranked_answers_per_second=round(steps_here * train_answers / schedule.steps_per_epoch / seconds, 2),
        precision=precision,
        processes=PROCESSES,
        training_loss=float(np.mean([entry["loss"] for entry in trainer.state.log_history if "loss" in entry])),
        history=trainer.history,
    )


def _start_or_resume(
    checkpoints: Path, run: dict, resume: bool, model: PreTrainedModel, settings: TrainingSettings, on_message: Callable[[str], object]
) -> tuple[Path | None, str]:
    """Return the checkpoint to continue from, if any, and the precision: what the run began with, or what suits the machine."""
    checkpoint = last_checkpoint(checkpoints)
    if resume and checkpoint:
        return checkpoint, started_settings(checkpoints, run)["chosen_precision"]
    if resume:
        on_message(f"{checkpoints} holds no checkpoint: starting from the beginning")
    elif checkpoint:
        on_message(f"{checkpoints}: an unfinished run is replaced (--resume would continue it)")
    precision = choose_precision(settings.precision, settings.device, model.config.hidden_size)
    if PROCESS == 0:
        begin_run(checkpoints, run | {"chosen_precision": precision})
    return None, precision


def _training_arguments(settings: TrainingSettings, schedule: Schedule, checkpoints: Path, precision: str, *, evaluates: bool) -> TrainingArguments:
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
