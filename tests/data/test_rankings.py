import random

import pytest

from preference.data.csv_table import CsvError
from preference.data.rankings import Ranking, parse_rank, read_rankings, write_rankings
from preference.data.splits import split_by_prompt
from preference.errors import InputError

BY_TWO = [Ranking("p", ["a", "b"], [1, 2], "ann"), Ranking("q", ["c", "d"], [2, 1]), Ranking("p", ["a", "b"], [2, 1], "bob")]


def test_what_is_written_reads_back(tmp_path):
    awkward = ['say "hi"', "a, b", "two\nlines", "two\r\nlines", "two\rlines", "emoji 🙂 and ü", "'", ";", "\ttab inside\t."]
    rankings = [Ranking("p\nq", awkward, list(range(1, 10))), Ranking("r", ["x", "y", "z"], [1, 1, 5])]
    write_rankings(tmp_path / "data.csv", rankings)
    assert read_rankings(tmp_path / "data.csv").rankings == [Ranking(r.prompt, [answer.strip() for answer in r.answers], r.ranks) for r in rankings]


def test_the_column_group_is_written_where_there_are_groups(tmp_path):
    path = tmp_path / "data.csv"
    write_rankings(path, BY_TWO)
    assert path.read_text() == "prompt,answer,rank,group\np,a,1,ann\np,b,2,ann\nq,c,2,\nq,d,1,\np,a,2,bob\np,b,1,bob\n"
    assert read_rankings(path).rankings == BY_TWO
    write_rankings(path, BY_TWO[1:2])
    assert path.read_text() == "prompt,answer,rank\nq,c,2\nq,d,1\n"


def test_rankings_that_reading_would_join_are_not_written(tmp_path, write_csv):
    path = write_csv("kept")
    for other, name in [(Ranking(" q", ["e"], [1]), "'q'"), (Ranking("p", ["c"], [1], "ann "), r"'p' \(group 'ann'\)")]:
        with pytest.raises(InputError, match=f"data.csv: two rankings of {name}; give each its own group$"):
            write_rankings(path, [*BY_TWO, other])
    assert path.read_text() == "kept" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text, what", [("a\0", "a NUL character"), ("\ud83d", "half of a surrogate pair"), ("\udc80b", "half of a surrogate pair")])
def test_what_no_csv_can_hold_is_not_written(tmp_path, write_csv, text, what):
    path = write_csv("kept")
    for ranking in (Ranking(text, ["a", "b"], [1, 2]), Ranking("p", ["a", text], [1, 2]), Ranking("p", ["a", "b"], [1, 2], text)):
        with pytest.raises(InputError) as caught:
            write_rankings(path, [ranking])
        assert str(caught.value) == f"{path}: {what} in {text!r}; remove it"
    assert path.read_text() == "kept" and list(tmp_path.iterdir()) == [path]


def test_what_is_left_out_is_counted_and_named(write_csv):
    rows = ["p,a,1", "p,b,2", "p,b,2", "lonely,a,1", "tied,a,1", "tied,b,1"]
    rankings = read_rankings(path := write_csv("prompt,answer,rank\n" + "\n".join(rows)))
    assert [ranking.prompt for ranking in rankings.rankings] == ["p"]
    assert [line.replace(str(path), "FILE") for line in rankings.warnings()] == [
        "FILE: left out 1 prompt with only one answer: 'lonely'",
        "FILE: left out 1 prompt with only ties: 'tied'",
        "FILE: left out 1 exact duplicate row: line 4",
    ]
    assert (len(rankings), rankings.rows, rankings.prompts, rankings.left_out_prompts) == (1, 6, ["p"], ["lonely", "tied"])


def test_pairs_of_one_prompt_stay_pairs(write_csv):
    """As other people's data have them: one answer may win one pair and lose another."""
    pairs = [("a", "b"), ("b", "c"), ("c", "a"), ("a", "d")]
    rows = [f"p,{answer},{rank},{i}" for i, pair in enumerate(pairs) for rank, answer in enumerate(pair, 1)]
    random.Random(0).shuffle(rows)
    rankings = read_rankings(write_csv("prompt,answer,rank,group\n" + "\n".join(rows)))
    assert sorted((r.group, [answer for _, answer in sorted(zip(r.ranks, r.answers, strict=True))]) for r in rankings.rankings) == [
        (str(i), list(pair)) for i, pair in enumerate(pairs)
    ]
    assert (len(rankings), rankings.prompts, rankings.warnings()) == (4, ["p"], [])


def test_two_people_may_rank_the_same_answers_differently(write_csv):
    text = "prompt,answer,rank,group\np,a,1,ann\np,b,2,ann\np,a,2,bob\np,b,1,bob\n"
    assert [(r.ranks, r.group) for r in read_rankings(write_csv(text)).rankings] == [([1, 2], "ann"), ([2, 1], "bob")]
    with pytest.raises(CsvError, match=":4: the same answer to one prompt has rank 2 here and rank 1 on line 2: 'a'"):
        read_rankings(write_csv(text.replace("ann", "").replace("bob", "")))
    with pytest.raises(CsvError, match=":4: the same answer to one prompt in group 'ann' has rank 2 here and rank 1 on line 2: 'a'"):
        read_rankings(write_csv(text.replace("bob", "ann")))
    with pytest.raises(CsvError, match=":4: the same answer to one prompt has rank 2 here"):  # another name, another column
        read_rankings(write_csv(text.replace("group", "person")))


def test_a_row_that_another_group_repeats_is_no_duplicate(write_csv):
    rankings = read_rankings(write_csv("prompt,answer,rank,group\np,a,1,x\np,b,2,x\np,a,1,y\np,b,2,y\np,b,2,y\n"))
    assert len(rankings) == 2 and rankings.duplicate_rows == [6]


def test_a_prompt_is_left_out_only_when_all_its_groups_are(write_csv):
    rows = ["p,a,1,x", "p,b,2,x", "p,a,1,y", "q,a,1,x", "q,a,1,y", "q,b,1,y"]
    rankings = read_rankings(path := write_csv("prompt,answer,rank,group\n" + "\n".join(rows)))
    assert rankings.left_out == {("p", "y"): "only one answer", ("q", "x"): "only one answer", ("q", "y"): "only ties"}
    assert (rankings.prompts, rankings.left_out_prompts) == (["p"], ["q"])
    assert [line.replace(str(path), "FILE") for line in rankings.warnings()] == [
        "FILE: left out 2 rankings with only one answer: 'p' (group 'y'), 'q' (group 'x')",
        "FILE: left out 1 ranking with only ties: 'q' (group 'y')",
    ]


def test_ranks_that_spreadsheets_write():
    assert [parse_rank(text) for text in ("1", "1.0", "+2", "003", "10.00", "999999999")] == [1, 1, 2, 3, 10, 999_999_999]
    assert [parse_rank(text) for text in ("0", "-1", "1.5", "", "1e3", "٣", "one", "1000000000")] == [None] * 8


def synthetic_rankings(prompts: int, each: int = 1) -> list[Ranking]:
    return [Ranking(f"p{i}", ["x", f"y{k}"], [1, 2]) for i in range(prompts) for k in range(each)]


@pytest.mark.parametrize("count, held_out", [(1, 0), (2, 0), (3, 1), (5, 1), (10, 2), (600, 120)])
def test_split_has_every_prompt_once_and_the_asked_share(count, held_out):
    train, validation = split_by_prompt(synthetic_rankings(count), 0.2, seed=random.randrange(1000))
    assert sorted(train + validation) == list(range(count))
    assert len(validation) == held_out


def test_all_rankings_of_a_prompt_stand_on_one_side():
    some = synthetic_rankings(20, each=3)
    train, validation = split_by_prompt(some, 0.2, seed=0)
    assert len(validation) == 4 * 3 and len(train) == 16 * 3
    assert not {some[i].prompt for i in train} & {some[i].prompt for i in validation}


def test_split_follows_the_seed():
    some = synthetic_rankings(100)
    assert split_by_prompt(some, 0.2, seed=1) == split_by_prompt(some, 0.2, seed=1) != split_by_prompt(some, 0.2, seed=2)


def test_the_groups_of_a_prompt_stand_on_one_side():
    some = [Ranking(f"p{i}", ["x", "y"], [1, 2], group) for group in ("ann", "bob") for i in range(10)]
    train, validation = split_by_prompt(some, 0.2, seed=0)
    assert len(validation) == 2 * 2 and not {some[i].prompt for i in train} & {some[i].prompt for i in validation}


def test_nothing_splits_into_nothing():
    assert split_by_prompt([], 0.2, seed=0) == ([], [])
