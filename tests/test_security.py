"""Foreign text and foreign files: kept to the letter, harmless on the screen, whatever they are called; nothing in them
is run."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys

import pexpect
import pytest
import torch
from conftest import ROOT, read_csv, run_script
from safetensors.torch import load_file

from preference.data.table_writing import format_rows
from preference.wording import plain

ESCAPES = (
    "\x1b[31mred\x1b[0m\x1b]8;;http://x\x07link\x1b]8;;\x1b\\\x1b]52;c;eA==\x07\x9b2J\x9d0;title\x9c\b\x7f"
    "\u202ertl\u202c\u2066\u2028\u200bend"
)
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://x","y")', "=cmd|' /C calc'!A0", "--data", "'=1"]
ANSWERS = [ESCAPES, "a\rb", *FORMULAS]
# The name of every file and folder:
NAME = '-x --data=y it\'s "mine" $(touch ran) `touch ran`; *\ntwo\x1b[31m\x1b]0;t\x07\x9b2J\u202eb\r\x7f'
SMALL = ["--max-length", 64, "--precision", "fp32"]


def foreign_csv(kind: str) -> str:
    """Rankings whose prompts, answers, groups and further column hold escapes and formulas; `kind` is in each
    prompt."""
    rows: list[list] = [["prompt", "answer", "rank", "group", "=note " + ESCAPES]]
    for i in range(3):
        rows += [
            [f"={kind}{i}{ESCAPES}", answer, rank, ESCAPES if i else "", f"@{ESCAPES}"]
            for rank, answer in enumerate(ANSWERS[i : i + 8], 1)
        ]
    rows.append(rows[-1])  # what is left out is named in warnings
    rows += [
        [f"-{kind}{ESCAPES}", "one", 1, ESCAPES, ""],
        [f"+{kind}{ESCAPES}", "one", 1, "", ""],
        [f"+{kind}{ESCAPES}", "two", 1, "", ""],
    ]
    return format_rows(rows)


def run_harmlessly(folder, script: str, *arguments, **options) -> str:
    """Run a script, and check that a terminal would obey nothing of what it prints, nor hide any of it."""
    done = run_script(script, *arguments, cwd=folder, **options)
    for printed in (done.stdout, done.stderr):
        assert [line for line in printed.split("\n") if plain(line) != line] == []
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_foreign_texts_and_names_go_through_every_script(tmp_path, tiny_distilbert):
    name = NAME

    def run(script, *arguments, **options):
        return run_harmlessly(tmp_path, script, *arguments, **options)

    base = shutil.copytree(tiny_distilbert, tmp_path / f"base {name}")
    texts = {kind: foreign_csv(kind) for kind in ("training", "test")}
    for kind, text in texts.items():
        (tmp_path / f"{name}{kind}.csv").write_bytes(text.encode())
    names = [
        f"--data={name}training.csv",
        f"--test-data={name}test.csv",
        f"--output-dir={name}",
        f"--plot={name}.png",
        f"--log-dir={name}logs",
    ]
    for _ in range(2):  # the second one is compared with the first
        printed = run("reward_model_trainer.py", *names, "--base-model", base, *SMALL, "--max-steps", 2)
    assert "to restore it:\n  rm -r" in printed and f"plot    {plain(name)}.png\n" in printed
    seen = {row["answer"] for row in read_csv(tmp_path / name / "rewards.csv")}
    assert seen == set(ANSWERS)
    card = (tmp_path / name / "README.md").read_text(encoding="utf-8")
    assert plain(card) == card

    run("review_rankings.py", f"--data={name}training.csv", f"--output={name}review.csv", "--base-model", base, *SMALL)
    added = {"reward", "predicted_rank", "dispute", "dispute_p", "reversed"}  # some or all of them
    reviewed = [
        {column: cell for column, cell in row.items() if column not in added}
        for row in read_csv(tmp_path / f"{name}review.csv")
    ]
    rows = read_csv(tmp_path / f"{name}training.csv")
    assert len(reviewed) == 25 and all(row in rows for row in reviewed)

    run("score_answers.py", f"--model={name}", f"--output={name}scored.csv", "--", f"{name}test.csv")
    scored = (tmp_path / f"{name}scored.csv").read_bytes().decode()
    assert [row[:5] for row in _cells(scored)] == _cells(texts["test"])
    run("score_answers.py", f"--model={name}", f"--prompt={ESCAPES}", *[f"--answer={answer}" for answer in ANSWERS])

    run("convert_rankings.py", "--to=lists", "--", f"{name}training.csv", f"{name}lists.jsonl")
    run("convert_rankings.py", "--", f"{name}lists.jsonl", f"{name}back.csv")
    back = {(row["prompt"], row["answer"], row["rank"]) for row in read_csv(tmp_path / f"{name}back.csv")}
    assert {(row["prompt"], row["answer"], row["rank"]) for row in rows if row["prompt"].startswith("=")} <= back
    assert not (tmp_path / "ran").exists()


def test_foreign_texts_and_names_while_ranking(tmp_path):
    name = plain(NAME)  # what is printed can be pasted
    with open(tmp_path / f"{name}.jsonl", "w", encoding="utf-8") as file:
        for i in range(2):
            file.write(json.dumps({"prompt": f"={i}{ESCAPES}", "answers": ANSWERS}) + "\n")
    (tmp_path / f"{name}.txt").write_text(ESCAPES, encoding="utf-8")
    names = [f"--data={name}.csv", f"--candidates={name}.jsonl", f"--log={name}log.jsonl", f"--guidelines={name}.txt"]
    printed = run_harmlessly(tmp_path, "generate_data.py", *names, stdin="3\n\n?\nv 1\nq\n")
    rows = read_csv(tmp_path / f"{name}.csv")
    assert {row["answer"] for row in rows} == set(ANSWERS) and {row["prompt"] for row in rows} < {
        f"={i}{ESCAPES}" for i in range(2)
    }
    command = re.search(r"^continue:  ((?:.|\n)*)\ntrain:", printed, re.M)[1].replace(
        "python ", f"{sys.executable} ", 1
    )
    if shutil.which("bash"):
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, input="q\n", capture_output=True, text=True, encoding="utf-8"
        )
        assert "done 1 · left 1" in done.stdout, done.stderr
    assert not (tmp_path / "ran").exists()


def _cells(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("script", sorted(path.name for path in ROOT.glob("*.py")))
def test_what_a_script_refuses_is_named_harmlessly(tmp_path, tiny_gpt2, script):
    refused = {
        "create_sample_data.py": [[f"--{NAME}"]],
        "convert_rankings.py": [
            [f"none/{NAME}", "b.csv"],
            ["a.csv", f"none/{NAME}"],
            ["a.csv", "b.csv", f"--score={NAME}"],
        ],
        "generate_data.py": [
            ["--prompts", f"none/{NAME}"],
            ["--generator", f"./{NAME}"],
            [f"--data=ok/{NAME}"],
            [f"--device={NAME}", "--generate-only", "--generator", tiny_gpt2],
        ],
        "reward_model_trainer.py": [
            ["--data", f"none/{NAME}"],
            ["--plot", f"none/{NAME}.txt"],
            ["--base-model", f"./{NAME}"],
            [f"--device={NAME}"],
        ],
        "review_rankings.py": [
            ["--data", f"none/{NAME}"],
            ["--output", f"ok/{NAME}"],
            ["--base-model", f"./{NAME}"],
            [f"--device={NAME}"],
        ],
        "score_answers.py": [[f"none/{NAME}"], ["a.csv", "--model", f"./{NAME}"]],
    }
    (tmp_path / "a.csv").write_text("prompt,answer,rank\np,a,1\np,b,2\nq,a,1\nq,b,2\n")
    (tmp_path / "training_data.csv").write_text("prompt,answer,rank\np,a,1\np,b,2\nq,a,1\nq,b,2\n")
    (tmp_path / "ok").write_text("a file")
    run_harmlessly(tmp_path, script, "extra", "more", NAME, status=2)
    run_harmlessly(tmp_path, script, f"--no-such-flag={NAME}", status=2)
    for arguments in refused.get(script, []):
        printed = run_harmlessly(tmp_path, script, *arguments, status=2)
        assert plain(NAME)[-20:] in printed or repr(NAME)[-20:-1] in printed, (arguments, printed)


def _foreign_files() -> dict[str, str]:
    """Broken CSVs whose header, cells, line or column names hold escapes."""
    header, row = "prompt,answer,rank\n", "p,a,1\n"
    return {
        "a column": f"prompt,answer,{ESCAPES}\n",
        "two columns": f"prompt,answer,rank,{ESCAPES}\np\n",
        "semicolons": f"prompt;answer;rank;{ESCAPES}\n",
        "cells": f"{header}{ESCAPES},a,1,{ESCAPES}\n",
        "quotes": f'{header}p,"{ESCAPES}" b,1\n',
        "not UTF-8": f"{header}p,{ESCAPES}\udce9,1\n",
        "NUL": f"{header}p,{ESCAPES}\0,1\n",
        "a rank": f"{header}p,a,{ESCAPES}\n",
        "contradictions": f"group,{header}{ESCAPES},{ESCAPES},{ESCAPES},1\n{ESCAPES},{ESCAPES},{ESCAPES},2\n",
        "ties": f"{header}{row}{row.replace('a', ESCAPES)}",
    }


@pytest.mark.parametrize("script", ["reward_model_trainer.py", "review_rankings.py", "score_answers.py"])
def test_what_is_wrong_in_a_file_is_quoted_harmlessly(tmp_path, script):
    for text in _foreign_files().values():
        (tmp_path / "data.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
        arguments = ["data.csv", "--model", "none"] if script == "score_answers.py" else ["--data", "data.csv"]
        run_harmlessly(tmp_path, script, *arguments, status=2)


@pytest.mark.parametrize(
    "line",
    [
        f'{{"{ESCAPES}',
        f'["{ESCAPES}"]',
        f'{{"prompt": "p", "answers": "{ESCAPES}"}}',
        f'{{"prompt": 1, "answers": "{ESCAPES}"}}',
    ],
)
def test_what_is_wrong_in_candidates_is_quoted_harmlessly(tmp_path, line):
    (tmp_path / "c.jsonl").write_text(line.replace("\\", "") + "\n{}\n", encoding="utf-8")
    run_harmlessly(tmp_path, "generate_data.py", "--candidates", "c.jsonl", status=2)


def test_scores_printed_to_a_terminal_are_harmless(tmp_path, tiny_reward_model):
    (tmp_path / "a.csv").write_text(foreign_csv("test"), encoding="utf-8", newline="")
    command = [str(ROOT / "score_answers.py"), "--model", str(tiny_reward_model), "a.csv"]
    child = pexpect.spawn(
        sys.executable, command, cwd=tmp_path, encoding="utf-8", timeout=60, env=os.environ | {"TERM": "dumb"}
    )
    child.expect(pexpect.EOF)
    printed = child.before[child.before.index("prompt,answer") :].replace("\r\n", "\n")  # a progress bar may come first
    assert "\\u202e" in printed and plain(printed) == printed


def test_offline_no_script_calls_anybody(watched):
    assert watched["calls"] == []


def test_no_script_unpickles_anything(watched):
    assert watched["unpickled"] == []


def test_a_call_or_a_pickle_would_be_seen(tmp_path):
    (tmp_path / "calls.py").write_text(
        "import pickle, socket\n"
        "def main(arguments):\n"
        "    pickle.loads(pickle.dumps(socket.socket))\n"
        "    try: socket.create_connection(('hub', 443))\n"
        "    except OSError: return 0\n"
    )
    program = (
        f"import sys; sys.path[:0] = ['.', {str(ROOT / 'tests')!r}]; import watch; "
        "watch.main('report.json', '[[\"calls\"]]')"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    report = json.loads((tmp_path / "report.json").read_text())
    assert "'hub', 443" in report["calls"][0] and report["unpickled"]


def test_online_only_the_hub_is_called(tmp_path):
    """Looking for a model that is nowhere on this disk; the watched process has no network."""
    program = (
        f"import sys; sys.path[:0] = ['.', {str(ROOT)!r}, {str(ROOT / 'tests')!r}]; import watch; "
        "watch.main('report.json', '[[\"finds\"]]')"
    )
    (tmp_path / "finds.py").write_text(
        "from preference.model.base_models import find_base_model\n"
        "def main(arguments):\n    try: find_base_model('someone/model')\n    except ValueError as error: "
        "return str(error)\n"
    )
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("HF_") and "proxy" not in name.lower()
    }
    subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=kept | {"HF_HOME": str(tmp_path)}, check=True, timeout=60
    )
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["calls"] and all("huggingface.co" in call for call in report["calls"])


def test_a_reward_model_in_a_pickle_is_read_only_if_it_holds_nothing_but_weights(
    tmp_path, tiny_reward_model, sample_folder
):
    folder = shutil.copytree(tiny_reward_model, tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    arguments = ["score_answers.py", sample_folder / "test_data.csv", "--model", folder, "--output"]
    run_script(*arguments, "scored.csv", cwd=tmp_path)
    torch.save(weights | {"code": _Runs(tmp_path / "ran")}, folder / "pytorch_model.bin")
    printed = run_harmlessly(tmp_path, *arguments, "other.csv", status=2)
    assert printed.startswith(f"error: {folder}: ") and printed.count("\n") == 1
    assert not (tmp_path / "ran").exists() and not (tmp_path / "other.csv").exists()


class _Runs:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)
