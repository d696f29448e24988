"""Which prompts a model has seen: its own training part, and those of the reward model that it started from. Kept as digests."""

import hashlib
from collections.abc import Set

from preference.data.splits import prompt_key
from preference.evaluation.record import read_record
from preference.model.base_models import BaseModel


def prompt_digest(prompt: str) -> str:
    """Return 16 hexadecimal digits that stand for a prompt, and for all that are the same one (see `prompt_key`), in `metrics.json`."""
    return hashlib.sha256(prompt_key(prompt).encode(errors="surrogatepass")).hexdigest()[:16]


def seen_by(base: BaseModel) -> Set[str]:
    """Return the digests of the prompts that a base model was trained on: none, unless it is the folder of a reward model of this project."""
    return frozenset(read_record(base.path).seen_prompts or ())
