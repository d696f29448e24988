"""How a reward model is trained: every default, in one place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingSettings:
    """What `preference.training.train.train` follows. Parsers, the check of a resumed run and the benchmark take it from here."""

    objective: str = "regression"  # or bradley-terry, plackett-luce: see preference.training.objectives
    epochs: float = 3.0  # passes over the training part
    min_steps: int = 60  # train at least this many steps, however few the rankings
    max_steps: int | None = None  # stop after this many
    batch_size: int = 8  # answers per step, over all processes together; a ranking stays whole
    learning_rate: float = 1e-4  # of the pretrained layers; cosine schedule after a tenth of warm-up
    head_learning_rate: float = 1e-3  # of the new output layer
    freeze_layers: int | None = None  # lowest layers kept as pretrained, with the embeddings; None: a third; -1: train everything
    max_length: int = 512  # tokens of prompt and answer together
    validation_fraction: float = 0.2  # share of the prompts held out to choose the best weights
    seed: int = 42  # of the split, the order of the rankings and the new layer
    device: str = "cpu"  # or cuda, mps
    precision: str = "auto"  # bf16 where the machine is faster in it; or bf16, fp32
