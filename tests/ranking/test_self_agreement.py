import json

import pytest

from preference.data.rankings import Ranking
from preference.evaluation import metrics
from preference.evaluation.metrics import Agreement
from preference.ranking.store import RankingLog


@pytest.fixture
def write_log(tmp_path):
    def write(*events: dict):
        path = tmp_path / "log.jsonl"
        path.write_text("".join(json.dumps({"data": "data.csv", **event}) + "\n" for event in events))
        return path

    return write


def ranked(prompt: str, answers: str, *ranks: int, recheck: bool = False, **more) -> dict:
    return {
        "event": "ranked",
        "prompt": prompt,
        "answers": list(answers),
        "ranks": list(ranks),
        "seconds": 1.0,
        "recheck": recheck,
        **more,
    }


RANKINGS = [Ranking(prompt, ["a", "b", "c"], [1, 2, 3]) for prompt in "pqr"]


def self_agreement(log, rankings=RANKINGS, data="data.csv"):
    twice, known = RankingLog(log, log.parent / data).shown_twice(), {ranking.key for ranking in rankings}
    return metrics.self_agreement([(first, second) for first, second in twice if first.key in known])


def test_the_share_of_pairs_that_did_not_tie_the_first_time(write_log):
    log = write_log(
        ranked("p", "abc", 1, 2, 3),
        ranked("q", "abc", 1, 2, 2),
        ranked("p", "cab", 3, 2, 1, recheck=True),  # now b before a: 2 of 3 pairs as before
        ranked("q", "bca", 2, 1, 2, recheck=True),  # a and b tie now, c is before a: half a pair of 2
    )
    agreement = self_agreement(log, RANKINGS)
    assert (agreement.prompts, agreement.pairs, agreement.share) == (2, 5, pytest.approx(2.5 / 5))
    low, high = agreement.interval
    assert low <= 0.5 / 2 and high >= 2 / 3


def test_what_does_not_count(write_log, tmp_path):
    first, second = ranked("p", "abc", 1, 2, 3), ranked("p", "cba", 3, 2, 1, recheck=True)
    whole = Agreement(1, 3, 1.0, (pytest.approx(0.342, abs=1e-3), 1.0))
    assert self_agreement(write_log(first, second), RANKINGS) == whole
    assert self_agreement(tmp_path / "none.jsonl", RANKINGS) is None
    assert self_agreement(write_log(first), RANKINGS) is None
    assert self_agreement(write_log(second), RANKINGS) is None
    assert self_agreement(write_log(first, second), RANKINGS[1:]) is None  # its rows are no longer in the CSV
    undone = {"event": "undone", "prompt": "p", "recheck": True}
    assert self_agreement(write_log(first, second, undone), RANKINGS) is None
    other = ranked("p", "abx", 1, 2, 3, recheck=True)
    assert self_agreement(write_log(first, other), RANKINGS) is None  # the answers are not the same
    ties = ranked("p", "abc", 1, 1, 1)
    assert self_agreement(write_log(ties, second), RANKINGS) is None


def test_what_was_shown_again_for_being_disputed_does_not_count_nor_what_came_after(write_log):
    first, second = ranked("p", "abc", 1, 2, 3), ranked("p", "cba", 3, 2, 1, recheck=True)
    again = {
        "event": "reranked",
        "prompt": "p",
        "group": "",
        "answers": ["b", "a", "c"],
        "ranks": [1, 2, 3],
        "old_ranks": [2, 1, 3],
    }
    assert self_agreement(write_log(first, again), RANKINGS) is None
    assert self_agreement(write_log(first, again, second), RANKINGS) is None
    assert self_agreement(write_log(first, second, again), RANKINGS).prompts == 1


def test_several_csvs_in_one_log_are_kept_apart(write_log):
    first, second = ranked("p", "abc", 1, 2, 3), ranked("p", "cba", 1, 2, 3, recheck=True)
    assert self_agreement(write_log(first, {**second, "data": "other.csv"})) is None
    log = write_log(first, second, {**first, "data": "other.csv"}, {**second, "data": "other.csv", "ranks": [3, 2, 1]})
    assert self_agreement(log, RANKINGS, data="data.csv").share == 0.0
    assert self_agreement(log, RANKINGS, data="other.csv").share == 1.0
    assert self_agreement(log, RANKINGS, data="folder/other.csv") is None


def test_an_undone_first_ranking_counts_as_it_was_ranked_then(write_log):
    undone, again = {"event": "undone", "prompt": "p"}, ranked("p", "abc", 3, 2, 1)
    second = ranked("p", "cab", 1, 3, 2, recheck=True)
    log = write_log(ranked("p", "abc", 1, 2, 3), undone, again, second)
    twice = RankingLog(log, log.parent / "data.csv").shown_twice()
    assert twice == [(Ranking("p", ["a", "b", "c"], [3, 2, 1]), [3, 2, 1])]
