"""The model that stood in the output folder before this training: what it gave, and how to restore it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from preference.errors import InputError
from preference.evaluation.comparison import Comparison, compare
from preference.evaluation.evaluation import Evaluation
from preference.evaluation.metrics import split_rewards
from preference.evaluation.scale import read_scale
from preference.model.reward_model import RewardModel
from preference.training.output_folder import previous_folder
from preference.training.seen_prompts import prompt_digest
from preference.wording import as_command


def compare_with_earlier(
    output_dir: Path, evaluations: Sequence[Evaluation], *, seed: int = 0, on_message: Callable[[str], object] = lambda text: None
) -> Comparison | None:
    """Compare the new rewards with those of the model that `output_dir` still holds, on prompts that neither was trained on.

    Returns:
        None where there is no earlier model; also where it cannot be loaded, or no such prompt is left, which is told to `on_message`.
    """
    seen = read_scale(output_dir).seen_prompts
    if seen is None:  # no record, or a damaged one: no reason to lose the new model
        if (output_dir / "metrics.json").exists():
            on_message("Not compared with the previous model: its metrics.json does not say what it was trained on.")
        return None
    rankings, after, chose_weights = [], [], set()
    for evaluation in evaluations:
        if evaluation.unseen:
            for ranking, rewards in zip(evaluation.rankings, split_rewards(evaluation.rankings, evaluation.rewards), strict=True):
                if prompt_digest(ranking.prompt) not in seen:
                    rankings.append(ranking)
                    after.append(rewards)
                    if evaluation.part == "validation":
                        chose_weights.add(ranking.prompt)
    if not rankings:
        on_message(
            "Not compared with the previous model: there is no prompt that neither was trained on;"
            " keep some aside in test_data.csv (or --test-data FILE)."
        )
        return None
    try:
        before = RewardModel.load(output_dir).score_rankings(rankings)
    except InputError as error:
        on_message(f"Not compared with the previous model: {error}")
        return None
    return compare(rankings, before, np.concatenate(after), validation_prompts=len(chose_weights), seed=seed)


def restore_command(output_dir: Path) -> str:
    """Return the command that restores the previous model.

    >>> restore_command(Path("my model"))
    "rm -r -- 'my model' && mv -- 'my model.previous' 'my model'"
    """
    previous = previous_folder(output_dir)
    folder = str(previous.with_name(previous.name.removesuffix(".previous")))  # what a symbolic link leads to
    remove, move = ["rm", "-r", "--", folder], ["mv", "--", str(previous), folder]
    return f"{as_command(remove)} && {as_command(move)}"
