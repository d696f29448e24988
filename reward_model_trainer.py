#!/usr/bin/env python3
"""Fine-tune a reward model on ranked answers, evaluate it on unseen prompts, and plot its rewards.

    python reward_model_trainer.py
    python reward_model_trainer.py --data my_rankings.csv --objective bradley-terry

Reads training_data.csv (columns prompt, answer, rank; 1 is best) and test_data.csv where it exists. Writes
reward_model_final/ (model, tokenizer, model card, metrics.json, rewards.csv), reward_scores_plot.png and logs/
for TensorBoard. Several processes: torchrun --nproc-per-node 2 reward_model_trainer.py …
"""

import argparse
import contextlib
import json
import os
import random
import re
import time
from dataclasses import dataclass
from pathlib import Path

from preference import console
from preference.arguments import HelpFormatter, Parser, settings_from
from preference.data.rankings import Rankings, read_rankings
from preference.data.splits import split_by_prompt, train_on_seen
from preference.durable_files import locked, recover_folder, write_atomically
from preference.errors import InputError
from preference.model.base_models import find_base_model
from preference.processes import PROCESS
from preference.scripts import run_script
from preference.threads import settle_waiting
from preference.training.settings import TrainingSettings
from preference.training.training_arguments import add_training_arguments
from preference.wording import counted, name_some, shorten

TEST_DATA = Path("test_data.csv")
PICTURES = (".png", ".pdf", ".svg", ".jpg", ".webp")  # what matplotlib draws
PICTURE = "reward_scores_plot"  # its name beside the model card
SEEN_RANKINGS = 50  # shown where no prompt is unseen; they prove nothing
TAKEN = "another training is writing to this folder; wait until it has ended, or choose another --output-dir"


def say(text: str = "", *, wrap: bool = True) -> None:
    if PROCESS == 0:
        console.say(text, wrap=wrap)


@dataclass(frozen=True)
class Files:
    """What is read and written. `dataset_name` is the name of the data on the Hub, if it is there."""

    data: str
    test_data: str | None  # None: no test data
    dataset_name: str | None
    output_dir: Path
    plot: Path
    log_dir: Path


def run(files: Files, base_model: str, settings: TrainingSettings, *, resume: bool, until_end: contextlib.ExitStack) -> None:
    """The whole job: read, split, train, evaluate, save, plot, report. `until_end` keeps other trainings out of the output folder."""
    check_outputs(files)
    rankings, tests = read_data(files.data, files.test_data)
    test_prompts = {ranking.prompt for ranking in tests.rankings} if tests else set()
    usable = [ranking for ranking in rankings.rankings if ranking.prompt not in test_prompts]

    parts = split_by_prompt(usable, settings.validation_fraction, settings.seed)
    if not parts.validation and settings.validation_fraction > 0:
        count = counted(len({ranking.prompt for ranking in usable}), "prompt")
        say(f"{count}: too few for a validation part of {settings.validation_fraction:.0%}; training on all of them")

    settle_waiting()
    base = find_base_model(base_model)
    say(base.note or f"base model: {base.used} ({base.source})")
    from preference.training.seen_prompts import prompt_digest, seen_by

    seen_before = seen_by(base)
    if known := {prompt for prompt in {*rankings.prompts, *test_prompts} if prompt_digest(prompt) in seen_before}:
        say(f"warning: {base.used} was trained on {len(known)} of these prompts already: none of them counts as unseen")
        parts = train_on_seen(usable, parts, known.__contains__)
    from preference.training.progress import ShowProgress, TensorBoardLog, say_summary
    from preference.training.resuming import last_checkpoint
    from preference.training.train import train

    if PROCESS == 0:
        until_end.enter_context(locked(files.output_dir, TAKEN))
        recover_folder(files.output_dir)
    checkpoints = files.output_dir.with_name(files.output_dir.name + "_checkpoints")
    try:
        trained = train(
            usable, parts, base, settings, checkpoints=checkpoints, resume=resume, on_message=say,
            callbacks=[ShowProgress(), TensorBoardLog(files.log_dir / time.strftime("%Y%m%d-%H%M%S"))] if PROCESS == 0 else [],
        )  # fmt: skip
    except KeyboardInterrupt:
        if last_checkpoint(checkpoints):
            raise KeyboardInterrupt("the same command with --resume continues from the last checkpoint") from None
        raise
    if PROCESS != 0:
        return

    from preference.evaluation.evaluation import evaluate
    from preference.evaluation.tables import print_report
    from preference.training.cross_validation import known_outcome
    from preference.training.earlier_model import compare_with_earlier, restore_command
    from preference.training.evidence import Evidence, count_review, review_in_words
    from preference.training.model_card import Published, draw_picture, model_card
    from preference.training.record import metrics_record, rewards_csv
    from preference.training.saving import remove_checkpoints, save_and_verify

    training_part = [usable[i] for i in parts.training]
    unseen = {
        "test": [ranking for ranking in tests.rankings if ranking.prompt not in known] if tests else [],
        "validation": [usable[i] for i in parts.validation],
    }
    seen = sorted(random.Random(settings.seed).sample(parts.training, min(len(parts.training), SEEN_RANKINGS)))
    shown = {part: some for part, some in unseen.items() if some} or {"training": [usable[i] for i in seen]}
    evaluations = [evaluate(part, some, trained.reward_model.score_rankings(some), seed=settings.seed) for part, some in shown.items()]
    review = known_outcome(usable, base, settings)
    evidence = Evidence(rankings, tests, training_part, trained, count_review(evaluations, review), review)
    not_compared: list[str] = []
    comparison = compare_with_earlier(files.output_dir, evaluations, on_message=not_compared.append)

    picture = draw_picture(evidence, files.plot.suffix.lower(), on_message=say)
    record = metrics_record(evidence)
    published = Published(files.output_dir.resolve().name, files.dataset_name, PICTURE + files.plot.suffix.lower() if picture else None)
    contents = {"metrics.json": json.dumps(record, indent=2) + "\n", "rewards.csv": rewards_csv(evaluations)}
    contents["README.md"] = model_card(evidence, record, published)
    if published.picture:
        contents[published.picture] = picture
    previous = save_and_verify(trained.reward_model, files.output_dir, contents, evidence.first)
    try:
        remove_checkpoints(checkpoints)
        try:
            if picture:
                write_atomically(files.plot, picture)
        except OSError as error:
            say(f"warning: {files.plot}: the picture could not be written ({error.strerror})")

        print_report(evidence.evaluations)
        if review and evidence.unseen:
            say(f"\n{f'Cross-validation of the same rankings: {review_in_words(review)}.'}")
        for sentence in [comparison.in_words()] if comparison else not_compared:
            say(f"\n{sentence}")
        if comparison and comparison.changed:
            say(f"The top answer changed for {counted(len(comparison.changed), 'prompt')}: {name_some(map(shorten, comparison.changed))}")
        if previous:
            say("The previous model is kept until the next training; to restore it:")
            say(f"  {restore_command(files.output_dir)}", wrap=False)
        say()
        say_summary(trained, training_part, [usable[i] for i in parts.validation])
        say("saved; reloading gives the same rewards\n")
        say(f"model   {files.output_dir}/\nplot    {files.plot}\nlogs    {files.log_dir}/", wrap=False)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"the model is saved in {files.output_dir}/") from None


def read_data(data: str, test_data: str | None) -> tuple[Rankings, Rankings | None]:
    """Read the training and the test CSV, and say what is left out: also prompts that stand in both, which are not trained on."""
    rankings = read_rankings(data)
    tests = read_rankings(test_data) if test_data else None
    for warning in rankings.warnings() + (tests.warnings() if tests else []):
        say(f"warning: {warning}")
    shared = {r.prompt for r in rankings.rankings} & {r.prompt for r in tests.rankings} if tests else set()
    if shared:
        say(f"warning: {data} shares {counted(len(shared), 'prompt')} with {test_data}: left out of training, so that the test prompts are unseen")
        if all(ranking.prompt in shared for ranking in rankings.rankings):
            raise InputError(f"{data}: every prompt is also in {test_data}; nothing is left to train on")
    return rankings, tests


def check_outputs(files: Files) -> None:
    """Before any work, refuse a picture that cannot be drawn, a folder that this trainer did not write, and a name that the Hub cannot have."""
    output_dir, plot = files.output_dir, files.plot
    if plot.suffix.lower() not in PICTURES or plot.is_dir():
        raise InputError(f"--plot {plot}: unsupported image type; use {' '.join(PICTURES)}")
    if output_dir.exists() and (not output_dir.is_dir() or any(output_dir.iterdir())) and not (output_dir / "metrics.json").exists():
        raise InputError(f"{output_dir}: exists and was not written by this trainer; choose another --output-dir")
    if files.dataset_name and not re.fullmatch(r"[\w.-]+/[\w.-]+", files.dataset_name, re.ASCII):
        raise InputError(f"--dataset-name {files.dataset_name}: not a name of the Hugging Face Hub; write USER/NAME")
    try:
        plot.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--plot {plot}: its folder cannot be created ({error.strerror})") from error


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="reward_model_trainer.py",
        description="Fine-tune a reward model on ranked answers, evaluate it on unseen prompts, and plot its rewards.",
        formatter_class=HelpFormatter,
    )
    files = parser.add_argument_group("files")
    files.add_argument("--data", default="training_data.csv", help="ranked answers to train on")
    files.add_argument("--test-data", default=None, help=f"ranked answers to unseen prompts (default: {TEST_DATA} where it exists)")
    files.add_argument("--output-dir", type=Path, default=Path("reward_model_final"), help="the model's folder; an earlier model there is replaced")
    files.add_argument("--plot", type=Path, default=Path("reward_scores_plot.png"), help="the picture of the rewards")
    files.add_argument("--log-dir", type=Path, default=Path("logs"), help="folder for TensorBoard")
    files.add_argument("--dataset-name", metavar="USER/NAME", default=None, help="name of these rankings on the Hugging Face Hub, for the model card")
    how = add_training_arguments(parser)
    how.add_argument("--resume", action="store_true", help="continue from the last checkpoint of a run that was stopped")
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    if args.test_data is None and TEST_DATA.exists():
        args.test_data = str(TEST_DATA)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    with contextlib.ExitStack() as until_end:
        run(settings_from(Files, args), args.base_model, settings_from(TrainingSettings, args), resume=args.resume, until_end=until_end)
    return 0


if __name__ == "__main__":
    run_script(main)
