"""metrics.json: what a model's folder says of the model to programs. Only this module knows its keys."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from preference.evaluation.calibration import win_probability

FILE = "metrics.json"
WRITER = "reward_model_trainer.py"


@dataclass(frozen=True)
class Odds:
    """P(A preferred to B) = sigmoid((reward A − reward B) / temperature), and the expected calibration error without
    and with it."""

    temperature: float
    error_before: float | None = None
    error_after: float | None = None
    pairs: int = 0
    prompts: int = 0
    fitted_on: str = ""


@dataclass(frozen=True)
class DataRecord:
    """What the model was trained and tested on."""

    path: str
    rows: int
    prompts: int
    training_prompts: int
    raters: int  # who ranked the same answers
    left_out: int  # prompts
    duplicate_rows: int
    sha256: str
    test_path: str | None
    test_sha256: str | None


@dataclass(frozen=True)
class Record:
    """The entries of metrics.json. What nobody kept from a model, or could not find out, is None.

    Attributes:
        training: `Trained.record`.
        validation, test: `Metrics` and `RewardSpread` of that part of the unseen prompts; cross_validation: of a
            review, with its `folds`.
        baselines: part -> what `longest_answer` and `shortest_answer` get there.
        no_odds: why there is no `calibration`.
        reward_quantiles: the 0th to 100th percentile of the rewards of `reward_quantiles_answers` training answers.
        seen_prompts: digests of the prompts that the model, and the one that it started from, was trained on.
    """

    data: DataRecord | None = None
    base_model: dict[str, str] = field(default_factory=dict)  # asked, used, source
    training: dict[str, Any] = field(default_factory=dict)
    validation: dict[str, Any] | None = None
    test: dict[str, Any] | None = None
    cross_validation: dict[str, Any] | None = None
    baselines: dict[str, Any] = field(default_factory=dict)
    rater_agreement: dict[str, Any] = field(default_factory=dict)
    checks: list[dict[str, Any]] = field(default_factory=list)
    verdict: str = ""
    calibration: Odds | None = None
    no_odds: str | None = None
    reward_quantiles: list[float] | None = None
    reward_quantiles_answers: int = 0
    machine: dict[str, Any] = field(default_factory=dict)
    seen_prompts: list[str] | None = None
    versions: dict[str, str] = field(default_factory=dict)
    written_by: str = ""  # WRITER
    files: list[str] = field(default_factory=list)  # that the trainer wrote into the folder

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"

    def percentiles(self, rewards: np.ndarray | Sequence[float]) -> list[int] | None:
        """Return how many per cent of the training answers have a lower reward.

        >>> Record(reward_quantiles=list(np.linspace(-2.0, 2.0, 101))).percentiles([0.0, -5.0, 1.0])
        [50, 0, 75]
        """
        if self.reward_quantiles is None:
            return None
        return np.rint(np.interp(rewards, self.reward_quantiles, np.arange(101))).astype(int).tolist()

    def probability(self, margin: float) -> float | None:
        """Return the probability that a person prefers the answer whose reward is higher by `margin`."""
        return win_probability(margin, self.calibration.temperature) if self.calibration else None


def read_record(folder: str | Path) -> Record:
    """Read of a model's metrics.json what programs ask for: its base, odds, quantiles, prompts that it has seen, and
    files.

    What is missing or damaged is as `Record` has it without a file.
    """
    try:
        found = json.loads((Path(folder) / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return Record()
    base, no_odds, seen = found.get("base_model"), found.get("no_odds"), found.get("seen_prompts")
    files = found.get("files")
    return Record(
        base_model={name: text for name, text in base.items() if isinstance(text, str)}
        if isinstance(base, dict)
        else {},
        calibration=_odds(found.get("calibration")),
        no_odds=no_odds if isinstance(no_odds, str) else None,
        reward_quantiles=_quantiles(found.get("reward_quantiles")),
        seen_prompts=seen if isinstance(seen, list) and all(isinstance(digest, str) for digest in seen) else None,
        written_by=str(found.get("written_by")),
        files=files if isinstance(files, list) else [],
    )


def _odds(value: object) -> Odds | None:
    temperature = value.get("temperature") if isinstance(value, dict) else None
    right = isinstance(temperature, (int, float)) and np.isfinite(temperature) and temperature > 0
    return Odds(float(temperature)) if right else None  # type: ignore[arg-type]


def _quantiles(value: object) -> list[float] | None:
    try:
        quantiles = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    right = quantiles.shape == (101,) and np.isfinite(quantiles).all() and (np.diff(quantiles) >= 0).all()
    return quantiles.tolist() if right else None
