"""Synthetic rankings with realistic lengths, for measuring without a CSV of one's own."""

import math
import random

from preference.data.rankings import Ranking

CLEAR = ["water", "light", "because", "energy", "first", "then", "measure", "grams", "heat", "result"]
CLEAR += ["reason", "example", "number", "city", "river", "paper", "clear", "step", "four"]
VAGUE = ["maybe", "stuff", "things", "whatever", "sort", "kind", "guess", "somehow", "perhaps", "anyway", "probably", "some"]


def synthetic_rankings(prompts: int, seed: int, median_words: int = 150) -> list[Ranking]:
    """Return one ranking of four answers for each of `prompts` prompts.

    The fewer vague words an answer has, the better its rank. Lengths are log-normal and say nothing about the rank.
    """
    generator = random.Random(seed)
    rankings = []
    for i in range(prompts):
        topic = generator.sample(CLEAR, 3)
        answers = []
        for vague_share in (0.0, 0.15, 0.3, 0.45):
            words = max(5, round(generator.lognormvariate(math.log(median_words), 0.6)))
            answers.append(" ".join(generator.choice(VAGUE if generator.random() < vague_share else CLEAR) for _ in range(words)) + ".")
        order = generator.sample(range(4), 4)
        rankings.append(Ranking(f"Explain {' '.join(topic)} number {i}", [answers[k] for k in order], [k + 1 for k in order]))
    return rankings
