#!/usr/bin/env python3
"""Sample candidate answers from a language model and rank them at the terminal.

    python generate_data.py
    python generate_data.py --prompts my_prompts.txt --data my_rankings.csv
    python generate_data.py --data my_rankings.csv --again review.csv

Reads prompts (default: the sample's five). Writes candidates.jsonl (the sampled answers), training_data.csv (your
rankings: prompt, answer, rank; 1 is best) and ranking_log.jsonl (what was shown, and when). Stop at any time: every
ranking that you confirmed is saved, and the next start continues from there. With --again, reads what
review_rankings.py wrote and shows the rankings again that models dispute; a new ranking replaces the earlier one.
"""

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from preference.arguments import HelpFormatter, Parser, above, at_least, command_line, from_to, random_seed, settings_from
from preference.data.candidates import Candidates, SamplingSettings, append_candidates, read_candidates, read_prompts
from preference.data.jsonl import prepare_file, read_text
from preference.data.sample import TRAINING_SAMPLE
from preference.errors import InputError
from preference.model.base_models import GENERATOR_DEFAULT, find_base_model
from preference.scripts import run_script
from preference.threads import settle_waiting
from preference.training.training_arguments import kept_words
from preference.wording import counted, flag_with, plain

DEFAULT_CANDIDATES = Path("candidates.jsonl")
AGAIN_FLAGS = ["data", "again", "log", "guidelines", "seed"]  # those that say what --again does
OTHER_JOBS = ["--prompts", "--candidates", "--recheck", "--generate-only"]  # that do not go with it
PROMPTS_AT_ONCE = 8  # sampled together; their candidates are saved together


@dataclass(frozen=True)
class Files:
    """The files that are read and written; None stands for the default that `--help` names."""

    data: Path
    prompts: Path | None = None
    candidates: Path | None = None
    log: Path | None = None
    guidelines: Path | None = None
    again: Path | None = None

    @property
    def log_path(self) -> Path:
        return self.log or self.data.with_name("ranking_log.jsonl")


@dataclass(frozen=True)
class Commands:
    """What the person is told to type next."""

    rank: str
    train: str
    review: str


class LazyGenerator:
    """A generator that is loaded when it is first needed: ranking answers that are already sampled needs none."""

    def __init__(self, name: str, device: str, settings: SamplingSettings):
        self.name, self.device, self.settings = name, device, settings

    @cached_property
    def model(self):
        settle_waiting()
        base = find_base_model(self.name)
        print(plain(base.note or f"generator: {base.used} ({base.source})"), flush=True)

        from preference.machine import check_device
        from preference.model.generator import Generator

        check_device(self.device)
        return Generator(base, self.device)

    def sample_again(self, prompt: str, attempt: int) -> list[str]:
        """Return new candidates for one prompt."""
        return self.model.sample([prompt], self.settings, attempt=attempt)[0]


def find_prompts(prompts: Path | None, candidates: Path | None) -> list[str]:
    """Return the prompts to rank answers to: those of the prompts file, else of the candidates file, else of the sample."""
    if prompts is not None:
        return read_prompts(prompts)
    if candidates is None:
        return list(TRAINING_SAMPLE)
    if not candidates.exists():
        raise InputError(f"{candidates}: no such file; to sample candidates into it, also give --prompts")
    return [one.prompt for one in read_candidates(candidates)]


def sample_candidates(prompts: list[str], ranked: set[str], path: Path, generator: LazyGenerator) -> list[Candidates]:
    """Return each prompt's candidates. Those that the file `path` lacks are sampled and saved in it, but not for `ranked` prompts."""
    found = {one.prompt: one for one in read_candidates(path)} if path.exists() else {}
    missing = [prompt for prompt in prompts if prompt not in found and prompt not in ranked]
    if missing:
        prepare_file(path, "--candidates")
        found |= {one.prompt: one for one in _sample(missing, path, generator)}
    return [found.get(prompt, Candidates(prompt, [])) for prompt in prompts]


def _sample(prompts: list[str], path: Path, generator: LazyGenerator) -> list[Candidates]:
    model, settings = generator.model, generator.settings
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    start, sampled = time.perf_counter(), []
    terminal = Console(stderr=True)
    count = TextColumn("{task.fields[saved]} of {task.fields[prompts]} prompts")
    columns = [TextColumn("sampling candidates"), BarColumn(), count, TimeElapsedColumn()]
    with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
        batches = [prompts[first : first + PROMPTS_AT_ONCE] for first in range(0, len(prompts), PROMPTS_AT_ONCE)]
        task = progress.add_task("", total=len(batches) * settings.max_new_tokens, saved=0, prompts=len(prompts))
        for number, batch in enumerate(batches, 1):
            for prompt, answers in zip(batch, model.sample(batch, settings, on_token=lambda: progress.advance(task)), strict=True):
                sampled.append(Candidates(prompt, answers, {"generator": model.name, **settings.as_record()}))
                append_candidates(path, sampled[-1])
                if len(answers) < settings.num_candidates:
                    warning = f"warning: only {counted(len(answers), 'distinct candidate')} for {prompt!r}"
                    progress.console.print(warning, markup=False, highlight=False)
            progress.update(task, saved=len(sampled), completed=number * settings.max_new_tokens)
    total = sum(len(one.answers) for one in sampled)
    print(f"{plain(path)}: {counted(total, 'candidate')} for {counted(len(prompts), 'prompt')} in {time.perf_counter() - start:.0f} s", flush=True)
    return sampled


def given(args: argparse.Namespace, names: Iterable[str]) -> list[str]:
    """Return every argument of `names` that differs from its default, as words of a command."""
    parser, words = build_parser(), []
    for name in names:
        flag, value = "--" + name.replace("_", "-"), getattr(args, name)
        if value is True:
            words.append(flag)
        elif value != parser.get_default(name):
            words += flag_with(flag, value)
    return words


def run(files: Files, generator: LazyGenerator, commands: Commands, *, generate_only: bool, recheck: float) -> int:
    """The whole job: read prompts, sample the candidates that are missing, rank what is not ranked, and sum up. Return the exit status."""
    prompts = find_prompts(files.prompts, files.candidates)
    candidates_path = files.candidates or DEFAULT_CANDIDATES
    if generate_only:
        sample_candidates(prompts, set(), candidates_path, generator)
        print(f"rank them:  {commands.rank}")
        return 0

    from preference.ranking.commands import RankingDialogue
    from preference.ranking.session import RankingSession
    from preference.ranking.store import RankingStore
    from preference.ranking.summary import print_agreement

    guidelines = read_guidelines(files)
    store = RankingStore(files.data, files.log_path)
    try:
        candidates = sample_candidates(prompts, store.prompts(), candidates_path, generator)
        session = RankingSession(candidates, store, seed=generator.settings.seed, recheck=recheck)
        if session.current is None:
            print(
                f"All prompts are ranked in {plain(files.data)} or were discarded."
                " Use --prompts FILE for other prompts, or --data FILE for another CSV."
            )
            if not (store.log.standing and sys.stdin.isatty()):
                return 0
        dialogue = RankingDialogue(session, generator.sample_again, guidelines)
        lead(dialogue)
        if not dialogue.interrupted:
            print_agreement(session)
        print_next(session, commands)
    finally:
        store.close()
    return 130 if dialogue.interrupted else 0


def run_again(files: Files, review: Path, commands: Commands, *, seed: int) -> int:
    """The whole job of --again: read the review, rank again what is disputed, and sum up. Return the exit status."""
    if not files.data.exists():
        raise InputError(f"{files.data}: no such file; --again needs the rankings that were reviewed")
    if review.exists() and review.samefile(files.data):
        raise InputError(f"{review}: is also --data; give --data the rankings that were reviewed")

    from preference.ranking.again import AgainSession, read_review
    from preference.ranking.again_commands import AgainDialogue
    from preference.ranking.store import RankingStore
    from preference.ranking.summary import print_outcomes

    guidelines, reviewed = read_guidelines(files), read_review(review)
    store = RankingStore(files.data, files.log_path)
    try:
        session = AgainSession(reviewed, store, seed=seed)
        dialogue = AgainDialogue(session, guidelines)
        if session.current is None:
            if dialogue.notice:
                print(plain(dialogue.notice))
            ranked = f"all {len(session.done)} disputed rankings were looked at again" if session.done else "no ranking to show again"
            print(f"{plain(review)}: {ranked}. For a new review: {commands.review}")
            if not (store.log.reranked and sys.stdin.isatty()):
                return 0
        lead(dialogue)
        outcomes = session.outcomes()
        if not dialogue.interrupted:
            print_outcomes(outcomes)
        print_next(session, commands, review_again=any(outcome.changed for outcome in outcomes))
    finally:
        store.close()
    return 130 if dialogue.interrupted else 0


def read_guidelines(files: Files) -> str:
    """Return what `?` shows above the keys."""
    from preference.ranking.dialogue import GUIDELINES

    return read_text(files.guidelines).rstrip() if files.guidelines else GUIDELINES


def lead(dialogue) -> None:
    """Lead the person through a session, and say how much was done. Statistics are for those who have not pressed Ctrl-C: they take a second."""
    from preference.ranking.summary import print_counts

    start = time.monotonic()
    dialogue.run()
    print_counts(dialogue.session, time.monotonic() - start)


def print_next(session, commands: Commands, *, review_again: bool = False) -> None:
    """Say what to type next."""
    counts = session.counts()
    if counts.left + counts.skipped:
        print(f"continue:  {commands.rank}")
    if review_again:
        print(f"review:    {commands.review}")
    if counts.done:
        print(f"train:     {commands.train}")


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        description="Sample candidate answers from a language model and rank them at the terminal.",
        formatter_class=HelpFormatter,
    )
    default = SamplingSettings()
    files = parser.add_argument_group("files")
    files.add_argument(
        "--prompts", type=Path,
        help="one prompt per line, or a CSV or JSONL file with a prompt column (default: the sample's five prompts)",
    )  # fmt: skip
    files.add_argument("--data", type=Path, default=Path("training_data.csv"), help="where the rankings go; existing rows are kept")
    files.add_argument(
        "--candidates", type=Path,
        help="sampled answers, a JSONL file with prompt and answers; one that another program wrote is ranked as it is"
        f" (default: {DEFAULT_CANDIDATES})",
    )  # fmt: skip
    files.add_argument("--log", type=Path, help="log of what was shown, and when (default: ranking_log.jsonl beside --data)")
    files.add_argument(
        "--again", type=Path, metavar="REVIEW",
        help="what review_rankings.py wrote: show the rankings of --data again that models dispute, most disputed first",
    )  # fmt: skip
    sampling = parser.add_argument_group("sampling candidates")
    sampling.add_argument(
        "--generator", default=GENERATOR_DEFAULT, help="a causal language model: a folder, a GGUF file, or a name on the Hugging Face Hub"
    )
    sampling.add_argument("--num-candidates", type=at_least(2), default=default.num_candidates, help="answers per prompt")
    sampling.add_argument("--max-new-tokens", type=at_least(1), default=default.max_new_tokens, help="maximum answer length in tokens")
    sampling.add_argument("--temperature", type=above(0), default=default.temperature, help="higher values give more varied answers")
    sampling.add_argument(
        "--top-p", type=from_to(1e-6, 1), default=default.top_p, help="sample from the most likely tokens, whose probabilities add up to this"
    )
    sampling.add_argument(
        "--seed", type=random_seed, default=default.seed, help="random seed for sampling, and for the order of the answers on the screen"
    )
    sampling.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    sampling.add_argument("--generate-only", action="store_true", help="stop after sampling; rank later")
    ranking = parser.add_argument_group("ranking")
    ranking.add_argument("--guidelines", type=Path, help="a text file that ? shows instead of the built-in guidelines")
    ranking.add_argument(
        "--recheck", type=from_to(0, 1), default=0.0, help="show this share of the prompts a second time, reshuffled, to measure agreement"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    generator = LazyGenerator(args.generator, args.device, settings_from(SamplingSettings, args))
    files = settings_from(Files, args)
    names = AGAIN_FLAGS if files.again else [name for name in vars(args) if name != "generate_only"]
    output = flag_with("--output", files.again) if files.again and files.again != Path("review.csv") else []
    trained = kept_words(files.again) if files.again else []  # as the review was, so that its folds and its odds are known
    commands = Commands(
        rank=command_line("generate_data.py", given(args, names)),
        train=command_line("reward_model_trainer.py", [*given(args, ["data"]), *trained]),
        review=command_line("review_rankings.py", [*given(args, ["data"]), *output, *given(args, ["log"]), *trained]),
    )
    if files.again is None:
        try:
            return run(files, generator, commands, generate_only=args.generate_only, recheck=args.recheck)
        except KeyboardInterrupt:  # while candidates were sampled: those of finished batches are saved
            again = command_line("generate_data.py", given(args, vars(args)))
            raise KeyboardInterrupt(f"what was done so far is saved\ncontinue:  {again}") from None
    if others := [flag for flag in OTHER_JOBS if getattr(args, flag[2:].replace("-", "_")) not in (None, False, 0.0)]:
        raise InputError(f"--again shows rankings of --data again; leave out {' and '.join(others)}")
    return run_again(files, files.again, commands, seed=args.seed)


if __name__ == "__main__":
    run_script(main)
