import re
import shlex
import signal
import subprocess
import sys
import time

import pytest
from conftest import run_script
from pseudo_terminal import PROMPTS, SCRIPT, Terminal, prompts_and_answers, ranks_of, write_candidates

folder = pytest.fixture(prompts_and_answers)


@pytest.mark.parametrize(
    "key, ignored",
    [("\x03", False), ("\x03", True), ("\x04", False)],
    ids=["Ctrl-C", "Ctrl-C-ignored-at-the-start", "Ctrl-D"],
)
def test_ctrl_c_and_ctrl_d_save_and_quit(folder, key, ignored):
    terminal = Terminal(folder, ignore_interrupts=ignored)
    terminal.rank("1 2 3 4")
    terminal.wait_for("Prompt number 1")
    terminal.wait_for("> ")
    terminal.child.send(key)
    rest = terminal.summary()
    assert terminal.child.exitstatus == (130 if key == "\x03" else 0) and "Traceback" not in rest
    assert "1 done, 5 left" in rest and f"continue: python {SCRIPT} --candidates c.jsonl --no-model train:" in rest
    assert list(ranks_of(folder)) == PROMPTS[:1]


@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["Ctrl-C", "Ctrl-D"])
def test_ctrl_c_ends_without_the_statistics(folder, key):
    write_candidates(folder, [f"Prompt {i}" for i in range(12)])
    arguments = ["--candidates", "c.jsonl", "--recheck", "1"]
    run_script("generate_data.py", *arguments, cwd=folder, stdin="1 2 3 4\n\n" * 10)
    terminal = Terminal(folder, "--recheck", "1")
    terminal.wait_for("\n> ")
    terminal.child.send(key)
    rest = terminal.summary()
    assert "10 done" in rest and ("shown twice: " in rest) == (key == "\x04")


@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["Ctrl-C", "Ctrl-D"])
@pytest.mark.parametrize(
    "typed, question", [("1 2 3 4", "or n to cancel: "), ("x", "or n to keep it: "), ("w", "empty cancels): ")]
)
def test_ctrl_c_at_every_question_saves_nothing_and_quits(folder, typed, question, key):
    terminal = Terminal(folder)
    terminal.wait_for("\n> ")
    terminal.type(typed)
    terminal.wait_for(question)
    pressed = time.monotonic()
    terminal.child.send(key)
    rest = terminal.summary()
    assert time.monotonic() - pressed < 2
    assert terminal.child.exitstatus == (130 if key == "\x03" else 0) and "0 done, 6 left continue:" in rest
    assert not (folder / "training_data.csv").exists() and "discarded" not in (folder / "ranking_log.jsonl").read_text()


@pytest.mark.parametrize(
    "module",
    [
        "preference.model.generator",
        *(pytest.param(module, marks=pytest.mark.faults) for module in ("torch._C", "transformers.utils")),
    ],
)
def test_ctrl_c_while_a_model_is_loaded_says_how_to_continue(folder, tiny_distilbert, module):
    (folder / "p.txt").write_text("a prompt")
    status, printed, rest = interrupt_after(module, folder, "--prompts", "p.txt", "--generator", str(tiny_distilbert))
    assert status == 130 and "Traceback" not in printed
    assert (
        rest[:2] == ["", "stopped; what was done so far is saved"]
        and rest[2].startswith("continue:  python ")
        and len(rest) == 3
    )
    assert shlex.split(rest[2])[3:] == ["--prompts", "p.txt", "--generator", str(tiny_distilbert)]
    assert not list(folder.glob("*.lock"))


def interrupt_after(module: str, folder, *arguments) -> tuple[int, str, list[str]]:
    """Press Ctrl-C when the script has imported `module`. Return its exit status, what it printed, and its lines on
    standard error."""
    command = [sys.executable, "-X", "importtime", SCRIPT, *arguments]
    child = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True,
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))  # fmt: skip
    for line in child.stderr:  # each module as soon as it is imported
        if line.split("|")[-1].strip() == module:
            break
    child.send_signal(signal.SIGINT)
    pressed = time.monotonic()
    printed, rest = child.communicate()
    assert time.monotonic() - pressed < 2
    # Another thread goes on importing meanwhile, so these lines may end one that is being printed.
    return child.returncode, printed, re.sub(r"import time:[^\n]*\n?", "", rest).splitlines()


def full_disk(folder, small_files_only, arguments, typed: str) -> str:
    """What is printed when no file can grow any more; the CSV and the log stay as they are."""
    data = folder / "training_data.csv"
    before, log = data.read_bytes(), (folder / "ranking_log.jsonl").read_bytes()
    with small_files_only(1):
        done = run_script("generate_data.py", *arguments, cwd=folder, stdin=typed)
    assert (
        data.read_bytes() == before
        and (folder / "ranking_log.jsonl").read_bytes() == log
        and "Traceback" not in done.stdout + done.stderr
    )
    return done.stdout


def test_a_full_disk_gets_a_plain_line_for_each_key(folder, small_files_only):
    candidates = ["--candidates", "c.jsonl"]
    run_script("generate_data.py", *candidates, cwd=folder, stdin="2 1 4 3\n\n")
    too_large = "ranking_log.jsonl: File too large"
    for typed, message in (("4 3 2 1\n\n", "not saved: training_data.csv: File too large"),
                           ("x\n\n", f"nothing was changed: {too_large}"),
                           ("w\nmy own\n", f"nothing was changed: {too_large}"), ("e 1\n", "nothing was changed: "),
                           ("u\n", "not undone: training_data.csv: cannot be written: File too large")):  # fmt: skip
        printed = full_disk(folder, small_files_only, candidates, typed + "q\n")
        assert message in printed.replace("\n", " ") and "1 done, 5 left" in printed, typed
    done = run_script("generate_data.py", *candidates, cwd=folder, stdin="4 3 2 1\n\nq\n")  # there is room again
    assert "2 done, 4 left" in done.stdout and list(ranks_of(folder)) == PROMPTS[:2]


@pytest.mark.faults
def test_a_full_disk_while_ranking_again(folder, small_files_only):
    run_script("generate_data.py", "--candidates", "c.jsonl", cwd=folder, stdin="2 1 4 3\n\n" * 2)
    rows = (folder / "training_data.csv").read_text().splitlines()
    reviewed = [f"{row},0,{5 - int(row[-1])},1" for row in rows[1:]]
    (folder / "review.csv").write_text("\n".join([rows[0] + ",reward,predicted_rank,dispute", *reviewed]))
    again = ["--again", "review.csv"]
    too_large = "ranking_log.jsonl: File too large"
    for typed, message in (("4 3 2 1\n\n", "not saved: training_data.csv: cannot be written: File too large"),
                           ("x\n\n", f"nothing was changed: {too_large}")):  # fmt: skip
        assert message in full_disk(folder, small_files_only, again, typed + "q\n"), typed
    with small_files_only((folder / "training_data.csv").stat().st_size - 1):  # the log has room, the new CSV has not
        (folder / "ranking_log.jsonl").unlink()
        before = (folder / "training_data.csv").read_bytes()
        done = run_script("generate_data.py", *again, cwd=folder, stdin="4 3 2 1\n\nq\n")
    assert "not saved: " in done.stdout and "File too large" in done.stdout and "0 done, 2 left" in done.stdout
    run_script("generate_data.py", *again, cwd=folder, stdin="q\n")
    assert (folder / "training_data.csv").read_bytes() == before and not list(folder.glob(".*.tmp"))


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
    assert done.stderr == (
        "error: training_data.csv: another ranker is working on this file; finish that one first, "
        "or choose another --data\n"
    )
    first.type("q")
    first.rest()
