"""How a reward model is trained: every setting with its default, its range and its help, and the flags they become."""

from dataclasses import dataclass
from functools import partial

from preference.scripts import above, at_least, from_to, random_seed, setting

OBJECTIVES = ("regression", "bradley-terry", "plackett-luce")  # see preference.training.objectives
PRECISIONS = ("auto", "bf16", "fp32")
MIDDLE_RANKINGS = 100  # from here on, three layers of six did better than two
MANY_RANKINGS = 1000  # up to 500, the head alone did as well as trained layers, in seconds; beyond is extrapolation
MIN_TOKENS = 8  # a prompt and an answer of two tokens each, and up to four between and around them

_setting = partial(setting, group="training")


@dataclass(frozen=True)
class TrainingSettings:
    """Settings for `preference.training.train.train`; parsers and the check of a resumed run take them from here."""

    objective: str = _setting(
        "regression", None, "the loss; each compares the answers to one prompt. bradley-terry did as well as regression"
        " where measured; plackett-luce uses the likelihood of the whole order", group="model", choices=OBJECTIVES
    )  # fmt: skip
    layers: int | None = _setting(
        None, at_least(1), "keep the N lowest layers of the base model (default: a third, at least 3 from"
        f" {MIDDLE_RANKINGS} rankings on; two thirds from {MANY_RANKINGS} on)", group="model", metavar="N"
    )  # fmt: skip
    epochs: float = _setting(2.0, above(0, 10_000), "passes over the training part")
    min_steps: int = _setting(60, at_least(0), "train at least this many steps, however few the rows")
    max_steps: int | None = _setting(None, at_least(1), "stop after this many steps")
    batch_size: int = _setting(8, at_least(1), "answers per step, over all processes; a prompt's answers stay together")
    learning_rate: float = _setting(5e-5, above(0, 1), "learning rate of the pretrained layers and the fitted head")
    head_learning_rate: float = _setting(1e-3, above(0, 1), "learning rate of a new output layer")
    warmup_fraction: float = 0.1  # of the steps; the learning rates rise, and then fall as a cosine
    weight_decay: float = 0.01  # of matrices
    freeze_layers: int | None = _setting(
        None, at_least(-1), "keep the embeddings and the N lowest layers as pretrained; -1 trains everything (default:"
        f" all that are kept, so that the head alone is trained; 0 from {MANY_RANKINGS} rankings on; a third where an"
        " encoder can only be fine-tuned whole)", metavar="N"
    )  # fmt: skip
    max_length: int = _setting(512, at_least(MIN_TOKENS), "tokens of prompt and answer together", group="model")
    validation_fraction: float = _setting(
        0.2, from_to(0, 1, below=True), "share of the prompts held out to choose the best weights"
    )
    seed: int = _setting(
        42, random_seed, "random seed for the folds or the split, and for the order of training", group="model"
    )
    device: str = _setting("cpu", None, "cpu, cuda or mps", group="machine")
    precision: str = _setting("auto", None, "auto: bf16 where it is faster", group="machine", choices=PRECISIONS)


def layers_to_keep(settings: TrainingSettings, layers: int, rankings: int) -> int:
    """Return how many of a base model's `layers` to keep: a third, but 3 from 100 rankings on; two thirds from 1000.

    >>> [layers_to_keep(TrainingSettings(), layers, rankings) for layers in (6, 12) for rankings in (99, 100, 1000)]
    [2, 3, 4, 4, 4, 8]
    """
    if settings.layers is not None:
        return settings.layers
    least = 3 if rankings >= MIDDLE_RANKINGS else 1
    return min(layers, max(least, round(layers * (1 / 3 if rankings < MANY_RANKINGS else 2 / 3))))


def layers_to_freeze(settings: TrainingSettings, kept: int, rankings: int) -> int:
    """Return how many of the `kept` layers to freeze: all, for the head alone to be trained, below 1000 rankings.

    >>> [layers_to_freeze(TrainingSettings(), 4, rankings) for rankings in (999, 1000)]
    [4, 0]
    """
    return (kept if rankings < MANY_RANKINGS else 0) if settings.freeze_layers is None else settings.freeze_layers
