"""The job of reward_model_trainer.py: ranked answers become a reward model, and what is known of it."""

import contextlib
import random
import time
from pathlib import Path

from preference.durable_files import locked, write_atomically
from preference.evaluation.comparison import Comparison
from preference.evaluation.evaluation import evaluate
from preference.evaluation.record import FILE
from preference.evaluation.tables import print_report
from preference.jobs.material import Material, TrainingFiles, say
from preference.processes import PROCESS
from preference.training.earlier_model import compare_with_earlier, restore_command
from preference.training.evidence import Evidence, judged_by
from preference.training.model_card import Published, draw_picture, model_card
from preference.training.output_folder import bring_back, remove_run, unfinished_folder
from preference.training.progress import ShowProgress, TensorBoardLog, say_summary
from preference.training.record import REWARDS, make_record, rewards_csv
from preference.training.resuming import telling_how_to_continue
from preference.training.review import evaluate_seen, review_of
from preference.training.saving import save_and_verify
from preference.training.settings import TrainingSettings
from preference.training.train import Trained, train
from preference.wording import counted, name_some, shorten

PICTURE = "reward_scores_plot"  # its name beside the model card
SEEN_RANKINGS = 50  # shown where no prompt is unseen; they prove nothing
CHECKED_RANKINGS = 4  # scored where a review is shown instead: what is saved is compared with these
TAKEN = "another training is writing to this folder; wait until it has ended, or choose another --output-dir"


def train_and_report(files: TrainingFiles, material: Material, settings: TrainingSettings, *, resume: bool) -> None:
    """Train, evaluate, save, plot and report."""
    with contextlib.ExitStack() as until_end:  # keeps other trainings out of the output folder
        if PROCESS == 0:
            until_end.enter_context(locked(files.output_dir, TAKEN))
            if sentence := bring_back(files.output_dir):
                say(sentence)
        checkpoints = unfinished_folder(files.output_dir)
        until_end.enter_context(telling_how_to_continue(checkpoints, resume=resume))
        logs = [ShowProgress(), TensorBoardLog(files.log_dir / time.strftime("%Y%m%d-%H%M%S"))] if PROCESS == 0 else []
        trained = train(
            material.usable, material.parts, material.base, settings,
            checkpoints=checkpoints, resume=resume, on_message=say, callbacks=logs,
        )  # fmt: skip
        if PROCESS != 0:
            return
        evidence = gather_evidence(material, trained)
        not_compared: list[str] = []
        comparison = compare_with_earlier(files.output_dir, evidence.shown, on_message=not_compared.append)
        picture, previous = save(files, evidence)
        try:
            remove_run(checkpoints)
            report(files, evidence, material, comparison, not_compared, picture, previous)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"the model is saved in {files.output_dir}/") from None


def gather_evidence(material: Material, trained: Trained) -> Evidence:
    """Evaluate the model on all that it has not seen, or else on some of what it has."""
    usable, seed = material.usable, trained.settings.seed
    learned = range(len(usable)) if trained.rewards is not None else material.parts.training
    unseen = {
        "test": [ranking for ranking in material.tests.rankings if material.is_unseen(ranking)]
        if material.tests
        else [],
        "validation": [usable[i] for i in material.parts.validation] if trained.rewards is None else [],
    }
    score = trained.reward_model.score_rankings
    evaluations = [evaluate(part, some, score(some), seed=seed) for part, some in unseen.items() if some]
    review = review_of(trained, usable, material.is_unseen)
    if not evaluations:
        count = min(len(learned), SEEN_RANKINGS if review is None else CHECKED_RANKINGS)
        evaluations = [evaluate_seen(trained, usable, sorted(random.Random(seed).sample(learned, count)))]
    return Evidence(material.data, material.tests, [usable[i] for i in learned], trained, evaluations, review)


def save(files: TrainingFiles, evidence: Evidence) -> tuple[bytes, Path | None]:
    """Write the model's folder; return the picture, and where the earlier model is kept now."""
    kind = files.plot.suffix.lower() if files.plot else ""
    picture = draw_picture(evidence, kind, on_message=say) if files.plot else b""
    record = make_record(evidence)
    published = Published(files.output_dir.resolve().name, files.dataset_name, PICTURE + kind if picture else None)
    contents: dict[str, str | bytes] = {
        FILE: record.to_json(),
        REWARDS: rewards_csv(evidence.shown),
        "README.md": model_card(evidence, record, published),
    }
    if published.picture:
        contents[published.picture] = picture
    return picture, save_and_verify(evidence.trained.reward_model, files.output_dir, contents, evidence.evaluations[0])


def report(
    files: TrainingFiles,
    evidence: Evidence,
    material: Material,
    comparison: Comparison | None,
    not_compared: list[str],
    picture: bytes,
    previous: Path | None,
) -> None:
    """Write the picture, and print what is known of the model."""
    try:
        if picture and files.plot:
            write_atomically(files.plot, picture)
    except OSError as error:
        say(f"warning: {files.plot}: the picture could not be written ({error.strerror})")
    say(judged_by(evidence) + "\n")
    print_report(evidence.shown)
    for sentence in [comparison.in_words()] if comparison else not_compared:
        say(f"\n{sentence}")
    if comparison and comparison.changed:
        say(
            f"The top answer changed for {counted(len(comparison.changed), 'prompt')}: {name_some(map(shorten, comparison.changed))}"
        )
    if previous:
        say("The previous model is kept until the next training; to restore it:")
        say(f"  {restore_command(files.output_dir)}", wrap=False)
    say()
    say_summary(evidence.trained, evidence.training_part, [material.usable[i] for i in material.parts.validation])
    say("saved; reloading gives the same rewards\n")
    plot = f"plot    {files.plot}\n" if files.plot else ""
    say(f"model   {files.output_dir}/\n{plot}logs    {files.log_dir}/", wrap=False)
