"""What the scripts about a reward model are asked for: each setting with its default and its help, as a flag, too."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from preference.model.base_models import REWARD_MODEL_DEFAULT
from preference.scripts import at_least, setting
from preference.training.settings import PRECISIONS

_BASE_MODEL = "a folder, a GGUF file, or a name on the Hugging Face Hub"


@dataclass(frozen=True)
class TrainingFiles:
    """What reward_model_trainer.py reads and writes."""

    data: str = setting("training_data.csv", None, "ranked answers to train on")
    test_data: str | None = setting(
        None, None,
        "ranked answers to unseen prompts (default: test_data.csv, if all prompts of --data are the sample's)",
    )  # fmt: skip
    output_dir: Path = setting(
        Path("reward_model_final"), Path, "the model's folder; an earlier model there is replaced"
    )
    plot: Path | None = setting(Path("reward_scores_plot.png"), Path, "the picture of the rewards")
    log_dir: Path = setting(Path("logs"), Path, "folder for TensorBoard")
    dataset_name: str | None = setting(
        None, None, "name of these rankings on the Hugging Face Hub, for the model card", metavar="USER/NAME"
    )
    resume: bool = setting(False, None, "continue an interrupted run from its last checkpoint", action="store_true")
    base_model: str = setting(REWARD_MODEL_DEFAULT, None, _BASE_MODEL, group="model")


@dataclass(frozen=True)
class ReviewSettings:
    """What review_rankings.py reads, writes and prints; a `log` of None stands for the one beside `data`."""

    data: str = setting("training_data.csv", None, "the rankings")
    output: Path = setting(Path("review.csv"), Path, "all rankings, most disputed first; an earlier review is replaced")
    top: int = setting(10, at_least(0), "how many of the most disputed rankings to print")
    log: Path | None = setting(
        None, Path, "what was shown, and when, for the prompts shown twice (default: ranking_log.jsonl beside --data)"
    )
    learning_curve: bool = setting(
        False, None, "also learn from many smaller parts of the rankings, to tell whether more would help",
        action="store_true",
    )  # fmt: skip
    base_model: str = setting(REWARD_MODEL_DEFAULT, None, _BASE_MODEL, group="model")


@dataclass(frozen=True)
class ScoringSettings:
    """With what score_answers.py scores answers, and where the result goes."""

    model: str = setting("reward_model_final", None, "the folder that reward_model_trainer.py wrote")
    output: str = setting("-", None, "where the scored records go, in the format of its ending; - is standard output")
    force: bool = setting(False, None, "replace an existing --output", action="store_true")
    best: bool = setting(False, None, "write only the best answer to each prompt", action="store_true")
    device: str = setting("cpu", None, "cpu, cuda or mps")
    precision: str = setting("auto", None, "auto: bf16 where it is faster", choices=PRECISIONS)
    named: Mapping[str, str] = field(default_factory=dict)  # columns that flags name for a role, see `roles.FLAGS`
