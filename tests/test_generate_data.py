import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, read_csv, run_script
from pseudo_terminal import PROMPTS, SCRIPT, Terminal, ranks_of, shown_answers, write_candidates

import generate_data
from preference.ranking.commands import COMMANDS, help_text
from preference.ranking.store import RankingStore


@pytest.fixture
def folder(tmp_path):
    write_candidates(tmp_path, PROMPTS)
    return tmp_path


def test_a_whole_session(folder):
    terminal = Terminal(folder)
    terminal.rank("2 1 4 3")
    terminal.rank("2143")
    terminal.rank("2 1=4 3")
    terminal.rank("3")
    terminal.rank("1 2 3 4")
    terminal.rank("4321")
    terminal.wait_for("All done. Press Enter to finish, or u to undo the last ranking: ")
    terminal.type("u")
    terminal.rank("4321")
    terminal.wait_for("All done. Press Enter to finish, or u to undo the last ranking: ")
    terminal.type("")
    rest = terminal.summary()
    assert terminal.child.exitstatus == 0
    assert "6 rankings in" in rest and "6 done, 0 left" in rest
    assert f"train: python {ROOT / 'reward_model_trainer.py'}" in rest
    ranks = ranks_of(folder)
    assert list(ranks) == PROMPTS
    for prompt, expected in zip(PROMPTS, ([2, 1, 4, 3], [2, 1, 4, 3], [2, 1, 3, 2], [2, 2, 1, 2], [1, 2, 3, 4], [4, 3, 2, 1]), strict=True):
        assert [ranks[prompt][answer] for answer in shown_answers(folder, prompt)] == expected
    assert not (folder / "training_data.csv.lock").exists()


def test_a_wrong_line_says_what_is_wrong_and_asks_again(folder):
    terminal = Terminal(folder, columns=120)
    for line, message in (
        ("best", "'best' is not a ranking: write the numbers best first, like 2 3 4 1, or ? for help"),
        ("2 1 4 5", "no answer 5; answers are numbered 1 to 4"),
        ("2 2 1 3", "answer 2 is listed twice; name every answer once"),
        ("1 2 3", "answer 4 is missing; name every answer, or only the best"),
        ("e 9", "e needs the number of an answer, 1 to 4, like e 2"),
    ):
        terminal.wait_for("> ")
        terminal.type(line)
        terminal.wait_for(message)
    terminal.wait_for("> ")
    terminal.type("2 1 4 3")
    terminal.wait_for("or n to cancel: ")
    terminal.type("n")
    terminal.wait_for("> ")
    assert not (folder / "training_data.csv").exists()
    terminal.type("2 1 4 3")
    terminal.wait_for("or n to cancel: ")
    terminal.type("4 3 2 1")  # a new ranking instead of Enter
    terminal.wait_for("or n to cancel: ")
    terminal.type("")
    terminal.wait_for("Prompt number 1")
    assert [ranks_of(folder)[PROMPTS[0]][answer] for answer in shown_answers(folder, PROMPTS[0])] == [4, 3, 2, 1]
    terminal.type("q")
    terminal.rest()


def test_the_first_hint_ranks_as_many_answers_as_there_are(folder):
    for answers, hint in (("abc", "Type the numbers best first, like 2 3 1, or ? for help."), ("ab", "Type the numbers best first, like 2 1, or ?"),
                          ("a", "A ranking needs two answers: write one with w, sample new ones with r, or discard the prompt with x.")):  # fmt: skip
        write_candidates(folder, PROMPTS, answers)
        done = run_script("generate_data.py", "--candidates", "c.jsonl", cwd=folder, stdin="q\n")
        assert hint in " ".join(done.stdout.split())


def test_one_answer_cannot_be_ranked_until_another_is_written(folder):
    write_candidates(folder, PROMPTS[:1], ["a"])
    done = run_script("generate_data.py", "--candidates", "c.jsonl", cwd=folder, stdin="1\nw\nb\n2 1\n\n")
    assert "\n> A ranking needs two answers:" in done.stdout and "1 done, 0 left" in done.stdout
    assert ranks_of(folder) == {PROMPTS[0]: {"b": 1, "a": 2}}


def confirming(folder, typed: str) -> str:
    """What is printed when `typed` follows a ranking, at the question whether to save it."""
    done = run_script("generate_data.py", "--candidates", "c.jsonl", cwd=folder, stdin=f"2 1 4 3\n{typed}")
    assert "is not a ranking" not in done.stdout
    return done.stdout


def test_keys_that_show_something_leave_the_ranking_to_be_saved(folder):
    for typed, shown in (("?", "Longer is not better"), ("v 2", "╭─  2  ─"), ("v", "Prompt number"), ("v 9", "v needs the number of an answer")):
        printed = confirming(folder, f"{typed}\n\nq\n").partition("or n to cancel: ")[2]
        assert shown in printed and printed.count("or n to cancel: ") == 1 and "saved\n" in printed
    assert list(ranks_of(folder)) == PROMPTS[:4]


def test_keys_that_do_something_drop_the_ranking_that_was_not_saved(folder):
    assert "0 done, 6 left" in confirming(folder, "q\n")
    assert "0 done, 6 left (1 skipped" in confirming(folder, "s\nq\n")
    assert "╭─  5  ─" in confirming(folder, "w\nmy own answer\nq\n")
    assert "there is no ranking to undo" in confirming(folder, "u\nq\n")
    assert "0 done, 5 left" in confirming(folder, "x\n\nq\n")
    assert not (folder / "training_data.csv").exists()


def test_help_shows_the_keys_and_the_guidelines_or_ones_own(folder):
    terminal = Terminal(folder)
    terminal.wait_for("> ")
    terminal.type("?")
    terminal.wait_for("Longer is not better")
    for line in help_text().splitlines():
        terminal.wait_for(line)
    terminal.wait_for("> ")
    terminal.type("q")
    terminal.rest()
    (folder / "own.txt").write_text("Be \x1b[31mstrict.\n")
    terminal = Terminal(folder, "--guidelines", "own.txt")
    terminal.wait_for("> ")
    terminal.type("?")
    assert "\x1b[31mstrict" not in terminal.wait_for("Be ␛[31mstrict.")
    terminal.type("q")
    terminal.rest()


def test_every_command_has_its_line_of_help():
    keys = [line.split()[0] for line in help_text().splitlines()[4:]]
    assert keys == list(COMMANDS) and all(command.help and command.run.__doc__ for command in COMMANDS.values())


def test_undo_across_restarts_skip_and_discard(folder):
    terminal = Terminal(folder)
    terminal.rank("1 2 3 4")
    terminal.rank("1 2 3 4")
    terminal.wait_for("> ")
    terminal.type("s")
    terminal.wait_for("Prompt number 3")
    terminal.wait_for("> ")
    terminal.type("x")
    terminal.wait_for("Press Enter to discard this prompt for good, or n to keep it: ")
    terminal.type("")
    terminal.wait_for("Prompt number 4")
    terminal.wait_for("> ")
    terminal.type("q")
    assert "2 done, 3 left (1 skipped, to be shown again at the next start)" in terminal.summary()
    assert list(ranks_of(folder)) == PROMPTS[:2]

    terminal = Terminal(folder)
    terminal.wait_for("Prompt number 2")  # the skipped one
    for prompt in reversed(PROMPTS[:2]):
        terminal.wait_for("> ")
        terminal.type("u")
        terminal.wait_for(prompt)
        terminal.wait_for("undid the last ranking; here it is again")
    assert ranks_of(folder) == {}
    terminal.rank("4 3 2 1")
    terminal.wait_for("Prompt number 1")
    terminal.type("q")
    terminal.rest()
    assert list(ranks_of(folder)) == PROMPTS[:1]
    events = [json.loads(line)["event"] for line in (folder / "ranking_log.jsonl").read_text().splitlines()]
    assert events.count("discarded") == 1 and events.count("undone") == 2


def test_editing_and_writing_answers(folder):
    editor = folder / "editor.py"
    editor.write_text("import sys; open(sys.argv[1], 'w').write('edited text\\n')")
    terminal = Terminal(folder, EDITOR=f"{sys.executable} {editor}")
    terminal.wait_for("\n> ")
    before = shown_answers(folder, PROMPTS[0])
    terminal.type("e 2")
    terminal.wait_for("edited text")
    terminal.wait_for("> ")
    terminal.type("w")
    terminal.wait_for("Your answer (empty to cancel): ")
    terminal.type("my own answer")
    terminal.rank("5 2 1 3 4")
    assert "╭─  5  ─" in terminal.shown()
    terminal.wait_for("Prompt number 1")
    terminal.type("q")
    terminal.rest()
    assert ranks_of(folder)[PROMPTS[0]] == {"my own answer": 1, "edited text": 2, before[0]: 3, before[2]: 4, before[3]: 5}


@pytest.mark.parametrize("text, what", [("a\0b", "a NUL character"), ("a\udc80", "half of a surrogate pair")])
def test_an_answer_that_no_csv_can_hold_is_not_taken(folder, monkeypatch, text, what):
    refused = f"the answer has {what}, which cannot be saved; nothing was changed"
    done = run_script("generate_data.py", "--candidates", "c.jsonl", cwd=folder, stdin=f"w\n{text}\n2 1 4 3\n\n")
    assert refused in " ".join(done.stdout.split()) and "1 done, 5 left" in done.stdout
    editor = folder / "editor.py"
    editor.write_text(f"import sys; open(sys.argv[1], 'wb').write({text.encode('utf-8', 'replace')!r})")
    monkeypatch.setenv("VISUAL", f"{sys.executable} {editor}")
    done = run_script("generate_data.py", "--candidates", "c.jsonl", cwd=folder, stdin="e 2\n2 1 4 3\n\n")
    assert (refused in " ".join(done.stdout.split())) == ("\0" in text) and "2 done, 4 left" in done.stdout


def test_an_answer_that_is_there_already_is_not_taken_twice(folder, monkeypatch):
    editor = folder / "editor.py"
    editor.write_text("import sys; other = 'beta' if 'alpha' in open(sys.argv[1]).read() else 'Alpha'; open(sys.argv[1], 'w').write(other)")
    monkeypatch.setenv("VISUAL", f"{sys.executable} {editor}")
    done = run_script("generate_data.py", "--candidates", "c.jsonl", cwd=folder, stdin="w\n ALPHA \ne 1\nq\n")
    assert "that answer already exists; nothing was changed" in done.stdout
    assert "this duplicates another answer; nothing was changed" in done.stdout


@pytest.mark.parametrize("key, ignored", [("\x03", False), ("\x03", True), ("\x04", False)], ids=["Ctrl-C", "Ctrl-C-ignored-at-the-start", "Ctrl-D"])
def test_ctrl_c_and_ctrl_d_save_and_quit(folder, key, ignored):
    terminal = Terminal(folder, ignore_interrupts=ignored)
    terminal.rank("1 2 3 4")
    terminal.wait_for("Prompt number 1")
    terminal.wait_for("> ")
    terminal.child.send(key)
    rest = terminal.summary()
    assert terminal.child.exitstatus == 0 and "Traceback" not in rest
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


def test_a_pipe_works_line_by_line_with_the_same_messages(folder):
    done = run_script("generate_data.py", "--candidates", "c.jsonl", cwd=folder, stdin="2 1 4 9\n2 1 4 3\n\ns\n?\n1=2 3 4\n\n")
    assert "no answer 9; answers are numbered 1 to 4" in done.stdout
    assert "Longer is not better" in done.stdout
    assert "\x1b" not in done.stdout and "2 done, 4 left (1 skipped" in done.stdout
    assert list(ranks_of(folder)) == [PROMPTS[0], PROMPTS[2]]


def test_fifty_kills_lose_no_confirmed_ranking(folder):
    """Killed at any moment; where the disk has not got all of the rows yet, or an editor leaves a last row without its line end."""
    prompts = [f"Prompt {i}" for i in range(3000)]
    write_candidates(folder, prompts, ["alpha", "beta", "gamma\nof two lines"])
    data, log = folder / "training_data.csv", folder / "ranking_log.jsonl"
    random_numbers = random.Random(0)
    kept = 0
    for trial in range(50):
        terminal = Terminal(folder)
        terminal.wait_for("\n> ")
        terminal.child.send("1 2 3\r\r" * 40)
        time.sleep(random_numbers.uniform(0, 0.25))
        os.kill(terminal.child.pid, signal.SIGKILL)
        confirmed = terminal.rest().count("saved\r\n")
        ranks = ranks_of(folder) if data.exists() else {}
        assert list(ranks) == prompts[: len(ranks)]
        assert all(sorted(of_prompt.values()) == [1, 2, 3] for of_prompt in ranks.values())
        assert kept + confirmed <= len(ranks)
        last = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")][-1]
        if last["event"] == "ranked" and last["csv_size"]:  # as if the power had failed before the rows were on the disk
            os.truncate(data, random_numbers.randint(last["csv_size"], data.stat().st_size))
        RankingStore(data, log)._lock.close()
        ranks = ranks_of(folder) if data.exists() else {}
        assert list(ranks) == prompts[: len(ranks)]
        assert all(sorted(of_prompt.values()) == [1, 2, 3] for of_prompt in ranks.values())
        assert kept + confirmed <= len(ranks) <= kept + confirmed + 1  # killed between the disk and the screen
        kept = len(ranks)
        if trial % 3 == 0 and data.exists():
            data.write_bytes(data.read_bytes().rstrip(b"\n"))
    assert kept > 50


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


def test_recheck_reports_agreement(folder):
    write_candidates(folder, [f"Prompt {i}" for i in range(12)])
    terminal = Terminal(folder, "--recheck", "0.25")
    for _ in range(15):
        terminal.rank("1 2 3 4")
    terminal.wait_for("All done. Press Enter to finish, or u to undo the last ranking: ")
    terminal.type("")
    rest = terminal.summary()
    assert "15 rankings in" in rest
    assert "shown twice: 3; ranked identically: " in rest and "Kendall tau" in rest
    assert "the answer shown first was ranked best in 100% of 12 rankings (25% by chance); position mattered (tau +1.00" in rest
    assert len(read_csv(folder / "training_data.csv")) == 48


def told(output: str, word: str) -> list[str]:
    """The arguments of the command that a line like `continue:  python generate_data.py --data x.csv` tells to type."""
    [line] = [line for line in output.splitlines() if line.startswith(f"{word}:")]
    python, script, *arguments = shlex.split(line.removeprefix(f"{word}:"))
    assert python == "python" and Path(script).parent == ROOT and Path(script).exists()
    return [Path(script).name, *arguments]


def test_the_command_to_continue_goes_on_with_the_same_prompts_and_files(folder):
    write_candidates(folder, [f"Other prompt {i}" for i in range(3)] + PROMPTS)
    (folder / "my prompts (few).txt").write_text("\n".join(PROMPTS[:4]))
    (folder / "-own.txt").write_text("Be strict.")
    flags = ["--prompts", "my prompts (few).txt", "--candidates", "c.jsonl", "--data", "it's mine.csv", "--log", "my log.jsonl",
             "--guidelines=-own.txt", "--seed", "-7", "--recheck", "0.25", "--num-candidates", "5", "--temperature", "0.5",
             "--top-p", "0.8", "--max-new-tokens", "9", "--generator", "some/model", "--device", "cuda"]  # fmt: skip
    done = run_script("generate_data.py", *flags, cwd=folder, stdin="1 2 3 4\n\n1 2 3 4\n\n")
    again = told(done.stdout, "continue")
    assert vars(generate_data.build_parser().parse_args(again[1:])) == vars(generate_data.build_parser().parse_args(flags))
    done = run_script(*again, cwd=folder, stdin="?\n" + "1 2 3 4\n\n" * 3)
    assert "Be strict." in done.stdout and "3 rankings in" in done.stdout and "5 done, 0 left" in done.stdout
    assert list(ranks_of(folder, "it's mine.csv")) == PROMPTS[:4] and (folder / "my log.jsonl").exists()
    assert told(done.stdout, "train") == ["reward_model_trainer.py", "--data", "it's mine.csv"]
    assert "continue:" not in done.stdout


def test_defaults_are_not_in_the_command_to_continue(folder):
    done = run_script("generate_data.py", "--candidates", "c.jsonl", "--seed", 42, cwd=folder, stdin="1 2 3 4\n\n")
    assert told(done.stdout, "continue") == ["generate_data.py", "--candidates", "c.jsonl"]
    assert told(done.stdout, "train") == ["reward_model_trainer.py"]


def test_when_all_is_ranked_it_says_what_to_do(folder):
    run_script("create_sample_data.py", cwd=folder)
    done = run_script("generate_data.py", cwd=folder, stdin="")
    assert done.stdout == (
        "All prompts are ranked in training_data.csv or were discarded. Use --prompts FILE for other prompts, or --data FILE for another CSV.\n"
    )
    assert not (folder / "candidates.jsonl").exists()


def test_the_last_ranking_of_all_can_be_undone_at_a_later_start(folder):
    write_candidates(folder, PROMPTS[:1])
    run_script("generate_data.py", "--candidates", "c.jsonl", cwd=folder, stdin="1 2 3 4\n\n")
    terminal = Terminal(folder)
    terminal.wait_for("All prompts are ranked in training_data.csv or were discarded.")
    terminal.wait_for("All done. Press Enter to finish, or u to undo the last ranking: ")
    terminal.type("u")
    terminal.rank("4 3 2 1")
    terminal.wait_for("All done.")
    terminal.type("")
    terminal.rest()
    assert [ranks_of(folder)[PROMPTS[0]][answer] for answer in shown_answers(folder, PROMPTS[0])] == [4, 3, 2, 1]


def test_wrong_files_get_one_plain_message(folder):
    for arguments, message in (
        (["--candidates", "none.jsonl"], "error: none.jsonl: no such file; to sample candidates into it, also give --prompts\n"),
        (["--prompts", "none.txt"], "error: none.txt: no such file; check the name\n"),
        (["--candidates", "c.jsonl", "--guidelines", "none.txt"], "error: none.txt: no such file; check the name\n"),
    ):
        assert run_script("generate_data.py", *arguments, cwd=folder, status=2, stdin="").stderr.startswith(message)


@pytest.mark.parametrize("flag", ["--data", "--log", "--candidates"])
def test_what_cannot_be_written_is_refused_before_anything_is_sampled(folder, flag):
    (folder / "p.txt").write_text("a prompt")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("none/file")
    arguments = ["--prompts", "p.txt", "--generator", "no-such-model"]
    for name, problem in (
        ("pipe", "a pipe or a device, not a file"),
        ("folder", "a folder, not a file"),
        ("link", "a link to 'none/file', whose folder does not exist"),
        ("p.txt/file", "cannot be written (File exists)"),
    ):
        if (flag, name) == ("--candidates", "pipe"):
            continue  # one can be read from
        done = run_script("generate_data.py", *arguments, flag, name, cwd=folder, status=2, stdin="")
        if (flag, name) == ("--candidates", "folder"):
            assert done.stderr == "error: folder: cannot be read: Is a directory\n"
        else:
            assert done.stderr == f"error: {name}: {problem}; choose another {flag}\n"


def test_folders_that_are_missing_are_made(folder):
    run_script("generate_data.py", "--candidates", "c.jsonl", "--data", "a/b.csv", "--log", "c/d.jsonl", cwd=folder, stdin="2 1 4 3\n\n")
    assert len(read_csv(folder / "a" / "b.csv")) == 4 and (folder / "c" / "d.jsonl").exists()


def test_ranking_loads_no_model(folder):
    program = "import sys, generate_data; generate_data.main(['--candidates', 'c.jsonl']); print('torch' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, env=environment, input="q\n", capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
