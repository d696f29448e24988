#!/usr/bin/env python3
"""Say how far your rankings can be trusted, and which of them to look at again.

    python review_rankings.py --data my_rankings.csv
    python review_rankings.py --data my_rankings.csv --learning-curve

Trains five models, each without a fifth of the prompts, and asks each about the prompts that it never saw. Prints the
agreement on all prompts and the rankings that the models dispute most; writes review.csv (all rankings, most disputed
first: the CSV's own columns, and reward, predicted_rank, dispute). With --learning-curve it also says whether more
rankings would help, and by how much, and draws learning_curve.png. Nothing in the rankings is changed. Stop at any time:
folds that are done are kept, and the same command continues.
"""

import argparse
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from preference.arguments import HelpFormatter, Parser, at_least, command_line, settings_from
from preference.console import say
from preference.data.csv_table import CsvTable, read_table
from preference.data.folds import LEAST_FOR_CURVE, folds_by_prompt, smaller_folds
from preference.data.rankings import Ranking, read_rankings
from preference.durable_files import write_atomically
from preference.errors import InputError
from preference.model.base_models import find_base_model
from preference.ranking.self_agreement import self_agreement
from preference.scripts import run_script
from preference.threads import settle_waiting
from preference.training.settings import TrainingSettings
from preference.training.training_arguments import add_training_arguments, keep_words, training_words
from preference.wording import counted, flag_with, plain

PICTURES = (".png", ".pdf", ".svg", ".jpg", ".webp")  # what matplotlib draws
LEAST_DISPUTE = 0.005  # standard deviations of the rewards; weaker ones are not printed


@dataclass(frozen=True)
class Files:
    """What is read and written; `curve_plot` only for a learning curve. A `log` of None stands for the one beside `data`."""

    data: str
    log: Path | None
    output: Path
    curve_plot: Path

    @property
    def log_path(self) -> Path:
        return self.log or Path(self.data).with_name("ranking_log.jsonl")


def run(files: Files, base_model: str, settings: TrainingSettings, *, top: int, learning_curve: bool) -> None:
    """The whole job: read, cross-validate, evaluate, find disputes, write, report.

    Args:
        top: how many of the most disputed rankings to print.
        learning_curve: also train on fewer rankings, to tell whether more would help.
    """
    rankings, table = read_data(files.data)
    try:
        folds = folds_by_prompt(rankings, settings.validation_fraction, settings.seed)
    except ValueError:
        raise InputError(f"{files.data}: only one prompt with a ranking; rank at least two to review them") from None
    smaller = smaller_folds(rankings, folds, settings.validation_fraction, settings.seed) if learning_curve else []
    if learning_curve and not smaller:
        prompts = len({ranking.prompt for ranking in rankings})
        print(f"warning: a learning curve takes at least {LEAST_FOR_CURVE} prompts, and there are {prompts}; it is left out")
        learning_curve = False
    check_outputs(files, draws=learning_curve)
    again = self_agreement(files.log_path, rankings, data=files.data)
    settle_waiting()
    base = find_base_model(base_model)
    print(plain(base.note or f"base model: {base.used} ({base.source})"), flush=True)

    from preference.training.cross_validation import (
        check_unseen,
        cross_validate,
        estimate_seconds,
        known_folds,
        save_outcome,
        steps_of,
        warn_of_cut,
    )
    from preference.training.progress import ShowFolds

    check_unseen(rankings, base)
    if warning := warn_of_cut(rankings, base, settings):
        print(plain(warning))
    every = [*folds, *(fold for some in smaller for fold in some)]
    known = known_folds(rankings, every, base, settings)
    new = [fold for fold in every if fold not in known]
    if new and sys.stdout.isatty():  # a person is waiting
        print("estimating the time …", flush=True)
    estimate = f", about {duration(estimate_seconds(rankings, new, base, settings))}" if new else ""
    done = f"; {len(known)} of them known from earlier" if known else ""
    fewer = f", {len(every) - len(folds)} of them with fewer rankings" if smaller else ""
    print(f"cross-validation: {counted(len(every), 'fold')} by prompt{fewer}{done}{estimate}", flush=True)

    start = time.perf_counter()
    progress = ShowFolds(sum(steps_of(rankings, fold.parts, settings) for fold in every), len(every))
    with progress.bar:
        rewards, *of_smaller = (
            cross_validate(rankings, some, base, settings, callbacks=[progress], on_fold=progress.end_fold) for some in (folds, *smaller)
        )
    seconds = time.perf_counter() - start

    import numpy as np

    from preference.evaluation.calibration import LEAST_PROMPTS, calibrate, chance_calibration_error, odds_in_words, why_no_odds
    from preference.evaluation.disputes import disputes_of, expected_disputes
    from preference.evaluation.evaluation import evaluate
    from preference.evaluation.learning_curve import describe_gain, fit_curve, measured_points
    from preference.evaluation.metrics import pair_margins, split_rewards
    from preference.evaluation.reversed_ranks import find_reversed
    from preference.evaluation.review_table import review_csv
    from preference.evaluation.tables import print_disputes, print_report, print_reversed

    if learning_curve:
        from preference.evaluation.curve_plot import plot_learning_curve

    evaluation = evaluate("cross-validation", rankings, rewards, seed=settings.seed)
    disputes = disputes_of(rankings, rewards)
    of_ranking = [pair_margins(ranking, values) for ranking, values in zip(rankings, split_rewards(rankings, rewards), strict=True)]
    calibration = calibrate([np.concatenate([of_ranking[i] for i in fold.held_out]) for fold in folds])
    by_chance = chance_calibration_error(rankings, rewards, calibration.temperature, seed=settings.seed)
    top = min(top, int((disputes > LEAST_DISPUTE * rewards.std()).sum()))
    write_atomically(files.output, review_csv(table, rankings, rewards, disputes))
    words = training_words(base_model, settings)
    keep_words(files.output, words)
    outcome = {name: asdict(getattr(evaluation, name)) for name in ("metrics", "longest", "shortest")} | asdict(calibration)
    save_outcome(rankings, base, settings, outcome | {"prompts": evaluation.metrics.prompts, "folds": len(folds)})

    print_report([evaluation], answers=False, again=again)
    print(
        "Each answer was scored by a model that never saw its prompt and trained on fewer prompts than your final model will,\n"
        "so the accuracy is, if anything, an underestimate.\n\n"
        f"{odds_in_words(calibration, evaluation.metrics.prompts, by_chance)}\n"
    )
    if learning_curve:
        points = measured_points(rankings, [*smaller, folds], [*of_smaller, rewards])
        curve = fit_curve(points, models=len(folds))
        plot_learning_curve(points, curve, evaluation, files.curve_plot, again=again)
        say(describe_gain(curve, evaluation.metrics.prompts) + "\n")
    print_reversed(rankings, find_reversed(rankings, rewards))
    print_disputes(rankings, rewards, disputes, top)
    if top and not why_no_odds(calibration.temperature, evaluation.metrics.prompts):
        threshold = float(np.sort(disputes)[-top])
        as_these, as_first = (
            expected_disputes(rankings, rewards, strength, calibration.temperature, seed=settings.seed) for strength in (threshold, disputes.max())
        )
        first = f", and about {as_first:.1f} as strong as the first" if top > 1 else ""
        print(f"By these probabilities, chance alone would give about {as_these:.0f} disputes as strong as these {top}{first}.")
    print(f"\n{counted(len(every), 'fold')} in {duration(seconds)}\nreview      {plain(files.output)}")
    if learning_curve:
        print(f"picture     {plain(files.curve_plot)}")
    if top:
        look_again = [*flag_with("--data", files.data), *flag_with("--again", files.output), *(flag_with("--log", files.log) if files.log else [])]
        print(f"look again  {command_line('generate_data.py', look_again)}")
    if evaluation.metrics.prompts >= LEAST_PROMPTS and settings.validation_fraction == TrainingSettings().validation_fraction:
        words = [*words, "--validation-fraction", "0"]  # this review is the evidence: no ranking need be kept from the training
    print(f"train       {command_line('reward_model_trainer.py', [*flag_with('--data', files.data), *words])}")


def read_data(data: str) -> tuple[list[Ranking], CsvTable]:
    """Read the rankings, say what is left out, and keep the rows as they are now: training takes long, and the file may be edited."""
    if Path(data).exists() and not Path(data).is_file():
        raise InputError(f"{data}: not a file; save the rankings as a CSV first")
    rankings, table = read_rankings(data), read_table(data)
    if rankings.sha256 != table.sha256:
        raise InputError(f"{data}: changed while it was read; start again")
    for warning in rankings.warnings():
        print(f"warning: {plain(warning)}")
    return rankings.rankings, table


def check_outputs(files: Files, *, draws: bool) -> None:
    """Before any work, refuse a review that would replace something else, and a picture that cannot be drawn."""
    from preference.evaluation.review_table import check_output

    check_output(files.output, files.data)
    plot = files.curve_plot
    if draws and (plot.suffix.lower() not in PICTURES or plot.is_dir()):
        raise InputError(f"--curve-plot {plot}: unsupported image type; use {' '.join(PICTURES)}")
    if draws and not plot.parent.is_dir():
        raise InputError(f"--curve-plot {plot}: no folder {plot.parent}; create it, or choose another --curve-plot")


def duration(seconds: float) -> str:
    """Return a time in words.

    >>> duration(42), duration(200)
    ('42 s', '3.3 min')
    """
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.1f} min"


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="review_rankings.py", description="Say how far your rankings can be trusted, and which to look at again.", formatter_class=HelpFormatter
    )
    parser.add_argument("--data", default="training_data.csv", help="the rankings")
    parser.add_argument("--output", type=Path, default=Path("review.csv"), help="all rankings, most disputed first; an earlier review is replaced")
    parser.add_argument("--top", type=at_least(0), default=10, help="how many of the most disputed rankings to print")
    parser.add_argument("--log", type=Path, help="what was shown, and when, for the prompts shown twice (default: ranking_log.jsonl beside --data)")
    curve = parser.add_argument_group("learning curve")
    curve.add_argument(
        "--learning-curve", action="store_true",
        help="also train on an eighth, a quarter and a half of the rankings, to tell whether more would help; takes two to four times as long",
    )  # fmt: skip
    curve.add_argument("--curve-plot", type=Path, default=Path("learning_curve.png"), help="the picture of it; an earlier one is replaced")
    add_training_arguments(parser, title="training of each fold", split="the folds")
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    run(settings_from(Files, args), args.base_model, settings_from(TrainingSettings, args), top=args.top, learning_curve=args.learning_curve)
    return 0


if __name__ == "__main__":
    run_script(main)
