import random

import pytest

from preference.data.csv_table import CsvError, read_table
from preference.data.rankings import Ranking, parse_rank, read_rankings, write_rankings
from preference.data.splits import split_by_prompt


def problems_of(path) -> str:
    with pytest.raises(CsvError) as caught:
        read_rankings(path)
    return str(caught.value).replace(str(path), "FILE")


def test_cells_are_the_text_that_was_typed(write_csv):
    texts = ["N/A", "None", "nan", "NULL", "007", "1e5", "TRUE", "-", "=1+1"]
    path = write_csv("prompt,answer,rank\n" + "".join(f"p,{text},{rank}\n" for rank, text in enumerate(texts, 1)))
    assert read_rankings(path).rankings == [Ranking("p", texts, list(range(1, 10)))]


def test_what_is_written_reads_back(tmp_path):
    awkward = ['say "hi"', "a, b", "two\nlines", "two\r\nlines", "emoji 🙂 and ü", "'", ";", "\ttab inside\t."]
    rankings = [Ranking("p\nq", awkward, list(range(1, 9))), Ranking("r", ["x", "y", "z"], [1, 1, 5])]
    write_rankings(tmp_path / "data.csv", rankings)
    assert read_rankings(tmp_path / "data.csv").rankings == [Ranking(r.prompt, [answer.strip() for answer in r.answers], r.ranks) for r in rankings]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_byte_order_mark_line_ends_column_order_and_further_columns(write_csv, mark, line_end):
    lines = ["note,rank,answer,prompt", "x,1.0,good,p", 'y, 2 ,"bad, really",p', ",,,", ""]
    path = write_csv(mark + line_end.join(lines).encode())
    assert read_rankings(path).rankings == [Ranking("p", ["good", "bad, really"], [1, 2])]


def test_an_answer_longer_than_the_csv_module_allows(write_csv):
    path = write_csv(f"prompt,answer,rank\np,{'x' * 200_000},1\np,y,2\n")
    assert len(read_rankings(path).rankings[0].answers[0]) == 200_000


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "FILE:1: the file is empty; its first line must be prompt,answer,rank"),
        ("prompt,answer\n", "FILE:1: no column 'rank'; the header is 'prompt,answer', it must name prompt, answer, rank"),
        (
            "prompt;answer;rank\np;a;1\n",
            "FILE:1: the columns are not separated by commas: 'prompt;answer;rank'; save the file as comma-separated CSV",
        ),
        ("prompt,answer,rank,rank\n", "FILE:1: two columns are named 'rank'; rename one"),
        (
            "prompt,answer,rank\np,a,1\np,b, yes,2\n",
            "FILE:3: 4 cells where the header has 3: 'p,b, yes,2'; put a cell that contains a comma in double quotes",
        ),
        ("prompt,answer,rank\np,1\n", "FILE:2: 2 cells where the header has 3: 'p,1'; give every column a cell"),
        ("prompt,answer,rank\np, ,1\np,b,2\n", "FILE:2: empty answer: ' '; write the text or delete the row"),
        (
            'prompt,answer,rank\np,"two\nlines",1\np,b,best\n',
            "FILE:4: rank must be a positive whole number, not 'best'; write 1 for the best answer, 2 for the next",
        ),
        (
            "prompt,answer,rank\np,a,1\np,a,2\np,b,3\n",
            "FILE:3: the same answer to one prompt has rank 2 here and rank 1 on line 2: 'a'; keep one of the two rows",
        ),
        (
            "prompt,answer,rank\np,a,1\nq,b,1\n",
            "FILE:1: no prompt has two answers with different ranks: 2 rows, 2 prompts; rank at least two answers to one prompt",
        ),
        (
            'prompt,answer,rank\np,a,1\np,"b,2\n',
            'FILE:3: unbalanced quotes (unexpected end of data); write a cell that contains quotes "like ""this"" one"',
        ),
        (b"prompt,answer,rank\np,a,1\np,caf\xe9,2\n", "FILE:3: not UTF-8: byte 0xe9; save the file as 'CSV UTF-8'"),
    ],
)
def test_a_wrong_file_gets_exactly_this_message(write_csv, text, message):
    assert problems_of(write_csv(text)) == message


def test_messages_are_one_per_problem_the_first_20_then_a_count(write_csv):
    path = write_csv("prompt,answer,rank\n" + "".join(f"p,a{i},0\n" for i in range(25)))
    lines = problems_of(path).split("\n")
    assert lines[0] == "FILE:2: rank must be a positive whole number, not '0'; write 1 for the best answer, 2 for the next"
    assert len(lines) == 21
    assert lines[-1] == "... and 5 more problems"


def test_a_missing_file_says_how_to_make_one(tmp_path):
    assert problems_of(tmp_path / "none.csv") == (
        "FILE: no such file; `python create_sample_data.py` writes a sample, `python generate_data.py` makes your own"
    )


def test_what_is_left_out_is_counted_and_named(write_csv):
    rows = ["p,a,1", "p,b,2", "p,b,2", "lonely,a,1", "tied,a,1", "tied,b,1"]
    rankings = read_rankings(path := write_csv("prompt,answer,rank\n" + "\n".join(rows)))
    assert [ranking.prompt for ranking in rankings.rankings] == ["p"]
    assert [line.replace(str(path), "FILE") for line in rankings.warnings()] == [
        "FILE: left out 1 prompt with only one answer: 'lonely'",
        "FILE: left out 1 prompt with only ties: 'tied'",
        "FILE: left out 1 exact duplicate row: line 4",
    ]


def test_the_line_is_where_the_row_starts(write_csv):
    table = read_table(write_csv('prompt,answer,rank\n\np,"a\n\nb",1\nq,"c",2\n'))
    assert [row.line for row in table.rows] == [3, 6]


def test_ranks_that_spreadsheets_write():
    assert [parse_rank(text) for text in ("1", "1.0", "+2", "003", "10.00")] == [1, 1, 2, 3, 10]
    assert [parse_rank(text) for text in ("0", "-1", "1.5", "", "1e3", "٣", "one")] == [None] * 7


def made(prompts: int, each: int = 1) -> list[Ranking]:
    return [Ranking(f"p{i}", ["x", f"y{k}"], [1, 2]) for i in range(prompts) for k in range(each)]


@pytest.mark.parametrize("count, held_out", [(1, 0), (2, 0), (3, 1), (5, 1), (10, 2), (600, 120)])
def test_split_has_every_prompt_once_and_the_asked_share(count, held_out):
    train, validation = split_by_prompt(made(count), 0.2, seed=random.randrange(1000))
    assert sorted(train + validation) == list(range(count))
    assert len(validation) == held_out


def test_all_rankings_of_a_prompt_stand_on_one_side():
    some = made(20, each=3)
    train, validation = split_by_prompt(some, 0.2, seed=0)
    assert len(validation) == 4 * 3 and len(train) == 16 * 3
    assert not {some[i].prompt for i in train} & {some[i].prompt for i in validation}


def test_split_follows_the_seed():
    some = made(100)
    assert split_by_prompt(some, 0.2, seed=1) == split_by_prompt(some, 0.2, seed=1) != split_by_prompt(some, 0.2, seed=2)
