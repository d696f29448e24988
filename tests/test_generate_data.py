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


def test_a_whole_sitting(folder):
    terminal = Terminal(folder)
    terminal.rank("2 1 4 3")
    terminal.rank("2143")
    terminal.rank("2 1=4 3")
    terminal.rank("3")
    terminal.rank("1 2 3 4")
    terminal.rank("4321")
    terminal.wait_for("All done. Enter ends, u undoes the last ranking: ")
    terminal.type("u")
    terminal.rank("4321")
    terminal.wait_for("All done. Enter ends, u undoes the last ranking: ")
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
    terminal.wait_for("or n for none: ")
    terminal.type("n")
    terminal.wait_for("> ")
    assert not (folder / "training_data.csv").exists()
    terminal.type("2 1 4 3")
    terminal.wait_for("or n for none: ")
    terminal.type("4 3 2 1")  # a new ranking instead of Enter
    terminal.wait_for("or n for none: ")
    terminal.type("")
    terminal.wait_for("Prompt number 1")
    assert [ranks_of(folder)[PROMPTS[0]][answer] for answer in shown_answers(folder, PROMPTS[0])] == [4, 3, 2, 1]
    terminal.type("q")
    terminal.rest()


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
    terminal.wait_for("Discard this prompt for good? Enter = yes, anything else = no: ")
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
        RankingStore(data, log)._unlock()
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
    terminal.wait_for("All done. Enter ends, u undoes the last ranking: ")
    terminal.type("")
    rest = terminal.summary()
    assert "15 rankings in" in rest
    assert "shown twice: 3; ranked exactly alike: " in rest and "Kendall tau" in rest
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
        "Every prompt is ranked in training_data.csv or discarded. For other prompts use --prompts FILE, for another file --data FILE.\n"
    )
    assert not (folder / "candidates.jsonl").exists()


def test_the_last_ranking_of_all_can_be_undone_at_a_later_start(folder):
    write_candidates(folder, PROMPTS[:1])
    run_script("generate_data.py", "--candidates", "c.jsonl", cwd=folder, stdin="1 2 3 4\n\n")
    terminal = Terminal(folder)
    terminal.wait_for("Every prompt is ranked in training_data.csv or discarded.")
    terminal.wait_for("All done. Enter ends, u undoes the last ranking: ")
    terminal.type("u")
    terminal.rank("4 3 2 1")
    terminal.wait_for("All done.")
    terminal.type("")
    terminal.rest()
    assert [ranks_of(folder)[PROMPTS[0]][answer] for answer in shown_answers(folder, PROMPTS[0])] == [4, 3, 2, 1]


def test_wrong_files_get_one_plain_message(folder):
    for arguments, message in (
        (["--candidates", "none.jsonl"], "error: none.jsonl: no such file; to sample candidates into it, name --prompts too\n"),
        (["--prompts", "none.txt"], "error: none.txt: no such file; check the name\n"),
        (["--candidates", "c.jsonl", "--guidelines", "none.txt"], "error: none.txt: no such file; check the name\n"),
    ):
        assert run_script("generate_data.py", *arguments, cwd=folder, status=2, stdin="").stderr.startswith(message)


def test_ranking_loads_no_model(folder):
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import generate_data\n"
        "generate_data.main(['--candidates', 'c.jsonl']); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, input="q\n", capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
