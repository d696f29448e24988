import re
import shlex

import pytest
from conftest import ROOT

import create_sample_data
import generate_data
import reward_model_trainer
import run_demo
import score_answers

SCRIPTS = {f"{module.__name__}.py": module for module in (create_sample_data, generate_data, reward_model_trainer, run_demo, score_answers)}
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[tuple[str, list[str]]]:
    """Every command of the README that runs a script: fenced, in a line of a table, or in a sentence."""
    found = []
    for line in re.findall(r"^```bash\n(.*?)^```", README, re.M | re.S) + re.findall(r"`([^`\n]+)`", README) + re.findall(r"^\$ (.*)", README, re.M):
        for command in re.split(r"\n|&&|\|", line):
            words = shlex.split(command) if command.count("'") % 2 == 0 and command.count('"') % 2 == 0 else []
            for i, word in enumerate(words):
                if word in SCRIPTS and i and words[0] in ("python", "torchrun", "accelerate"):
                    found.append((word, words[i + 1 :]))
                    break
    return found


def test_there_are_commands():
    assert {script for script, _ in commands()} == set(SCRIPTS) and len(commands()) > 12


@pytest.mark.parametrize("script, arguments", commands())
def test_every_command_is_parsed_by_the_real_parser(script, arguments):
    SCRIPTS[script].build_parser().parse_args(arguments)


def test_every_flag_named_in_the_table_exists():
    table = README.split("## Flags worth knowing")[1].split("\n## ")[0]
    script, checked = None, 0
    for row in re.findall(r"^\|\s*(\S*)\s*\| (`--.*?) \|", table, re.M):
        script = row[0].strip("` ") or script
        known = {option for action in SCRIPTS[script].build_parser()._actions for option in action.option_strings}
        for flag in re.findall(r"--[a-z-]+", row[1]):
            assert flag in known, f"{script} {flag}"
            checked += 1
    assert checked >= 10


def test_the_tree_names_every_file_and_no_other():
    tree = README.split("## The tree")[1].split("```")[1]
    named, folder = set(), ""
    for indent, name in re.findall(r"^( +)([\w/.]+)", tree.split("\npreference/")[1], re.M):
        if name.endswith("/"):
            folder = name
        else:
            named.add(folder * (len(indent) > 2) + name)
    package = ROOT / "preference"
    assert named == {str(path.relative_to(package)) for path in package.rglob("*.py") if path.name != "__init__.py"}
    for name in re.findall(r"^(\S+)", tree, re.M):
        assert (ROOT / name).exists(), name


def test_the_picture_is_there():
    for path in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / path).stat().st_size > 10_000


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_shows_every_default_and_loads_nothing_heavy(script):
    import subprocess
    import sys

    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {script[:-3]} as m\n"
        "try: m.main(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'transformers', 'pandas', 'numpy', 'datasets', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for action in SCRIPTS[script].build_parser()._actions:
        if action.option_strings and action.option_strings[-1] != "--help":
            assert action.option_strings[0] in done.stdout
