"""The job of review_rankings.py: how far rankings can be trusted, and which to look at again."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from preference.arguments import command_line
from preference.console import progress_bar, say
from preference.data.rankings import Ranking, read_rankings
from preference.data.tables import Table
from preference.durable_files import write_atomically
from preference.errors import InputError
from preference.evaluation.calibration import chance_calibration_error, odds_in_words, why_no_odds
from preference.evaluation.curve_plot import plot_learning_curve
from preference.evaluation.disputes import disputes_of, expected_disputes
from preference.evaluation.learning_curve import describe_gain, fit_curve
from preference.evaluation.reversed_ranks import find_reversed
from preference.evaluation.review_table import check_output, review_csv
from preference.evaluation.tables import print_disputes, print_report, print_reversed
from preference.machine import check_device, choose_precision
from preference.model.base_models import BaseModel, find_base_model
from preference.ranking.log import SelfAgreement, self_agreement
from preference.training.batching import encode_rankings, warn_of_cut_answers
from preference.training.probe import LEAST_FOR_CURVE, Review, measure_curve, review_states
from preference.training.settings import TrainingSettings, training_words
from preference.training.start import check_unseen, start_from
from preference.wording import flag_with

PICTURES = (".png", ".pdf", ".svg", ".jpg", ".webp")  # what matplotlib draws
LEAST_DISPUTE = 0.005  # standard deviations of the rewards; weaker ones are not printed


@dataclass(frozen=True)
class ReviewFiles:
    """What is read and written; `curve_plot` only for a learning curve. A `log` of None stands for the one beside `data`."""

    data: str
    log: Path | None
    output: Path
    curve_plot: Path

    @property
    def log_path(self) -> Path:
        return self.log or Path(self.data).with_name("ranking_log.jsonl")


def review_rankings(
    files: ReviewFiles, base_model: str, settings: TrainingSettings, *, top: int, learning_curve: bool
) -> None:
    """The whole job: read, cross-validate, find disputes, write, report.

    Args:
        top: how many of the most disputed rankings to print.
        learning_curve: also learn from fewer rankings, to tell whether more would help.
    """
    rankings, table = read_data(files.data)
    if len({ranking.key for ranking in rankings}) < 2:
        raise InputError(f"{files.data}: only one prompt with a ranking; rank at least two to review them")
    check_outputs(files, draws=learning_curve)
    again = self_agreement(files.log_path, rankings, data=files.data)
    base = find_base_model(base_model)
    say(base.note or f"base model: {base.used} ({base.source})")

    check_unseen(rankings, base)
    states, output = read_answers(rankings, base, settings)
    review = review_states(states, rankings, settings.objective, seed=settings.seed, start=output)
    assert review is not None
    rewards = review.evaluation.rewards
    disputes = disputes_of(rankings, rewards)
    top = min(top, int((disputes > LEAST_DISPUTE * rewards.std()).sum()))
    write_atomically(files.output, review_csv(table, rankings, rewards, disputes))

    print_report([review.evaluation], answers=False, again=again)
    say(
        f"Each answer was scored by one of {review.models} models, which never saw its prompt and learned from fewer prompts than your"
        " final model will, so the accuracy is, if anything, an underestimate.\n"
    )
    say_odds(review, rankings, settings.seed)
    if learning_curve:
        draw_curve(files, states, rankings, settings, output, review, again)
    print_reversed(rankings, find_reversed(rankings, rewards))
    print_disputes(rankings, rewards, disputes, top)
    if top:
        say_chance(review, rankings, disputes, top, settings.seed)
    say(f"\nreview      {files.output}", wrap=False)
    if learning_curve:
        say(f"picture     {files.curve_plot}", wrap=False)
    if top:
        look_again = [
            *flag_with("--data", files.data),
            *flag_with("--again", files.output),
            *(flag_with("--log", files.log) if files.log else []),
        ]
        say(f"look again  {command_line('generate_data.py', look_again)}", wrap=False)
    trained = [*flag_with("--data", files.data), *training_words(base_model, settings)]
    say(f"train       {command_line('reward_model_trainer.py', trained)}", wrap=False)


def read_answers(
    rankings: list[Ranking], base: BaseModel, settings: TrainingSettings
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the states of all answers, shape (answers, width), and the output layer of a base that is a reward model.

    Raises:
        InputError: the base model is of an architecture of which no probe is known.
    """
    check_device(settings.device)
    start = start_from(base, settings, rankings)
    if not start.pooled:
        raise InputError(
            f"--base-model {base.asked}: a review reads the middle layers of BERT and its kin or of decoders; use another base model"
        )
    encoded = encode_rankings(rankings, start.tokenizer, settings.max_length)
    if warning := warn_of_cut_answers(encoded, rankings, settings.max_length):
        say(warning)
    precision = choose_precision(settings.precision, settings.device, start.model.config.get_text_config().hidden_size)
    with progress_bar("reading answers", sum(len(ranking.answers) for ranking in rankings)) as advance:
        return start.states(encoded, settings.device, precision, advance), start.output


def say_odds(review: Review, rankings: list[Ranking], seed: int) -> None:
    """Say how a difference of rewards becomes a probability, or why it does not."""
    by_chance = chance_calibration_error(rankings, review.evaluation.rewards, review.calibration.temperature, seed=seed)
    say(f"{odds_in_words(review.calibration, review.evaluation.metrics.prompts, by_chance)}\n")


def draw_curve(
    files: ReviewFiles, states: np.ndarray, rankings: list[Ranking], settings: TrainingSettings, output: np.ndarray | None,
    review: Review, again: SelfAgreement | None,
) -> None:  # fmt: skip
    """Measure the learning curve, draw it, and say what it means."""
    prompts = review.evaluation.metrics.prompts
    points = measure_curve(states, rankings, settings.objective, seed=settings.seed, start=output)
    if not points:
        say(
            f"warning: a learning curve takes at least {LEAST_FOR_CURVE} prompts, and there are {prompts}; it is left out\n"
        )
        return
    curve = fit_curve(points, seed=settings.seed)
    plot_learning_curve(points, curve, review.evaluation, files.curve_plot, again=again)
    say(describe_gain(curve, prompts) + "\n")


def say_chance(review: Review, rankings: list[Ranking], disputes: np.ndarray, top: int, seed: int) -> None:
    """Say how many disputes as strong as those that are shown chance alone would give."""
    temperature, rewards = review.calibration.temperature, review.evaluation.rewards
    if why_no_odds(temperature, review.evaluation.metrics.prompts):
        return
    strengths = sorted(disputes, reverse=True)
    as_these, as_first = (
        expected_disputes(rankings, rewards, strengths[at], temperature, seed=seed) for at in (top - 1, 0)
    )
    first = f", and about {as_first:.1f} as strong as the first" if top > 1 else ""
    say(
        f"By these probabilities, chance alone would give about {as_these:.0f} disputes as strong as these {top}{first}."
    )


def read_data(data: str) -> tuple[list[Ranking], Table]:
    """Read the rankings, say what is left out, and keep the rows as they are now: the file may be edited meanwhile."""
    if Path(data).exists() and not Path(data).is_file():
        raise InputError(f"{data}: not a file; save the rankings as a CSV first")
    rankings = read_rankings(data)
    for warning in rankings.warnings():
        say(f"warning: {warning}")
    return rankings.rankings, rankings.table


def check_outputs(files: ReviewFiles, *, draws: bool) -> None:
    """Before any work, refuse a review that would replace something else, and a picture that cannot be drawn."""
    check_output(files.output, files.data)
    plot = files.curve_plot
    if draws and (plot.suffix.lower() not in PICTURES or plot.is_dir()):
        raise InputError(f"--curve-plot {plot}: unsupported image type; use {' '.join(PICTURES)}")
    if draws and not plot.parent.is_dir():
        raise InputError(f"--curve-plot {plot}: no folder {plot.parent}; create it, or choose another --curve-plot")
