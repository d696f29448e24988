"""What stands behind a bare reward: the review of the rankings, the odds between two answers, the place among ranked answers."""

import random
from dataclasses import dataclass, replace

import numpy as np

from preference.data.rankings import Ranking, Rankings
from preference.evaluation.calibration import LEAST_PROMPTS, calibrate, why_no_odds
from preference.evaluation.evaluation import Evaluation
from preference.evaluation.metrics import pair_margins, split_rewards
from preference.model.reward_model import RewardModel
from preference.training.train import Trained
from preference.wording import counted

QUANTILE_ANSWERS = 60  # scoring takes time; a percentile is then within 7 points of that among all answers in two of three cases
_PARTS = 10  # the prompts are dealt to so many parts, each judged by the temperature of the others


@dataclass(frozen=True)
class Evidence:
    """A trained model, and all that is known of it.

    `evaluations` are of the unseen parts, what is shown to people first; where there are none, of the training part.
    `review` is what a cross-validation of the same rankings found, where there was one (see `known_outcome`).
    """

    data: Rankings
    tests: Rankings | None
    training_part: list[Ranking]
    trained: Trained
    evaluations: list[Evaluation]
    review: dict | None

    @property
    def first(self) -> Evaluation:
        return self.evaluations[0]

    @property
    def unseen(self) -> list[Evaluation]:
        return [e for e in self.evaluations if e.unseen]


def review_in_words(review: dict) -> str:
    """Return what a cross-validation of the same rankings (see `known_outcome`) says of a model trained on them."""
    metrics = review["metrics"]
    low, high = metrics["pairwise_accuracy_95"]
    return (
        f"{review['folds']} models, each trained without some of the prompts, ordered {metrics['pairwise_accuracy']:.3f} [{low:.3f}, {high:.3f}] of"
        f" the pairs of all {counted(metrics['prompts'], 'prompt')} correctly (longest answer {review['longest']['pairwise_accuracy']:.3f}, shortest"
        f" {review['shortest']['pairwise_accuracy']:.3f}); trained on fewer prompts than this one, they are if anything worse"
    )


def count_review(evaluations: list[Evaluation], review: dict | None) -> list[Evaluation]:
    """Return the evaluations; where no prompt was kept from the model, their verdict is what the review says, if there was one."""
    if evaluations[0].unseen or not review:
        return evaluations
    return [replace(evaluations[0], verdict=f"No prompt was kept from this model; the cross-validation stands for it: {review_in_words(review)}.")]


def find_calibration(evidence: Evidence) -> dict | None:
    """Return the temperature of P(A preferred to B) = sigmoid((reward A − reward B) / temperature), and how well it fits.

    It is that of the review, which has more prompts, where there is one of enough prompts; else it is fitted on the unseen parts.

    Returns:
        The entry `calibration` of metrics.json; None where the evidence is too little (see `why_no_odds`).
    """
    if evidence.review and evidence.review["prompts"] >= LEAST_PROMPTS:
        found = evidence.review | {"fitted_on": "cross-validation"}
    else:
        by_prompt: dict[str, list[np.ndarray]] = {}
        for e in evidence.unseen:
            for ranking, values in zip(e.rankings, split_rewards(e.rankings, e.rewards), strict=True):
                by_prompt.setdefault(ranking.key, []).append(pair_margins(ranking, values))
        if len(by_prompt) < LEAST_PROMPTS:
            return None
        prompts = [np.concatenate(margins) for margins in by_prompt.values()]
        fitted = calibrate([np.concatenate(prompts[number::_PARTS]) for number in range(_PARTS)])
        found = vars(fitted) | {"prompts": len(prompts), "fitted_on": " and ".join(e.part for e in evidence.unseen)}
    names = ("temperature", "fitted_on", "prompts", "pairs", "error_before", "error_after")
    return None if why_no_odds(found["temperature"], found["prompts"]) else {name: found[name] for name in names}


def reward_quantiles(evidence: Evidence) -> tuple[list[float], int]:
    """Return the percentiles 0 to 100 of the rewards of the answers in the training CSV, and how many answers they are of.

    Of the validation part all rewards are known already. Where these are fewer than `QUANTILE_ANSWERS`, answers of the
    training part, drawn with the seed, are scored as well, in the precision of the training.
    """
    trained = evidence.trained
    known = [e.rewards for e in evidence.evaluations if e.part in ("training", "validation")]
    missing = QUANTILE_ANSWERS - sum(map(len, known))
    if missing > 0 and evidence.unseen:
        pairs = [(ranking.prompt, answer) for ranking in evidence.training_part for answer in ranking.answers]
        drawn = random.Random(trained.settings.seed).sample(pairs, min(missing, len(pairs)))
        model = trained.reward_model
        scorer = RewardModel(model.model, model.tokenizer, device=model.device, precision=trained.precision)
        known.append(scorer.score(*zip(*drawn, strict=True)))
    rewards = np.concatenate(known)
    return [round(float(value), 6) for value in np.percentile(rewards, range(101))], len(rewards)


def typical_pair(evaluation: Evaluation) -> tuple[str, str, str, float]:
    """Return a prompt, two of its answers, and by how much the first one's reward is higher: the pair with the median difference."""
    pairs = []
    for ranking, values in zip(evaluation.rankings, split_rewards(evaluation.rankings, evaluation.rewards), strict=True):
        for i, j in zip(*np.nonzero(values[:, None] > values[None, :]), strict=True):
            if ranking.ranks[i] != ranking.ranks[j]:
                pairs.append((float(values[i] - values[j]), ranking.prompt, ranking.answers[i], ranking.answers[j]))
    difference, prompt, higher, lower = sorted(pairs)[len(pairs) // 2]
    return prompt, higher, lower, difference
