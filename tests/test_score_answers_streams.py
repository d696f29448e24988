"""Answers that come through a pipe and go to a terminal, and what many of them cost."""

import os
import pty
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, rewards_of
from known_formats import write

import score_answers
from preference.data.answers import Answers
from preference.data.records import read_records
from preference.evaluation import scored_records
from preference.evaluation.scale import read_scale
from preference.scripts import call


def test_a_pipe_is_scored_while_it_is_open(bare_model, tmp_path):
    process = subprocess.Popen(
        [sys.executable, ROOT / "score_answers.py", "--model", bare_model, "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1, cwd=tmp_path,
    )  # fmt: skip
    process.stdin.write("prompt,answer\nread,books\nread,N/A\nmake good coffee,beans\n")
    lines = [process.stdout.readline().rstrip("\n").split(",") for _ in range(3)]
    assert lines[0] == ["prompt", "answer", "reward", "rank_in_prompt"]
    assert [line[:2] for line in lines[1:]] == [["read", "books"], ["read", "N/A"]]
    assert sorted(line[3] for line in lines[1:]) == ["1", "2"]
    process.stdin.write("read,again\n")
    assert process.stdout.readline().startswith("make good coffee,beans,")
    process.stdin.write("read,\n")  # what is wrong is said after the rows before it
    left, messages = process.communicate()
    assert left == "" and process.returncode == 2  # of the last prompt, not all rows may have come
    assert messages.endswith("error: standard input:6: empty answer: ''; write the text or delete the row\n")


def test_lists_from_a_pipe_are_not_held_back(measured_model, tmp_path, monkeypatch, capfd):
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stdin, os.fdopen(writing, "wb", buffering=0) as pipe:
        monkeypatch.setattr("sys.stdin", stdin)
        items = scored_records.read_ahead(Answers("-")) if pipe.write(b'{"prompt": "p", "answers": ["a", "b"]}\n') else None
        scored = scored_records.score_stream(items, "lists", lambda items: np.array([0.5, 0.7]), read_scale(measured_model))
        assert next(scored)[1].ranks.tolist() == [2, 1]


def test_parquet_goes_through_a_pipe(measured_model, tmp_path):
    write(tmp_path / "given.parquet", [{"prompt": "read", "answers": ["books", "N/A"], "seed": 7}])
    with open(tmp_path / "given.parquet", "rb") as given, open(tmp_path / "scored.parquet", "wb") as scored:
        command = [sys.executable, ROOT / "score_answers.py", "--model", measured_model, "-"]
        subprocess.run(command, stdin=given, stdout=scored, check=True, cwd=tmp_path)
    (record,) = read_records(tmp_path / "scored.parquet")
    assert record.pop("rewards") == pytest.approx(rewards_of(measured_model, [("read", "books"), ("read", "N/A")]), abs=1e-5)
    assert sorted(record.pop("ranks_in_prompt")) == [1, 2] and len(record.pop("percentiles")) == 2
    assert record == {"prompt": "read", "answers": ["books", "N/A"], "seed": 7}


def test_a_reader_that_has_enough_ends_it_quietly(bare_model, tmp_path, monkeypatch, capsys):
    (tmp_path / "a.csv").write_text("prompt,answer\nread,books\nread,N/A\n")
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", closefd=False) as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        assert call(score_answers.main, ["--model", str(bare_model), str(tmp_path / "a.csv")]) == 141
    os.close(writing)
    assert capsys.readouterr().err.endswith("no percentile is given\n")


def test_a_terminal_is_shown_nothing_that_it_would_obey(bare_model, tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("prompt,answer\nread,\x1b[31mred\n")
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr("sys.stdout", terminal)
        assert score_answers.main(["--model", str(bare_model), str(tmp_path / "a.csv")]) == 0
        shown = ""
        while shown.count("\n") < 2:  # a terminal passes on what it is given piece by piece
            shown += os.read(ours, 10_000).decode()
    os.close(ours)
    assert "read,␛[31mred," in shown and "\x1b" not in shown


@pytest.mark.slow
def test_many_rows_take_the_memory_of_few(bare_model, tmp_path):
    for rows in (1_000, 9_000):
        (tmp_path / f"{rows}.csv").write_text("prompt,answer,note\n" + "".join(f"read {i % 500},books,{'note ' * 1000}\n" for i in range(rows)))
    script = f"""
import resource, score_answers
for rows in (1_000, 9_000):
    assert score_answers.main(["--model", {str(bare_model)!r}, f"{{rows}}.csv", "--output", "/dev/null", "--precision", "fp32"]) == 0
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True
    )
    few, many = map(int, done.stdout.split())
    assert many - few < 20  # MB; the file has 45
