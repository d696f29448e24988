"""What a cross-validation of the rankings themselves says: every answer scored by a probe that never saw its prompt."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from preference.data.rankings import Ranking
from preference.data.splits import folds_by_prompt
from preference.errors import InputError
from preference.evaluation.calibration import Calibration, calibrate
from preference.evaluation.evaluation import Evaluation, evaluate
from preference.evaluation.metrics import pair_margins, split_rewards
from preference.model.base_models import BaseModel
from preference.training.probe import cross_validate
from preference.training.seen_prompts import prompt_digest, seen_by
from preference.training.train import Trained
from preference.wording import counted

PART = "cross-validation"


@dataclass(frozen=True)
class Review:
    """The rewards of all answers and what they prove, the odds that follow from them, and how many models gave them."""

    evaluation: Evaluation
    calibration: Calibration
    models: int


def review_states(
    states: np.ndarray, rankings: Sequence[Ranking], objective: str, *, seed: int, start: np.ndarray | None = None
) -> Review | None:
    """Cross-validate probes on the states of all answers, shape (answers, width); None where there is only one prompt."""
    if len({ranking.key for ranking in rankings}) < 2:
        return None
    folds = folds_by_prompt(rankings, seed)
    rewards = cross_validate(states, rankings, folds, objective, start=start)
    margins = [
        pair_margins(ranking, values)
        for ranking, values in zip(rankings, split_rewards(rankings, rewards), strict=True)
    ]
    by_fold = [np.concatenate([margins[i] for i in fold.held_out]) for fold in folds]
    return Review(evaluate(PART, rankings, rewards, seed=seed), calibrate(by_fold), len(folds))


def review_of(trained: Trained, rankings: Sequence[Ranking], is_unseen: Callable[[Ranking], bool]) -> Review | None:
    """Return the review of what a model's head was fitted to, the rankings; None where layers were trained, or too few prompts are unseen.

    Args:
        is_unseen: whether the base model was not trained on a ranking's prompt.
    """
    if trained.states is None:
        return None
    kept = [i for i, ranking in enumerate(rankings) if is_unseen(ranking)]
    of_rankings = np.split(trained.states, np.cumsum([len(ranking.answers) for ranking in rankings])[:-1])
    states = np.concatenate([trained.states[:0], *(of_rankings[i] for i in kept)])
    settings = trained.settings
    return review_states(
        states, [rankings[i] for i in kept], settings.objective, seed=settings.seed, start=trained.start_output
    )


def evaluate_seen(trained: Trained, rankings: Sequence[Ranking], positions: Sequence[int]) -> Evaluation:
    """Evaluate the rewards of some of the rankings that a model has learned from, as the saved model gives them: in fp32."""
    some = [rankings[i] for i in positions]
    return evaluate("training", some, trained.reward_model.score_rankings(some), seed=trained.settings.seed)


def check_unseen(rankings: Sequence[Ranking], base: BaseModel) -> None:
    """Raise InputError where `base` is a reward model that was trained on a prompt of `rankings`: a probe would start from what it holds out."""
    seen, prompts = seen_by(base), {ranking.key for ranking in rankings}
    known = sum(prompt_digest(prompt) in seen for prompt in prompts)
    if known:
        raise InputError(
            f"--base-model {base.asked}: was trained on {known} of the {counted(len(prompts), 'prompt')} of these rankings, so no probe of it can be"
            " asked about prompts that it never saw; review with the base model that it started from, or review rankings that it has not seen"
        )
