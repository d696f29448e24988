"""Folds for cross-validation, by prompt."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from preference.data.rankings import Ranking
from preference.data.splits import Parts, split_by_prompt

FOLDS = 5
LEAST_PROMPTS = 10  # with fewer, each prompt is a fold of its own


class Fold(NamedTuple):
    """Positions in a list of rankings: `parts` to train on, `held_out` to score."""

    parts: Parts
    held_out: list[int]


def folds_by_prompt(rankings: Sequence[Ranking], validation_fraction: float, seed: int) -> list[Fold]:
    """Hold out every prompt once, with all its rankings: in `FOLDS` folds, or one by one below `LEAST_PROMPTS` prompts.

    The rest of each fold is split as the trainer splits: part of it chooses the best weights. Which prompts share a fold
    follows from their texts and `seed`, not from their order in the file.

    >>> [fold.held_out for fold in folds_by_prompt([Ranking(p, ["x", "y"], [1, 2]) for p in "abca"], 0.2, seed=42)]
    [[1], [0, 3], [2]]

    Raises:
        ValueError: there is only one prompt.
    """
    prompts = sorted({ranking.prompt for ranking in rankings})
    if len(prompts) < 2:
        raise ValueError("cross-validation needs at least two prompts")
    random.Random(seed).shuffle(prompts)
    count = FOLDS if len(prompts) >= LEAST_PROMPTS else len(prompts)
    folds = []
    for number in range(count):
        held_out = set(prompts[number::count])
        rest = [i for i, ranking in enumerate(rankings) if ranking.prompt not in held_out]
        parts = split_by_prompt([rankings[i] for i in rest], validation_fraction, seed)
        folds.append(
            Fold(
                Parts([rest[i] for i in parts.training], [rest[i] for i in parts.validation]),
                [i for i, ranking in enumerate(rankings) if ranking.prompt in held_out],
            )
        )
    return folds
