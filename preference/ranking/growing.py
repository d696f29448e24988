"""The model that learns while a person ranks, in a process of its own: ranking never waits for it."""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

WORKER = "preference.jobs.growing"
LAST_WORD = 1.0  # seconds to wait for it at the end of a session


class GrowingModel:
    """Tells a worker what is to be ranked and what was ranked, and keeps the last thing that it found.

    The worker computes what the answers to come look like to the base model while the person reads. It orders the
    answers of each ranking before it learns from it, so that each is a test on what it had not seen. It ends with this
    process, however this one ends: its standard input is closed then.

    Attributes:
        found: what the worker said last: `words` on how well it does ("" before the first test), the prompts of the
            rankings that are worth a second look (`disputes`), of how many messages it knows (`known`); or why there is
            no worker (`failed`).
    """

    def __init__(self) -> None:
        why = "--no-model turns it off, and so does input that does not come from a terminal"
        self.found: dict[str, Any] = {"failed": why}
        self._worker: subprocess.Popen | None = None
        self._messages: queue.SimpleQueue[dict] = queue.SimpleQueue()
        self._told = 0

    def start(self, data: Path, seed: int) -> None:
        """Start the worker, which learns from the rankings of the table `data` first. It takes seconds to be there."""
        command, pipe = [sys.executable, "-m", WORKER, os.path.abspath(data), str(seed)], subprocess.PIPE
        self._worker = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, encoding="utf-8",
            cwd=Path(__file__).parents[2],
            env=os.environ | {"HF_HUB_OFFLINE": "1"},  # nothing is downloaded that nobody asked for
            start_new_session=True,  # so that Ctrl-C does not reach it
        )  # fmt: skip
        self.found = {}
        for work in (self._write, self._read):
            threading.Thread(target=work, args=[self._worker], daemon=True).start()

    def tell(self, kind: str, value: object) -> None:
        """Say which prompts and answers come `soon`, that a ranking was `ranked`, or that a prompt's was `undone`."""
        self._told += kind != "soon"
        self._messages.put({kind: value})

    def close(self) -> None:
        """End the worker, after a moment for what it makes of the last ranking; what it computed stays in the cache."""
        worker, self._worker = self._worker, None
        if worker:
            end = time.monotonic() + LAST_WORD
            while self.found.get("known", self._told) != self._told and time.monotonic() < end:
                time.sleep(0.01)
            worker.kill()
            worker.wait()

    def in_words(self) -> str:
        """Say how well it does, in totals only: a word on a single ranking would sway the person."""
        if reason := self.found.get("failed"):
            return f"no model learns as you rank: {reason}"
        if not self.found:
            return "the model that learns as you rank is still loading"
        untested = (
            "the model that learns as you rank has no result yet: it learns from two rankings before it predicts one"
        )
        return self.found["words"] or untested

    def _write(self, worker: subprocess.Popen) -> None:
        assert worker.stdin
        with contextlib.suppress(OSError):  # it has ended
            while True:
                worker.stdin.write(json.dumps(self._messages.get()) + "\n")
                worker.stdin.flush()

    def _read(self, worker: subprocess.Popen) -> None:
        assert worker.stdout
        for line in worker.stdout:
            self.found = json.loads(line)
        if self._worker and "failed" not in self.found:  # else `close` ended it
            self.found = {"failed": "its process ended unexpectedly"}
