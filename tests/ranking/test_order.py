import itertools

import pytest

from preference.errors import InputError
from preference.ranking.loop import parse_order
from preference.ranking.session import format_order


@pytest.mark.parametrize(
    "line, count, ranks",
    [
        ("2 1 4 3", 4, [2, 1, 4, 3]),
        ("2143", 4, [2, 1, 4, 3]),
        ("  2, 1, 4, 3 ", 4, [2, 1, 4, 3]),
        ("2>1>3", 3, [2, 1, 3]),
        ("2 1=4 3", 4, [2, 1, 3, 2]),
        ("21=43", 4, [2, 1, 3, 2]),
        ("2 1 = 4 3", 4, [2, 1, 3, 2]),
        ("1=2=3 4", 4, [1, 1, 1, 2]),
        ("2", 4, [2, 1, 2, 2]),
        ("12", 12, [2] * 11 + [1]),
        ("2 1", 4, [2, 1, 3, 3]),
        ("2=1", 4, [1, 1, 2, 2]),
        ("7 12=3", 12, [3, 3, 2, 3, 3, 3, 1, 3, 3, 3, 3, 2]),
        ("2 1 3", 4, [2, 1, 3, 4]),
        ("1=2=3=4", 4, [1, 1, 1, 1]),
        (" = ", 3, [1, 1, 1]),
        ("02 1", 12, [2, 1] + [3] * 10),
        ("12 11 10 9 8 7 6 5 4 3 2 1", 12, list(range(12, 0, -1))),
    ],
)
def test_what_is_understood(line, count, ranks):
    assert parse_order(line, count) == ranks


@pytest.mark.parametrize(
    "line, message",
    [
        ("best", "'best' is not a ranking: write the numbers best first, like 2 3 4 1, or ? for help"),
        ("2 -1 3", "'2 -1 3' is not a ranking: write the numbers best first, like 2 3 4 1, or ? for help"),
        ("2 1 5 3", "no answer 5; answers are numbered 1 to 4"),
        ("0", "no answer 0; answers are numbered 1 to 4"),
        ("2 1 1 3", "answer 1 is listed twice; name an answer only once"),
        ("9" * 5000, "no answer 9; answers are numbered 1 to 4"),
        ("=1 2", "write '=' between two numbers that tie, like 1=2"),
        ("²", "'²' is not a ranking: write the numbers best first, like 2 3 4 1, or ? for help"),
    ],
)
def test_what_is_wrong_is_said(line, message):
    with pytest.raises(InputError) as caught:
        parse_order(line, 4)
    assert str(caught.value) == message


def test_every_ranking_of_four_reads_back():
    for ranks in itertools.product(range(1, 5), repeat=4):
        if 1 < len(set(ranks)) == max(ranks):
            assert parse_order(format_order(list(ranks)), 4) == list(ranks)
