import json
import os
import random
import signal
import time

import pytest
from pseudo_terminal import Terminal, prompts_and_answers, ranks_of, write_candidates

from preference.ranking.store import RankingStore

folder = pytest.fixture(prompts_and_answers)


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
