import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, read_csv, run_script
from pseudo_terminal import PROMPTS, prompts_and_answers, ranks_of, write_candidates

import generate_data

folder = pytest.fixture(prompts_and_answers)


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
    flags = ["--prompts", "my prompts (few).txt", "--candidates", "c.jsonl", "--data", "it's mine.csv",
             "--log", "my log.jsonl", "--guidelines=-own.txt", "--seed", "7", "--recheck", "0.25",
             "--num-candidates", "5", "--temperature", "0.5", "--no-model", "--top-p", "0.8", "--max-new-tokens", "9",
             "--generator", "some/model", "--device", "cuda"]  # fmt: skip
    done = run_script("generate_data.py", *flags, cwd=folder, stdin="1 2 3 4\n\n1 2 3 4\n\n")
    again = told(done.stdout, "continue")
    assert vars(generate_data.build_parser().parse_args(again[1:])) == vars(
        generate_data.build_parser().parse_args(flags)
    )
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
    assert " ".join(done.stdout.split()) == (
        "All prompts are ranked in training_data.csv or were discarded. "
        "Use --prompts FILE for other prompts, or --data FILE for another CSV."
    )
    assert not (folder / "candidates.jsonl").exists()


def test_wrong_files_get_one_plain_message(folder):
    for arguments, message in (
        (
            ["--candidates", "none.jsonl"],
            "error: none.jsonl: no such file; to sample candidates into it, also give --prompts\n",
        ),
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
            assert done.stderr == "error: folder: cannot be read: Is a directory; check its name and permissions\n"
        else:
            assert done.stderr == f"error: {name}: {problem}; choose another {flag}\n"


def test_folders_that_are_missing_are_made(folder):
    run_script(
        "generate_data.py",
        "--candidates",
        "c.jsonl",
        "--data",
        "a/b.csv",
        "--log",
        "c/d.jsonl",
        cwd=folder,
        stdin="2 1 4 3\n\n",
    )
    assert len(read_csv(folder / "a" / "b.csv")) == 4 and (folder / "c" / "d.jsonl").exists()


def test_ranking_loads_no_model(folder):
    program = (
        "import sys, generate_data; generate_data.main(['--candidates', 'c.jsonl']); print('torch' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environment,
        input="q\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "False"
