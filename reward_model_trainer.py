#!/usr/bin/env python3
"""Fine-tune a reward model on ranked answers, evaluate it on unseen prompts, and plot its rewards.

    python reward_model_trainer.py
    python reward_model_trainer.py --data my_rankings.csv --objective bradley-terry

Reads training_data.csv (columns prompt, answer, rank; 1 is best), and judges the model by test_data.csv where the training
prompts are the sample's; your own rankings are judged by a part that is held out, or by --test-data. Writes
reward_model_final/ (model, tokenizer, model card, metrics.json, rewards.csv), reward_scores_plot.png and logs/
for TensorBoard. Several processes: torchrun --nproc-per-node 2 reward_model_trainer.py …
"""

import argparse
import contextlib
import os
import random
import re
import time
from dataclasses import dataclass
from pathlib import Path

from preference import console
from preference.arguments import HelpFormatter, Parser, file_name, file_path, settings_from
from preference.data.prompt_key import prompt_key
from preference.data.rankings import Rankings, read_rankings
from preference.data.sample import TRAINING_SAMPLE
from preference.data.splits import split_by_prompt, train_on_seen
from preference.durable_files import locked, write_atomically
from preference.errors import InputError
from preference.model.base_models import find_base_model
from preference.processes import PROCESS
from preference.scripts import run_script
from preference.threads import settle_waiting
from preference.training.output_folder import bring_back, check_ours, previous_folder, remove_run, unfinished_folder
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
    test_data: str | None  # None: see read_data
    dataset_name: str | None
    output_dir: Path
    plot: Path
    log_dir: Path


def run(files: Files, base_model: str, settings: TrainingSettings, *, resume: bool, until_end: contextlib.ExitStack) -> None:
    """The whole job: read, split, train, evaluate, save, plot, report. `until_end` keeps other trainings out of the output folder."""
    check_outputs(files)
    rankings, tests = read_data(files.data, files.test_data)
    test_prompts = {ranking.key for ranking in tests.rankings} if tests else set()
    usable = [ranking for ranking in rankings.rankings if ranking.key not in test_prompts]

    parts = split_by_prompt(usable, settings.validation_fraction, settings.seed)
    if not parts.validation and settings.validation_fraction > 0:
        count = counted(len({ranking.key for ranking in usable}), "prompt")
        say(f"{count}: too few for a validation part of {settings.validation_fraction:.0%}; training on all of them")

    settle_waiting()
    base = find_base_model(base_model)
    say(base.note or f"base model: {base.used} ({base.source})")
    from preference.training.seen_prompts import prompt_digest, seen_by

    seen_before = seen_by(base)
    if known := {key for key in {*map(prompt_key, rankings.prompts), *test_prompts} if prompt_digest(key) in seen_before}:
        say(f"warning: {base.used} was trained on {len(known)} of these prompts already: none of them counts as unseen")
        parts = train_on_seen(usable, parts, lambda prompt: prompt_key(prompt) in known)
    from preference.training.progress import ShowProgress, TensorBoardLog, say_summary
    from preference.training.resuming import telling_how_to_continue
    from preference.training.train import train

    if PROCESS == 0:
        until_end.enter_context(locked(files.output_dir, TAKEN))
        if sentence := bring_back(files.output_dir):
            say(sentence)
    checkpoints = unfinished_folder(files.output_dir)
    until_end.enter_context(telling_how_to_continue(checkpoints, resume=resume))
    trained = train(
        usable, parts, base, settings, checkpoints=checkpoints, resume=resume, on_message=say,
        callbacks=[ShowProgress(), TensorBoardLog(files.log_dir / time.strftime("%Y%m%d-%H%M%S"))] if PROCESS == 0 else [],
    )  # fmt: skip
    if PROCESS != 0:
        return

    from preference.evaluation.evaluation import evaluate
    from preference.evaluation.record import FILE
    from preference.evaluation.tables import print_report
    from preference.training.earlier_model import compare_with_earlier, restore_command
    from preference.training.evidence import Evidence, judged_by
    from preference.training.model_card import Published, draw_picture, model_card
    from preference.training.record import REWARDS, make_record, rewards_csv
    from preference.training.review import evaluate_seen, review_of
    from preference.training.saving import save_and_verify

    learned = range(len(usable)) if trained.rewards is not None else parts.training
    training_part = [usable[i] for i in learned]
    review = review_of(trained, usable, lambda ranking: ranking.key not in known)
    unseen = {
        "test": [ranking for ranking in tests.rankings if ranking.key not in known] if tests else [],
        "validation": [usable[i] for i in parts.validation] if trained.rewards is None else [],
    }
    evaluations = [evaluate(part, some, trained.reward_model.score_rankings(some), seed=settings.seed) for part, some in unseen.items() if some] or [
        evaluate_seen(trained, usable, sorted(random.Random(settings.seed).sample(learned, min(len(learned), SEEN_RANKINGS))))
    ]
    evidence = Evidence(rankings, tests, training_part, trained, evaluations, review)
    not_compared: list[str] = []
    comparison = compare_with_earlier(files.output_dir, evidence.shown, on_message=not_compared.append)

    picture = draw_picture(evidence, files.plot.suffix.lower(), on_message=say)
    record = make_record(evidence)
    published = Published(files.output_dir.resolve().name, files.dataset_name, PICTURE + files.plot.suffix.lower() if picture else None)
    contents: dict[str, str | bytes] = {FILE: record.to_json(), REWARDS: rewards_csv(evidence.shown)}
    contents["README.md"] = model_card(evidence, record, published)
    if published.picture:
        contents[published.picture] = picture
    previous = save_and_verify(trained.reward_model, files.output_dir, contents, evaluations[0])
    try:
        remove_run(checkpoints)
        try:
            if picture:
                write_atomically(files.plot, picture)
        except OSError as error:
            say(f"warning: {files.plot}: the picture could not be written ({error.strerror})")

        say(judged_by(evidence) + "\n")
        print_report(evidence.shown)
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
    """Read the training and the test CSV, and say what is left out: also prompts that stand in both, which are not trained on.

    Args:
        test_data: None is `TEST_DATA`, where that exists and all prompts of `data` are the sample's. It holds the sample's test
            prompts, as a rule, and says nothing of anybody's own rankings.
    """
    rankings = read_rankings(data)
    if test_data is None and TEST_DATA.exists():
        if {ranking.key for ranking in rankings.rankings} <= set(map(prompt_key, TRAINING_SAMPLE)):
            test_data = str(TEST_DATA)
        else:
            say(f"{TEST_DATA} is not used: {data} is not the sample; to judge the model by it, give --test-data {TEST_DATA}")
    tests = read_rankings(test_data) if test_data else None
    for warning in rankings.warnings() + (tests.warnings() if tests else []):
        say(f"warning: {warning}")
    shared = {r.key for r in rankings.rankings} & {r.key for r in tests.rankings} if tests else set()
    if shared:
        say(f"warning: {data} shares {counted(len(shared), 'prompt')} with {test_data}: left out of training, so that the test prompts are unseen")
        if all(ranking.key in shared for ranking in rankings.rankings):
            raise InputError(f"{data}: every prompt is also in {test_data}; nothing is left to train on")
    return rankings, tests


def check_outputs(files: Files) -> None:
    """Before any work, refuse a picture that cannot be drawn, a folder that this trainer did not write, and a name that the Hub cannot have."""
    output_dir, plot = files.output_dir, files.plot
    if plot.suffix.lower() not in PICTURES or plot.is_dir():
        raise InputError(f"--plot {plot}: unsupported image type; use {' '.join(PICTURES)}")
    whole = output_dir.resolve()
    if whole in (Path.cwd(), *Path.cwd().parents) or whole.is_mount():
        raise InputError(f"--output-dir {output_dir}: this folder cannot be replaced by a model; name a new one in it")
    for flag, path in (("--plot", plot), ("--log-dir", files.log_dir)):
        if whole in (path.resolve(), *path.resolve().parents):
            raise InputError(f"{flag} {path}: lies in --output-dir, which each training replaces; choose another place")
    if output_dir.exists():
        check_ours(output_dir)
        check_ours(previous_folder(output_dir))
    if files.log_dir.exists() and not files.log_dir.is_dir():
        raise InputError(f"--log-dir {files.log_dir}: not a folder; choose another one")
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
    files.add_argument("--data", type=file_name, default="training_data.csv", help="ranked answers to train on")
    files.add_argument(
        "--test-data", type=file_name, help=f"ranked answers to unseen prompts (default: {TEST_DATA}, if all prompts of --data are the sample's)"
    )
    files.add_argument(
        "--output-dir", type=file_path, default=Path("reward_model_final"), help="the model's folder; an earlier model there is replaced"
    )
    files.add_argument("--plot", type=file_path, default=Path("reward_scores_plot.png"), help="the picture of the rewards")
    files.add_argument("--log-dir", type=file_path, default=Path("logs"), help="folder for TensorBoard")
    files.add_argument("--dataset-name", metavar="USER/NAME", default=None, help="name of these rankings on the Hugging Face Hub, for the model card")
    how = add_training_arguments(parser)
    how.add_argument("--resume", action="store_true", help="continue from the last checkpoint of a run that was stopped")
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    with contextlib.ExitStack() as until_end:
        run(settings_from(Files, args), args.base_model, settings_from(TrainingSettings, args), resume=args.resume, until_end=until_end)
    return 0


if __name__ == "__main__":
    run_script(main)
