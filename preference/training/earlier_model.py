"""The model that stood in the output folder before this training: what it gave, and how to restore it."""

import contextlib
import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from preference.data.splits import prompt_key
from preference.evaluation.comparison import Comparison, compare
from preference.evaluation.evaluation import UNSEEN, Evaluation
from preference.evaluation.metrics import split_rewards
from preference.training.output_folder import previous_folder
from preference.training.record import REWARDS
from preference.wording import as_command


def compare_with_earlier(
    output_dir: Path,
    evaluations: Sequence[Evaluation],
    *,
    seed: int = 0,
    on_message: Callable[[str], object] = lambda text: None,
) -> Comparison | None:
    """Compare the new rewards of unseen prompts with those that the training before kept in rewards.csv, on the same answers.

    Args:
        output_dir: what still holds the earlier model.
        evaluations: of the new model, or in a cross-validation of its rankings.

    Returns:
        None where there is no earlier model; also where both have no unseen prompt in common, which is told to `on_message`.
    """
    path = output_dir / REWARDS
    if not path.exists():
        return None
    before: dict[tuple[str, str], float] = {}
    with (
        contextlib.suppress(OSError, ValueError, KeyError, csv.Error),
        open(path, encoding="utf-8", newline="") as file,
    ):
        for row in csv.DictReader(file):  # a damaged one is no reason to lose the new model
            if row["part"] in UNSEEN:
                before[prompt_key(row["prompt"]), row["answer"].strip()] = float(row["reward"])
    rankings, earlier, now, chose_weights = [], [], [], set()
    for evaluation in (evaluation for evaluation in evaluations if evaluation.unseen):
        for ranking, rewards in zip(
            evaluation.rankings, split_rewards(evaluation.rankings, evaluation.rewards), strict=True
        ):
            known = [before.get((ranking.key, answer)) for answer in ranking.answers]
            if None not in known:
                rankings.append(ranking)
                earlier += known
                now.append(rewards)
                if evaluation.part == "validation":
                    chose_weights.add(ranking.key)
    if not rankings:
        on_message(
            "Not compared with the previous model: no prompt with the same answers was unseen in both trainings."
        )
        return None
    return compare(rankings, np.array(earlier), np.concatenate(now), validation_prompts=len(chose_weights), seed=seed)


def restore_command(output_dir: Path) -> str:
    """Return the command that restores the previous model.

    >>> restore_command(Path("my model"))
    "rm -r -- 'my model' && mv -- 'my model.previous' 'my model'"
    """
    previous = previous_folder(output_dir)
    folder = str(previous.with_name(previous.name.removesuffix(".previous")))  # what a symbolic link leads to
    remove, move = ["rm", "-r", "--", folder], ["mv", "--", str(previous), folder]
    return f"{as_command(remove)} && {as_command(move)}"
