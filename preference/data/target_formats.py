"""Rankings in the formats of others: what records are written for one.

The CSV and labelled lists hold every comparison and every tie. Pairs hold the comparisons; those of one ranking share its `group`, by
which `convert_rankings.py` makes the ranking of them again.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations

from preference.data.dialogues import ASSISTANT, Turn, as_turns
from preference.data.rankings import Ranking
from preference.data.values import Record

ALL, BEST_WORST = "all", "best-worst"  # which pairs

Pair = tuple[str, str]  # better, worse


def pairs_of(ranking: Ranking, which: str = ALL) -> Iterator[Pair]:
    """Give all untied pairs of a ranking, or its best answer with its worst (the first of each where there are ties).

    >>> list(pairs_of(Ranking("p", ["a", "b", "c"], [2, 1, 2])))
    [('b', 'a'), ('b', 'c')]
    >>> list(pairs_of(Ranking("p", ["a", "b", "c"], [2, 1, 3]), "best-worst"))
    [('b', 'c')]
    """
    by_rank = sorted(zip(ranking.ranks, ranking.answers, strict=True), key=lambda one: one[0])
    if which == BEST_WORST:
        worst = next(answer for rank, answer in by_rank if rank == by_rank[-1][0])
        yield by_rank[0][1], worst
    else:
        yield from ((better, worse) for (rank, better), (other, worse) in combinations(by_rank, 2) if rank < other)


def size_of_pairs(ranking: Ranking) -> tuple[int, int]:
    """Return how many untied pairs a ranking has, and about how many bytes they take when they are written.

    >>> size_of_pairs(Ranking("p", ["a", "b", "c"], [2, 1, 2]))[0]
    2
    """
    answers, ties = len(ranking.ranks), Counter(ranking.ranks)
    count = (answers**2 - sum(number**2 for number in ties.values())) // 2
    texts = sum(
        len(answer) * (answers - ties[rank]) for answer, rank in zip(ranking.answers, ranking.ranks, strict=True)
    )
    return count, count * (len(ranking.prompt) + 50) + texts


def as_rows(ranking: Ranking, pairs: Iterable[Pair]) -> Iterator[Record]:
    """The CSV contract: a row for each answer."""
    for answer, rank in zip(ranking.answers, ranking.ranks, strict=True):
        yield {"prompt": ranking.prompt, "answer": answer, "rank": rank}


def as_trl(ranking: Ranking, pairs: Iterable[Pair]) -> Iterator[Record]:
    """Pairs of texts, with the prompt. https://huggingface.co/docs/trl/dataset_formats#preference"""
    for better, worse in pairs:
        yield {"prompt": ranking.prompt, "chosen": better, "rejected": worse}


def as_trl_conversational(ranking: Ranking, pairs: Iterable[Pair]) -> Iterator[Record]:
    """Pairs of messages; a prompt that was made of a chat becomes that chat again (see `dialogues`)."""
    prompt = messages(as_turns(ranking.prompt))
    for better, worse in pairs:
        yield {
            "prompt": prompt,
            "chosen": messages(as_turns(better, ASSISTANT)),
            "rejected": messages(as_turns(worse, ASSISTANT)),
        }


def as_lists(ranking: Ranking, pairs: Iterable[Pair]) -> Iterator[Record]:
    """Labelled lists for the listwise losses of sentence-transformers, which allow no further column; the worst answers have label 0.

    https://sbert.net/docs/cross_encoder/loss_overview.html
    """
    levels = sorted(set(ranking.ranks), reverse=True)
    yield {"query": ranking.prompt, "docs": ranking.answers, "labels": [levels.index(rank) for rank in ranking.ranks]}


def messages(turns: list[Turn]) -> list[dict[str, str]]:
    """Return a chat as the field writes it: a list of `{"role": ..., "content": ...}`."""
    return [{"role": turn.role, "content": turn.text} for turn in turns]


# What --to names: what one record is called, and what makes the records of a ranking.
TARGETS: dict[str, tuple[str, Callable[[Ranking, Iterable[Pair]], Iterator[Record]]]] = {
    "csv": ("ranked answer", as_rows),
    "trl": ("TRL preference pair", as_trl),
    "trl-conversational": ("TRL preference pair", as_trl_conversational),
    "lists": ("labelled list", as_lists),
    "rewardbench": (
        "RewardBench row",
        as_trl,
    ),  # as `rewardbench --dataset FILE --load_json` reads them; see github.com/allenai/reward-bench
}
PAIRED = ("trl", "trl-conversational", "rewardbench")
