"""The job of generate_data.py: sample candidates, rank them, or again what models dispute, and sum up."""

import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from preference.console import make_console, say
from preference.data.candidates import (
    DEFAULT_CANDIDATES,
    SamplingSettings,
    append_candidates,
    read_candidates,
    read_prompts,
)
from preference.data.rankings import SAMPLES
from preference.data.tables import read_text
from preference.durable_files import prepare_file
from preference.errors import InputError
from preference.machine import avoid_busy_waiting, check_device
from preference.model.base_models import BaseModel, find_base_model
from preference.ranking.again import AgainSession, Outcome, read_review
from preference.ranking.growing import GrowingModel
from preference.ranking.loop import GUIDELINES, Loop
from preference.ranking.session import RankingSession, SessionCounts
from preference.ranking.store import RankingLog, RankingStore
from preference.scripts import INTERRUPTED, in_thread
from preference.wording import counted, name_some, shorten

if TYPE_CHECKING:
    from preference.model.generator import Generator

PROMPTS_AT_ONCE = 8  # sampled together; their candidates are saved together


@dataclass(frozen=True)
class Files:
    """The files that are read and written; None stands for the default that `--help` names."""

    data: Path
    prompts: Path | None = None
    candidates: Path | None = None
    log: Path | None = None
    guidelines: Path | None = None

    @property
    def candidates_path(self) -> Path:
        return self.candidates or DEFAULT_CANDIDATES

    @property
    def log_path(self) -> Path:
        return self.log or self.data.with_name("ranking_log.jsonl")

    def read_guidelines(self) -> str:
        """Return what `?` shows above the commands."""
        return read_text(self.guidelines).rstrip() if self.guidelines else GUIDELINES

    def find_prompts(self) -> list[str]:
        """Return the prompts of the prompts file, else of the candidates file, else of the sample."""
        if self.prompts is not None or self.candidates is None:
            return read_prompts(self.prompts or SAMPLES[0])
        if not self.candidates.exists():
            raise InputError(f"{self.candidates}: no such file; to sample candidates into it, also give --prompts")
        return list(read_candidates(self.candidates))


class Sampler:
    """Gives candidates; its generator is loaded when it is first needed, as ranking sampled answers needs none."""

    def __init__(self, name: str, device: str, settings: SamplingSettings):
        self.name, self.device, self.settings = name, device, settings

    @cached_property
    def generator(self) -> "Generator":
        """The generator. Loading it takes from seconds to a minute, most of it the first import of PyTorch."""
        avoid_busy_waiting()
        with make_console(stderr=True).status(f"looking for the generator {self.name} …", spinner="line"):
            base = find_base_model(self.name)
        say(base.note or f"generator: {base.used} ({base.source})")
        with make_console(stderr=True).status("loading the generator …", spinner="line"):
            loaded, has_gpu = in_thread(partial(self._load, base))  # Ctrl-C within the import of PyTorch would abort it
        if self.device == "cpu" and has_gpu:
            say("PyTorch sees a GPU here: --device cuda samples on it")
        return loaded

    def _load(self, base: BaseModel) -> tuple["Generator", bool]:
        import torch

        from preference.model.generator import Generator

        check_device(self.device)
        return Generator(base, self.device), torch.cuda.is_available()

    def sample_again(self, prompt: str, attempt: int) -> list[str]:
        """Return new candidates for one prompt."""
        generator = self.generator
        with make_console(stderr=True).status("sampling new answers …", spinner="line"):
            return generator.sample([prompt], self.settings, attempt=attempt)[0]

    def candidates(self, prompts: Sequence[str], ranked: set[str], path: Path) -> dict[str, list[str]]:
        """Return each prompt's candidates; what the file `path` lacks is sampled into it, but for `ranked` prompts."""
        found = read_candidates(path) if path.exists() else {}
        if missing := [prompt for prompt in prompts if prompt not in found and prompt not in ranked]:
            prepare_file(path, "--candidates")
            found |= self._sample(missing, path)
        return {prompt: found.get(prompt, []) for prompt in prompts}

    def _sample(self, prompts: Sequence[str], path: Path) -> dict[str, list[str]]:
        from rich.progress import BarColumn, Progress, TimeElapsedColumn

        generator, settings, sampled, start = self.generator, self.settings, dict[str, list[str]](), time.perf_counter()
        values = {name: value for name, value in asdict(settings).items() if name != "seed"}
        count = f"{{task.fields[saved]}} of {{task.fields[prompts]}} prompts saved, {PROMPTS_AT_ONCE} at a time"
        terminal, columns = make_console(stderr=True), ("sampling candidates", BarColumn(), count, TimeElapsedColumn())
        with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
            batches = [prompts[first : first + PROMPTS_AT_ONCE] for first in range(0, len(prompts), PROMPTS_AT_ONCE)]
            task = progress.add_task("", total=len(batches) * settings.max_new_tokens, saved=0, prompts=len(prompts))
            for number, batch in enumerate(batches, 1):
                answers_of = generator.sample(batch, settings, on_token=lambda: progress.advance(task))
                for prompt, answers in zip(batch, answers_of, strict=True):
                    sampled[prompt] = answers
                    details = {"generator": generator.name, "settings": values, "seed": settings.seed}
                    append_candidates(path, prompt, answers, **details)
                    if len(answers) < settings.num_candidates:
                        few = f"only {counted(len(answers), 'distinct candidate')} for {shorten(prompt)}"
                        progress.console.print(f"warning: {few}")
                progress.update(task, saved=len(sampled), completed=number * settings.max_new_tokens)
        total = counted(sum(map(len, sampled.values())), "candidate")
        say(f"{path}: {total} for {counted(len(prompts), 'prompt')} in {time.perf_counter() - start:.0f} s")
        return sampled


def rank(files: Files, sampler: Sampler, steps: dict[str, str], *, seed: int, recheck: float, model: bool) -> int:
    """Rank answers to unranked prompts, sum up, print the `steps` to take, and return the exit status."""
    prompts, guidelines = files.find_prompts(), files.read_guidelines()
    with closing(RankingStore(files.data, files.log_path)) as store, closing(GrowingModel()) as growing:
        candidates = sampler.candidates(prompts, store.prompts(), files.candidates_path)
        if model and sys.stdin.isatty():
            growing.start(files.data, seed)
        session = RankingSession(candidates, store, seed=seed, recheck=recheck, growing=growing)
        if session.current is None:
            more = "Use --prompts FILE for other prompts, or --data FILE for another CSV."
            say(f"All prompts are ranked in {files.data} or were discarded. {more}")
            if not (store.log.undoable and sys.stdin.isatty()):
                return 0
        lead(loop := Loop(session, guidelines, sampler.sample_again))
        disputes = []
        if not loop.interrupted:
            growing.close()  # what follows has the processor to itself
            print_agreement(store.log)
            if words := growing.found.get("words"):
                say(words)
            if disputes := growing.found.get("disputes", []):
                say(f"worth a second look: {name_some(map(shorten, disputes))}")
        print_next(session.counts(), steps, review_again=bool(disputes))
    return INTERRUPTED if loop.interrupted else 0


def rank_again(files: Files, review: Path, steps: dict[str, str], *, seed: int, top: int | None) -> int:
    """Rank again what a review disputes, sum up, print the `steps` to take, and return the exit status."""
    if not files.data.exists():
        raise InputError(f"{files.data}: no such file; --again needs the rankings that were reviewed")
    guidelines, reviewed = files.read_guidelines(), read_review(review)
    with closing(RankingStore(files.data, files.log_path)) as store:
        session = AgainSession(reviewed, store, seed=seed, top=top)
        loop = Loop(session, guidelines)
        if session.current is None:
            if loop.notice:
                say(loop.notice)
            done = len(session.done)
            which = "the disputed ranking" if done == 1 else f"all {done} disputed rankings"
            looked_at = f"you have been through {which}" if done else "no ranking to show again"
            say(f"{review}: {looked_at}. For a new review:")
            say(f"  {steps['review']}", wrap=False)
            if not (store.log.looked_at and sys.stdin.isatty()):
                return 0
        lead(loop)
        outcomes = session.outcomes()
        if outcomes and not loop.interrupted:
            print_outcomes(outcomes, sum(event.kind == "reranked" for event in session.done.values()) - len(outcomes))
        print_next(session.counts(), steps, review_again=any(outcome.changed for outcome in outcomes))
    return INTERRUPTED if loop.interrupted else 0


def lead(loop: Loop) -> None:
    """Lead the person through a session, and say how much was done."""
    start = time.monotonic()
    loop.run()
    counts, rankings = loop.session.counts(), counted(loop.session.confirmed, "ranking")
    skipped = f" ({counts.skipped} skipped, to be shown again at the next start)" if counts.skipped else ""
    left = f"{counts.left + counts.skipped} left{skipped}"
    say(f"\n{rankings} in {(time.monotonic() - start) / 60:.1f} min; {counts.done} done, {left}")


def print_agreement(log: RankingLog) -> None:
    """Say how well the person agrees with themselves, where prompts were shown twice."""
    if not (twice := log.shown_twice()):
        return
    from preference.evaluation.metrics import self_agreement

    if agreement := self_agreement(twice):
        low, high = agreement.interval
        share = f"{agreement.share:.0%} of {counted(agreement.pairs, 'pair')} of answers in the same order"
        interval = f"95 % interval {low:.0%} to {high:.0%}"
        say(f"shown twice: {counted(agreement.prompts, 'prompt')}; {share} ({interval})")


def print_outcomes(outcomes: Sequence[Outcome], not_blind: int) -> None:
    """Say how the new rankings compare with the earlier ones and the models'; some were made knowing these."""
    sides = [outcome.side for outcome in outcomes if outcome.changed]
    nearer = f"nearer to the models' order {sides.count(1)}, nearer to the earlier one {sides.count(-1)}"
    others = f"; {not_blind} not counted: you had already seen the models' order" if not_blind else ""
    unchanged = f"unchanged {len(outcomes) - len(sides)}"
    say(f"ranked again: {len(outcomes)}; {unchanged}, {nearer}, halfway between {sides.count(0)}{others}")


def print_next(counts: SessionCounts, steps: dict[str, str], *, review_again: bool) -> None:
    """Say what to type next."""
    if counts.left + counts.skipped:
        say(f"continue:  {steps['rank']}", wrap=False)
    if review_again:
        say(f"review:    {steps['review']}", wrap=False)
    if counts.done:
        say(f"train:     {steps['train']}", wrap=False)
