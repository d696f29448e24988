import json
import os
import threading

import pytest

from preference.data.candidates import (
    append_candidates,
    cut_at_sentence,
    distinct,
    folded,
    read_candidates,
    read_prompts,
)
from preference.errors import InputError


def test_prompts_from_lines_csv_and_jsonl(tmp_path):
    (tmp_path / "p.txt").write_text("\ufeffone\n\n  two \none\n", encoding="utf-8")
    (tmp_path / "p.csv").write_text('id,prompt\n1,one\n2,"two, with\nlines"\n')
    (tmp_path / "p.jsonl").write_text('{"prompt": "one"}\n{"prompt": "N/A", "x": 1}\n')
    assert read_prompts(tmp_path / "p.txt") == ["one", "two"]
    assert read_prompts(tmp_path / "p.csv") == ["one", "two, with\nlines"]
    assert read_prompts(tmp_path / "p.jsonl") == ["one", "N/A"]


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("p.txt", "\n \n", "FILE: has no prompts; write one per line"),
        ("p.csv", "text\na\n", "FILE:1: no column 'prompt' in the header 'text'; it must name prompt"),
        ("p.jsonl", '{"text": "a"}\n', "FILE: no column 'prompt' in the header 'text'; it must name prompt"),
        (
            "p.jsonl",
            '{"prompt": "a"}\nnonsense\n{"prompt": "b"}\n',
            "FILE:2: not JSON: 'nonsense'; write one object per line, or delete the line",
        ),
        (
            "p.jsonl",
            "[" * 100_000,
            f"FILE:1: not JSON: {'[' * 57 + '...'!r}; write one object per line, or delete the line",
        ),
        ("p.jsonl", '{"prompt": "a\\u0000b"}\n', "FILE:1: a NUL character in 'a\\x00b'; remove it"),
        (
            "p.jsonl",
            '{"prompt": "a"}\n{"prompt": "\\ud800"}\n',
            "FILE:2: half of a surrogate pair in '\\ud800'; remove it",
        ),
        (
            "p.txt",
            "one\ntwo\0\n",
            "FILE:2: a NUL character is no text; save the file as UTF-8, which spreadsheets call 'CSV UTF-8'",
        ),
    ],
)
def test_wrong_prompt_files(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as caught:
        read_prompts(tmp_path / name)
    assert str(caught.value).replace(str(tmp_path / name), "FILE") == message


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with a name")
def test_prompts_from_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "prompts.txt")
    writer = threading.Thread(target=(tmp_path / "prompts.txt").write_bytes, args=[b"one\r\ntwo\n"], daemon=True)
    writer.start()
    assert read_prompts(tmp_path / "prompts.txt") == ["one", "two"]
    writer.join(timeout=5)


def test_candidates_read_back_with_what_they_were_made_with(tmp_path):
    append_candidates(tmp_path / "c.jsonl", "p", ["a", "b\nc"], generator="g", settings={"top_p": 0.9}, seed=1)
    append_candidates(tmp_path / "c.jsonl", "q", ["ü"])
    assert read_candidates(tmp_path / "c.jsonl") == {"p": ["a", "b\nc"], "q": ["ü"]}
    assert (tmp_path / "c.jsonl").read_text(encoding="utf-8") == (
        '{"prompt": "p", "answers": ["a", "b\\nc"], "generator": "g", "settings": {"top_p": 0.9}, "seed": 1}\n'
        '{"prompt": "q", "answers": ["ü"]}\n'
    )


def test_another_programs_file(tmp_path):
    (tmp_path / "c.jsonl").write_text(
        '{"prompt": "p", "answers": ["a", "a ", "b"]}\n{"prompt": "p", "answers": ["c"], "model": "m"}'
    )
    assert read_candidates(tmp_path / "c.jsonl") == {"p": ["a", "b", "c"]}
    (tmp_path / "c.jsonl").write_text('{"prompt": "p", "answers": "a"}\n')
    with pytest.raises(InputError, match=r""":1: "answers" is not a list: 'a'; write"""):
        read_candidates(tmp_path / "c.jsonl")
    (tmp_path / "c.jsonl").write_text('{"prompt": "p", "candidates": ["a"]}\n')
    with pytest.raises(InputError, match=r':1: "answers" is missing; write \["one", "two"\]'):
        read_candidates(tmp_path / "c.jsonl")
    (tmp_path / "c.jsonl").write_text('{"prompt": "p", "answer": 5}\n{"prompt": "p", "answer": 0}\n')
    with pytest.raises(InputError) as caught:
        read_candidates(tmp_path / "c.jsonl")
    lines = str(caught.value).replace(f"{tmp_path}/", "").splitlines()
    assert lines == [f"c.jsonl:{i}: answer is not a text: '{n}'; write a text" for i, n in ((1, 5), (2, 0))]


@pytest.mark.parametrize("text, what", [("a\0", "a NUL character"), ("\udc80", "half of a surrogate pair")])
def test_candidates_that_no_csv_can_hold_are_refused(tmp_path, text, what):
    path = tmp_path / "c.jsonl"
    path.write_text(json.dumps({"prompt": "p", "answers": ["good", text]}) + "\n")
    with pytest.raises(InputError) as caught:
        read_candidates(path)
    assert str(caught.value) == f"{path}:1: {what} in {text!r}; remove it"


def test_a_full_disk_is_one_line_and_leaves_what_was_saved(tmp_path, small_files_only):
    path = tmp_path / "c.jsonl"
    append_candidates(path, "p", ["a"])
    with pytest.raises(InputError) as caught, small_files_only(100):
        append_candidates(path, "q", ["a" * 1000])
    assert str(caught.value) == f"{path}: cannot be written (File too large); make room, or choose another --candidates"
    assert read_candidates(path) == {"p": ["a"]}


def test_a_line_that_is_no_candidate_is_an_error_and_stays(tmp_path):
    """Also the last one, without its line end: a person may have written it."""
    path = tmp_path / "c.jsonl"
    append_candidates(path, "p", ["a"])
    path.write_text(path.read_text() + '{"prompt": "q", "answers": ["a", "b"]')
    before = path.read_bytes()
    with pytest.raises(InputError, match=":2: not JSON: .*; write one object per line, or delete the line"):
        read_candidates(path)
    assert path.read_bytes() == before
    path.write_text('{"prompt": "q", "answers": ["a", "b"]}')  # a whole line without its end
    append_candidates(path, "r", ["b"])
    assert list(read_candidates(path)) == ["q", "r"]


def test_candidates_are_ranked_as_they_are(tmp_path):
    """But for white space around them, which does not tell two answers apart in a CSV."""
    answers = ["US", "us", "    return x", "return x\n", " ", "a  b", "a b", "US"]
    (tmp_path / "c.jsonl").write_text(json.dumps({"prompt": "p", "answers": answers}) + "\n")
    assert read_candidates(tmp_path / "c.jsonl")["p"] == ["US", "us", "    return x", "a  b", "a b"]


def test_sampled_answers_that_differ_in_case_or_white_space_are_one():
    assert distinct(["A b", "a  B", "", " \n", "straße", "STRASSE", "c"], folded) == ["A b", "straße", "c"]


def test_cut_at_the_last_whole_sentence():
    assert cut_at_sentence('He said "no." Then he le') == 'He said "no."'
    assert cut_at_sentence("Version 3.5 is o") == "Version 3.5 is o"
    assert cut_at_sentence("Good! Bad? Ugl") == "Good! Bad?"


def test_prompts_of_a_json_list_and_of_tables(tmp_path):
    for name, text in {
        "a.json": '["one", "two"]', "b.json": '[{"prompt": "one"}, {"prompt": "two"}]',
        "c.tsv": "id\tprompt\n1\tone\n2\ttwo\n", "d.csv": "id;Prompt\n1;one\n2;two\n",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
        assert read_prompts(tmp_path / name) == ["one", "two"]


def test_only_line_ends_end_the_lines_of_a_prompt_file(tmp_path):
    (tmp_path / "p.txt").write_bytes("one\vone\r\ntwo\u2028two\x85\rthree\x0c\n".encode())
    assert read_prompts(tmp_path / "p.txt") == ["one\vone", "two\u2028two", "three"]


def test_candidates_of_a_csv_with_a_row_for_each_answer(tmp_path):
    (tmp_path / "c.csv").write_text("prompt,answer\np,a\np,b\nq,c\n")
    assert read_candidates(tmp_path / "c.csv") == {"p": ["a", "b"], "q": ["c"]}
    (tmp_path / "c.json").write_text('[{"prompt": "p", "answers": ["a", "b"]}]')
    assert read_candidates(tmp_path / "c.json") == {"p": ["a", "b"]}
