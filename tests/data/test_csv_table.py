import os
import threading
import time

import pytest
from conftest import run_script

from data.strange_files import GOOD, PAIR, RIGHT, WRONG
from preference.data import text_files
from preference.data.csv_table import CsvError, check_texts, format_rows, read_table
from preference.data.rankings import read_rankings


def problems_of(path) -> str:
    with pytest.raises(CsvError) as caught:
        read_rankings(path)
    return str(caught.value).replace(f"{path}:", "FILE:")


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_gets_exactly_its_message_and_nothing_is_written(write_csv, tmp_path, name):
    content, message = WRONG[name]
    path = write_csv(content)
    assert problems_of(path) == message
    before = path.read_bytes()
    done = run_script("reward_model_trainer.py", "--data", path.name, cwd=tmp_path, status=2)
    assert (done.stdout, done.stderr.replace("data.csv:", "FILE:")) == ("", f"error: {message}\n")
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == before


@pytest.mark.parametrize("script", ["review_rankings.py", "score_answers.py", "convert_rankings.py"])
def test_no_wrong_or_strange_file_gives_a_traceback(write_csv, tmp_path, tiny_reward_model, script):
    arguments = {
        "review_rankings.py": ["--data", "data.csv", "--base-model", "./none"],  # read, and no further
        "score_answers.py": ["data.csv", "--model", tiny_reward_model, "--output", "scored.csv", "--force"],
        "convert_rankings.py": ["data.csv", "pairs.jsonl", "--to", "trl", "--force"],
    }[script]
    for name, (content, *_) in (WRONG | RIGHT).items():
        write_csv(content if len(content) < 1_000_000 else content[:1_000] + content[-1_000:])
        done = run_script(script, *arguments, cwd=tmp_path, status=None)
        if name in WRONG and script == "review_rankings.py":
            assert done.stderr == f"error: {WRONG[name][1].replace('FILE:', 'data.csv:')}\n", name
        assert not done.stderr or done.stderr.startswith(("error: ", f"{tiny_reward_model}: ")), name


@pytest.mark.parametrize("name", RIGHT)
def test_a_strange_file_is_read_right(write_csv, name):
    content, rankings, warnings = RIGHT[name]
    found = read_rankings(path := write_csv(content))
    assert found.rankings == rankings
    assert [line.replace(f"{path}:", "FILE:") for line in found.warnings()] == warnings


def test_the_line_is_where_the_row_starts(write_csv):
    table = read_table(write_csv('prompt,answer,rank\n\np,"a\n\nb",1\r\n , ,\nq,"c",2\rq,d,1'))
    assert [row.line for row in table.rows] == [3, 7, 8]


def test_only_the_asked_columns_are_needed_and_only_the_known_may_not_be_there_twice(write_csv):
    table = read_table(write_csv("id,id,prompt\n1,2,p\n"), ["prompt"])
    assert table.column("prompt") == ["p"]
    with pytest.raises(CsvError, match=":1: two columns are named 'id'; rename one"):
        read_table(write_csv("id,id,prompt\n1,2,p\n"), ["prompt"], optional=["id"])
    with pytest.raises(CsvError, match=":1: the file is empty; its first line must be prompt,answer$"):
        read_table(write_csv(""), ["prompt", "answer"])


def test_empty_cells_are_named_with_line_and_column(write_csv):
    table = read_table(path := write_csv('prompt,answer\np,"\n"\n,b\n'), ["prompt", "answer"])
    assert [problem.replace(str(path), "FILE") for problem in check_texts(table, ["prompt", "answer"])] == [
        "FILE:2: empty answer: '\\n'; write the text or delete the row",
        "FILE:4: empty prompt: ''; write the text or delete the row",
    ]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("text", ["a\rb", "a\nb", "a\r\nb", "\r", "a,b", 'say "hi"', '"', "", " a ", "'", ";", "\x1c", "\u2028"])
def test_a_cell_is_written_to_the_letter(write_csv, text, line_end):
    written = format_rows([["prompt", "x"], [text, "y"], ["z", text]], line_end=line_end)
    assert written.endswith(line_end) and [row.cells for row in read_table(write_csv(written), ["prompt"]).rows] == [[text, "y"], ["z", text]]


def test_only_cells_that_need_quotes_get_them():
    assert format_rows([["a b", "=1", "it's", 1], ["a\rb", 'a"b']]) == 'a b,=1,it\'s,1\n"a\rb","a""b"\n'


# What a path may name


def test_a_missing_file_says_how_to_make_one(tmp_path):
    assert problems_of(tmp_path / "none.csv") == (
        "FILE: no such file; `python create_sample_data.py` writes a sample, `python generate_data.py` makes your own"
    )


def test_a_link_to_nothing_is_told_from_a_missing_file(tmp_path):
    (tmp_path / "link.csv").symlink_to("gone.csv")
    assert problems_of(tmp_path / "link.csv") == "FILE: a link to 'gone.csv', which does not exist; correct the link, or name another file"


def test_a_link_that_leads_to_itself(tmp_path):
    (tmp_path / "link.csv").symlink_to("link.csv")
    assert problems_of(tmp_path / "link.csv") == "FILE: cannot be read: Too many levels of symbolic links; name a CSV file that you may read"


def test_a_link_to_a_file_is_followed(tmp_path, write_csv):
    (tmp_path / "link.csv").symlink_to(write_csv(GOOD))
    assert read_rankings(tmp_path / "link.csv").rankings == PAIR


def test_a_folder(tmp_path):
    assert problems_of(tmp_path) == "FILE: cannot be read: Is a directory; name a CSV file that you may read"


def test_a_file_used_as_a_folder(write_csv):
    path = write_csv(GOOD)
    assert problems_of(path / "data.csv") == "FILE: cannot be read: Not a directory; name a CSV file that you may read"


def test_a_file_that_may_not_be_read(write_csv):
    path = write_csv(GOOD)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read every file")
    assert problems_of(path) == "FILE: cannot be read: Permission denied; name a CSV file that you may read"


def test_a_file_name_with_a_line_number_in_it_does_not_confuse_the_order(write_csv):
    path = write_csv("prompt,answer,rank\np,a,0\n" + "\n" * 8 + ",a,1\n", name="x:7: y.csv")
    assert [line.partition(";")[0] for line in problems_of(path).split("\n")] == [
        "FILE:2: rank must be a positive whole number, not '0'",
        "FILE:11: empty prompt: ''",
    ]


@pytest.fixture
def pipe(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


@pytest.mark.parametrize("pieces", [[GOOD], ["", GOOD[:25], GOOD[25:]], [GOOD, "q,x,1\n" * 20_000]])
def test_a_pipe_is_read_once_to_its_end(pipe, pieces, monkeypatch):
    """Also one whose writer starts late, stops between pieces for longer than the patience, or writes more than a pipe holds."""
    monkeypatch.setattr(text_files, "PIPE_PATIENCE", 1.0)

    def write():
        time.sleep(0.1)
        with open(pipe, "wb", buffering=0) as file:
            for piece in pieces:
                file.write(piece.encode())
                time.sleep(1.2 if piece == "" else 0.01)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    assert read_rankings(pipe).rankings == PAIR
    writer.join(timeout=5)
    assert not writer.is_alive()


def test_a_pipe_that_nobody_writes_to_is_not_waited_for_in_silence(pipe, monkeypatch):
    monkeypatch.setattr(text_files, "PIPE_PATIENCE", 0.1)
    assert problems_of(pipe) == "FILE: a pipe that no program has written to; start the program that writes it first, or name a file"


def test_a_wrong_csv_from_a_pipe_gets_its_message_with_its_line(pipe):
    writer = threading.Thread(target=pipe.write_text, args=("prompt,answer,rank\np,a,first\n",), daemon=True)
    writer.start()
    done = run_script("reward_model_trainer.py", "--data", pipe, cwd=pipe.parent, status=2)
    assert done.stderr.replace(str(pipe), "FILE") == (
        "error: FILE:2: rank must be a positive whole number, not 'first'; write 1 for the best answer, 2 for the next\n"
    )
    assert list(pipe.parent.iterdir()) == [pipe]
