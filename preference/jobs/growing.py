"""The worker behind preference.ranking.growing: it learns from each ranking as soon as it is confirmed.

    python -m preference.jobs.growing DATA SEED

It learns from the rankings of the CSV first. Then it reads messages from standard input, and writes what it found to standard
output, one JSON object a line each.
"""

import contextlib
import json
import os
import queue
import sys
import threading
from typing import TYPE_CHECKING

from preference.data.rankings import Ranking, read_rankings
from preference.errors import InputError

if TYPE_CHECKING:
    from preference.training.growing import Learner


def listen() -> queue.SimpleQueue[dict]:
    """Read messages in a thread from the first moment on; where the ranker ends, so does this process."""
    messages: queue.SimpleQueue[dict] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            messages.put(json.loads(line))
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return messages


def work(learner: "Learner", known: list[Ranking], messages: queue.SimpleQueue[dict]) -> None:
    """Learn from the rankings that are known, then carry out messages for ever; what can wait is done where there is none."""
    from preference.training.growing import in_blocks

    taken = 0

    def tell() -> None:
        print(json.dumps({"taken": taken, **learner.found()}), flush=True)

    tell()
    for block in in_blocks(known):
        learner.take(block)
        tell()
    soon: list[Ranking] = []
    changed = True  # since disputes were looked for
    while True:
        if messages.empty() and (soon or changed):
            if soon:
                learner.states([soon.pop(0)])
            else:
                learner.dispute()
                changed = False
                tell()
            continue
        ((kind, value),) = messages.get().items()
        if kind == "soon":
            soon = [Ranking(prompt, answers, []) for prompt, answers in value]
            continue
        if kind == "undone":
            learner.forget((value, "", ""))
        else:
            learner.take([Ranking(*value)])
        taken, changed = taken + 1, True
        tell()


def main(data: str, seed: str) -> None:
    """Work until standard input ends, or say why that is impossible."""
    messages = listen()
    if hasattr(os, "nice"):
        os.nice(5)
    os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is downloaded that nobody asked for

    import torch

    from preference.model.base_models import REWARD_MODEL_DEFAULT, BaseModelError
    from preference.training.growing import Learner
    from preference.training.settings import TrainingSettings

    torch.set_num_threads(1)
    known: list[Ranking] = []
    with contextlib.suppress(InputError):  # no file yet, or none with a ranking
        known = read_rankings(data).rankings
    try:
        learner = Learner(REWARD_MODEL_DEFAULT, TrainingSettings(seed=int(seed)), known)
    except BaseModelError:
        print(
            json.dumps({"failed": "there is no base model on this computer yet; the first training downloads one"}),
            flush=True,
        )
    except InputError as error:
        print(json.dumps({"failed": str(error)}), flush=True)
    else:
        work(learner, known, messages)


if __name__ == "__main__":
    main(*sys.argv[1:])
