"""Folds for cross-validation, by prompt."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from preference.data.rankings import Ranking

FOLDS = 5
LEAST_PROMPTS = 10  # with fewer, each prompt is a fold of its own


class Fold(NamedTuple):
    """Positions in a list of rankings: some to learn from, the others to be scored."""

    training: list[int]
    held_out: list[int]


def folds_by_prompt(rankings: Sequence[Ranking], seed: int) -> list[Fold]:
    """Hold out every prompt once, with all its rankings: in `FOLDS` folds, or one by one below `LEAST_PROMPTS` prompts.

    Which prompts share a fold follows from their texts and `seed`, not from their order in the file.

    >>> [fold.held_out for fold in folds_by_prompt([Ranking(p, ["x", "y"], [1, 2]) for p in "abca"], seed=42)]
    [[1], [0, 3], [2]]

    Raises:
        ValueError: there is only one prompt.
    """
    prompts = sorted({ranking.key for ranking in rankings})
    if len(prompts) < 2:
        raise ValueError("cross-validation needs at least two prompts")
    random.Random(seed).shuffle(prompts)
    count = FOLDS if len(prompts) >= LEAST_PROMPTS else len(prompts)
    folds = []
    for number in range(count):
        held_out = set(prompts[number::count])
        parts = [
            [i for i, ranking in enumerate(rankings) if (ranking.key in held_out) is held] for held in (False, True)
        ]
        folds.append(Fold(*parts))
    return folds
