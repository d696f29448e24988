"""Cross-validation by prompt: every answer gets a reward from a model that never saw its prompt."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from transformers import TrainerCallback

from preference.cache import cache_folder, remove_old
from preference.data.folds import Fold
from preference.data.rankings import Ranking
from preference.data.splits import Parts
from preference.durable_files import locked, write_atomically
from preference.errors import InputError
from preference.evaluation.metrics import split_rewards
from preference.evaluation.record import read_record
from preference.model.base_models import BaseModel
from preference.model.fine_tuning import load_base_model
from preference.model.reward_model import RewardModel
from preference.training.encoded_table import digest_of, encode_rankings, warn_of_cut_answers
from preference.training.resuming import last_checkpoint
from preference.training.review import identity_of
from preference.training.seen_prompts import prompt_digest, seen_by
from preference.training.settings import TrainingSettings
from preference.training.train import plan_schedule, train
from preference.wording import counted

_FORMAT = "2"  # changes with what training makes of the same settings
TAKEN = "another review is training on the same rankings; wait until it has ended"
_TIMED_STEPS = 4
_EVALUATING = 1.15  # evaluating takes about a tenth of the time of the steps, and scoring what is held out half as much


def cross_validate(
    rankings: Sequence[Ranking],
    folds: Sequence[Fold],
    base: BaseModel,
    settings: TrainingSettings,
    *,
    callbacks: Sequence[TrainerCallback] = (),
    on_fold: Callable[[int], object] = lambda steps: None,
) -> np.ndarray:
    """Train one model per fold, with the trainer's own function, and return what each gives to its held-out answers.

    Folds that are done are kept in the cache folder under a key of all that decides their rewards: an interrupted call
    continues where it was, and a fold is trained again only if what it trains on has changed, or the texts that it holds out.

    Args:
        callbacks: the Trainer's, for every fold.
        on_fold: called after each fold with its number of steps, also when its rewards were known.

    Returns:
        The rewards of all answers in order: shape (answers,), float32. Each fold's have their own scale, on which its
        training answers have about mean 0 and standard deviation 1.

    Raises:
        InputError: another process trains the same fold, or what `train` raises.
    """
    folder = cache_folder("folds")
    remove_old(folder)
    by_ranking: dict[int, np.ndarray] = {}
    for fold in folds:
        held_out = [rankings[i] for i in fold.held_out]
        kept = folder / f"{fold_key(rankings, fold, base, settings)}.json"
        rewards = _kept_rewards(kept, held_out)
        if rewards is None:
            with locked(kept, TAKEN):
                checkpoints = kept.with_suffix(".checkpoints")
                resume = last_checkpoint(checkpoints) is not None
                trained = train(rankings, fold.parts, base, settings, checkpoints=checkpoints, resume=resume, callbacks=callbacks)
                in_training = trained.reward_model  # which scores in fp32
                fast = RewardModel(in_training.model, in_training.tokenizer, device=settings.device, precision=trained.precision)
                rewards = fast.score_rankings(held_out)
                write_atomically(kept, json.dumps(rewards.tolist()))
                shutil.rmtree(checkpoints, ignore_errors=True)
        by_ranking |= dict(zip(fold.held_out, split_rewards(held_out, rewards), strict=True))
        on_fold(steps_of(rankings, fold.parts, settings))
    return np.concatenate([by_ranking[i] for i in range(len(rankings))]).astype(np.float32)


def check_unseen(rankings: Sequence[Ranking], base: BaseModel) -> None:
    """Raise InputError where `base` is a reward model that was trained on any prompt of `rankings`: every fold would start from what it holds out."""
    seen, prompts = seen_by(base), {ranking.key for ranking in rankings}
    known = sum(prompt_digest(prompt) in seen for prompt in prompts)
    if known:
        used = read_record(base.path).base_model.get("used")
        origin = f" ({used})" if used else ""
        raise InputError(
            f"--base-model {base.asked}: was trained on {known} of the {counted(len(prompts), 'prompt')} of these rankings, so no model that starts"
            f" from it can be asked about prompts that it never saw; review with the base model that it started from{origin}, or review"
            " rankings that it has not seen"
        )


def warn_of_cut(rankings: Sequence[Ranking], base: BaseModel, settings: TrainingSettings) -> str | None:
    """Return what a training of `rankings` would say of answers that are too long for it, also where no fold is left to train."""
    _, tokenizer = load_base_model(base.path, seed=settings.seed)
    return warn_of_cut_answers(encode_rankings(rankings, tokenizer, settings.max_length), rankings, settings.max_length)


def known_folds(rankings: Sequence[Ranking], folds: Sequence[Fold], base: BaseModel, settings: TrainingSettings) -> list[Fold]:
    """Return the folds whose rewards `cross_validate` has kept."""
    kept = [(fold, cache_folder("folds") / f"{fold_key(rankings, fold, base, settings)}.json") for fold in folds]
    return [fold for fold, path in kept if _kept_rewards(path, [rankings[i] for i in fold.held_out]) is not None]


def fold_key(rankings: Sequence[Ranking], fold: Fold, base: BaseModel, settings: TrainingSettings) -> str:
    """Return a digest of all that decides a fold's rewards: what it trains on, what it holds out, the base model, the settings."""
    learned = [digest_of([rankings[i] for i in part]) for part in fold.parts]
    scored = [(rankings[i].prompt, rankings[i].answers) for i in fold.held_out]  # whatever their ranks
    return _key(learned, scored, identity_of(base), asdict(settings))


def _kept_rewards(path: Path, held_out: Sequence[Ranking]) -> np.ndarray | None:
    """Return the rewards kept at `path`, or None where there are none or the file is damaged."""
    try:
        rewards = np.asarray(json.loads(path.read_text(encoding="utf-8")), dtype=np.float32)
    except (OSError, ValueError, TypeError):
        return None
    answers = sum(len(ranking.answers) for ranking in held_out)
    if rewards.shape != (answers,) or not np.isfinite(rewards).all():
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # used today: see `remove_old`
    return rewards


def _key(*parts: object) -> str:
    return hashlib.sha256(json.dumps([_FORMAT, *parts]).encode()).hexdigest()[:32]


def steps_of(rankings: Sequence[Ranking], parts: Parts, settings: TrainingSettings) -> int:
    """Return how many steps a training on `parts` takes."""
    train_answers, validation_answers = (sum(len(rankings[i].answers) for i in part) for part in parts)
    return plan_schedule(train_answers, validation_answers, settings).steps


def estimate_seconds(rankings: Sequence[Ranking], folds: Sequence[Fold], base: BaseModel, settings: TrainingSettings) -> float:
    """Estimate how long the training of `folds` takes on this machine, from a short training that it times.

    What that one does besides its steps (loading, saving), each fold does too.
    """
    if not folds:
        return 0.0
    timer = _StepTimer()
    with tempfile.TemporaryDirectory() as folder:
        few = replace(settings, max_steps=_TIMED_STEPS, min_steps=_TIMED_STEPS)
        start = time.perf_counter()
        train(rankings, Parts(folds[0].parts.training, []), base, few, checkpoints=Path(folder), callbacks=[timer])
        besides = time.perf_counter() - start - (timer.end - timer.times[0])
    seconds = np.diff(timer.times)[1:].mean()  # the first step also prepares the kernels
    return float(seconds * _EVALUATING * sum(steps_of(rankings, fold.parts, settings) for fold in folds) + besides * len(folds))


class _StepTimer(TrainerCallback):
    def __init__(self) -> None:
        self.times: list[float] = []  # when each step began
        self.end = 0.0  # of the last one

    def on_step_begin(self, args, state, control, **kwargs):
        self.times.append(time.perf_counter())

    def on_step_end(self, args, state, control, **kwargs):
        self.end = time.perf_counter()
