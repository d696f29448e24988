"""Two models on the same unseen rankings: what a retraining changed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from preference.data.rankings import Ranking
from preference.evaluation.evaluation import LEAST_PROMPTS
from preference.evaluation.metrics import count_pairs, split_rewards
from preference.statistics import lead_interval
from preference.wording import counted


@dataclass(frozen=True)
class Comparison:
    """Pairwise accuracies on rankings that were kept from both trainings, or from the folds of their cross-validations.

    `difference_95` is the 95 % interval of after − before (see `lead_interval`). `changed` are the prompts whose
    highest reward belongs to another answer now. `validation_prompts` of the prompts chose the new model's weights.
    """

    prompts: int
    before: float
    after: float
    difference_95: tuple[float, float]
    changed: list[str]
    validation_prompts: int = 0

    def in_words(self) -> str:
        """Return one sentence: better, worse, or not to be told apart, which below `LEAST_PROMPTS` prompts is always so."""
        low, high = self.difference_95
        those = (
            "the validation prompts among them"
            if self.validation_prompts < self.prompts
            else "these validation prompts"
        )
        flattered = f"; {those} chose the new weights, which flatters it a little" if self.validation_prompts else ""
        if self.prompts < LEAST_PROMPTS:
            outcome = "Too few prompts to tell the new model from the previous one"
            evidence = f"at least {LEAST_PROMPTS} are needed"
        else:
            which = "better than" if low > 0 else "worse than" if high < 0 else "not clearly different from"
            outcome = f"The new model is {which} the previous one"
            evidence = f"difference {self.after - self.before:+.3f}, 95 % interval {low:+.3f} to {high:+.3f}"
        return (
            f"{outcome}: {self.after:.3f} of the pairs of {counted(self.prompts, 'prompt')} in order, against {self.before:.3f} before, each scored"
            f" by models that had not seen it ({evidence}){flattered}."
        )


def compare(
    rankings: Sequence[Ranking], before: np.ndarray, after: np.ndarray, *, validation_prompts: int = 0, seed: int = 0
) -> Comparison:
    """Compare the rewards of two models for all answers to `rankings`, each of shape (answers,).

    Args:
        validation_prompts: how many of the prompts chose the weights of the model that gave `after`.
    """
    old, new = count_pairs(rankings, before), count_pairs(rankings, after)
    changed = [
        ranking.prompt
        for ranking, was, is_now in zip(
            rankings, split_rewards(rankings, before), split_rewards(rankings, after), strict=True
        )
        if int(was.argmax()) != int(is_now.argmax())
    ]
    interval = lead_interval(new.right, old.right, old.pairs, seed=seed)
    return Comparison(
        len(old.pairs), old.accuracy(), new.accuracy(), interval, list(dict.fromkeys(changed)), validation_prompts
    )
