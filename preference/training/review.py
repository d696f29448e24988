"""What a cross-validation found of a person's rankings, kept for the training of the same rankings."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from preference.cache import cache_folder
from preference.data.rankings import Ranking
from preference.durable_files import write_atomically
from preference.evaluation.calibration import Calibration, calibrate
from preference.evaluation.evaluation import Evaluation, evaluate
from preference.evaluation.metrics import pair_margins, split_rewards
from preference.model.base_models import BaseModel
from preference.training.settings import TrainingSettings
from preference.wording import counted

_FORMAT = "3"  # changes with what training makes of the same settings, and with what is kept
_FREE = ("validation_fraction", "device", "precision")  # settings that a review is known whatever they are


@dataclass(frozen=True)
class Review:
    """What `models`, each trained without some of the prompts, made of these: all prompts are unseen."""

    evaluation: Evaluation
    calibration: Calibration
    models: int

    def in_words(self) -> str:
        """Return what it says of a model that is trained on all the prompts."""
        metrics = self.evaluation.metrics
        low, high = metrics.pairwise_accuracy_95
        return (
            f"{self.models} models, each trained without some of the prompts, ordered {metrics.pairwise_accuracy:.3f} [{low:.3f}, {high:.3f}] of"
            f" the pairs of all {counted(metrics.prompts, 'prompt')} correctly (longest answer {self.evaluation.longest.pairwise_accuracy:.3f},"
            f" shortest {self.evaluation.shortest.pairwise_accuracy:.3f}); trained on fewer prompts than this one, they are if anything worse"
        )


def review_of(rankings: Sequence[Ranking], rewards: np.ndarray, held_out: Sequence[Sequence[int]], *, seed: int = 0) -> Review:
    """Return the review of rankings whose answers got their rewards from models that never saw the prompts.

    Args:
        rewards: of all answers, in order: shape (answers,).
        held_out: the positions of the rankings that each model did not see.
    """
    margins = [pair_margins(ranking, values) for ranking, values in zip(rankings, split_rewards(rankings, rewards), strict=True)]
    calibration = calibrate([np.concatenate([margins[i] for i in positions]) for positions in held_out])
    return Review(evaluate("cross-validation", rankings, rewards, seed=seed), calibration, len(held_out))


def keep_review(
    rankings: Sequence[Ranking], base: BaseModel, settings: TrainingSettings, rewards: np.ndarray, held_out: Sequence[Sequence[int]]
) -> None:
    """Keep what `review_of` takes, for `known_review`."""
    model = {i: number for number, positions in enumerate(held_out) for i in positions}
    parts = split_rewards(rankings, rewards)
    rows = [
        [rankings[i].ranks[k], float(parts[i][k]), model[i]] for i, answers in _in_order(rankings) for k in answers
    ]  # texts stay out of the cache
    write_atomically(_path(rankings, base, settings), json.dumps(rows))


def known_review(rankings: Sequence[Ranking], base: BaseModel, settings: TrainingSettings) -> tuple[Review | None, str]:
    """Return the review of the very same rankings, or None and why there is none.

    It counts whatever the validation part, the device and the precision of its trainings were; all other settings, the base
    model and the rankings, in whatever order their rows stand, are the same. A damaged record counts as none.
    """
    none = "there was no review (review_rankings.py) of these rankings with these settings before the training"
    try:
        rows = json.loads(_path(rankings, base, settings).read_text(encoding="utf-8"))
        ranks, rewards, models = (list(column) for column in zip(*rows, strict=True))
        places = [(i, k) for i, answers in _in_order(rankings) for k in answers]
        known = {place: (int(rank), float(reward), int(model)) for place, rank, reward, model in zip(places, ranks, rewards, models, strict=True)}
    except (OSError, ValueError, TypeError, RecursionError):
        return None, none
    if any(rankings[i].ranks[k] != known[i, k][0] for i, k in places):
        return None, "the ranks were changed since their review (review_rankings.py)"
    held_out: dict[int, list[int]] = {}
    for i in range(len(rankings)):
        held_out.setdefault(known[i, 0][2], []).append(i)
    in_file_order = np.asarray([known[place][1] for place in sorted(places)], dtype=np.float32)
    return review_of(rankings, in_file_order, list(held_out.values()), seed=settings.seed), ""


def identity_of(base: BaseModel) -> list:
    """Return what tells a base model from any other: its name, and its files with size and time."""
    files = [path for path in base.path.iterdir() if path.is_file()] if base.path.is_dir() else [base.path]
    return [base.used, sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files)]


def _in_order(rankings: Sequence[Ranking]) -> list[tuple[int, list[int]]]:
    """Return the positions of rankings and of their answers in an order that does not depend on that of the rows."""
    order = sorted(range(len(rankings)), key=lambda i: (rankings[i].prompt, rankings[i].group))
    return [(i, sorted(range(len(rankings[i].answers)), key=rankings[i].answers.__getitem__)) for i in order]


def _path(rankings: Sequence[Ranking], base: BaseModel, settings: TrainingSettings) -> Path:
    same = {name: value for name, value in asdict(settings).items() if name not in _FREE}
    texts = [(rankings[i].prompt, rankings[i].group, [rankings[i].answers[k] for k in answers]) for i, answers in _in_order(rankings)]
    key = hashlib.sha256(json.dumps([_FORMAT, texts, identity_of(base), same]).encode()).hexdigest()[:32]
    return cache_folder("reviews") / f"{key}.json"
