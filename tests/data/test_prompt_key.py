import sys
import unicodedata

import numpy as np
import pytest

from preference.data.rankings import Ranking, Rankings
from preference.data.splits import folds_by_prompt, prompt_digest, prompt_key, split_by_prompt
from preference.data.tables import Table
from preference.evaluation.evaluation import evaluate

TYPED = "Why is the café's sky blue?"
SAME = [
    TYPED.upper(),
    f"  {TYPED}\n".replace(" ", "\u00a0\t"),
    unicodedata.normalize("NFD", TYPED),
    TYPED.replace("blue", "\uff42\uff4c\uff55\uff45"),  # full-width letters
    "\ufeff" + TYPED.replace("sky", "s\u200bk\u2060y\u00ad"),
]


@pytest.mark.parametrize("other", SAME)
def test_what_cannot_be_seen_or_does_not_matter_makes_no_other_prompt(other):
    assert other != TYPED and prompt_key(other) == prompt_key(TYPED) and prompt_digest(other) == prompt_digest(TYPED)


def test_other_prompts_stay_others():
    others = [
        "Why is the cafe's sky blue?",
        "Why is the café's sky blue",
        "Whyis the café's sky blue?",
        "2",
        "²3",
        "\ud800",
    ]
    assert len({prompt_key(other) for other in [TYPED, *others]}) == 1 + len(others)
    prompt_digest("\ud800")


def test_a_key_is_its_own_key_and_the_same_in_every_unicode_form():
    for number in range(0, sys.maxunicode, 7):
        character = f"x{chr(number)}y"
        key = prompt_key(character)
        assert prompt_key(key) == key == prompt_key(unicodedata.normalize("NFD", character))


def test_typed_otherwise_a_prompt_is_never_on_both_sides_and_counts_once():
    rankings = [Ranking(prompt, ["x", "y"], [1, 2]) for i in range(24) for prompt in (f"prompt {i}", f"Prompt  {i}")]
    together = {frozenset((i, i + 1)) for i in range(0, 48, 2)}

    def whole(positions) -> bool:
        return {frozenset((i - i % 2, i - i % 2 + 1)) for i in positions} <= together and len(positions) % 2 == 0

    parts = split_by_prompt(rankings, 0.3, seed=1)
    assert len(parts.validation) == 14 and whole(parts.validation) and whole(parts.training)
    for fold in folds_by_prompt(rankings, seed=1):
        assert whole(fold.validation) and whole(fold.training)
    assert len(Rankings(Table("a.csv", "csv", [], [], []), rankings).prompts) == 24
    assert evaluate("test", rankings, np.tile([1.0, 0.0], 48)).metrics.prompts == 24
