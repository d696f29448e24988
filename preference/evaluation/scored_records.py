"""Records and their scores as they are read: the answers to a prompt ranked wherever they stand in a file, or run by run from a pipe."""

import contextlib
import hashlib
import queue
import threading
from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from preference.data.answers import Answers, Scorable, Scores
from preference.errors import InputError
from preference.evaluation.scale import RewardScale, rank_within

AT_ONCE = 4096  # answers that are sorted by length and scored together

Score = Callable[[list[Scorable]], np.ndarray]  # the rewards of all answers of some records: shape (answers,)
Scored = Iterator[tuple[Scorable, Scores]]


def file_stamp(path: str) -> tuple[int, int, int]:
    """Return what changes when a file does."""
    status = Path(path).stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def score_file(path: str, stamp: object, score: Score, scale: RewardScale, read: Callable[[], Answers]) -> Scored:
    """Score a file that does not change meanwhile, and which `read` opens; the answers to a prompt are ranked wherever they stand."""
    rewards, prompts, texts = array("f"), array("Q"), array("Q")
    for window in in_windows(read()):
        rewards.extend(score(window).tolist())
        prompts.extend(number_of(item.prompt) for item in window for _ in item.answers)
        texts.extend(number_of(item.prompt, answer) for item in window for answer in item.answers)
    values = np.frombuffer(rewards, dtype=np.float32)
    ranks, best = rank_within(np.frombuffer(prompts, dtype=np.uint64), values, np.frombuffer(texts, dtype=np.uint64))
    end = 0
    for item in read():
        start, end = end, end + len(item.answers)
        if end > len(values) or (start == 0 and file_stamp(path) != stamp):
            break
        yield item, make_scores(item, values[start:end], ranks[start:end], best[start:end], scale)
    if end != len(values) or file_stamp(path) != stamp:
        raise InputError(f"{path}: changed while it was being scored; start again")


def score_stream(windows: Iterable[list[Scorable]], layout: str, score: Score, scale: RewardScale) -> Scored:
    """Score records as they come. The rows of a prompt are held back until the next prompt begins."""
    held: list[tuple[Scorable, Any]] = []
    for window in windows:
        rewards, end = score(window), 0
        for item in window:
            start, end = end, end + len(item.answers)
            if held and (layout != "rows" or held[0][0].prompt.strip() != item.prompt.strip()):
                yield from rank_run(held, scale)
                held = []
            held.append((item, rewards[start:end]))
        if layout != "rows":
            yield from rank_run(held, scale)
            held = []
    yield from rank_run(held, scale)


def rank_run(run: list[tuple[Scorable, Any]], scale: RewardScale) -> Scored:
    """Rank all answers of the records of one prompt among each other."""
    if not run:
        return
    values, end = np.concatenate([rewards for _, rewards in run]), 0
    texts = np.array([number_of(item.prompt, answer) for item, _ in run for answer in item.answers], dtype=np.uint64)
    ranks, best = rank_within(np.zeros(len(values)), values, texts)
    for item, _ in run:
        start, end = end, end + len(item.answers)
        yield item, make_scores(item, values[start:end], ranks[start:end], best[start:end], scale)


def make_scores(item: Scorable, rewards: Any, ranks: Any, best: Any, scale: RewardScale) -> Scores:
    """Return the scores of a record from those of its answers, each of shape (answers,)."""
    probability = scale.probability(rewards[0] - rewards[1]) if len(rewards) == 2 else None
    return Scores(rewards, ranks, best, scale.percentiles(rewards), probability)


def number_of(*texts: str) -> int:
    """Return a number of 64 bits that stands for a prompt, or a prompt and an answer; white space around them does not count."""
    return int.from_bytes(hashlib.blake2b("\0".join(map(str.strip, texts)).encode("utf-8", "surrogatepass"), digest_size=8).digest())


def in_windows(items: Iterable[Scorable]) -> Iterator[list[Scorable]]:
    """Cut records into lists of about `AT_ONCE` answers."""
    window: list[Scorable] = []
    waiting = 0
    for item in items:
        window.append(item)
        waiting += len(item.answers)
        if waiting >= AT_ONCE:
            yield window
            window, waiting = [], 0
    if window:
        yield window


def read_ahead(items: Iterable[Scorable]) -> Iterator[list[Scorable]]:
    """Read records in a thread of its own, from now on, and give what there is: all of it, up to `AT_ONCE` records, and at least one.

    So a fast pipe is scored in long lists, and a slow one at once.
    """
    waiting: queue.Queue[Scorable | Exception | None] = queue.Queue(maxsize=AT_ONCE)

    def read() -> None:
        try:
            for item in items:
                waiting.put(item)
            waiting.put(None)
        except Exception as error:  # raised again where the records are used
            waiting.put(error)

    def give() -> Iterator[list[Scorable]]:
        while True:
            taken = [waiting.get()]
            with contextlib.suppress(queue.Empty):
                while len(taken) < AT_ONCE:
                    taken.append(waiting.get_nowait())
            if window := [item for item in taken if isinstance(item, Scorable)]:
                yield window
            if isinstance(taken[-1], Exception):
                raise taken[-1]
            if taken[-1] is None:
                return

    threading.Thread(target=read, daemon=True).start()
    return give()
