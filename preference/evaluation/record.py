"""metrics.json: what a model's folder says of the model to programs, its odds among it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from preference.errors import InputError

FILE = "metrics.json"
WRITER = "reward_model_trainer.py"
MIN_PROMPTS = 10  # unseen; of fewer, a temperature says nothing
TEMPERATURES = (0.01, 100.0)  # the range in which one is looked for


@dataclass(frozen=True)
class Calibration:
    """P(A preferred to B) = sigmoid((reward A − reward B) / temperature), and its expected calibration error."""

    temperature: float
    error_before: float | None = None  # without a temperature: 1.0
    error_after: float | None = None  # with temperatures that were fitted on other prompts
    pairs: int = 0
    prompts: int = 0
    fitted_on: str = ""

    def in_words(self, prompts: int) -> str:
        """Return one sentence on the odds, of `prompts` unseen prompts."""
        if reason := why_no_odds(self.temperature, prompts):
            return f"No odds: {reason}."
        errors = f"{self.error_before:.3f} before, {self.error_after:.3f} after temperature scaling"
        return f"P(preferred) = sigmoid(margin / {self.temperature:.2f}); expected calibration error {errors}"


def why_no_odds(temperature: float, prompts: int) -> str:
    """Return why a temperature that was fitted on `prompts` unseen prompts gives no odds, or "" where it does.

    >>> why_no_odds(0.8, prompts=4)
    'need at least 10 prompts, have 4'
    """
    if prompts < MIN_PROMPTS:
        return f"need at least {MIN_PROMPTS} prompts, have {prompts}"
    if 2 * TEMPERATURES[0] <= temperature <= TEMPERATURES[1] / 2:  # else it was not found: the range stopped it
        return ""
    return f"too {'few' if temperature < 1 else 'many'} pairs are in the wrong order to fit a temperature"


@dataclass(frozen=True)
class Record:
    """The entries of metrics.json. What nobody kept from a model, or could not find out, is None."""

    data: dict[str, Any] | None = None  # what it was trained and tested on
    base_model: dict[str, str] = field(default_factory=dict)  # asked, used, source
    training: dict[str, Any] = field(default_factory=dict)  # see Trained.record
    validation: dict[str, Any] | None = None  # metrics and spread of that part of the unseen prompts
    test: dict[str, Any] | None = None  # likewise
    cross_validation: dict[str, Any] | None = None  # metrics of a review, and its `folds`
    baselines: dict[str, Any] = field(default_factory=dict)  # part -> what longest_answer and shortest_answer get there
    rater_agreement: dict[str, Any] = field(default_factory=dict)
    checks: list[dict[str, Any]] = field(default_factory=list)
    verdict: str = ""
    calibration: Calibration | None = None
    no_odds: str | None = None  # why there is no calibration
    reward_quantiles: list[float] | None = None  # the 0th to 100th percentile of `training.scaled_on_answers` rewards
    machine: dict[str, Any] = field(default_factory=dict)
    seen_prompts: list[str] | None = None  # digests; also of what the model that it started from was trained on
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
        return float(expit(margin / self.calibration.temperature)) if self.calibration else None


def read_record(folder: str | Path) -> Record:
    """Read a model's metrics.json; one that is missing, or that the trainer did not write, counts as empty.

    Raises:
        InputError: a value that scoring or a later training reads is not what the trainer writes.
    """
    path = Path(folder) / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        known = {field.name: found[field.name] for field in fields(Record) if field.name in found}
    except (OSError, ValueError, RecursionError, TypeError):
        known = {}
    if known.get("written_by") != WRITER:
        return Record()
    odds = known.get("calibration")
    try:
        record = Record(**known | {"calibration": Calibration(**odds) if odds else None})
        texts, quantiles = [*record.files, *(record.seen_prompts or [])], record.reward_quantiles
        right = all(isinstance(text, str) for text in texts)
        right &= record.calibration is None or 0 < record.calibration.temperature < np.inf
        right &= quantiles is None or (len(quantiles) == 101 and bool((np.diff(quantiles) >= 0).all()))
    except (TypeError, ValueError):
        right = False
    if not right:
        remedy = "restore it, or move the folder away and train again"
        raise InputError(f"{path}: not as the trainer writes it; {remedy}")
    return record
