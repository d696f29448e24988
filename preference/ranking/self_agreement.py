"""How well a person agrees with themselves, from the log of what they ranked.

Only second showings that were chosen at random count (`--recheck`). Rankings that were shown again because models dispute
them (`--again`) are the doubtful ones, so that agreement on them is lower than on all; and after such a showing the person
has seen the models' order, so that a later second showing of that prompt says nothing either. Both are left out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from preference.data.rankings import Ranking
from preference.data.splits import prompt_key
from preference.ranking.log import drop_undone, name_in_log, read_log


@dataclass(frozen=True)
class SelfAgreement:
    """How often a person ordered two answers the same way again: the most that a model of this person can reach.

    Attributes:
        prompts: how many were shown twice.
        pairs: their pairs of answers that did not tie the first time.
        share: of these, the ones in the same order the second time; a tie then counts half, as equal rewards do in accuracy.
        interval: of the share, 95 % (see `bootstrap_interval`).
    """

    prompts: int
    pairs: int
    share: float
    interval: tuple[float, float]


def self_agreement(log: Path, rankings: Sequence[Ranking], *, data: str | Path | None = None) -> SelfAgreement | None:
    """Return the agreement on those prompts of `rankings` that were shown twice; None without a log or such prompts.

    Args:
        log: `ranking_log.jsonl`. It is only read.
        data: the CSV that the rankings come from, where several share a log; None takes what the log says of any CSV.

    Raises:
        InputError: the log cannot be read.
    """
    prompts = {ranking.key for ranking in rankings}
    of_csv: dict[str, list[dict]] = {}
    for event in read_log(log):
        if data is None or event.get("data") == name_in_log(log, data):
            of_csv.setdefault(event.get("data", ""), []).append(event)
    pairs = []
    for events in of_csv.values():
        for first, second in shown_twice(events):
            if prompt_key(first["prompt"]) in prompts and (same := same_order(first, second))[1]:
                pairs.append(same)
    if not pairs:
        return None

    import numpy as np

    from preference.statistics import bootstrap_interval

    sums, counts = np.asarray([same for same, _ in pairs]), np.asarray([count for _, count in pairs])
    return SelfAgreement(
        len(pairs), int(counts.sum()), float(sums.sum() / counts.sum()), bootstrap_interval(sums, counts)
    )


def shown_twice(events: Iterable[dict]) -> list[tuple[dict, dict]]:
    """Return the first and the second `ranked` event of each prompt that was shown twice at random, from one CSV's events."""
    standing: list[dict] = []  # that were not undone
    told, knew = set(), []  # prompts of which the person knows the models' order; rankings of such
    for event in events:
        if event["event"] in ("ranked", "discarded"):
            standing.append(event)
            knew += [event] * (event["prompt"] in told)
        elif event["event"] == "undone":
            drop_undone(standing, event)
        elif event["event"] == "reranked":
            told.add(event["prompt"])
    rankings = [event for event in standing if event["event"] == "ranked"]
    first = {event["prompt"]: event for event in rankings if not event.get("recheck")}
    second = [
        event
        for event in rankings
        if event.get("recheck") and event["prompt"] in first and not any(event is one for one in knew)
    ]
    return [
        (first[event["prompt"]], event)
        for event in second
        if set(first[event["prompt"]]["answers"]) == set(event["answers"])
    ]


def same_order(first: dict, second: dict) -> tuple[float, int]:
    """Return how many pairs that did not tie in `first` have the same order in `second` (a tie counts half), and their number."""
    again = dict(zip(second["answers"], second["ranks"], strict=True))
    same, pairs = 0.0, 0
    for (answer, rank), (other, other_rank) in combinations(zip(first["answers"], first["ranks"], strict=True), 2):
        if rank != other_rank:
            pairs += 1
            difference = (again[answer] - again[other]) * (rank - other_rank)
            same += 0.5 if difference == 0 else float(difference > 0)
    return same, pairs


def disagreement(one: Sequence[int], other: Sequence[int]) -> float:
    """Return how many pairs of answers two rankings order differently; a pair that ties in one of them only counts half.

    >>> disagreement([1, 2, 3], [2, 1, 3]), disagreement([1, 2, 3], [1, 1, 2])
    (1.0, 0.5)
    """
    signs = ([(a > b) - (a < b) for a, b in combinations(ranks, 2)] for ranks in (one, other))
    return sum(abs(a - b) for a, b in zip(*signs, strict=True)) / 2


def kendall_tau(one: Sequence[int], other: Sequence[int]) -> float:
    """Return tau-b: 1 for the same order, -1 for the opposite one; 0 where all answers tie in one ranking only.

    >>> kendall_tau([1, 2, 3], [3, 2, 1]), kendall_tau([1, 1], [1, 1]), kendall_tau([1, 1], [1, 2])
    (-1.0, 1.0, 0.0)
    """
    from scipy.stats import kendalltau

    if len(set(one)) == 1 or len(set(other)) == 1:
        return float(len(set(one)) == len(set(other)))
    return float(kendalltau(one, other).statistic)
