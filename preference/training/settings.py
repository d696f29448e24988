"""How a reward model is trained: every default, in one place. Imports nothing heavy, so that `--help` answers at once."""

from dataclasses import dataclass

OBJECTIVES = ("regression", "bradley-terry", "plackett-luce")  # see preference.training.objectives
PRECISIONS = ("auto", "bf16", "fp32")
MIDDLE_RANKINGS = 100  # with fewer, a third of the layers gave the best states, then half of them
FEW_RANKINGS = 400  # with fewer, training the layers below the head lost to the head alone where measured


@dataclass(frozen=True)
class TrainingSettings:
    """Settings for `preference.training.train.train`. Parsers, the check of a resumed run and the benchmark take them from here."""

    objective: str = "regression"  # one of OBJECTIVES
    layers: int | None = None  # lowest layers that the model keeps; None: see layers_to_keep
    epochs: float = 2.0  # passes over the training part
    min_steps: int = 60  # train at least this many steps, however few the rankings
    max_steps: int | None = None  # stop after this many
    batch_size: int = 8  # answers per step, over all processes together; a ranking stays whole
    learning_rate: float = 5e-5  # of the pretrained layers, with a cosine schedule
    head_learning_rate: float = 1e-3  # of the output layer
    warmup_fraction: float = 0.1  # of the steps, in which the learning rates rise to their full size
    weight_decay: float = 0.01  # of matrices
    freeze_layers: int | None = (
        None  # lowest layers that stay as pretrained, with the embeddings; None: see layers_to_freeze; -1: none
    )
    max_length: int = 512  # tokens of prompt and answer together
    validation_fraction: float = 0.2  # share of the prompts held out to choose the best weights
    seed: int = 42  # of the split, the order of the rankings and the new layer
    device: str = "cpu"  # or cuda, mps
    precision: str = "auto"  # one of PRECISIONS; auto: bf16 where it is faster


def layers_to_keep(settings: TrainingSettings, layers: int, rankings: int) -> int:
    """Return how many of a base model's `layers` to keep: a third below 100 rankings, half below 400, then two thirds.

    >>> [layers_to_keep(TrainingSettings(), 6, rankings) for rankings in (99, 100, 400)]
    [2, 3, 4]
    """
    share = 1 / 3 if rankings < MIDDLE_RANKINGS else 1 / 2 if rankings < FEW_RANKINGS else 2 / 3
    return max(1, round(layers * share)) if settings.layers is None else settings.layers


def layers_to_freeze(settings: TrainingSettings, kept: int, rankings: int) -> int:
    """Return how many of the `kept` layers to freeze: all of them, so that the head alone is trained, below 400 rankings, then none.

    >>> [layers_to_freeze(TrainingSettings(), 4, rankings) for rankings in (399, 400)]
    [4, 0]
    """
    return (kept if rankings < FEW_RANKINGS else 0) if settings.freeze_layers is None else settings.freeze_layers
