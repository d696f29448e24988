"""What a large CSV costs: reading, encoding, memory, and the rate of the first steps.

    python benchmarks/scale.py my_rankings.csv

trains the first steps in this process, whose memory it reports, and prints one line of JSON.
"""

import json
import resource
import sys
import tempfile
import time

from ways import MINILM, Request, base_folder, train_ours

from preference.data.rankings import read_rankings


def measure_scale(data: str, seconds: float = 30) -> dict:
    """Read, check and encode `data`, train for `seconds`; peaks of resident memory are in GiB."""
    start = time.perf_counter()
    rankings = read_rankings(data)
    read_seconds = time.perf_counter() - start

    import reward_model_trainer  # noqa: F401  its imports do not belong to the time of encoding
    from preference.model.fine_tuning import load_base_model
    from preference.training.encoded_table import encode_rankings

    _, tokenizer = load_base_model(base_folder(MINILM), seed=1)
    start = time.perf_counter()
    encode_rankings(rankings.rankings, tokenizer, 512)
    encode_seconds = time.perf_counter() - start
    before = peak_memory()
    with tempfile.TemporaryDirectory() as folder:
        rate, _ = train_ours(rankings.rankings, folder, Request("regression", data, seconds=seconds), epochs=1)
    return {
        "rows": rankings.rows, "read_seconds": read_seconds, "encode_seconds": encode_seconds,
        "gib_before_the_steps": before, "gib": peak_memory(), "rate": rate,
    }  # fmt: skip


def peak_memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)


if __name__ == "__main__":
    print(json.dumps(measure_scale(sys.argv[1])))
