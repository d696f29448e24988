"""Which rankings are trained on and which are held out: by prompt, so that no prompt is on both sides."""

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from preference.data.rankings import Ranking


class Parts(NamedTuple):
    """Positions in a list of rankings, both in rising order."""

    training: list[int]
    validation: list[int]


def split_by_prompt(rankings: Sequence[Ranking], fraction: float, seed: int) -> Parts:
    """Split the positions of `rankings` into a training and a validation part.

    All rankings of a prompt (see `prompt_key`) go to the same part. The validation part gets the rounded `fraction` of the prompts,
    and is empty where that rounds to none; at least one prompt is left to train on. Which prompts follows from their texts and
    `seed`: after rows were sorted, added or removed, most of them are held out again, so that two models can be compared on them.

    >>> split_by_prompt([Ranking(prompt, ["x", "y"], [1, 2]) for prompt in "aabcd"], 0.25, seed=42)
    Parts(training=[0, 1, 2, 4], validation=[3])
    """
    prompts = {ranking.key for ranking in rankings}
    held_out = max(0, min(int(len(prompts) * fraction + 0.5), len(prompts) - 1))
    by_digest = sorted(
        prompts, key=lambda prompt: hashlib.sha256(f"{seed} {prompt}".encode(errors="surrogatepass")).digest()
    )
    validation = set(by_digest[:held_out])
    return Parts(
        [i for i, ranking in enumerate(rankings) if ranking.key not in validation],
        [i for i, ranking in enumerate(rankings) if ranking.key in validation],
    )


def train_on_seen(rankings: Sequence[Ranking], parts: Parts, was_seen: Callable[[str], bool]) -> Parts:
    """Move the validation rankings whose prompts the base model has seen to the training part: they are no evidence.

    >>> rankings = [Ranking(prompt, ["x", "y"], [1, 2]) for prompt in "abc"]
    >>> train_on_seen(rankings, Parts([1], [0, 2]), lambda prompt: prompt == "c")
    Parts(training=[1, 2], validation=[0])
    """
    validation = [i for i in parts.validation if not was_seen(rankings[i].prompt)]
    return Parts(sorted({*parts.training, *parts.validation} - {*validation}), validation)
