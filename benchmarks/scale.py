"""What a large CSV costs: reading, encoding, memory, and the rate of the first steps.

    python benchmarks/scale.py my_rankings.csv

Trains the first steps in this process, whose memory it reports. Prints one line of JSON.
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from methods import settings_of, train_ours
from request import MINILM, Request, base_folder

from preference.data.rankings import read_rankings


def measure_scale(data: str, seconds: float = 30) -> dict:
    """Read, check and encode `data`, then train for `seconds`. Peaks of resident memory are in GiB."""
    start = time.perf_counter()
    rankings = read_rankings(data)
    read_seconds = time.perf_counter() - start

    from step_timer import StepTimer

    import preference.training.train  # noqa: F401  its imports do not belong to the time of encoding
    from preference.model.fine_tuning import load_base_model
    from preference.training.encoded_table import encode_rankings

    settings = settings_of(Request("regression", data))
    _, tokenizer = load_base_model(base_folder(MINILM), seed=settings.seed)
    start = time.perf_counter()
    encode_rankings(rankings.rankings, tokenizer, settings.max_length)
    encode_seconds = time.perf_counter() - start
    before = peak_memory()
    timer = StepTimer(seconds)
    with tempfile.TemporaryDirectory() as folder:
        train_ours(rankings.rankings, Path(folder), MINILM, settings, callbacks=[timer])
    return {
        "rows": rankings.rows, "read_seconds": read_seconds, "encode_seconds": encode_seconds,
        "gib_before_training": before, "gib": peak_memory(), "rate": timer.rate(settings.batch_size),
    }  # fmt: skip


def peak_memory() -> float:
    """Return the largest resident memory of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)


if __name__ == "__main__":
    print(json.dumps(measure_scale(sys.argv[1])))
