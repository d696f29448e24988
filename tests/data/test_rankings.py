import random

import pytest
from conftest import run_script, write_rankings

from data.strange_files import RIGHT, WRONG
from preference.data.rankings import Ranking, parse_rank, read_rankings
from preference.data.splits import split_by_prompt
from preference.data.table_writing import write_table
from preference.data.tables import TableError, kind_of
from preference.errors import InputError

BY_TWO = [
    Ranking("p", ["a", "b"], [1, 2], "ann"),
    Ranking("q", ["c", "d"], [2, 1]),
    Ranking("p", ["a", "b"], [2, 1], "bob"),
]


def test_what_is_written_reads_back(tmp_path):
    awkward = [
        'say "hi"',
        "a, b",
        "two\nlines",
        "two\r\nlines",
        "two\rlines",
        "emoji 🙂 and ü",
        "'",
        ";",
        "\ttab inside\t.",
    ]
    rankings = [Ranking("p\nq", awkward, list(range(1, 10))), Ranking("r", ["x", "y", "z"], [1, 1, 5])]
    write_rankings(tmp_path / "data.csv", rankings)
    assert read_rankings(tmp_path / "data.csv").rankings == [
        Ranking(r.prompt, [answer.strip() for answer in r.answers], r.ranks) for r in rankings
    ]


def test_raters_are_written_and_read_back(tmp_path):
    rankings = [
        Ranking("p", ["a", "b"], [1, 2], "x", "ann"),
        Ranking("p", ["a", "b"], [2, 1], "x", "bob"),
        Ranking("p", ["a", "b"], [2, 1]),
    ]
    write_rankings(tmp_path / "data.csv", rankings)
    assert (tmp_path / "data.csv").read_text().startswith("prompt,answer,rank,group,rater\np,a,1,x,ann\n")
    assert read_rankings(tmp_path / "data.csv").rankings == rankings


def test_the_column_group_is_written_where_there_are_groups(tmp_path):
    path = tmp_path / "data.csv"
    write_rankings(path, BY_TWO)
    assert path.read_text() == "prompt,answer,rank,group\np,a,1,ann\np,b,2,ann\nq,c,2,\nq,d,1,\np,a,2,bob\np,b,1,bob\n"
    assert read_rankings(path).rankings == BY_TWO
    write_rankings(path, BY_TWO[1:2])
    assert path.read_text() == "prompt,answer,rank\nq,c,2\nq,d,1\n"


@pytest.mark.parametrize(
    "text, what",
    [("a\0", "a NUL character"), ("\ud83d", "half of a surrogate pair"), ("\udc80b", "half of a surrogate pair")],
)
def test_what_no_csv_can_hold_is_not_written(tmp_path, write_csv, text, what):
    path = write_csv("kept")
    for ranking in (
        Ranking(text, ["a", "b"], [1, 2]),
        Ranking("p", ["a", text], [1, 2]),
        Ranking("p", ["a", "b"], [1, 2], text),
    ):
        with pytest.raises(InputError) as caught:
            write_rankings(path, [ranking])
        assert str(caught.value).startswith(f"{path}, row ") and str(caught.value).endswith(
            f": {what} in {text!r}; remove it"
        )
    assert path.read_text() == "kept" and list(tmp_path.iterdir()) == [path]


def test_what_is_left_out_is_counted_and_named(write_csv):
    rows = ["p,a,1", "p,b,2", "p,b,2", "lonely,a,1", "tied,a,1", "tied,b,1"]
    rankings = read_rankings(path := write_csv("prompt,answer,rank\n" + "\n".join(rows)))
    assert [ranking.prompt for ranking in rankings.rankings] == ["p"]
    assert [line.replace(str(path), "FILE") for line in rankings.warnings()] == [
        "FILE: left out 1 prompt with only one answer: 'lonely'",
        "FILE: left out 1 prompt with only ties: 'tied'",
        "FILE: left out 1 exact duplicate line: 4",
    ]
    assert (len(rankings), len(rankings.table.records), rankings.prompts, rankings.left_out_prompts) == (
        1,
        6,
        ["p"],
        ["lonely", "tied"],
    )


def test_pairs_of_one_prompt_stay_pairs(write_csv):
    """As other people's data have them: one answer may win one pair and lose another."""
    pairs = [("a", "b"), ("b", "c"), ("c", "a"), ("a", "d")]
    rows = [f"p,{answer},{rank},{i}" for i, pair in enumerate(pairs) for rank, answer in enumerate(pair, 1)]
    random.Random(0).shuffle(rows)
    rankings = read_rankings(write_csv("prompt,answer,rank,group\n" + "\n".join(rows)))
    assert sorted(
        (r.group, [answer for _, answer in sorted(zip(r.ranks, r.answers, strict=True))]) for r in rankings.rankings
    ) == [(str(i), list(pair)) for i, pair in enumerate(pairs)]
    assert (len(rankings), rankings.prompts, rankings.warnings()) == (4, ["p"], [])


def test_two_people_may_rank_the_same_answers_differently(write_csv):
    text = "prompt,answer,rank,group\np,a,1,ann\np,b,2,ann\np,a,2,bob\np,b,1,bob\n"
    assert [(r.ranks, r.group) for r in read_rankings(write_csv(text)).rankings] == [([1, 2], "ann"), ([2, 1], "bob")]
    with pytest.raises(TableError, match=":4: the same answer to one prompt has rank 2 here and rank 1 on line 2: 'a'"):
        read_rankings(write_csv(text.replace("ann", "").replace("bob", "")))
    with pytest.raises(
        TableError, match=":4: the same answer to one prompt in group 'ann' has rank 2 here and rank 1 on line 2: 'a'"
    ):
        read_rankings(write_csv(text.replace("bob", "ann")))
    with pytest.raises(
        TableError, match=":4: the same answer to one prompt has rank 2 here"
    ):  # another name, another column
        read_rankings(write_csv(text.replace("group", "person")))


def test_a_row_that_another_group_repeats_is_no_duplicate(write_csv):
    rankings = read_rankings(write_csv("prompt,answer,rank,group\np,a,1,x\np,b,2,x\np,a,1,y\np,b,2,y\np,b,2,y\n"))
    assert len(rankings) == 2 and rankings.duplicate_rows == [6]


def test_a_prompt_is_left_out_only_when_all_its_groups_are(write_csv):
    rows = ["p,a,1,x", "p,b,2,x", "p,a,1,y", "q,a,1,x", "q,a,1,y", "q,b,1,y"]
    rankings = read_rankings(path := write_csv("prompt,answer,rank,group\n" + "\n".join(rows)))
    assert rankings.left_out == {
        ("p", "y", ""): "only one answer",
        ("q", "x", ""): "only one answer",
        ("q", "y", ""): "only ties",
    }
    assert (rankings.prompts, rankings.left_out_prompts) == (["p"], ["q"])
    assert [line.replace(str(path), "FILE") for line in rankings.warnings()] == [
        "FILE: left out 2 rankings with only one answer: 'p' (group 'y'), 'q' (group 'x')",
        "FILE: left out 1 ranking with only ties: 'q' (group 'y')",
    ]


def test_ranks_that_spreadsheets_write():
    assert [parse_rank(text) for text in ("1", "1.0", "+2", "003", "10.00", "999999999")] == [
        1,
        1,
        2,
        3,
        10,
        999_999_999,
    ]
    assert [parse_rank(text) for text in ("0", "1.5", "2,50", "0.0")] == [0, 1.5, 2.5, 0]
    assert [parse_rank(text) for text in ("-1", "", "1e3", "٣", "one", "1000000000")] == [None] * 6


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "json", "parquet", "xlsx", "csv.gz"])
def test_any_kind_of_table_is_read(tmp_path, ending):
    rows = [
        ("p", "a", 1.0, "ann"),
        ("p", "b", 2.0, "ann"),
        ("p", "a", 2.0, "bob"),
        ("p", "b", 1.0, "bob"),
        ("p", "c", None, "bob"),
    ]
    names = ["Prompt", "Answer", "Rank", "Annotator"]
    write_table(
        path := tmp_path / f"t.{ending}",
        kind_of(f"t.{ending}"),
        names,
        [dict(zip(names, row, strict=True)) for row in rows],
    )
    rankings = read_rankings(path)
    assert rankings.rankings == [
        Ranking("p", ["a", "b"], [1, 2], rater="ann"),
        Ranking("p", ["a", "b"], [2, 1], rater="bob"),
    ]
    assert len(rankings.unranked_rows) == 1
    assert f"left out 1 {rankings.table.unit} without a rank: " in rankings.warnings()[0]


@pytest.mark.parametrize(
    "name, content",
    [
        ("pairs.csv", "prompt,chosen,rejected\nName a prime.,7,8\n"),
        ("pairs.jsonl", '{"prompt": "Name a prime.", "chosen": "7", "rejected": "8"}\n'),
        ("pairs.csv", '{"prompt": "Name a prime.", "chosen": "7", "rejected": "8"}\n'),
        ("wide.csv", "prompt,answer1,answer2,rank1,rank2\np,a,b,1,2\n"),
        ("renamed.csv", "question,reply,rank\np,a,1\np,b,2\n"),
    ],
)
def test_other_data_are_told_from_a_broken_file(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(
        InputError,
        match=f"{name}.*: not rows of prompt, answer and rank, but prompt: .*; convert it first: "
        "python convert_rankings.py ",
    ):
        read_rankings(tmp_path / name)


def test_a_data_set_of_the_hub_is_fetched_by_another_script():
    with pytest.raises(
        InputError, match="`python convert_rankings.py Anthropic/hh-rlhf rankings.csv` fetches a data set of the Hub"
    ):
        read_rankings("Anthropic/hh-rlhf")


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
    assert (
        split_by_prompt(some, 0.2, seed=1) == split_by_prompt(some, 0.2, seed=1) != split_by_prompt(some, 0.2, seed=2)
    )


def test_the_groups_of_a_prompt_stand_on_one_side():
    some = [Ranking(f"p{i}", ["x", "y"], [1, 2], group) for group in ("ann", "bob") for i in range(10)]
    train, validation = split_by_prompt(some, 0.2, seed=0)
    assert len(validation) == 2 * 2 and not {some[i].prompt for i in train} & {some[i].prompt for i in validation}


def test_nothing_splits_into_nothing():
    assert split_by_prompt([], 0.2, seed=0) == ([], [])


# Whole files, as strange_files.py has them


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_gets_exactly_its_message(write_csv, name):
    content, message = WRONG[name]
    with pytest.raises(InputError) as caught:
        read_rankings(path := write_csv(content))
    assert str(caught.value).replace(f"{path}:", "FILE:") == message


@pytest.mark.parametrize("name", RIGHT)
def test_a_strange_file_is_read_right(write_csv, name):
    content, rankings, warnings = RIGHT[name]
    found = read_rankings(path := write_csv(content))
    assert found.rankings == rankings
    assert [line.replace(f"{path}:", "FILE:") for line in found.warnings()] == warnings


@pytest.mark.parametrize(
    "script", ["reward_model_trainer.py", "review_rankings.py", "score_answers.py", "convert_rankings.py"]
)
def test_no_wrong_or_strange_file_gives_a_traceback(write_csv, tmp_path, tiny_reward_model, script):
    arguments = {
        "reward_model_trainer.py": ["--data", "data.csv", "--base-model", "./none"],  # read, and no further
        "review_rankings.py": ["--data", "data.csv", "--base-model", "./none"],
        "score_answers.py": ["data.csv", "--model", tiny_reward_model, "--output", "scored.csv", "--force"],
        "convert_rankings.py": ["data.csv", "pairs.jsonl", "--to", "trl", "--force"],
    }[script]
    for name, (content, *_) in (WRONG | RIGHT).items():
        write_csv(content if len(content) < 1_000_000 else content[:1_000] + content[-1_000:])
        done = run_script(script, *arguments, cwd=tmp_path, status=None)
        if name in WRONG and script in ("review_rankings.py", "reward_model_trainer.py"):
            assert done.stderr == f"error: {WRONG[name][1].replace('FILE:', 'data.csv:')}\n", name
        assert not done.stderr or done.stderr.startswith(("error: ", f"{tiny_reward_model}: ")), name
