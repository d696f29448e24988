"""How rewards agree with what people said of the same answers: by ranks, scores, votes, or as a chosen and a rejected one."""

import random
from collections.abc import Callable, Sequence

import numpy as np

from preference.data.comparisons import Comparison, gather
from preference.data.rankings import Ranking
from preference.data.roles import Roles
from preference.evaluation.evaluation import Evaluation, evaluate
from preference.wording import counted, shorten

MOST_ANSWERS = 2_000  # of one ranking; the time that its pairs take is quadratic


def judge(
    items: Sequence[Comparison], roles: Roles, rewards: Sequence[float] | np.ndarray, was_seen: Callable[[str], bool]
) -> tuple[Evaluation | None, list[str]]:
    """Evaluate rewards on the prompts that the model was not trained on.

    Args:
        rewards: of all answers of `items`, in order.
        was_seen: whether the model was trained on a prompt.

    Returns:
        None where nothing is left; and sentences on what was not judged.
    """
    texts = [(item.prompt.strip(), answer.strip()) for item in items for answer in item.answers]
    reward_of = dict(zip(texts, map(float, rewards), strict=True))
    gathered = gather(items, roles)
    kept: list[Ranking] = []
    seen: set[str] = set()
    notes: list[str] = []
    for ranking in gathered.rankings:
        if was_seen(ranking.prompt):
            seen.add(ranking.key)
            continue
        if (count := len(ranking.answers)) > MOST_ANSWERS:
            notes.append(
                f"judged by {MOST_ANSWERS:,} of the {count:,} answers to {shorten(ranking.prompt)}, drawn at random"
            )
            some = random.Random(0).sample(range(count), MOST_ANSWERS)
            answers, ranks = [ranking.answers[i] for i in some], [ranking.ranks[i] for i in some]
            ranking = Ranking(ranking.prompt, answers, ranks, ranking.group, ranking.rater)
        kept.append(ranking)
    told = [f"{counted(count, 'record or ranking')} with {why}" for why, count in gathered.left_out.most_common()]
    told += [f"{counted(gathered.unranked, 'answer')} without a rank or score"] * bool(gathered.unranked)
    told += [f"{counted(len(seen), 'prompt')} that the model was trained on"] * bool(seen)
    if told:
        notes.append(f"scored, but not judged: {', '.join(told)}")
    if not kept:
        notes.append(
            "no agreement table: it takes a prompt that the model was not trained on, with two answers of different ranks"
        )
        return None, notes
    of_answers = [reward_of[ranking.prompt, answer] for ranking in kept for answer in ranking.answers]
    return evaluate("test", kept, np.asarray(of_answers, dtype=np.float32)), notes
