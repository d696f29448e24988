"""How a reward model is trained: every default, in one place. Imports nothing heavy, so that `--help` answers at once."""

from dataclasses import dataclass

OBJECTIVES = ("regression", "bradley-terry", "plackett-luce")  # see preference.training.objectives
PRECISIONS = ("auto", "bf16", "fp32")
FEW_RANKINGS = 200  # to train on; with fewer, training the lower layers gained nothing where measured


@dataclass(frozen=True)
class TrainingSettings:
    """Settings for `preference.training.train.train`. Parsers, the check of a resumed run and the benchmark take them from here."""

    objective: str = "regression"  # one of OBJECTIVES
    epochs: float = 3.0  # passes over the training part
    min_steps: int = 60  # train at least this many steps, however few the rankings
    max_steps: int | None = None  # stop after this many
    batch_size: int = 8  # answers per step, over all processes together; a ranking stays whole
    learning_rate: float = 1e-4  # of the pretrained layers, with a cosine schedule
    head_learning_rate: float = 1e-3  # of the new output layer
    warmup_fraction: float = 0.1  # of the steps, in which the learning rates rise to their full size
    weight_decay: float = 0.01  # of matrices
    freeze_layers: int | None = None  # lowest layers kept as pretrained, with the embeddings; None: see layers_to_freeze; -1: no layer at all
    max_length: int = 512  # tokens of prompt and answer together
    validation_fraction: float = 0.2  # share of the prompts held out to choose the best weights
    seed: int = 42  # of the split, the order of the rankings and the new layer
    device: str = "cpu"  # or cuda, mps
    precision: str = "auto"  # one of PRECISIONS; auto: bf16 where the machine is faster in it


def layers_to_freeze(settings: TrainingSettings, rankings: int) -> int | None:
    """Return how many layers to freeze when training on `rankings`, the embeddings too; None stands for a third of the layers.

    >>> layers_to_freeze(TrainingSettings(), 199), layers_to_freeze(TrainingSettings(), 200)
    (None, 0)
    """
    if settings.freeze_layers is None and rankings >= FEW_RANKINGS:
        return 0
    return settings.freeze_layers
