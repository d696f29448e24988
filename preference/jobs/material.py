"""What reward_model_trainer.py reads: rankings, a base model, and what is learned from. Imports nothing heavy."""

import re
from dataclasses import dataclass
from pathlib import Path

from preference import console
from preference.data.rankings import SAMPLES, Ranking, Rankings, read_rankings
from preference.data.splits import Parts, prompt_digest, prompt_key, split_by_prompt, train_on_seen
from preference.durable_files import prepare_file
from preference.errors import InputError
from preference.evaluation.record import read_record
from preference.jobs.settings import TrainingFiles
from preference.machine import PROCESS
from preference.model.base_models import BaseModel, find_base_model
from preference.training.model_folder import check_ours, previous_folder
from preference.training.settings import TrainingSettings
from preference.wording import counted

TEST_DATA = Path("test_data.csv")
PICTURES = (".png", ".pdf", ".svg", ".jpg", ".webp")  # what matplotlib draws


@dataclass(frozen=True)
class Material:
    """What there is to learn from, and to be judged by."""

    data: Rankings
    tests: Rankings | None
    usable: list[Ranking]  # those whose prompts are not the test's
    parts: Parts  # positions in `usable`
    base: BaseModel
    known: set[str]  # keys of the prompts that the base model was trained on

    def is_unseen(self, ranking: Ranking) -> bool:
        """Return whether the base model was not trained on a ranking's prompt."""
        return ranking.key not in self.known


def say(text: str = "", *, wrap: bool = True, hanging: int = 0) -> None:
    """Print text, once however many processes there are; see `preference.console.say`."""
    if PROCESS == 0:
        console.say(text, wrap=wrap, hanging=hanging)


def read_material(files: TrainingFiles, settings: TrainingSettings) -> Material:
    """Read what there is to learn from, find the base model, and split by prompt; say what is left out, and why."""
    check_outputs(files)
    rankings, tests = read_data(files.data, files.test_data)
    test_prompts = {ranking.key for ranking in tests.rankings} if tests else set()
    usable = [ranking for ranking in rankings.rankings if ranking.key not in test_prompts]
    parts = split_by_prompt(usable, settings.validation_fraction, settings.seed)
    if not parts.validation and settings.validation_fraction > 0:
        count = counted(len({ranking.key for ranking in usable}), "prompt")
        say(f"{count}: too few for a validation part of {settings.validation_fraction:.0%}; training on all of them")
    base = find_base_model(files.base_model)
    say(base.note or f"base model: {base.used} ({base.source})")
    seen = set(read_record(base.path).seen_prompts or ())
    if known := {key for key in {*map(prompt_key, rankings.prompts), *test_prompts} if prompt_digest(key) in seen}:
        say(f"warning: {base.used} was trained on {len(known)} of these prompts already: they are not used as evidence")
        parts = train_on_seen(usable, parts, lambda prompt: prompt_key(prompt) in known)
    return Material(rankings, tests, usable, parts, base, known)


def read_data(data: str, test_data: str | None) -> tuple[Rankings, Rankings | None]:
    """Read the training and the test CSV; say what is left out, as are prompts of the test in training.

    Without `test_data`, `TEST_DATA` is taken if it exists and all prompts of `data` are the sample's: as a rule it
    holds the sample's test prompts, and says nothing of anybody's own rankings.
    """
    rankings = read_rankings(data)
    prompts = {ranking.key for ranking in rankings.rankings}
    if test_data is None and TEST_DATA.exists():
        if prompts <= {ranking.key for ranking in read_rankings(SAMPLES[0]).rankings}:
            test_data = str(TEST_DATA)
        else:
            remedy = f"to judge the model by it, give --test-data {TEST_DATA}"
            say(f"{TEST_DATA} is not used: {data} is not the sample; {remedy}")
    tests = read_rankings(test_data) if test_data is not None else None
    for warning in rankings.warnings() + (tests.warnings() if tests else []):
        say(f"warning: {warning}")
    shared = prompts & {ranking.key for ranking in tests.rankings} if tests else set()
    if shared:
        said = f"{data} shares {counted(len(shared), 'prompt')} with {test_data}"
        say(f"warning: {said}: left out of training, so that the test prompts are unseen")
    if shared == prompts:
        raise InputError(f"{data}: every prompt is also in {test_data}; nothing is left to train on")
    return rankings, tests


def check_outputs(files: TrainingFiles) -> None:
    """Refuse a picture that cannot be drawn, a folder that is not ours, and a name that the Hub cannot have."""
    output_dir, plot = files.output_dir, files.plot
    if plot and (plot.suffix.lower() not in PICTURES or plot.is_dir()):
        raise InputError(f"--plot {plot}: unsupported image type; use {' '.join(PICTURES)}")
    whole = output_dir.resolve()
    if whole in (Path.cwd(), *Path.cwd().parents) or whole.is_mount():
        remedy = "choose a new folder inside it"
        raise InputError(f"--output-dir {output_dir}: refusing to overwrite this folder; {remedy}")
    for flag, path in (("--plot", plot), ("--log-dir", files.log_dir)):
        if path and whole in (path.resolve(), *path.resolve().parents):
            raise InputError(f"{flag} {path}: lies in --output-dir, which each training replaces; choose another place")
    if output_dir.exists():
        check_ours(output_dir)
        check_ours(previous_folder(output_dir))
    if files.log_dir.exists() and not files.log_dir.is_dir():
        raise InputError(f"--log-dir {files.log_dir}: not a folder; choose another one")
    if files.dataset_name and not re.fullmatch(r"[\w.-]+/[\w.-]+", files.dataset_name, re.ASCII):
        raise InputError(f"--dataset-name {files.dataset_name}: not a name on the Hugging Face Hub; write USER/NAME")
    if plot:
        prepare_file(plot, "--plot")
