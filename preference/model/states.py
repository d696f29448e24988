"""What the output layer of a frozen model reads of each text: computed once, and kept in the cache folder."""

import contextlib
import hashlib
import io
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from preference.durable_files import write_atomically
from preference.machine import cache_folder
from preference.model.reward_model import Progress, RewardModel

CACHE_DAYS = 30  # a file that was not used for so long is removed
MOST_KEPT = 20_000  # texts of one model: 30 MB at a width of 384


def states_of(
    model: RewardModel, pairs: Sequence[dict], *, key: str, on_progress: Progress = lambda done: None
) -> np.ndarray:
    """Return the states of encoded pairs (see `RewardModel.read_states`); only what the cache lacks is computed.

    Args:
        key: stands for the model's weights and the precision.

    Returns:
        Shape (pairs, width), float32.
    """
    path = cache_folder("states") / f"{key}.npz"
    for other in path.parent.iterdir():
        if other.stat().st_mtime < time.time() - CACHE_DAYS * 86_400:
            other.unlink(missing_ok=True)
    digests = [hashlib.blake2b(repr(sorted(pair.items())).encode(), digest_size=16).hexdigest() for pair in pairs]
    known = _read(path)
    missing = {digest: pair for digest, pair in zip(digests, pairs, strict=True) if digest not in known}
    on_progress(sum(digest in known for digest in digests))
    if missing:
        found = model.read_states(list(missing.values()), on_progress=on_progress)
        known |= dict(zip(missing, found, strict=True))
        newest, buffer = list(known)[-MOST_KEPT:], io.BytesIO()
        np.savez(buffer, digests=np.array(newest), states=np.stack([known[digest] for digest in newest]))
        with contextlib.suppress(OSError):  # a full disk is no reason to stop
            write_atomically(path, buffer.getvalue())
    return np.stack([known[digest] for digest in digests])


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with open(path, "rb") as file, np.load(file) as kept:
            return dict(zip(kept["digests"].tolist(), kept["states"], strict=True))
    except Exception:  # none yet; a damaged file can raise anything
        return {}
