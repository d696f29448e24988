"""SIGKILL at random moments of ranking and of ranking again, in a real process at a terminal.

KILLS=100 in the environment sets how often; the table of such a run is in docs/reliability.md.
"""

import json
import os
import random
import signal
import time

import pexpect
import pytest
from conftest import write_rankings
from pseudo_terminal import PASTE_MARK, Terminal, ranks_of, write_candidates

from preference.data.rankings import Ranking
from preference.ranking.store import RankingStore

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")

QUESTION = f"{PASTE_MARK}[^\x1b]*?(> |: )"
KILLS = int(os.environ.get("KILLS", "5"))


def kill_while_typing(terminal: Terminal, typed: list[str], rng: random.Random) -> str:
    """Kill the script at a random moment: of its start in a quarter of the cases, else while `typed` answers its
    questions.

    Returns:
        What it printed.
    """
    end = time.monotonic() + rng.uniform(0, 0.6)
    try:
        if rng.random() >= 0.25:
            terminal.wait_for("\n> ")
            end = time.monotonic() + rng.uniform(0, 1.5)
            terminal.child.send(typed[0] + "\r")
            for line in typed[1:]:
                terminal.child.expect(QUESTION, timeout=max(0, end - time.monotonic()))
                terminal.raw += terminal.child.before + terminal.child.after
                terminal.child.send(line + "\r")
        time.sleep(max(0, end - time.monotonic()))
    except pexpect.TIMEOUT:
        pass
    os.kill(terminal.child.pid, signal.SIGKILL)
    return terminal.raw + terminal.rest()


def events_of(folder) -> list[dict]:
    lines = (folder / "ranking_log.jsonl").read_text().splitlines() if (folder / "ranking_log.jsonl").exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def test_kills_while_ranking_lose_no_confirmed_ranking(tmp_path):
    """Also where an editor leaves a last row without its line end."""
    prompts = [f"Prompt {i}" for i in range(3000)]
    write_candidates(tmp_path, prompts, ["alpha", "beta", "gamma\nof two lines"])
    data, log, rng = tmp_path / "training_data.csv", tmp_path / "ranking_log.jsonl", random.Random(0)
    kept = total = 0
    for trial in range(KILLS):
        printed = kill_while_typing(Terminal(tmp_path), ([*["1 2 3", ""] * 6, "u", "1 2 3", ""]) * 5, rng)
        confirmed = printed.count("saved\r\n") - printed.count("undid the last ranking")
        total += printed.count("saved\r\n")
        RankingStore(data, log)._lock.close()
        ranks = ranks_of(tmp_path) if data.exists() else {}
        assert list(ranks) == prompts[: len(ranks)]
        assert all(sorted(of_prompt.values()) == [1, 2, 3] for of_prompt in ranks.values())
        assert abs(len(ranks) - kept - confirmed) <= 1  # killed between the disk and the screen
        kept = len(ranks)
        if trial % 3 == 0 and data.exists():
            data.write_bytes(data.read_bytes().rstrip(b"\n"))
    print(f"{KILLS} kills while {total} rankings were confirmed")
    assert total > KILLS // 2


@pytest.mark.faults
def test_kills_while_ranking_again_lose_no_confirmed_ranking(tmp_path):
    """The CSV is always whole: it has what the log says, and but for the ranks it is what it was."""
    answers = ["alpha", "beta, or so", "gamma\nof two lines"]
    write_rankings(tmp_path / "my.csv", [Ranking(f"Prompt {i}", answers, [1, 2, 3]) for i in range(1200)])
    data, rng = tmp_path / "my.csv", random.Random(1)
    original = data.read_text()
    header, *rows = original.replace("\nof", "NEWLINE").splitlines()
    reviewed = "\n".join(
        [f"{header},reward,predicted_rank,dispute", *(f"{row},0,{4 - int(row[-1])},1" for row in rows)]
    )
    (tmp_path / "review.csv").write_text(reviewed.replace("NEWLINE", "\nof"))
    saved = restored = 0
    for trial in range(KILLS):
        printed = kill_while_typing(
            Terminal(tmp_path, "--data", "my.csv", "--again", "review.csv"), [*["2 3 1", "", ""] * 4, "u"] * 8, rng
        )
        saved, restored = saved + printed.count("saved\r\n"), restored + printed.count("the earlier ranking is back")
        whole = ranks_of(tmp_path, "my.csv")
        assert all(sorted(of_prompt.values()) == [1, 2, 3] for of_prompt in whole.values())
        RankingStore(data, tmp_path / "ranking_log.jsonl")._lock.close()
        expected = {f"Prompt {i}": dict(zip(answers, (1, 2, 3), strict=True)) for i in range(1200)}
        events = [event for event in events_of(tmp_path) if event["event"] in ("reranked", "restored")]
        for event in events:
            expected[event["prompt"]] = dict(zip(event["answers"], event["ranks"], strict=True))
        not_logged = [prompt for prompt in whole if whole[prompt] != expected[prompt]]
        assert (
            list(whole) == list(expected) and len(not_logged) <= trial + 1
        )  # killed between the CSV and the log, and not confirmed
        logged = [event["event"] for event in events]
        assert saved <= logged.count("reranked") and restored <= logged.count("restored")
        assert len(events) - saved - restored <= KILLS  # at most one a kill that was not on the screen yet
    strip = str.maketrans("", "", "123")
    assert data.read_text().translate(strip) == original.translate(strip)
    print(f"{KILLS} kills while {saved} rankings were confirmed and {restored} brought back")
    assert saved > KILLS // 2
