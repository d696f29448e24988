"""Which rankings are trained on and which are held out: by prompt, so that no prompt is on both sides."""

import hashlib
import random
import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from preference.data.rankings import Ranking

FOLDS = 5
MIN_PROMPTS = 10  # with fewer, each prompt is a fold of its own


def prompt_key(prompt: str) -> str:
    """Return what two prompts have in common exactly if they count as the same one; the texts themselves stay as typed.

    Differences in case, white space, Unicode form (NFKC) and invisible characters (category Cf, variation selectors) do
    not count.

    >>> prompt_key("Name  a\\u200b prime\\n"), prompt_key("NAME A PRIME")
    ('name a prime', 'name a prime')
    """
    if not prompt.isascii():
        shown = "".join(c for c in prompt if unicodedata.category(c) != "Cf" and not "\ufe00" <= c <= "\ufe0f")
        prompt = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", shown).casefold())
    return " ".join(prompt.casefold().split())


def prompt_digest(prompt: str) -> str:
    """Return 16 hexadecimal digits that stand for a prompt, and for all that are the same one, in `metrics.json`."""
    return hashlib.sha256(prompt_key(prompt).encode(errors="surrogatepass")).hexdigest()[:16]


class Parts(NamedTuple):
    """Positions in a list of rankings, both in rising order: those to learn from, and those held out to be scored."""

    training: list[int]
    validation: list[int]


def split_by_prompt(rankings: Sequence["Ranking"], fraction: float, seed: int) -> Parts:
    """Hold out the rounded `fraction` of the prompts for validation, with all their rankings, but never all of them.

    Which prompts follows from their texts and `seed`: after rows were sorted, added or removed, most of them are held
    out again, so that two models can be compared on them.

    >>> from preference.data.rankings import Ranking
    >>> split_by_prompt([Ranking(prompt, ["x", "y"], [1, 2]) for prompt in "aabcd"], 0.25, seed=42)
    Parts(training=[0, 1, 2, 4], validation=[3])
    """
    prompts = {ranking.key for ranking in rankings}
    count = max(0, min(int(len(prompts) * fraction + 0.5), len(prompts) - 1))

    def digest(prompt: str) -> bytes:
        return hashlib.sha256(f"{seed} {prompt}".encode(errors="surrogatepass")).digest()

    return Parts(*_apart(rankings, set(sorted(prompts, key=digest)[:count])))


def _apart(rankings: Sequence["Ranking"], held_out: set[str]) -> list[list[int]]:
    return [[i for i, ranking in enumerate(rankings) if (ranking.key in held_out) is held] for held in (False, True)]


def train_on_seen(rankings: Sequence["Ranking"], parts: Parts, was_seen: Callable[[str], bool]) -> Parts:
    """Move the validation rankings whose prompts the base model has seen to the training part: they are no evidence."""
    validation = [i for i in parts.validation if not was_seen(rankings[i].prompt)]
    return Parts(sorted({*parts.training, *parts.validation} - {*validation}), validation)


def folds_by_prompt(rankings: Sequence["Ranking"], seed: int) -> list[Parts]:
    """Hold out every prompt once, with all its rankings: in `FOLDS` folds, or one by one below `MIN_PROMPTS` prompts.

    Which prompts share a fold follows from their texts and `seed`, not from their order in the file.

    >>> from preference.data.rankings import Ranking
    >>> [fold.validation for fold in folds_by_prompt([Ranking(p, ["x", "y"], [1, 2]) for p in "abca"], seed=42)]
    [[1], [0, 3], [2]]
    """
    prompts = sorted({ranking.key for ranking in rankings})
    if len(prompts) < 2:
        raise ValueError("cross-validation needs at least two prompts")
    random.Random(seed).shuffle(prompts)
    count = FOLDS if len(prompts) >= MIN_PROMPTS else len(prompts)
    return [Parts(*_apart(rankings, set(prompts[number::count]))) for number in range(count)]
