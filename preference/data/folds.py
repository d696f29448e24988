"""Folds for cross-validation, by prompt, and the same folds with fewer prompts to train on."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from preference.data.rankings import Ranking
from preference.data.splits import Parts, split_by_prompt

FOLDS = 5
LEAST_PROMPTS = 10  # with fewer, each prompt is a fold of its own
SHARES = (0.125, 0.25, 0.5)  # of the prompts that a fold trains on, for a learning curve
LEAST_SHARE = 2  # prompts
LEAST_FOR_CURVE = LEAST_SHARE + 2  # prompts: one is held out, and of the others `LEAST_SHARE` are fewer than all


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
    prompts = sorted({ranking.key for ranking in rankings})
    if len(prompts) < 2:
        raise ValueError("cross-validation needs at least two prompts")
    random.Random(seed).shuffle(prompts)
    count = FOLDS if len(prompts) >= LEAST_PROMPTS else len(prompts)
    folds = []
    for number in range(count):
        held_out = set(prompts[number::count])
        rest = [i for i, ranking in enumerate(rankings) if ranking.key not in held_out]
        folds.append(Fold(_split(rankings, rest, validation_fraction, seed), [i for i, ranking in enumerate(rankings) if ranking.key in held_out]))
    return folds


def smaller_folds(rankings: Sequence[Ranking], folds: Sequence[Fold], validation_fraction: float, seed: int) -> list[list[Fold]]:
    """Return `folds` with each of `SHARES` of the prompts to train on, fewest first; what is held out stays.

    The prompts of a smaller share are among those of a larger one. A share that rounds to as few prompts as a smaller one, or
    to all of them, is left out; none has fewer than `LEAST_SHARE`. Below `LEAST_FOR_CURVE` prompts there is none.
    """
    smaller: dict[tuple[int, ...], list[Fold]] = {}
    for share in SHARES:
        made = [shrink_fold(rankings, fold, share, validation_fraction, seed) for fold in folds]
        sizes = tuple(trained_prompts(rankings, fold) for fold in made)
        if sizes != tuple(trained_prompts(rankings, fold) for fold in folds):
            smaller.setdefault(sizes, made)
    return list(smaller.values())


def shrink_fold(rankings: Sequence[Ranking], fold: Fold, share: float, validation_fraction: float, seed: int) -> Fold:
    """Return `fold` with the rounded `share` of the prompts that it trains on, split again as the trainer splits."""
    rest = sorted(i for part in fold.parts for i in part)
    prompts = sorted({rankings[i].key for i in rest})
    random.Random(seed).shuffle(prompts)
    kept = set(prompts[: max(LEAST_SHARE, int(len(prompts) * share + 0.5))])
    return Fold(_split(rankings, [i for i in rest if rankings[i].key in kept], validation_fraction, seed), fold.held_out)


def trained_prompts(rankings: Sequence[Ranking], fold: Fold) -> int:
    """Return how many prompts a fold trains on, its validation part included."""
    return len({rankings[i].key for part in fold.parts for i in part})


def _split(rankings: Sequence[Ranking], rest: Sequence[int], validation_fraction: float, seed: int) -> Parts:
    """Split the positions `rest` as the trainer splits a file that holds just these rankings."""
    parts = split_by_prompt([rankings[i] for i in rest], validation_fraction, seed)
    return Parts([rest[i] for i in parts.training], [rest[i] for i in parts.validation])
