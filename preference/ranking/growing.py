"""The model that grows beside the person who ranks, in a process of its own: ranking never waits for it."""

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

from preference.data.rankings import Ranking
from preference.wording import counted, name_some, shorten

RECENT = 20  # rankings
WORKER = "preference.jobs.growing"


class GrowingModel:
    """Tells a worker what is to be ranked and what was ranked, and keeps the last thing that it found.

    The worker computes what the answers to come look like to the base model while the person reads. It orders each ranked
    prompt before it learns from it, so that each ranking is a test that it had not seen.
    """

    def __init__(self, rankings: Sequence[Ranking], seed: int):
        self.found: dict[str, Any] = {}
        self._messages: queue.SimpleQueue[dict | None] = queue.SimpleQueue()
        self._worker = subprocess.Popen(
            [sys.executable, "-m", WORKER, str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True, text=True, encoding="utf-8",
        )  # fmt: skip
        for work in (self._write, self._read):
            threading.Thread(target=work, daemon=True).start()
        for ranking in rankings:
            self._messages.put({"known": _as_list(ranking)})

    def prepare(self, prompt: str, answers: Sequence[str]) -> None:
        """Say which answers will be on the screen soon."""
        self._messages.put({"soon": [prompt, list(answers)]})

    def ranked(self, ranking: Ranking) -> None:
        """Say what the person confirmed."""
        self._messages.put({"ranked": _as_list(ranking)})

    def undone(self, ranking: Ranking) -> None:
        """Say that a confirmed ranking does not count any more."""
        self._messages.put({"undone": _as_list(ranking)})

    def close(self) -> None:
        """End the worker; what it computed stays in the cache."""
        self._worker.terminate()

    def in_words(self, *, disputes: bool = False) -> str:
        """Say how well it does, in totals only; at the end of a session also which rankings are worth a second look."""
        if reason := self.found.get("failed"):
            return f"no model grows beside you: {reason}"
        if not self.found.get("tested"):
            return "the growing model has not judged a ranking yet; it takes two that it can learn from first"
        parts = []
        for name in ("recent", "all"):
            if part := self.found.get(name):
                low, high = part["interval"]
                which = f"the last {part['rankings']} rankings" if name == "recent" else counted(part["rankings"], "ranking")
                parts.append(
                    f"{part['model']:.0%} of the pairs of {which} (95 % interval {low:.0%} to {high:.0%}; the longest answer {part['longest']:.0%})"
                )
        text = f"the growing model, asked before it learned from each, ordered like you {' and '.join(parts)}"
        if disputes and (named := self.found.get("disputes")):
            text += f"\nworth a second look: {name_some(map(shorten, named))} (review_rankings.py says more)"
        return text

    def _write(self) -> None:
        assert self._worker.stdin
        try:
            while (message := self._messages.get()) is not None:
                self._worker.stdin.write(json.dumps(message) + "\n")
                self._worker.stdin.flush()
        except (OSError, ValueError):  # it has ended
            pass

    def _read(self) -> None:
        assert self._worker.stdout
        for line in self._worker.stdout:
            self.found = json.loads(line)
        if not self.found:
            self.found = {"failed": "it could not be started"}


def _as_list(ranking: Ranking) -> list:
    return [ranking.prompt, ranking.answers, ranking.ranks, ranking.group, ranking.rater]
