import argparse
import shlex
import subprocess
import sys

import pytest
from conftest import ROOT

from preference.console import say
from preference.scripts import above, at_least, command_line, from_to


@pytest.mark.parametrize(
    "check, good, bad",
    [
        (at_least(1), {"1": 1, "20": 20}, {"0": "must be at least 1, not 0", "-3": "must be at least 1, not -3"}),
        (above(0), {"0.5": 0.5}, {"0": "must be above 0, not 0", "nan": "must be above 0, not nan"}),
        (
            from_to(0, 1),
            {"0": 0, "1": 1},
            {"1.1": "must be from 0 to 1, not 1.1", "nan": "must be from 0 to 1, not nan"},
        ),
        (from_to(0, 1, below=True), {"0": 0, "0.99": 0.99}, {"1": "must be from 0 to below 1, not 1"}),
    ],
)
def test_ranges(check, good, bad):
    assert {text: check(text) for text in good} == good
    for text, message in bad.items():
        with pytest.raises(argparse.ArgumentTypeError, match=f"^{message}$"):
            check(text)
    with pytest.raises(ValueError):
        check("x")


def test_a_script_is_named_with_its_path_where_it_lies_in_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert command_line("x.py", ["--data", "my data.csv"]) == "python x.py --data 'my data.csv'"
    monkeypatch.chdir(tmp_path)
    assert command_line("x.py", []) == shlex.join(["python", str(ROOT / "x.py")])


def test_in_a_pipe_columns_decides_how_wide_lines_are(monkeypatch, capsys):
    text = "word " * 60
    for columns, longest in (("60", 59), ("no number", 99), ("", 99)):
        monkeypatch.setenv("COLUMNS", columns)
        say(text)
        assert max(map(len, capsys.readouterr().out.splitlines())) == longest


@pytest.mark.parametrize("file, said", [("", "Input/output error"), (", 'a.csv'", "a.csv: Input/output error")])
def test_what_the_system_refuses_is_said_once(file, said):
    failing = (
        f"from preference.scripts import run_script\ndef main(argv): raise OSError(5, 'Input/output error'{file})\n"
    )
    command = [sys.executable, "-c", failing + "run_script(main)"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, f"error: {said}\n")
