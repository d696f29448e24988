"""The job of reward_model_trainer.py: ranked answers become a reward model, and what is known of it."""

import contextlib
import io
import random
import shlex
import time
from pathlib import Path

import numpy as np
from transformers.integrations import TensorBoardCallback

from preference.data.rankings import Ranking
from preference.durable_files import locked, write_atomically
from preference.evaluation.evaluation import Evaluation, evaluate
from preference.evaluation.plots import plot_rewards
from preference.evaluation.tables import print_report
from preference.jobs.material import Material, say
from preference.jobs.settings import TrainingFiles
from preference.machine import PROCESS
from preference.training.model_folder import last_checkpoint, previous_folder, remove_run, save_model, unfinished_folder
from preference.training.probe import Review, review_states
from preference.training.ranking_trainer import ShowProgress
from preference.training.report import REWARDS, Report, compare_with_earlier, make_record, model_card, rewards_csv
from preference.training.settings import TrainingSettings
from preference.training.train import Trained, train
from preference.wording import counted, plain

PICTURE = "reward_scores_plot"  # its name beside the model card
SEEN_RANKINGS = 50  # shown where no prompt is unseen; they prove nothing
CHECKED_RANKINGS = 4  # scored where a review is shown instead: what is saved is compared with these
TAKEN = "another training is writing to this folder; wait until it has ended, or choose another --output-dir"


def train_and_report(files: TrainingFiles, material: Material, settings: TrainingSettings) -> None:
    """Train, evaluate, save, plot and report."""
    checkpoints = unfinished_folder(files.output_dir)
    with locked(files.output_dir, TAKEN) if PROCESS == 0 else contextlib.nullcontext():
        try:
            trained = train(
                material.usable, material.parts, material.base, settings, checkpoints=checkpoints, resume=files.resume,
                on_message=say, callbacks=[ShowProgress(), log_to(files.log_dir)],
            )  # fmt: skip
            if PROCESS != 0:
                return
            report = make_report(material, trained)
            compared = compare_with_earlier(report, files.output_dir)
            picture = draw_picture(report, files.plot.suffix.lower()[1:]) if files.plot else b""
            previous = save(files, report, picture)
        except KeyboardInterrupt:
            if last_checkpoint(checkpoints):
                raise KeyboardInterrupt("the same command with --resume continues from the last checkpoint") from None
            raise
        try:
            remove_run(checkpoints)
            print_all(files, report, material, compared, previous)
            if files.plot:
                write_atomically(files.plot, picture)
            plot = f"plot    {files.plot}\n" if files.plot else ""
            say(f"model   {files.output_dir}/\n{plot}logs    {files.log_dir}/", wrap=False)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"the model is saved in {files.output_dir}/") from None


def log_to(folder: Path) -> TensorBoardCallback:
    """Return the callback that logs losses, learning rate and metrics for TensorBoard, from the first step on."""
    callback = TensorBoardCallback()
    callback.logging_dir = str(folder / time.strftime("%Y%m%d-%H%M%S"))
    return callback


def make_report(material: Material, trained: Trained) -> Report:
    """Evaluate the model on all that it has not seen, or else on some of what it has."""
    seed, review = trained.start.settings.seed, None
    learned, held_out = ([material.usable[i] for i in part] for part in material.parts)
    if trained.states is not None:  # the head alone was trained, in the end on all
        learned, held_out, review = material.usable, [], review_of(trained, material, trained.states)
    tests = material.tests.rankings if material.tests else []
    unseen = {"test": [ranking for ranking in tests if material.is_unseen(ranking)], "validation": held_out}

    def evaluated(part: str, rankings: list[Ranking]) -> Evaluation:
        return evaluate(part, rankings, trained.reward_model.score_rankings(rankings), seed=seed)

    evaluations = [evaluated(part, rankings) for part, rankings in unseen.items() if rankings]
    if not evaluations:
        count = min(len(learned), SEEN_RANKINGS if review is None else CHECKED_RANKINGS)
        drawn = sorted(random.Random(seed).sample(range(len(learned)), count))
        evaluations = [evaluated("training", [learned[i] for i in drawn])]
    return Report(material.data, material.tests, learned, trained, evaluations, review)


def review_of(trained: Trained, material: Material, states: np.ndarray) -> Review | None:
    """Cross-validate the rankings that the head was fitted to, without prompts that the base model had seen."""
    rankings = [ranking for ranking in material.usable if material.is_unseen(ranking)]
    kept = np.concatenate([[material.is_unseen(ranking)] * len(ranking.answers) for ranking in material.usable])
    return review_states(trained.start, states[kept], rankings)


def draw_picture(report: Report, kind: str) -> bytes:
    """Return the picture of the rewards as a file of a kind such as `png`."""
    start, prompts = report.trained.start, len({ranking.key for ranking in report.training_part})
    title = plain(f"{start.base.used}, {start.settings.objective}, {counted(prompts, 'training prompt')}")
    title, drawn = title.replace("$", r"\$"), io.BytesIO()
    plot_rewards(report.first, drawn, title=title, centred=start.has_bias, kind=kind)
    return drawn.getvalue()


def save(files: TrainingFiles, report: Report, picture: bytes) -> Path | None:
    """Write the model's folder; return where the earlier model is kept now, if there was one."""
    record, name = make_record(report), f"{PICTURE}{files.plot.suffix.lower()}" if files.plot else None
    card = model_card(report, record, folder=files.output_dir.resolve().name, dataset=files.dataset_name, picture=name)
    contents: dict[str, str | bytes] = {REWARDS: rewards_csv(report.shown), "README.md": card}
    if name:
        contents[name] = picture
    return save_model(report.trained.reward_model, files.output_dir, record, contents, report.evaluations[0])


def print_all(files: TrainingFiles, report: Report, material: Material, compared: str, previous: Path | None) -> None:
    """Print what is known of the model, and how it compares with the one before."""
    say(report.judged_by() + "\n")
    print_report(report.shown)
    if compared:
        say("\n" + compared)
    if previous:
        say("The previous model is kept until the next training; to restore it:")
        say(f"  {restore_command(files.output_dir)}", wrap=False)
    say()
    print_summary(report.trained, report.training_part, [material.usable[i] for i in material.parts.validation])
    say("saved; reloading gives the same rewards\n")


def restore_command(output_dir: Path) -> str:
    """Return the command that restores the previous model.

    >>> restore_command(Path("my model"))
    "rm -r -- 'my model' && mv -- 'my model.previous' 'my model'"
    """
    previous = previous_folder(output_dir)
    folder = str(previous.with_name(previous.name.removesuffix(".previous")))  # what a symbolic link leads to
    return f"{shlex.join(['rm', '-r', '--', folder])} && {shlex.join(['mv', '--', str(previous), folder])}"


def print_summary(trained: Trained, training: list[Ranking], validation: list[Ranking]) -> None:
    """Print how many answers were trained on and kept for validation, the time and the mean loss of the steps."""
    for name, part in (("training", training), ("validation", validation)):
        answers = counted(sum(len(ranking.answers) for ranking in part), "ranked answer")
        prompts = counted(len({ranking.key for ranking in part}), "prompt")
        after = " (also used for the final fit)" if part is validation and part and trained.start.head_only else ""
        say(f"{name + ' samples':20}{answers} to {prompts}{after}", hanging=20)
    speed = f"{trained.seconds:.1f} s, {trained.ranked_answers_per_second:.1f} ranked answers/s"
    say(f"{'training time':20}{counted(trained.steps, 'step')} in {speed}", hanging=20)
    say(f"{'training loss':20}{trained.training_loss:.4f} (mean of all steps)", hanging=20)
