"""The arguments of a training, which all scripts that train share, and those of a review, kept. Imports nothing heavy: `--help` answers at once."""

import argparse
from dataclasses import fields

from preference.arguments import above, at_least, file_name, from_to, random_seed
from preference.model.base_models import REWARD_MODEL_DEFAULT
from preference.training.settings import FEW_RANKINGS, MIDDLE_RANKINGS, OBJECTIVES, PRECISIONS, TrainingSettings
from preference.wording import flag_with

LEAST_TOKENS = 8  # a prompt and an answer of two tokens each, and up to four between and around them


def add_probe_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what decides a probe: `--base-model`, the objective, the layers, the length, the seed and the machine."""
    default = TrainingSettings()
    what = parser.add_argument_group("model")
    what.add_argument(
        "--base-model",
        type=file_name,
        default=REWARD_MODEL_DEFAULT,
        help="a folder, a GGUF file, or a name on the Hugging Face Hub",
    )
    what.add_argument(
        "--objective", choices=OBJECTIVES, default=default.objective,
        help="the loss; each compares the answers to one prompt. bradley-terry did as well as regression where measured;"
        " plackett-luce uses the likelihood of the whole order",
    )  # fmt: skip
    what.add_argument(
        "--layers", type=at_least(1), default=default.layers, metavar="N",
        help="keep the N lowest layers of the base model"
        f" (default: a third; half from {MIDDLE_RANKINGS} rankings on, two thirds from {FEW_RANKINGS} on)",
    )  # fmt: skip
    what.add_argument(
        "--max-length",
        type=at_least(LEAST_TOKENS),
        default=default.max_length,
        help="tokens of prompt and answer together",
    )
    what.add_argument(
        "--seed",
        type=random_seed,
        default=default.seed,
        help="random seed for the folds or the split, and for the order of training",
    )
    where = parser.add_argument_group("machine")
    where.add_argument("--device", default=default.device, help="cpu, cuda or mps")
    where.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=default.precision,
        help="auto: bf16 where it is faster",
    )


def add_training_arguments(
    parser: argparse.ArgumentParser,
) -> argparse._ArgumentGroup:  # argparse has no public name for it
    """Add the settings of a training to `parser`; return their group, for what a script adds to it."""
    add_probe_arguments(parser)
    default = TrainingSettings()
    how = parser.add_argument_group("training")
    how.add_argument("--epochs", type=above(0, 10_000), default=default.epochs, help="passes over the training part")
    how.add_argument(
        "--min-steps",
        type=at_least(0),
        default=default.min_steps,
        help="train at least this many steps, however few the rows",
    )
    how.add_argument("--max-steps", type=at_least(1), default=default.max_steps, help="stop after this many steps")
    how.add_argument(
        "--batch-size",
        type=at_least(1),
        default=default.batch_size,
        help="answers per step, over all processes; a prompt's answers stay together",
    )
    how.add_argument(
        "--learning-rate",
        type=above(0, 1),
        default=default.learning_rate,
        help="learning rate of what is pretrained or fitted",
    )
    how.add_argument(
        "--head-learning-rate",
        type=above(0, 1),
        default=default.head_learning_rate,
        help="learning rate of a new output layer",
    )
    how.add_argument(
        "--freeze-layers", type=at_least(-1), default=default.freeze_layers, metavar="N",
        help="keep the embeddings and the N lowest layers as pretrained; -1 trains everything"
        f" (default: all that are kept, so that the head alone is trained; 0 from {FEW_RANKINGS} rankings on)",
    )  # fmt: skip
    how.add_argument(
        "--validation-fraction", type=from_to(0, 1, below=True), default=default.validation_fraction,
        help="share of the prompts held out to choose the best weights",
    )  # fmt: skip
    return how


def training_words(base_model: str, settings: TrainingSettings) -> list[str]:
    """Return the arguments that differ from their defaults, as words of a command.

    >>> training_words("distilbert-base-uncased", TrainingSettings(max_length=48))
    ['--max-length', '48']
    """
    default = TrainingSettings()
    words = flag_with("--base-model", base_model) if base_model != REWARD_MODEL_DEFAULT else []
    for field in fields(settings):
        if (value := getattr(settings, field.name)) != getattr(default, field.name):
            words += flag_with("--" + field.name.replace("_", "-"), value)
    return words
