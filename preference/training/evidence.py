"""What stands behind a bare reward: the review of the rankings, the odds between two answers, the place among ranked answers."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from preference.data.rankings import Ranking, Rankings
from preference.evaluation.calibration import LEAST_PROMPTS, calibrate, why_no_odds, win_probability
from preference.evaluation.evaluation import Evaluation
from preference.evaluation.metrics import pair_margins, split_rewards
from preference.evaluation.record import Odds
from preference.model.reward_model import RewardModel
from preference.training.review import Review
from preference.training.train import Trained
from preference.wording import counted, shorten

QUANTILE_ANSWERS = (
    60  # scoring takes time; a percentile is then within 7 points of that among all answers in two of three cases
)
_PARTS = 10  # the prompts are dealt to so many parts, each judged by the temperature of the others


@dataclass(frozen=True)
class Evidence:
    """A trained model, and all that is known of it.

    `evaluations` are of the rewards that it gave to the unseen parts, the one to judge by first; where there are none, to the
    training part. `review` is a cross-validation of its rankings, where its head alone was trained.
    """

    data: Rankings
    tests: Rankings | None
    training_part: list[Ranking]
    trained: Trained
    evaluations: list[Evaluation]
    review: Review | None

    @property
    def unseen(self) -> list[Evaluation]:
        """The evaluations of prompts that were kept from the model."""
        return [e for e in self.evaluations if e.unseen]

    @property
    def shown(self) -> list[Evaluation]:
        """What is shown to people, the one to judge by first: what is unseen, and only where nothing is, the training part."""
        return [*self.unseen, *([self.review.evaluation] if self.review else [])] or self.evaluations

    @property
    def first(self) -> Evaluation:
        """What the model is judged by."""
        return self.shown[0]


def judged_by(evidence: Evidence) -> str:
    """Return in one sentence whose prompts the model is judged by, and name one of them."""
    first = evidence.first
    source = evidence.tests.path if evidence.tests and first.part == "test" else evidence.data.path
    example = f"of {Path(source).name}, such as {shorten(first.rankings[0].prompt)}"
    if first.part == "training":
        trained_on = len({ranking.key for ranking in evidence.training_part})
        return f"Judged by no prompt: the {counted(trained_on, 'prompt')} {example}, {'was' if trained_on == 1 else 'were'} all trained on."
    if evidence.review and first is evidence.review.evaluation:
        return (
            f"Judged by all {counted(first.metrics.prompts, 'prompt')} {example}, in a cross-validation: this model has learned from all of them, but"
            f" {evidence.review.models} models each learned without some, and scored those."
        )
    return f"Judged by the {counted(first.metrics.prompts, f'{first.part} prompt')} {example}."


def find_calibration(evidence: Evidence) -> tuple[Odds | None, str]:
    """Return the temperature of P(A preferred to B) = sigmoid((reward A − reward B) / temperature), and how well it fits.

    It is that of the review, or is fitted on the unseen parts where these have more prompts.

    Returns:
        None where the evidence is too little, and why.
    """
    review = evidence.review
    if review and review.evaluation.metrics.prompts >= sum(e.metrics.prompts for e in evidence.unseen):
        fitted, prompts, fitted_on = review.calibration, review.evaluation.metrics.prompts, "cross-validation"
    else:
        by_prompt: dict[str, list[np.ndarray]] = {}
        for e in evidence.unseen:
            for ranking, values in zip(e.rankings, split_rewards(e.rankings, e.rewards), strict=True):
                by_prompt.setdefault(ranking.key, []).append(pair_margins(ranking, values))
        if len(by_prompt) < LEAST_PROMPTS:
            return None, why_no_odds(1.0, len(by_prompt))
        margins = [np.concatenate(some) for some in by_prompt.values()]
        fitted = calibrate([np.concatenate(margins[number::_PARTS]) for number in range(_PARTS)])
        prompts, fitted_on = len(by_prompt), " and ".join(e.part for e in evidence.unseen)
    why = why_no_odds(fitted.temperature, prompts)
    return (None, why) if why else (Odds(**vars(fitted), prompts=prompts, fitted_on=fitted_on), "")


def reward_quantiles(evidence: Evidence) -> tuple[list[float], int]:
    """Return the percentiles 0 to 100 of the rewards of the answers in the training CSV, and how many answers they are of.

    Where the head alone was trained, all are known; else those of the validation part. Where these are fewer than
    `QUANTILE_ANSWERS`, answers of the training part, drawn with the seed, are scored as well, in the precision of the training.
    """
    trained = evidence.trained
    known = (
        [trained.rewards]
        if trained.rewards is not None
        else [e.rewards for e in evidence.evaluations if e.part in ("training", "validation")]
    )
    missing = QUANTILE_ANSWERS - sum(map(len, known))
    if missing > 0 and evidence.unseen and trained.rewards is None:
        pairs = [(ranking.prompt, answer) for ranking in evidence.training_part for answer in ranking.answers]
        drawn = random.Random(trained.settings.seed).sample(pairs, min(missing, len(pairs)))
        model = trained.reward_model
        scorer = RewardModel(model.model, model.tokenizer, device=model.device, precision=trained.precision)
        known.append(scorer.score(*zip(*drawn, strict=True)))
    rewards = np.concatenate(known)
    return [round(float(value), 6) for value in np.percentile(rewards, range(101))], len(rewards)


class Pair(NamedTuple):
    """Two answers to a prompt, by how much the first one's reward is higher, and how likely a person prefers it."""

    prompt: str
    higher: str
    lower: str
    difference: float
    probability: float


def typical_pair(evaluation: Evaluation, temperature: float) -> Pair:
    """Return the pair with the median difference of its rewards."""
    pairs = []
    for ranking, values in zip(
        evaluation.rankings, split_rewards(evaluation.rankings, evaluation.rewards), strict=True
    ):
        for i, j in zip(*np.nonzero(values[:, None] > values[None, :]), strict=True):
            if ranking.ranks[i] != ranking.ranks[j]:
                pairs.append((float(values[i] - values[j]), ranking.prompt, ranking.answers[i], ranking.answers[j]))
    difference, prompt, higher, lower = sorted(pairs)[len(pairs) // 2]
    return Pair(prompt, higher, lower, difference, float(win_probability(difference, temperature)))
