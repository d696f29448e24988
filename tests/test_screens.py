"""The whole output of every script (but the ranker's) on the screen of a real pseudo-terminal, of several widths."""

import csv
import json
import re
import sys

import pexpect
import pyte
import pytest
from conftest import ROOT

pytestmark = pytest.mark.faults
WIDE, WIDTHS = 120, (80, 60)
SCRIPTS = [
    "create_sample_data",
    "run_demo",
    "reward_model_trainer",
    "review_rankings",
    "score_answers",
    "convert_rankings",
]
LONG = (
    "Seven is a number without divisors but itself and one, as are two, three, five, eleven, "
    "thirteen and infinitely many others"
)
BY_HAND = ["--prompt", "Name a prime number", "--answer", LONG, "--answer", "Bananas"]
QUICK, STEPS = ["--max-length", "48", "--precision", "fp32"], ["--max-steps", "3", "--no-plot"]
RUNS = {  # what is typed one after the other, in one folder
    **{f"{script} --help": [script, "--help"] for script in SCRIPTS},
    "sample refused": ["create_sample_data"],
    "sample": ["create_sample_data", "--force"],
    "demo": ["run_demo"],
    "layers": [
        "reward_model_trainer",
        "--data",
        "rated.csv",
        "--output-dir",
        "layers",
        "--freeze-layers",
        "0",
        *QUICK,
        *STEPS,
    ],
    "trainer": [
        "reward_model_trainer",
        "--data",
        "rated.csv",
        "--output-dir",
        "own",
        *QUICK,
        *STEPS,
        "--learning-rate",
        "1e-2",
    ],
    "trainer again": ["reward_model_trainer", "--validation-fraction", "0.3", *QUICK, *STEPS],
    "review": ["review_rankings", "--data", "rated.csv", "--learning-curve", *QUICK],
    "score a file": ["score_answers", "rated.csv", "--output", "scored.csv"],
    "score by hand": ["score_answers", *BY_HAND],
    "convert": ["convert_rankings", "rated.csv", "pairs.jsonl", "--to", "trl-conversational"],
    "convert refused": ["convert_rankings", "rated.csv", "pairs.jsonl", "--to", "trl-conversational"],
}
PROGRAM = """
import importlib, json, os, sys, termios
from preference.scripts import call
for columns, folder in json.loads(sys.argv[1]):
    os.chdir(folder)
    os.environ["XDG_CACHE_HOME"] = folder  # no answer's state is known from the runs before
    termios.tcsetwinsize(1, (24, columns))
    for name, (script, *arguments) in json.loads(sys.argv[2]).items():
        print(f"\\n<<<{columns} {name}>>>", flush=True)
        try:
            call(importlib.import_module(script).main, arguments)
        except SystemExit:
            pass
"""
COMMAND = re.compile(r"python \S+\.py .*|rm -r ")  # to be copied: never broken by us
OF_THE_MACHINE = re.compile(r"[\d.]+\s+(s\b|min\b|ranked\s+answers/s)")


@pytest.fixture(scope="module")
def screens(tmp_path_factory, tiny_hub) -> dict[str, list[str]]:
    """`80 review` -> the lines that stand on a screen of 80 columns, were it wide enough for any line."""
    rows = [["prompt", "answer", "rank", "group"]]
    for i in range(5):
        prompt = f"Prompt {i}: what does a person see who has a terminal of few columns and many words to read in it?"
        for j in range(4):
            answer = f"Answer {j} 表示された文字は幅が広い of {'many ' * 6 * (i + j)}words"
            rows += [[prompt, answer, 1 + (i + j) % 4, "ann"], [prompt, answer, 1 + (i + 2 * j) % 4, "bob"]]
    folders = []
    for columns in (WIDE, *WIDTHS):
        folder = tmp_path_factory.mktemp("screen")
        with open(folder / "rated.csv", "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
        (folder / "training_data.csv").write_text("prompt,answer,rank\n")
        folders.append([columns, str(folder)])
    environment = tiny_hub | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}
    for size in ("COLUMNS", "LINES"):
        environment.pop(size, None)
    child = pexpect.spawn(
        sys.executable, ["-c", PROGRAM, json.dumps(folders), json.dumps(RUNS)],
        cwd=ROOT, env=environment, dimensions=(24, WIDE), encoding="utf-8", timeout=300,
    )  # fmt: skip
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0, child.before
    found = {}
    for name, printed in re.findall(r"<<<(.*?)>>>(.*?)(?=<<<|\Z)", child.before, re.S):
        screen = pyte.Screen(500, 500)
        pyte.Stream(screen).feed(printed)
        found[name] = [line.rstrip() for line in screen.display]
    return found


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("columns", WIDTHS)
def test_it_fits_the_screen_with_every_number_and_no_torn_word(screens, columns, name):
    lines, wide = screens[f"{columns} {name}"], screens[f"{WIDE} {name}"]
    text, reference = "\n".join(lines), "\n".join(wide)
    assert text.strip() and "Traceback" not in text
    assert [line for line in lines if len(line) > columns and not COMMAND.search(line)] == []
    words, known = ({word for word in of.split() if not re.search(r"\d|[^ -~]", word)} for of in (text, reference))
    assert words <= known
    numbers, expected = (re.findall(r"(?<![\w.])[-+]?\d+\.\d+", OF_THE_MACHINE.sub("", of)) for of in (text, reference))
    assert sorted(numbers) == sorted(expected)
