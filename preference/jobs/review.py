"""The job of review_rankings.py: how far rankings can be trusted, and which to look at again."""

import contextlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from preference.console import make_bar, say
from preference.data.rankings import Ranking, Rankings, read_rankings
from preference.data.splits import prompt_digest
from preference.data.tables import kind_of, read_table
from preference.durable_files import prepare_file, write_atomically
from preference.errors import InputError
from preference.evaluation.learning_curve import describe_gain, fit_curve
from preference.evaluation.metrics import self_agreement
from preference.evaluation.odds import REVIEW_COLUMNS, disputes_of, find_reversed, review_csv
from preference.evaluation.record import read_record
from preference.evaluation.tables import print_disputes, print_report, print_reversed
from preference.jobs.settings import ReviewSettings
from preference.model.base_models import BaseModel, find_base_model
from preference.model.encoding import encode_rankings
from preference.ranking.store import RankingLog
from preference.training.probe import MIN_CURVE_PROMPTS, Start, measure_curve, review_states, start_from
from preference.training.settings import TrainingSettings
from preference.wording import counted

MIN_DISPUTE = 0.005  # standard deviations of the rewards; weaker ones are not printed


def review_rankings(asked: ReviewSettings, settings: TrainingSettings, steps: dict[str, str]) -> None:
    """Read, cross-validate, write review.csv, say what the rankings can be trusted with, and print the next `steps`."""
    read = read_data(asked)
    rankings, log = read.rankings, asked.log or Path(asked.data).with_name("ranking_log.jsonl")
    twice, known = RankingLog(log, asked.data).shown_twice(), {ranking.key for ranking in rankings}
    again = self_agreement([(first, second) for first, second in twice if first.key in known])
    base = find_base_model(asked.base_model)
    say(base.note or f"base model: {base.used} ({base.source})")
    check_unseen(rankings, base)
    start, states = read_states(rankings, base, settings)
    review = review_states(start, states, rankings)
    assert review is not None
    rewards = review.evaluation.rewards
    disputes = disputes_of(rankings, rewards)
    write_atomically(asked.output, review_csv(read.table, rankings, rewards, disputes))

    print_report([review.evaluation], answers=False, again=again)
    scored = f"scored by one of {review.models} models, which never saw its prompt and learned from fewer prompts"
    say(f"Each answer was {scored} than your final model will, so the accuracy is, if anything, an underestimate.\n")
    say(review.calibration.in_words(review.evaluation.metrics.prompts) + "\n")
    if asked.learning_curve:
        say_gain(start, states, rankings)
    print_reversed(rankings, find_reversed(rankings, rewards))
    disputed = int((disputes > MIN_DISPUTE * rewards.std()).sum())
    if top := min(asked.top, disputed):
        print_disputes(rankings, rewards, disputes, top)
    say(f"\nreview      {asked.output}", wrap=False)
    for name in ["look again"] * bool(disputed) + ["train"]:
        say(f"{name:12}{steps[name]}", wrap=False)


def read_data(asked: ReviewSettings) -> Rankings:
    """Read the rankings, and say what is left out; before any work, refuse what cannot be reviewed or written."""
    read = read_rankings(asked.data)
    for warning in read.warnings():
        say(f"warning: {warning}")
    if len(read.prompts) < 2:
        raise InputError(f"{asked.data}: only one prompt with a ranking; rank at least two to review them")
    if kind_of(asked.output, "csv") != "csv" or asked.output.suffix.lower() == ".gz":
        raise InputError(f"{asked.output}: a review is written as CSV; choose another --output")
    prepare_file(asked.output, "--output")
    if asked.output.exists():
        columns: list[str] = []
        with contextlib.suppress(InputError):
            columns = read_table(asked.output).columns
        if not set(REVIEW_COLUMNS) <= set(columns) or asked.output.samefile(asked.data):
            raise InputError(f"{asked.output}: exists and is not a review; choose another --output")
    return read


def check_unseen(rankings: Sequence[Ranking], base: BaseModel) -> None:
    """Raise InputError if `base` is a reward model that was trained on a prompt of `rankings`, as no review may be."""
    seen, prompts = set(read_record(base.path).seen_prompts or ()), {ranking.key for ranking in rankings}
    if known := sum(prompt_digest(prompt) in seen for prompt in prompts):
        raise InputError(
            f"--base-model {base.asked}: was trained on {known} of the {counted(len(prompts), 'prompt')} of these"
            " rankings, so none of these prompts is unseen to it; review with the base model that it started from, or"
            " review rankings that it has not seen"
        )


def read_states(rankings: list[Ranking], base: BaseModel, settings: TrainingSettings) -> tuple[Start, np.ndarray]:
    """Return the base model as probes take it, and its states of all answers: shape (answers, width)."""
    start = start_from(base, settings, rankings)
    if not start.pooled:
        known = "a review reads the middle layers of BERT and its relatives or of decoders"
        raise InputError(f"--base-model {base.asked}: {known}; use another base model")
    rows = encode_rankings(rankings, start.tokenizer, settings.max_length, say)
    pairs = [pair for row in rows for pair in row["pairs"]]
    with make_bar("reading answers") as bar:
        return start, start.states(pairs, partial(bar.advance, bar.add_task("", total=len(pairs))))


def say_gain(start: Start, states: np.ndarray, rankings: list[Ranking]) -> None:
    """Measure the learning curve, and say whether more rankings would help."""
    prompts = len({ranking.key for ranking in rankings})
    if measured := measure_curve(start, states, rankings):
        say(describe_gain(fit_curve(measured, seed=start.settings.seed), prompts) + "\n")
    else:
        say(f"warning: no learning curve: need at least {MIN_CURVE_PROMPTS} prompts, have {prompts}\n")
