"""What can be measured, by name, and the request that one process answers."""

from dataclasses import dataclass

import checkout  # noqa: F401

from preference.training.settings import OBJECTIVES, TrainingSettings

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
PEERS = ["usual", "trl", "cross-encoder"]
TRAINING = [*PEERS, *OBJECTIVES]
SCORING = ["cross-encoder predict", "score"]
TOGETHER, ONE_BY_ONE = "all candidates together", "one call of generate per candidate"
SAMPLING = [TOGETHER, ONE_BY_ONE]
HELD_OUT_SEED = 2024  # decides which prompts are held out


@dataclass(frozen=True)
class Request:
    """What one process measures.

    Attributes:
        method: one of TRAINING, SCORING or SAMPLING.
        seconds: stop training after this time, not counting the first two steps. None: train to the end and evaluate.
        epochs: passes over the data when training to the end.
        held_out: share of the prompts kept unseen when training to the end.
        max_length: tokens of prompt and answer together.
        ablation: one of ABLATIONS, for this project's own training.
        prompts: train on this many of the prompts that are not held out; None: on all of them.
        settings: train to the end as the trainer does, with its defaults changed only here; `epochs` does not count then.
    """

    method: str
    data: str
    base_model: str = MINILM
    seconds: float | None = None
    epochs: float = 1.0
    held_out: float = 1 / 3
    seed: int = TrainingSettings().seed
    max_length: int = TrainingSettings().max_length
    ablation: str | None = None
    prompts: int | None = None
    settings: dict | None = None


def base_folder(base_model: str) -> str:
    from preference.model.base_models import find_base_model

    return str(find_base_model(base_model).path)
