"""Each format is read from records that are shaped as the real data sets are, and goes back and forth without losing a
comparison."""

import json
import os
import shlex
import subprocess
import sys
from decimal import Decimal

import pytest
from conftest import ROOT, read_csv, run_process, run_script, write_rankings
from hub_server import Hub
from known_formats import BLUE, GREEN, KNOWN, NESTED, NIGHT, SCORED, SKY, USER, write

from preference.data.rankings import Ranking, read_rankings
from preference.data.tables import KINDS, read_table


def best_to_worst(ranking: Ranking) -> tuple:
    """Prompt, group or rater, then the answers; tied ones in a tuple."""
    levels = [
        tuple(a for a, rank in zip(ranking.answers, ranking.ranks, strict=True) if rank == level)
        for level in sorted(set(ranking.ranks))
    ]
    return ranking.prompt, ranking.group or ranking.rater, *(level[0] if len(level) == 1 else level for level in levels)


def read_back(path) -> list[tuple]:
    return [best_to_worst(ranking) for ranking in read_rankings(path).rankings]


def unwrapped(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(
    "name, kind",
    [
        (name, kind)
        for name in (KNOWN | NESTED)
        for kind in ("jsonl", "parquet", "json", "csv")
        if kind != "csv" or name in KNOWN
    ],
)
def test_what_others_have_becomes_rankings(tmp_path, name, kind):
    records, expected = (KNOWN | NESTED)[name]
    write(source := tmp_path / f"data.{kind}", records)
    done = run_script("convert_rankings.py", source, "out.csv", cwd=tmp_path)
    assert read_back(tmp_path / "out.csv") == expected and not done.stderr


@pytest.mark.parametrize(
    "name, understood",
    [
        (
            "TRL, standard, implicit prompt",
            "prompt: the common beginning of both answers; better: chosen; "
            "worse: rejected first: 'The sky is': 'blue.'",
        ),
        (
            "LLaMA-Factory, alpaca",
            "prompt: system, history, instruction, input; better: chosen; "
            "worse: rejected first: 'Add.\\n1 + 1': '2' is above '3'",
        ),
        (
            "HelpSteer3",
            "answers: response1, response2; vote: overall_preference (-3: the first, 3: the second) first: 'p': "
            "'a' is above 'b'",
        ),
        (
            "SHP",
            "prompt: history; answers: human_ref_A, human_ref_B; scores, higher is better: score_A, score_B first: "
            "'How long?': 'Short.'",
        ),
        (
            "RewardBench 2",
            "better: chosen; worse: rejected first: 'Name a color': 'red' = 'blue' is above 'seven' = 'x'",
        ),
        (
            "arena",
            "answers: conversation_a, conversation_b; vote: winner; turn: turn; "
            "rater: judge first: 'What color is the sky?': 'It is green.'",
        ),
    ],
)
def test_what_was_understood_is_said_with_the_first_record(tmp_path, name, understood):
    write(tmp_path / "data.jsonl", KNOWN[name][0])
    assert understood in unwrapped(run_script("convert_rankings.py", "data.jsonl", "out.csv", cwd=tmp_path).stdout)


def test_a_vote_has_one_value_for_each_side_and_words_for_a_tie(tmp_path):
    """With the value for the first named, any other one might be a typing error, or a tie in another language."""
    flags = ["--prompt", "frage", "--answers", "x,y", "--vote", "urteil", "--first"]

    def records(*votes: str) -> None:
        write(
            tmp_path / "data.jsonl", [{"frage": f"p {i}", "x": "a", "y": "b", "urteil": v} for i, v in enumerate(votes)]
        )

    records("links", "rechts", "tie", "Links", "", "RECHTS")
    run_script("convert_rankings.py", "data.jsonl", "out.csv", *flags, "links", cwd=tmp_path)
    assert [ranking.ranks for ranking in read_rankings(tmp_path / "out.csv").rankings] == [
        [1, 2],
        [2, 1],
        [1, 2],
        [2, 1],
    ]
    several = "besides it, only one other value and words for a tie are allowed"
    records("links", "rechts", "gleich")
    error = error_of(tmp_path, "data.jsonl", "no.csv", *flags, "links")
    assert f"beside --first links, urteil holds 'gleich', 'rechts'; {several}" in error
    error = error_of(tmp_path, "data.jsonl", "no.csv", *flags, "lnks")
    assert f"beside --first lnks, urteil holds 'gleich', 'links', 'rechts'; {several}" in error
    assert not (tmp_path / "no.csv").exists()


@pytest.mark.parametrize(
    "record, flags, expected",
    [
        ({"frage": "p q", "gut": "a", "schlecht": "b"},
         ["--prompt", "frage", "--chosen", "gut", "--rejected", "schlecht"], ("p q", "", "a", "b")),
        ({"q1": "p", "x": "a", "y": "b", "w": "y"},
         ["--prompt", "q1", "--answers", "x,y", "--vote", "w", "--first", "x"], ("p", "", "b", "a")),
        ({"prompt": "p", "response_a": "a", "response_b": "b", "label": 1}, ["--first", "1"], ("p", "", "a", "b")),
        ({"prompt": "p", "response_a": "a", "response_b": "b", "label": 0.3}, ["--first", "1"], ("p", "", "b", "a")),
        ({"prompt": "p", "response_a": "a", "response_b": "b", "vote": -2}, ["--first", "1"], ("p", "", "b", "a")),
        ({"prompt": "p", "response_0": "a", "response_1": "b", "better_response_id": 0, "safer_response_id": 1},
         ["--vote", "safer_response_id"], ("p", "", "b", "a")),
        ({"title": "p", "body_text": "q", "chosen": "a", "rejected": "b"}, ["--prompt", "title,body_text"],
         ("p\nq", "", "a", "b")),
        ({"prompt": "p", "answers": [{"text": "a", "votes": 1}, {"text": "b", "votes": 2}]}, ["--score", "votes"],
         ("p", "", "b", "a")),
        ({"prompt": "p", "one": "a", "two": "b", "s1": 1, "s2": 2}, ["--answers", "one,two", "--score", "s1,s2"],
         ("p", "", "b", "a")),
    ],
)  # fmt: skip
def test_a_flag_names_a_column_for_a_role(tmp_path, record, flags, expected):
    write(tmp_path / "data.jsonl", [record])
    run_script("convert_rankings.py", "data.jsonl", "out.csv", *flags, cwd=tmp_path)
    assert read_back(tmp_path / "out.csv") == [expected]


@pytest.mark.parametrize(
    "record, message",
    [
        (
            {"frage": "Was ist das?", "chosen": "a b", "rejected": "a c"},
            "found no column for the prompt; name it with --prompt, one of: frage",
        ),
        (
            {"question": "p?", "context": "A text.", "chosen": "a", "rejected": "b"},
            "question and context could both be the prompt; say which with --prompt",
        ),
        (
            {"prompt": "p", "response_a": "a", "response_b": "b", "winner": "a", "vote": "b"},
            "winner and vote could both be the vote; say which with --vote",
        ),
        ({"prompt": "p", "response_a": "a", "response_b": "b", "label": 1.0, "x": 0}, None),
        (
            {"prompt": "p", "response_a": "a", "response_b": "b", "label": 0},
            "label has numbers from 0 to 0, which could be read in two ways; say with --first",
        ),
        (
            {"prompt": "p", "response_a": "a", "response_b": "b", "preference": -1},
            "preference has numbers from -1 to -1, which could be read in two ways",
        ),
        (
            {"prompt": "p", "answer": "a", "score": 1, "rating": 2},
            "score and rating could both be the score; say which with --score",
        ),
        ({"answer": "a", "score": 1}, "found no column for the prompt; name it with --prompt\n"),
        (
            {"note": "a", "number": 1},
            "no answers were found in the columns 'note, number'; name them: --chosen NAME --rejected NAME, or",
        ),
    ],
)
def test_where_two_readings_are_possible_the_flag_is_asked_for(tmp_path, record, message):
    write(tmp_path / "data.jsonl", [record])
    if message is None:
        run_script("convert_rankings.py", "data.jsonl", "out.csv", cwd=tmp_path)
    else:
        assert message in error_of(tmp_path, "data.jsonl", "out.csv")


def test_a_flag_that_names_no_column_says_which_there_are(tmp_path):
    write(tmp_path / "data.jsonl", SCORED)
    assert error_of(tmp_path, "data.jsonl", "out.csv", "--score", "humor").startswith(
        "error: data.jsonl: --score humor: no such column; there are 'prompt, response, helpfulness, correctness, "
    )


def test_a_subset_is_kept(tmp_path):
    write(
        tmp_path / "bench.jsonl",
        [{"prompt": "p", "chosen": "a", "rejected": "b", "subset": "Math"}, *KNOWN["RewardBench"][0]],
    )
    run_script("convert_rankings.py", "bench.jsonl", "out.csv", cwd=tmp_path)
    assert [(row["answer"], row["group"], row["subset"]) for row in read_csv(tmp_path / "out.csv")] == [
        ("a", "1", "Math"), ("b", "1", "Math"), ("a", "2", "alpacaeval-easy"), ("b", "2", "alpacaeval-easy"),
    ]  # fmt: skip
    run_script("convert_rankings.py", "out.csv", "back.jsonl", "--to", "rewardbench", cwd=tmp_path)
    assert read_table(tmp_path / "back.jsonl").records == [
        {"prompt": "p", "chosen": "a", "rejected": "b", "group": "1", "subset": "Math", "id": 1},
        {"prompt": "p", "chosen": "a", "rejected": "b", "group": "2", "subset": "alpacaeval-easy", "id": 2},
    ]


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_scored_answers_of_one_prompt_are_one_ranking(tmp_path, kind):
    write(tmp_path / f"scored.{kind}", SCORED)
    done = run_script("convert_rankings.py", f"scored.{kind}", "out.csv", "--score", "helpfulness", cwd=tmp_path)
    assert read_back(tmp_path / "out.csv") == [
        ("c#", "", ("a", "c"), "b"),
        ("User: p\n\nAssistant: q\n\nUser: r", "", "x", "z"),
    ]
    assert done.stdout.endswith(
        f"read 9 records from scored.{kind}, wrote 5 ranked answers (2 rankings of 2 prompts) to out.csv\n"
        "left out: 1 with an empty text, 1 with only one answer, 1 with only ties\n"
    )
    run_script("convert_rankings.py", f"scored.{kind}", "other.csv", "--score", "correctness", cwd=tmp_path)
    assert best_to_worst(read_rankings(tmp_path / "other.csv").rankings[0]) == ("c#", "", "b", ("a", "c"))


def test_several_raters_of_the_same_answers_keep_their_own_rankings(tmp_path):
    rows = [("ann", "a", 5), ("ann", "b", 1), ("bob", "a", 2), ("bob", "b", 3)]
    write(
        tmp_path / "scored.jsonl",
        [{"prompt": "p", "completion": answer, "score": score, "annotator": who} for who, answer, score in rows],
    )
    run_script("convert_rankings.py", "scored.jsonl", "out.csv", "--score", "score", cwd=tmp_path)
    assert read_back(tmp_path / "out.csv") == [("p", "ann", "a", "b"), ("p", "bob", "b", "a")]
    write(
        tmp_path / "alone.jsonl", [{"prompt": "p", "completion": answer, "score": score} for _, answer, score in rows]
    )
    done = run_script("convert_rankings.py", "alone.jsonl", "none.csv", "--score", "score", cwd=tmp_path, status=2)
    assert (
        done.stderr
        == "error: alone.jsonl: 4 records, and no comparison: 1 with answers listed twice with different ranks\n"
    )


def test_raters_may_have_numbers_which_a_table_with_gaps_makes_floats(tmp_path):
    rows = [(1.0, "a", 5), (1.0, "b", 1), (2.0, "a", 2), (2.0, "b", 3), (None, "a", 1), (None, "b", 4)]
    write(
        tmp_path / "rated.parquet",
        [{"prompt": "p", "answer": a, "score": score, "group": "", "annotator_id": who} for who, a, score in rows],
    )
    run_script("convert_rankings.py", "rated.parquet", "out.csv", "--score", "score", cwd=tmp_path)
    expected = [("p", "1", "a", "b"), ("p", "2", "b", "a"), ("p", "", "b", "a")]
    assert read_back(tmp_path / "out.csv") == expected
    write(
        tmp_path / "ranked.parquet",
        [{"prompt": "p", "answer": a, "rank": 6 - score, "group": who} for who, a, score in rows],
    )
    run_script("convert_rankings.py", "ranked.parquet", "ranked.csv", cwd=tmp_path)
    assert read_back(tmp_path / "ranked.csv") == expected


def test_a_rater_named_in_another_column_keeps_the_subset_and_ranks_may_be_decimals(tmp_path):
    rows = [("a", 1, "Ann"), ("b", 2, "Ann"), ("a", 2, "Bo"), ("b", 1, "Bo")]
    records = [
        {"prompt": "p", "answer": answer, "rank": Decimal(rank), "annotator": who, "subset": f"of {who}"}
        for answer, rank, who in rows
    ]
    write(tmp_path / "ranked.parquet", records)
    run_script("convert_rankings.py", "ranked.parquet", "out.csv", cwd=tmp_path)
    written = [(row["answer"], row["rank"], row["rater"], row["subset"]) for row in read_csv(tmp_path / "out.csv")]
    assert written == [(answer, str(rank), who, f"of {who}") for answer, rank, who in rows]


def test_messages_in_pythons_notation_are_refused(tmp_path):
    (tmp_path / "pandas.csv").write_text(
        """context,response1,response2,overall_preference\n"[{'role': 'user', 'content': 'Hi'}]",a,b,1\n"""
    )
    done = run_script("convert_rankings.py", "pandas.csv", "out.csv", cwd=tmp_path, status=2)
    assert done.stderr.startswith("error: pandas.csv:2: a list in Python's notation, not in JSON: ")
    (tmp_path / "pairs.csv").write_text(
        """prompt,chosen,rejected\np,"[{'role': 'user', 'content': 'Hi'}]","[{'role': 'user', 'content': 'Ho'}]"\n"""
    )
    assert (
        "pairs.csv:2: a list in Python's notation"
        in run_script("convert_rankings.py", "pairs.csv", "out.csv", cwd=tmp_path, status=2).stderr
    )
    (tmp_path / "bench.csv").write_text("""prompt,chosen,rejected,subset\np,['a'],"['b', 'c']",s\n""")
    assert (
        "bench.csv: a list in Python's notation"
        in run_script("convert_rankings.py", "bench.csv", "out.csv", cwd=tmp_path, status=2).stderr
    )
    code = 'prompt,chosen,rejected\np,"[{""id"": 1}]","[""a""]"\n'  # an answer that is JSON
    (tmp_path / "code.csv").write_text(code)
    run_script("convert_rankings.py", "code.csv", "code_out.csv", cwd=tmp_path)
    assert [row["answer"] for row in read_csv(tmp_path / "code_out.csv")] == ['[{"id": 1}]', '["a"]']


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "csv"])
def test_answers_that_happen_to_be_json_stay_texts(tmp_path, kind):
    answers = ["{'value': 1, 'next': None}", '{"role": "admin", "content": "x"}', '["a", "b"]', "[1, 2]"]
    pairs = [{"prompt": "p", "chosen": answer, "rejected": "no"} for answer in answers]
    write(tmp_path / f"code.{kind}", pairs)
    run_script("convert_rankings.py", f"code.{kind}", "out.csv", cwd=tmp_path)
    assert [row["answer"] for row in read_csv(tmp_path / "out.csv") if row["rank"] == "1"] == answers


def test_a_prompt_that_is_a_chat_already_stays_as_it_is(tmp_path):
    write(
        tmp_path / "scored.csv",
        [{"prompt": NIGHT, "response": answer, "score": score} for answer, score in (("dark", 1), ("black", 2))],
    )
    run_script("convert_rankings.py", "scored.csv", "out.csv", "--score", "score", cwd=tmp_path)
    assert {row["prompt"] for row in read_csv(tmp_path / "out.csv")} == {NIGHT}


def test_pairs_of_one_prompt_stay_pairs_and_raters_stay_apart(tmp_path):
    pairs = [("a", "b", "ann"), ("b", "c", "ann"), ("c", "a", "bob"), ("a", "b", "ann 1")]
    write(
        tmp_path / "pairs.jsonl",
        [{"prompt": " p", "chosen": better, "rejected": worse, "annotator": who} for better, worse, who in pairs],
    )
    run_script("convert_rankings.py", "pairs.jsonl", "out.csv", cwd=tmp_path)
    assert read_back(tmp_path / "out.csv") == [
        ("p", "1", "a", "b"), ("p", "2", "b", "c"), ("p", "bob", "c", "a"), ("p", "ann 1", "a", "b"),
    ]  # fmt: skip


def test_rows_that_compare_nothing_are_counted(tmp_path):
    same = "\n\nHuman: Hi!\n\nAssistant: Hello."
    rows = [
        (same, same), (same, "\n\nHuman: Bye!\n\nAssistant: Hello."), (same, "\n\nHuman: Hi!\n\nAssistant: "),
        (same, same), (same, same + "!"),
    ]  # fmt: skip
    write(tmp_path / "hh.jsonl", [{"chosen": chosen, "rejected": rejected} for chosen, rejected in rows])
    done = run_script("convert_rankings.py", "hh.jsonl", "out.csv", cwd=tmp_path)
    assert done.stdout.endswith(
        "read 5 records from hh.jsonl, wrote 2 ranked answers (1 ranking of 1 prompt) to out.csv\n"
        "left out: 2 with identical answers, 1 with answers to different prompts, 1 with an empty text\n"
    )
    write(tmp_path / "none.jsonl", [{"chosen": same, "rejected": same}])
    done = run_script("convert_rankings.py", "none.jsonl", "none.csv", cwd=tmp_path, status=2)
    assert done.stderr == "error: none.jsonl: 1 record, and no comparison: 1 with identical answers\n"
    assert not (tmp_path / "none.csv").exists()


# What is wrong


def error_of(tmp_path, *arguments, stdin=None) -> str:
    """Convert, expect that nothing is written, and return the message."""
    before = sorted(tmp_path.iterdir())
    done = run_script("convert_rankings.py", *arguments, cwd=tmp_path, status=2)
    assert not done.stdout and sorted(tmp_path.iterdir()) == before
    return done.stderr


@pytest.mark.parametrize(
    "record, problem",
    [
        (
            {"prompt": 5, "chosen": "a", "rejected": "b"},
            "the prompt is not a text: '5'; write a text or a list of messages",
        ),
        ({"prompt": "p", "chosen": "a"}, "no 'rejected'; give every record one"),
        ({"prompt": "p", "chosen": 1, "rejected": "b"}, "not a text: '1'; write a text"),
        ({"prompt": "p", "chosen": "a\0", "rejected": "b"}, "a NUL character in 'a\\x00'; remove it"),
        ({"prompt": "p", "chosen": "a", "rejected": "\ud83d"}, "half of a surrogate pair in '\\ud83d'; remove it"),
        (
            {"prompt": "p", "chosen": "a", "rejected": [{"role": "x", "content": "b"}]},
            "unknown role 'x'; write one of system, ",
        ),
    ],
)
def test_a_wrong_record_is_named_with_its_line(tmp_path, record, problem):
    good = {"prompt": "p", "chosen": "a", "rejected": "b"}
    (tmp_path / "data.jsonl").write_text(json.dumps(good) + "\n\n" + json.dumps(record) + "\n", encoding="utf-8")
    assert error_of(tmp_path, "data.jsonl", "out.csv").startswith(f"error: data.jsonl:3: {problem}")


@pytest.mark.parametrize(
    "record, problem",
    [
        (
            {"context": "p", "response1": "a", "response2": "b", "overall_preference": 4},
            "overall_preference is '4'; it must be between -3 and 3",
        ),
        (
            {"conversation_a": [USER, BLUE], "conversation_b": [USER, GREEN], "winner": "me"},
            "winner is 'me'; write one of a, b, tie",
        ),
        (
            {"instruction": "a", "input": "", "chosen": "b", "rejected": "c", "history": [["q", 5]]},
            "not a text: '5'; write a text",
        ),
        (
            {"conversations": [{"from": "human", "value": "a"}], "chosen": "b", "rejected": "c", "system": 5},
            "not a text: '5'; write a text",
        ),
        (
            {"conversations": [{"from": "system", "value": ""}], "chosen": "b", "rejected": "c", "system": "s"},
            "no message with a text; write at",
        ),
        ({"query": "q", "docs": ["a", "b"], "labels": [1]}, "'labels' has 1 value for 2 answers; write one per answer"),
        ({"query": "q", "docs": ["a", "b"], "labels": [1, "x"]}, "'labels' is not a number: 'x'; write a number"),
        ({"query": "q", "docs": ["a", 2], "labels": [1, 0]}, "not a text: '2'; write a text"),
        ({"prompt": "p", "answers": [{"answer": "a", "rank": 1}, {"answer": "b"}]}, "answers has "),
        ({"prompt": "p", "completions": [{"rank": 1, "note": "a"}]}, "completions has "),
        (
            {"prompt": "p", "candidates_completions": ["a"], "ranks": []},
            "'ranks' has 0 values for 1 answer; write one per answer",
        ),
        ({"instruction": "i", "chosen": "a", "rejected": "b", "history": ["x"]}, "history has 'x'; write "),
    ],
)
def test_a_wrong_record_of_each_format(tmp_path, record, problem):
    (tmp_path / "data.json").write_text(json.dumps([record]), encoding="utf-8")
    assert error_of(tmp_path, "data.json", "out.csv").startswith(f"error: data.json, row 1: {problem}")


def test_the_first_problems_are_shown_and_the_rest_counted(tmp_path):
    write(tmp_path / "data.jsonl", [{"prompt": i, "chosen": "a", "rejected": "b"} for i in range(25)])
    lines = error_of(tmp_path, "data.jsonl", "out.csv").splitlines()
    assert lines[19].startswith("data.jsonl:20: ") and lines[20:] == ["... and 5 more problems"]


def test_the_contract_is_checked_wherever_its_rows_come_from(tmp_path):
    rows = [
        ("p", "a", 1),
        ("p", "a", 2),
        ("p", "", 1),
        ("q", 3, 1),
        ("q", "b", 1.5),
        ("q", "c\0", 1),
        ("q", "d", "best"),
    ]
    write(tmp_path / "data.json", [{"prompt": prompt, "answer": answer, "rank": rank} for prompt, answer, rank in rows])
    assert error_of(tmp_path, "data.json", "out.csv") == (
        "error: data.json, row 2: the same answer to one prompt has rank 2 here and rank 1 on row 1: 'a'; "
        "keep one of the two rows\n"
        "data.json, row 3: empty answer: ''; write the text or delete the row\n"
        "data.json, row 4: answer is not a text: '3'; write a text\n"
        "data.json, row 6: a NUL character in 'c\\x00'; remove it\n"
        "data.json, row 7: rank must be a number, not 'best'; write 1 for the best answer, 2 for the next\n"
    )


def test_answers_without_ranks_say_what_is_missing(tmp_path):
    write(tmp_path / "scored.jsonl", [{"prompt": "p", "response": "a", "humor": 1, "depth": 2, "note": "x"}])
    assert error_of(tmp_path, "scored.jsonl", "out.csv") == (
        "error: scored.jsonl: answers without ranks; name the column of scores with --score, one of: humor, depth\n"
    )
    write(tmp_path / "candidates.jsonl", [{"prompt": "p", "answers": ["a", "b"]}])
    assert error_of(tmp_path, "candidates.jsonl", "out.csv") == (
        "error: candidates.jsonl: candidates without ranks; rank them: python generate_data.py --candidates FILE, "
        "or name what"
        " was said of them: --vote, --score or --rank NAME\n"
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["out.jsonl"],
            "out.jsonl: choose with --to what to write: csv, trl, trl-conversational, lists, rewardbench",
        ),
        (
            ["out.txt"],
            f"out.txt: unrecognised file ending; use one of {', '.join(KINDS)}, or --kind",
        ),
        (
            ["out.csv", "--to", "lists"],
            "out.csv: a CSV cannot hold the lists of --to lists; write .jsonl, .json or .parquet",
        ),
        (
            ["out.csv", "--pairs", "best-worst"],
            "--pairs best-worst: --to csv writes no pairs; use one of trl, trl-conversational, rewardbench",
        ),
        ([".", "--kind", "csv"], ".: a folder, not a file; choose another TARGET"),
        (
            ["data.csv"],
            "data.csv: exists; choose another TARGET, or replace it with --force (the earlier file is kept as a "
            "backup)",
        ),
    ],
)
def test_a_target_that_cannot_be_is_refused_before_anything_is_read(tmp_path, arguments, message):
    (tmp_path / "data.csv").write_text("not,read\n")
    assert error_of(tmp_path, "data.csv", *arguments) == f"error: {message}\n"


def test_a_missing_folder_is_made_and_a_limit_below_one_refused(tmp_path):
    write_rankings(tmp_path / "data.csv", [Ranking("p", ["a", "b"], [2, 1])])
    run_script("convert_rankings.py", "data.csv", "new/folder/out.csv", cwd=tmp_path)
    assert read_back(tmp_path / "new" / "folder" / "out.csv") == [("p", "", "b", "a")]
    assert "--limit: must be at least 1, not -1" in error_of(tmp_path, "data.csv", "out.csv", "--limit", "-1")


def test_an_earlier_file_is_kept_as_a_backup(tmp_path):
    write_rankings(tmp_path / "data.csv", [Ranking("p", ["a", "b"], [2, 1])])
    before = (tmp_path / "data.csv").read_bytes()
    done = run_script("convert_rankings.py", "data.csv", "data.csv", "--to", "trl", "--force", cwd=tmp_path)
    backup = next(tmp_path.glob("data.csv.backup-*"))
    assert backup.read_bytes() == before and done.stdout.endswith(f"the earlier data.csv is kept as {backup.name}\n")
    assert read_csv(tmp_path / "data.csv") == [{"prompt": "p", "chosen": "b", "rejected": "a"}]


def test_a_reader_that_ends_early_ends_the_writer_quietly(tmp_path):
    write(tmp_path / "data.jsonl", [{"prompt": f"{i}", "chosen": "a" * 1000, "rejected": "b"} for i in range(5000)])
    command = f"{shlex.quote(sys.executable)} {shlex.quote(str(ROOT / 'convert_rankings.py'))} data.jsonl - | head -n 1"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "prompt,answer,rank\n" and done.stderr.count("\n") == 2 and "wrote" not in done.stderr


# Data sets of the Hub


@pytest.fixture
def hub(tmp_path):
    """A Hub with data sets: prefs, two (of two splits), configs, and script, which is made by a program."""
    folders = {f"datasets/someone/{name}": tmp_path / "hub" / name for name in ("prefs", "two", "configs", "script")}
    for folder in folders.values():
        folder.mkdir(parents=True)
        write(folder / "train.jsonl", SCORED)
    write(folders["datasets/someone/two"] / "test.jsonl", SCORED)
    configs = "".join(f"- config_name: {name}\n  data_files: train.jsonl\n" for name in ("one", "other"))
    (folders["datasets/someone/configs"] / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    (folders["datasets/someone/script"] / "train.jsonl").unlink()
    (folders["datasets/someone/script"] / "script.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with Hub(folders) as hub:
        yield hub


def from_hub(tmp_path, hub, *arguments, status=0, **environment):
    """Convert a data set in a process of its own, which asks the Hub of the tests."""
    environment = (
        os.environ
        | {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
        | environment
    )
    command = [sys.executable, str(ROOT / "convert_rankings.py"), *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == status, done.stderr
    return done


def test_a_data_set_of_the_hub_is_read_by_its_name(tmp_path, hub):
    done = from_hub(tmp_path, hub, "someone/prefs", "some.csv", "--split", "train", "--limit", "3")
    assert "read 3 records from someone/prefs" in done.stdout and read_back(tmp_path / "some.csv") == [
        ("c#", "", "a", "b")
    ]
    from_hub(tmp_path, hub, "someone/prefs", "all.csv")
    assert len(read_back(tmp_path / "all.csv")) == 2
    hub.start_anew()
    from_hub(tmp_path, hub, "someone/prefs", "cached.csv", "--limit", "3", HF_HUB_OFFLINE="1")
    assert read_back(tmp_path / "cached.csv") == [("c#", "", "a", "b")] and not hub.requests


AS_DATA = "no file here; as a data set of the Hub: "


@pytest.mark.faults
@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["someone/prefs", "--split", "dev"],
            f"{AS_DATA}Bad split: dev. Available splits: ['train']; --config and --split choose a part",
        ),
        (["someone/two"], "someone/two has the splits train, test; choose one with --split"),
        (["someone/configs"], f"someone/configs: {AS_DATA}Config name is missing"),
        (["someone/nothing"], f"{AS_DATA}401 Client Error. Repository Not Found for url: "),
        (["someone/script"], f"{AS_DATA}Dataset scripts are no longer supported"),
    ],
)
def test_what_is_wrong_with_a_data_set_is_said_in_words(tmp_path, hub, arguments, message):
    done = from_hub(tmp_path, hub, arguments[0], "out.csv", *arguments[1:], "--limit", "3", status=2)
    assert done.stderr.startswith("error: ") and message in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "ran").exists() and not (tmp_path / "out.csv").exists()


def test_a_hub_that_cannot_be_reached_is_noticed_at_once(tmp_path, hub):
    done = from_hub(tmp_path, hub, "someone/prefs", "out.csv", status=2, HF_ENDPOINT="http://127.0.0.1:9")
    assert done.stderr == (
        "error: someone/prefs: no such file here, and http://127.0.0.1:9 cannot be reached ([Errno 111] Connection "
        "refused); try again, or"
        " download the files and name one\n"
    )


# Out, and back


def test_the_same_pair_twice_is_one_ranking_and_raters_are_another_thing(tmp_path):
    pair = {"prompt": "p", "chosen": "a", "rejected": "b"}
    write(tmp_path / "data.jsonl", [pair, pair, pair | {"annotator": "ann"}])
    done = run_script("convert_rankings.py", "data.jsonl", "out.csv", cwd=tmp_path)
    assert [(row["answer"], row["rank"], row["rater"]) for row in read_csv(tmp_path / "out.csv")] == [
        ("a", "1", ""), ("b", "2", ""), ("a", "1", "ann"), ("b", "2", "ann"),
    ]  # fmt: skip
    assert done.stdout.endswith("left out: 1 with an exact duplicate\n")


def test_pairs_out(tmp_path):
    write_rankings(tmp_path / "data.csv", [Ranking("p", ["a", "b", "c", "d"], [2, 1, 2, 7])])
    for pairs, expected in [("all", ["ba", "bc", "bd", "ad", "cd"]), ("best-worst", ["bd"])]:
        run_script("convert_rankings.py", "data.csv", f"{pairs}.csv", "--to", "trl", "--pairs", pairs, cwd=tmp_path)
        assert [row["chosen"] + row["rejected"] for row in read_csv(tmp_path / f"{pairs}.csv")] == expected
    assert list(read_csv(tmp_path / "best-worst.csv")[0]) == ["prompt", "chosen", "rejected"]


def test_a_chat_is_a_chat_again(tmp_path):
    records = KNOWN["TRL, conversational"][0]
    write(tmp_path / "chats.jsonl", records)
    run_script("convert_rankings.py", "chats.jsonl", "out.csv", cwd=tmp_path)
    run_script("convert_rankings.py", "out.csv", "back.jsonl", "--to", "trl-conversational", cwd=tmp_path)
    assert read_table(tmp_path / "back.jsonl").records == records


def test_from_standard_input_to_standard_output(tmp_path):
    records = KNOWN["TRL, conversational"][0]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    done = run_process("convert_rankings.py", "-", "-", cwd=tmp_path, stdin=lines)
    assert done.stdout.startswith(f"prompt,answer,rank\n{SKY},It is blue.,1\n{SKY},It is green.,2\n")
    assert unwrapped(done.stderr).endswith(
        "read 2 records from standard input, wrote 4 ranked answers (2 rankings of 2 prompts) to standard output"
    )
    back = run_script("convert_rankings.py", "-", "-", "--to", "trl-conversational", cwd=tmp_path, stdin=done.stdout)
    assert [json.loads(line) for line in back.stdout.splitlines()] == records
    wrong = run_script(
        "convert_rankings.py",
        "-",
        "-",
        cwd=tmp_path,
        stdin=lines + '{"prompt": 1, "chosen": "", "rejected": ""}\n',
        status=2,
    )
    assert wrong.stdout == "" and wrong.stderr.startswith("error: standard input:3: the prompt is not a text")


# What the libraries make of it


@pytest.fixture
def as_dataset(tmp_path):
    """A function that converts two rankings to a format and loads them as the libraries do."""

    def convert(name: str, to: str):
        import datasets

        write_rankings(
            tmp_path / "data.csv",
            [Ranking(f"good coffee {i}", ["hot water", "read", "sky blue"], [3, 1, 2]) for i in range(2)],
        )
        run_script("convert_rankings.py", "data.csv", name, "--to", to, cwd=tmp_path)
        kind = {"jsonl": "json"}.get(name.rpartition(".")[2], name.rpartition(".")[2])
        return datasets.load_dataset(
            kind, data_files=str(tmp_path / name), split="train", cache_dir=str(tmp_path / "cache")
        )

    return convert


@pytest.mark.faults
@pytest.mark.parametrize(
    "name, to", [("pairs.jsonl", "trl-conversational"), ("pairs.parquet", "trl-conversational"), ("pairs.csv", "trl")]
)
def test_trl_trains_on_the_pairs(as_dataset, tiny_distilbert, tmp_path, name, to):
    trl = pytest.importorskip("trl")
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_distilbert)
    tokenizer.eos_token = "[SEP]"
    tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }} [SEP] {% endfor %}"
    trainer = trl.RewardTrainer(
        AutoModelForSequenceClassification.from_pretrained(tiny_distilbert, num_labels=1),
        trl.RewardConfig(
            str(tmp_path / "out"),
            max_steps=1,
            per_device_train_batch_size=2,
            use_cpu=True,
            bf16=False,
            report_to=[],
            max_length=None,
        ),
        train_dataset=as_dataset(name, to),
        processing_class=tokenizer,
    )
    assert len(trainer.train_dataset) == 6
    assert trainer.train().training_loss > 0


@pytest.mark.faults
def test_sentence_transformers_trains_on_the_lists(as_dataset, tiny_distilbert, tmp_path):
    pytest.importorskip("sentence_transformers")
    from sentence_transformers.cross_encoder import (
        CrossEncoder,
        CrossEncoderTrainer,
        CrossEncoderTrainingArguments,
        losses,
    )

    model = CrossEncoder(str(tiny_distilbert), num_labels=1, device="cpu")
    lists = as_dataset("lists.parquet", "lists")
    assert lists.column_names == ["query", "docs", "labels"] and lists[0]["labels"] == [0, 2, 1]
    arguments = CrossEncoderTrainingArguments(
        str(tmp_path / "out"), max_steps=1, per_device_train_batch_size=2, use_cpu=True, report_to=[]
    )
    trainer = CrossEncoderTrainer(model, arguments, train_dataset=lists, loss=losses.RankNetLoss(model))
    assert trainer.train().training_loss > 0
