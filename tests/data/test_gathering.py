import pytest

from preference.data.dialogues import Unreadable
from preference.data.gathering import Gathering, ranking_of
from preference.data.rankings import Ranking
from preference.data.source_formats import Compared, NoComparison


def gathered(*said, one_answer=False, of_a_ranking=False) -> tuple[list[Ranking], bool]:
    with Gathering(one_answer=one_answer) as gathering:
        for compared, rater in said:
            gathering.add(compared, rater, "", of_a_ranking=of_a_ranking)
        return [ranking for ranking, _ in gathering.rankings()], gathering.has_groups


def pairs(*pairs: str) -> list[tuple[Compared, str]]:
    return [(Compared("p", list(pair), [1, 2]), "") for pair in pairs]


@pytest.mark.parametrize(
    "said, ranking",
    [
        (["ab", "ac", "bc"], ("abc", [1, 2, 3])),
        (["ab", "ac"], ("abc", [1, 2, 2])),
        (["ac", "bc"], ("acb", [1, 2, 1])),
        (["ab", "bc"], None),  # a with c is missing
        (["ab", "bc", "ca"], None),
        (["ab", "ab"], None),
        (["ab", "ba"], None),
        (["ab", "cd"], None),  # a with d is missing
    ],
)
def test_pairs_that_make_up_a_ranking_are_one(said, ranking):
    assert ranking_of([list(pair) for pair in said]) == (ranking and (list(ranking[0]), ranking[1]))
    found, has_groups = gathered(*pairs(*said), of_a_ranking=True)
    assert len(found) == (1 if ranking else len(said)) and has_groups == (not ranking)
    assert len(gathered(*pairs(*said))[0]) == len(said)  # pairs of others stay pairs


def test_rankings_of_one_prompt_come_together_each_with_its_group():
    said = [*pairs("ab"), (Compared("q", ["c", "d"], [1, 2]), ""), (Compared(" p", ["b", "a"], [1, 2]), ""), *pairs("ab")]
    assert gathered(*said) == (
        [Ranking("p", ["a", "b"], [1, 2], "1"), Ranking("p", ["b", "a"], [1, 2], "2"), Ranking("p", ["a", "b"], [1, 2], "3"),
         Ranking("q", ["c", "d"], [1, 2])],
        True,
    )  # fmt: skip


def test_ranks_start_at_one_and_answers_stand_once():
    compared = Compared("p", ["a ", "b", "a", "", "c", "d", "d"], [0.5, -3, 0.5, 1, 7, 1, 2])
    assert gathered((compared, "ann")) == ([Ranking("p", ["a", "b", "c"], [2, 1, 3], "ann")], True)


@pytest.mark.parametrize(
    "answers, ranks, why",
    [
        (["a", ""], [1, 2], "an empty text"),
        (["a", "b"], [1, 1], "only ties"),
        (["a"], [1], "only one answer"),
        (["a", "a"], [1, 2], "answers listed twice with different ranks"),
    ],
)
def test_what_compares_nothing(answers, ranks, why):
    with Gathering(one_answer=False) as gathering, pytest.raises(NoComparison, match=why):
        gathering.add(Compared("p", answers, ranks), "", "")


def test_what_no_csv_can_hold_is_refused():
    with Gathering(one_answer=False) as gathering:
        for compared, rater in [
            (Compared("p\0", ["a", "b"], [1, 2]), ""),
            (Compared("p", ["a", "b\ud800"], [1, 2]), ""),
            (*pairs("ab")[0][:1], "\0"),
        ]:
            with pytest.raises(Unreadable, match="; remove it$"):
                gathering.add(compared, rater, "")
