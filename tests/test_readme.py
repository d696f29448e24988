import importlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import benchmark
import pytest
from conftest import ROOT

SCRIPTS = {path.name: importlib.import_module(path.stem) for path in sorted(ROOT.glob("*.py"))}
PROGRAMS = SCRIPTS | {"benchmark.py": benchmark}
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}
README = PAGES["README.md"]
HEAVY = {"torch", "transformers", "pandas", "numpy", "datasets", "rich"}


def commands(page: str) -> list[tuple[str, list[str]]]:
    """Every command of a page that runs one of the programs: fenced, in a line of a table, or in a sentence."""
    found = []
    for line in (
        re.findall(r"^```bash\n(.*?)^```", page, re.M | re.S)
        + re.findall(r"`([^`\n]+)`", page)
        + re.findall(r"^\$ (.*)", page, re.M)
    ):
        for command in re.split(r"\n|&&|\|", line):
            words = shlex.split(command) if command.count("'") % 2 == 0 and command.count('"') % 2 == 0 else []
            for i, word in enumerate(words):
                if Path(word).name in PROGRAMS and i and words[0] in ("python", "torchrun", "accelerate"):
                    found.append((Path(word).name, words[i + 1 :]))
                    break
    return found


def options(program: str) -> set[str]:
    return {option for action in PROGRAMS[program].build_parser()._actions for option in action.option_strings}


def anchors(page: str) -> set[str]:
    """The anchors that GitHub gives to a page's headings: `## Speed, and quality` gets `speed-and-quality`."""
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", page, re.M)
    }


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 160


def test_ci_runs_the_two_commands_of_the_readme():
    two = README.split("## Two commands")[1].split("```bash\n")[1].split("\n```")[0].splitlines()
    assert two == [
        "pip install -r requirements.txt && python run_demo.py",
        "pip install -r requirements.txt -r tests/requirements.txt && python -m pytest",
    ]
    assert set(two) <= set((ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines())


def test_there_are_commands():
    assert {script for script, _ in commands(README)} == set(SCRIPTS) and len(commands(README)) > 8
    assert len(commands(PAGES["docs/several_processes.md"])) >= 3
    assert {program for program, _ in commands(PAGES["docs/measurements.md"])} == {"benchmark.py"}


@pytest.mark.parametrize(
    "page, program, arguments", [(name, *command) for name, page in PAGES.items() for command in commands(page)]
)
def test_every_command_is_parsed_by_the_real_parser(page, program, arguments):
    PROGRAMS[program].build_parser().parse_args(arguments)


@pytest.mark.parametrize("name", PAGES)
def test_every_flag_named_in_a_sentence_exists(name):
    known = {option for program in PROGRAMS for option in options(program)} | {"--help"}
    named = set(re.findall(r"`(--[a-z-]+)[^`\n]*`", PAGES[name]))
    assert named <= known, named - known
    assert named or name != "README.md"


@pytest.mark.parametrize("name", PAGES)
def test_every_relative_link_leads_somewhere(name):
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", PAGES[name]) if "://" not in link]
    for path, _, anchor in (link.partition("#") for link in links):
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), path
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), f"{path}#{anchor}"
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", PAGES[name]):
        assert ((ROOT / name).parent / picture).stat().st_size > 10_000


def test_every_page_and_picture_of_docs_is_linked():
    linked = {
        ((ROOT / name).parent / link.partition("#")[0]).resolve()
        for name, page in PAGES.items()
        for link in re.findall(r"\]\(([^)\s]+)\)", page)
    }
    assert {path for path in (ROOT / "docs").iterdir() if path.suffix in (".md", ".png", ".svg")} <= linked


def entries(page: str) -> dict[str, str]:
    """The paths that a page's tree names, each with its line of text; two blanks of indentation lead into a folder."""
    found: dict[str, str] = {}
    folders: list[str] = []
    for indent, name, text in re.findall(
        r"^( *)(\S+)(.*)$", page.split("# The tree")[1].split("```")[1].partition("\n")[2], re.M
    ):
        folders[len(indent) // 2 :] = [name]
        assert "".join(folders) not in found, name
        found["".join(folders)] = text.strip()
    return found


def test_the_tree_of_the_readme_names_every_script_and_every_room():
    rooms = {f"preference/{path.parent.name}/" for path in (ROOT / "preference").glob("*/__init__.py")}
    named = entries(README)
    assert set(SCRIPTS) | rooms | {"preference/"} <= set(named)
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.fixture(scope="module")
def helps() -> dict[str, dict]:
    """What `--help` of each script prints, and which heavy packages were loaded by then: all in one fresh process."""
    program = (
        "import contextlib, importlib, io, json, sys\n"
        "found = {}\n"
        f"for script in {list(SCRIPTS)!r}:\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):\n"
        "        importlib.import_module(script[:-3]).main(['--help'])\n"
        f"    found[script] = {{'printed': printed.getvalue(), 'heavy': sorted({HEAVY!r} & set(sys.modules))}}\n"
        "print(json.dumps(found))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return json.loads(done.stdout)


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_shows_every_default_and_loads_nothing_heavy(script, helps):
    assert helps[script]["heavy"] == []
    for action in SCRIPTS[script].build_parser()._actions:
        if action.option_strings and action.option_strings[-1] != "--help":
            entry = re.search(
                rf"^  {action.option_strings[0]}[ ,\n].*?(?=^  -|^\S|\Z)", helps[script]["printed"], re.M | re.S
            )[0]
            assert action.default is None or f"(default: {action.default})" in " ".join(entry.split())
