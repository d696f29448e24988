"""Ranked answers with realistic lengths, for those who have no CSV of their own to measure on."""

import math
import random

from preference.data.rankings import Ranking

GOOD = ["water", "light", "because", "energy", "first", "then", "measure", "grams", "heat", "result"]
GOOD += ["reason", "example", "number", "city", "river", "paper", "clear", "step", "four"]
VAGUE = ["maybe", "stuff", "things", "whatever", "sort", "kind", "guess", "somehow", "perhaps", "anyway", "probably", "some"]


def make_rankings(prompts: int, seed: int) -> list[Ranking]:
    """Make `prompts` rankings of four answers (log-normal lengths, median 150 words), whose order follows a plain rule.

    An answer's rank follows its share of vague words; its length tells nothing.
    """
    draw = random.Random(seed)
    made = []
    for i in range(prompts):
        topic = draw.sample(GOOD, 3)
        answers = []
        for share in (0.0, 0.15, 0.3, 0.45):
            words = max(5, round(draw.lognormvariate(math.log(150), 0.6)))
            answers.append(" ".join(draw.choice(VAGUE if draw.random() < share else GOOD) for _ in range(words)) + ".")
        order = draw.sample(range(4), 4)
        made.append(Ranking(f"Explain {' '.join(topic)} number {i}", [answers[k] for k in order], [k + 1 for k in order]))
    return made
