import signal
import subprocess
import sys

import pytest
from conftest import run_script
from pseudo_terminal import PROMPTS, SCRIPT, Terminal, prompts_and_answers, ranks_of

from preference.ranking.store import RankingStore

folder = pytest.fixture(prompts_and_answers)


@pytest.mark.parametrize("key, ignored", [("\x03", False), ("\x03", True), ("\x04", False)], ids=["Ctrl-C", "Ctrl-C-ignored-at-the-start", "Ctrl-D"])
def test_ctrl_c_and_ctrl_d_save_and_quit(folder, key, ignored):
    terminal = Terminal(folder, ignore_interrupts=ignored)
    terminal.rank("1 2 3 4")
    terminal.wait_for("Prompt number 1")
    terminal.wait_for("> ")
    terminal.child.send(key)
    rest = terminal.summary()
    assert terminal.child.exitstatus == (130 if key == "\x03" else 0) and "Traceback" not in rest
    assert "1 done, 5 left" in rest and f"continue: python {SCRIPT} --candidates c.jsonl train:" in rest
    assert list(ranks_of(folder)) == PROMPTS[:1]


@pytest.mark.parametrize(
    "module, arguments",
    [
        ("argparse", ["--candidates", "c.jsonl"]),
        ("preference.errors", ["--candidates", "c.jsonl"]),
        ("preference.arguments", ["--help"]),
        ("torch._C", ["--prompts", "p.txt", "--generator", "GENERATOR"]),
        ("transformers.utils", ["--prompts", "p.txt", "--generator", "GENERATOR"]),
    ],
)
def test_ctrl_c_during_the_imports_ends_silently(folder, tiny_distilbert, module, arguments):
    (folder / "p.txt").write_text("a prompt")
    command = [sys.executable, "-X", "importtime", SCRIPT, *[str(tiny_distilbert) if word == "GENERATOR" else word for word in arguments]]
    child = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))  # fmt: skip
    for line in child.stderr:  # each module as soon as it is imported
        if line.split("|")[-1].strip() == module:
            break
    child.send_signal(signal.SIGINT)
    printed, rest = child.communicate()
    assert child.returncode == -signal.SIGINT  # which a shell calls 130
    RankingStore(folder / "training_data.csv", folder / "ranking_log.jsonl").close()  # takes over a lock that was left behind
    assert not (folder / "training_data.csv.lock").exists()
    assert not [line for line in rest.splitlines() if not line.startswith("import time:")]
    assert "Traceback" not in printed


def test_a_csv_that_is_broken_by_hand_meanwhile_stops_nothing(folder):
    data = folder / "training_data.csv"
    terminal = Terminal(folder)
    terminal.rank("1 2 3 4")
    terminal.wait_for("Prompt number 1")
    whole = data.read_text()
    data.write_text(whole + "half a row\n")
    terminal.rank("4 3 2 1")
    terminal.wait_for("not saved: training_data.csv:6: 1 cell where the header has 3")
    terminal.wait_for("\n> ")
    terminal.type("u")
    terminal.wait_for("not undone: training_data.csv:6: 1 cell where the header has 3")
    assert data.read_text() == whole + "half a row\n"
    data.write_text(whole + "by hand,a,1\n")
    terminal.rank("4 3 2 1")
    terminal.wait_for("saved")
    terminal.wait_for("Prompt number 2")
    terminal.type("q")
    terminal.rest()
    assert list(ranks_of(folder)) == [PROMPTS[0], "by hand", PROMPTS[1]]


def test_a_second_ranker_is_refused(folder):
    first = Terminal(folder)
    first.wait_for("\n> ")
    done = run_script("generate_data.py", "--candidates", "c.jsonl", cwd=folder, status=2, stdin="")
    assert done.stderr == ("error: training_data.csv: another ranker is working on this file; finish that one first, or choose another --data\n")
    first.type("q")
    first.rest()
