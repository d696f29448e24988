#!/usr/bin/env python3
"""Say how far your rankings can be trusted, and which of them to look at again.

    python review_rankings.py --data my_rankings.csv

Trains five models, each without a fifth of the prompts, and asks each about the prompts that it never saw. Prints the
agreement on all prompts and the rankings that the models dispute most; writes review.csv (all rankings, most disputed
first: the CSV's own columns, and reward, predicted_rank, dispute). Nothing in the rankings is changed. Stop at any time:
folds that are done are kept, and the same command continues.
"""

from preference.processes import end_silently, raise_on_interrupt

if __name__ == "__main__":
    end_silently()

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from preference.arguments import HelpFormatter, Parser, at_least, settings_from
from preference.data.csv_table import CsvTable, Row, format_rows, read_table
from preference.data.folds import folds_by_prompt
from preference.data.rankings import Ranking, read_rankings
from preference.durable_files import write_atomically
from preference.errors import InputError
from preference.model.base_models import REWARD_MODEL_DEFAULT, find_base_model
from preference.threads import settle_waiting
from preference.training.settings import OBJECTIVES, PRECISIONS, TrainingSettings
from preference.wording import as_command, counted, plain

ADDED = ["reward", "predicted_rank", "dispute"]


@dataclass(frozen=True)
class Files:
    """What is read and written."""

    data: str
    output: Path


def run(files: Files, base_model: str, settings: TrainingSettings, *, top: int) -> None:
    """The whole job: read, cross-validate, evaluate, find disputes, write, report.

    Args:
        top: how many of the most disputed rankings to print.
    """
    rankings = read_rankings(files.data)
    for warning in rankings.warnings():
        print(f"warning: {plain(warning)}")
    try:
        folds = folds_by_prompt(rankings.rankings, settings.validation_fraction, settings.seed)
    except ValueError:
        raise InputError(f"{files.data}: only one prompt with a ranking; rank at least two to review them") from None
    check_output(files.output, files.data)
    settle_waiting()
    base = find_base_model(base_model)
    print(plain(base.note or f"base model: {base.used} ({base.source})"), flush=True)

    from preference.training.cross_validation import cross_validate, estimate_seconds, known_folds, save_outcome, steps_of
    from preference.training.progress import ShowFolds

    raise_on_interrupt()
    known = known_folds(rankings.rankings, folds, base, settings)
    new = [fold for fold in folds if fold not in known]
    seconds = estimate_seconds(rankings.rankings, new, base, settings)
    done = f"; {len(known)} of them known from earlier" if known else ""
    print(f"cross-validation: {counted(len(folds), 'fold')} by prompt{done}" + (f", about {duration(seconds)}" if new else ""), flush=True)

    start = time.perf_counter()
    progress = ShowFolds(sum(steps_of(rankings.rankings, fold.parts, settings) for fold in folds), len(folds))
    with progress.bar:
        rewards = cross_validate(rankings.rankings, folds, base, settings, callbacks=[progress], on_fold=progress.end_fold)
    seconds = time.perf_counter() - start

    import numpy as np

    from preference.evaluation.calibration import calibrate
    from preference.evaluation.disputes import disputes_of, expected_disputes
    from preference.evaluation.evaluation import evaluate
    from preference.evaluation.metrics import pair_margins, split_rewards
    from preference.evaluation.tables import print_disputes, print_report

    evaluation = evaluate("cross-validation", rankings.rankings, rewards, seed=settings.seed)
    disputes = disputes_of(rankings.rankings, rewards)
    of_ranking = [pair_margins(ranking, values) for ranking, values in zip(rankings.rankings, split_rewards(rankings.rankings, rewards), strict=True)]
    margins = [np.concatenate([of_ranking[i] for i in fold.held_out]) for fold in folds]
    calibration = calibrate(margins)
    top = min(top, int((disputes > 0).sum()))
    threshold = float(sorted(disputes, reverse=True)[top - 1]) if top else 0.0
    by_chance = expected_disputes(rankings.rankings, rewards, threshold, calibration.temperature, seed=settings.seed) if top else 0.0

    write_atomically(files.output, review_csv(files.data, rankings.rankings, rewards, disputes))
    print_report([evaluation], answers=False)
    print(
        "Each answer was scored by a model that never saw its prompt and trained on fewer prompts than your final model will,\n"
        "so the accuracy is, if anything, an underestimate.\n\n"
        f"P(preferred) = sigmoid(margin / {calibration.temperature:.2f}); expected calibration error"
        f" {calibration.error_before:.3f} before, {calibration.error_after:.3f} after temperature scaling\n"
    )
    print_disputes(rankings.rankings, rewards, disputes, top)
    if top:
        print(f"By these probabilities, chance alone would give about {by_chance:.0f} disputes as strong as these {top}.")
    save_outcome(
        rankings.rankings, base, settings,
        {name: asdict(getattr(evaluation, name)) for name in ("metrics", "longest", "shortest")} | asdict(calibration)
        | {"prompts": evaluation.metrics.prompts, "folds": len(folds)},
    )  # fmt: skip
    print(f"\n{counted(len(folds), 'fold')} in {duration(seconds)}\nreview      {plain(files.output)}")
    if top:
        print(f"look again  {as_command(['python', 'generate_data.py', '--data', files.data, '--again', str(files.output)])}")
    print(f"train       {train_command(files.data, base_model, settings)}")


def train_command(data: str, base_model: str, settings: TrainingSettings) -> str:
    """Return the command that trains on all of the rankings as they were reviewed."""
    default = TrainingSettings()
    words = ["python", "reward_model_trainer.py", "--data", data]
    if base_model != REWARD_MODEL_DEFAULT:
        words += ["--base-model", base_model]
    for field in fields(settings):
        if (value := getattr(settings, field.name)) != getattr(default, field.name):
            words += ["--" + field.name.replace("_", "-"), str(value)]
    return as_command(words)


def review_csv(data: str, rankings: list[Ranking], rewards: Sequence[float], disputes: Sequence[float]) -> str:
    """Return the rows of the CSV `data` that are part of a ranking, most disputed ranking first, with the columns `ADDED`."""
    from preference.evaluation.metrics import predicted_ranks, split_rewards

    table = read_table(data)
    rows_of: dict[tuple[str, str], list[list[str]]] = {}
    for row in table.rows:
        rows_of.setdefault((cell(table, row, "prompt"), cell(table, row, "group")), []).append(row.cells)
    answer = table.columns.index("answer")
    rows = []
    parts = split_rewards(rankings, rewards)
    for i in sorted(range(len(rankings)), key=lambda i: -disputes[i]):
        added = dict(zip(rankings[i].answers, zip(parts[i], predicted_ranks(parts[i]), strict=True), strict=True))
        for cells in rows_of[rankings[i].prompt, rankings[i].group]:
            reward, rank = added[cells[answer].strip()]
            rows.append([*cells, f"{reward:.4f}", rank, f"{disputes[i]:.4f}"])
    return format_rows([[*table.columns, *ADDED], *rows])


def cell(table: CsvTable, row: Row, column: str) -> str:
    """Return the row's cell of `column` without white space around it; "" where the CSV has no such column."""
    return row.cells[table.columns.index(column)].strip() if column in table.columns else ""


def check_output(output: Path, data: str) -> None:
    """Before any work, refuse to write where there is no folder, over the rankings, or over a file that is not a review."""
    if not output.parent.is_dir():
        raise InputError(f"--output {output}: no folder {output.parent}; create it, or choose another --output")
    if not output.exists():
        return
    header = output.open(encoding="utf-8-sig", errors="replace").readline() if output.is_file() else ""
    if not set(ADDED) <= set(header.strip().split(",")) or output.samefile(data):
        raise InputError(f"{output}: exists and is not a review; choose another --output")


def duration(seconds: float) -> str:
    """Return a time in words.

    >>> duration(42), duration(200)
    ('42 s', '3.3 min')
    """
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.1f} min"


def build_parser() -> argparse.ArgumentParser:
    default = TrainingSettings()
    parser = Parser(
        prog="review_rankings.py", description="Say how far your rankings can be trusted, and which to look at again.", formatter_class=HelpFormatter
    )
    parser.add_argument("--data", default="training_data.csv", help="the rankings")
    parser.add_argument("--output", type=Path, default=Path("review.csv"), help="all rankings, most disputed first; an earlier review is replaced")
    parser.add_argument("--top", type=at_least(0), default=10, help="how many of the most disputed rankings to print")
    training = parser.add_argument_group("training (as in reward_model_trainer.py)")
    training.add_argument("--base-model", default=REWARD_MODEL_DEFAULT, help="a folder, or a name on the Hugging Face Hub")
    training.add_argument("--objective", choices=OBJECTIVES, default=default.objective, help="the loss")
    training.add_argument("--max-length", type=at_least(1), default=default.max_length, help="tokens of prompt and answer together")
    training.add_argument("--max-steps", type=at_least(1), default=default.max_steps, help="stop each fold after this many steps")
    training.add_argument("--seed", type=int, default=default.seed, help="of the folds and of each training")
    training.add_argument("--device", default=default.device, help="cpu, cuda or mps")
    training.add_argument("--precision", choices=PRECISIONS, default=default.precision, help="auto: bf16 where the machine is faster in it")
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    try:
        run(settings_from(Files, args), args.base_model, settings_from(TrainingSettings, args), top=args.top)
    except InputError as error:
        print(f"error: {plain(error)}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {plain(error.filename)}: {error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the folds that are done are kept, and the same command continues", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
