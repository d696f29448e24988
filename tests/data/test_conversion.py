import pytest

from preference.data.conversion import pairs_of, records_of
from preference.data.rankings import Ranking

TIED = Ranking("p", ["a", "b", "c", "d"], [2, 1, 2, 9])


@pytest.mark.parametrize("which, expected", [("all", ["ba", "bc", "bd", "ad", "cd"]), ("best-worst", ["bd"])])
def test_pairs(which, expected):
    assert ["".join(pair) for pair in pairs_of(TIED, which)] == expected


def test_best_and_worst_are_the_first_of_their_ties():
    assert pairs_of(Ranking("p", ["a", "b", "c", "d"], [3, 1, 3, 1]), "best-worst") == [("b", "a")]


@pytest.mark.parametrize(
    "name, records",
    [
        (
            "csv",
            [
                {"prompt": "p", "answer": answer, "rank": rank}
                for answer, rank in zip("abcd", [2, 1, 2, 9], strict=True)
            ],
        ),
        ("lists", [{"query": "p", "docs": ["a", "b", "c", "d"], "labels": [1, 2, 1, 0]}]),
        ("trl", [{"prompt": "p", "chosen": "b", "rejected": "d"}]),
        ("rewardbench", [{"prompt": "p", "chosen": "b", "rejected": "d"}]),
        (
            "trl-conversational",
            [
                {
                    "prompt": [{"role": "user", "content": "p"}],
                    "chosen": [{"role": "assistant", "content": "b"}],
                    "rejected": [{"role": "assistant", "content": "d"}],
                }
            ],
        ),
    ],
)
def test_each_target(name, records):
    assert records_of(TIED, name, [("b", "d")]) == records
