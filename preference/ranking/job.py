"""Ranking at the terminal, from the files to the closing lines: new answers, or again what models dispute."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from preference.console import say
from preference.data.candidates import DEFAULT_CANDIDATES, Candidates, read_candidates, read_prompts
from preference.data.sample import TRAINING_SAMPLE
from preference.data.tables import read_text
from preference.errors import InputError
from preference.ranking.again import AgainSession, read_review
from preference.ranking.again_loop import AgainLoop
from preference.ranking.growing import GrowingModel
from preference.ranking.loop import GUIDELINES, Loop
from preference.ranking.ranking_loop import RankingLoop
from preference.ranking.session import RankingSession, Session
from preference.ranking.store import RankingStore
from preference.ranking.summary import print_agreement, print_counts, print_growth, print_outcomes

INTERRUPTED = 130  # the exit status after Ctrl-C


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
    def candidates_path(self) -> Path:
        return self.candidates or DEFAULT_CANDIDATES

    @property
    def log_path(self) -> Path:
        return self.log or self.data.with_name("ranking_log.jsonl")

    def check(self) -> None:
        """Raise InputError if a file that is written is another one as well."""
        written: dict[str, str] = {}
        for flag, path in (
            ("--data", self.data),
            ("--log", self.log_path),
            ("--candidates", self.candidates_path),
            ("--again", self.again),
        ):
            if path is not None and (other := written.setdefault(os.path.realpath(path), flag)) != flag:
                raise InputError(f"{path}: is also {other}; give {flag} another file")

    def read_guidelines(self) -> str:
        """Return what `?` shows above the keys."""
        return read_text(self.guidelines).rstrip() if self.guidelines else GUIDELINES


@dataclass(frozen=True)
class NextSteps:
    """The commands that the person is told to type next."""

    rank: str
    train: str
    review: str


def find_prompts(files: Files) -> list[str]:
    """Return the prompts to rank answers to: those of the prompts file, else of the candidates file, else of the sample.

    Raises:
        InputError: the file cannot be read, or there is none.
    """
    if files.prompts is not None:
        return read_prompts(files.prompts)
    if files.candidates is None:
        return list(TRAINING_SAMPLE)
    if not files.candidates.exists():
        raise InputError(f"{files.candidates}: no such file; to sample candidates into it, also give --prompts")
    return [one.prompt for one in read_candidates(files.candidates)]


def rank(
    files: Files,
    find_candidates: Callable[[list[str], set[str], Path], Sequence[Candidates]],
    sample_again: Callable[[str, int], list[str]],
    steps: NextSteps,
    *,
    seed: int,
    recheck: float,
    model: bool,
) -> int:
    """Rank answers to the prompts that are not ranked yet, and sum up. Return the exit status.

    Args:
        find_candidates: takes the prompts, those of them that need no answers, and the candidates file.
        sample_again: takes a prompt and the number of the attempt.
        model: whether one learns beside the person, where a person types.

    Raises:
        InputError: a file is wrong, or cannot be written.
    """
    prompts, guidelines = find_prompts(files), files.read_guidelines()
    store, growing = RankingStore(files.data, files.log_path), GrowingModel()
    try:
        candidates = find_candidates(prompts, store.prompts(), files.candidates_path)
        if model and sys.stdin.isatty():
            growing.start(files.data, seed)
        session = RankingSession(candidates, store, seed=seed, recheck=recheck, growing=growing)
        if session.current is None:
            say(
                f"All prompts are ranked in {files.data} or were discarded. Use --prompts FILE for other prompts, or --data FILE for another CSV."
            )
            if not (store.log.undoable and sys.stdin.isatty()):
                return 0
        loop = RankingLoop(session, sample_again, guidelines)
        lead(loop)
        if not loop.interrupted:
            growing.wait()
            growing.close()  # what follows has the processor to itself
            print_agreement(session)
            print_growth(growing)
        print_next(session, steps, review_again=bool(growing.disputes) and not loop.interrupted)
    finally:
        growing.close()
        store.close()
    return INTERRUPTED if loop.interrupted else 0


def rank_again(files: Files, review: Path, steps: NextSteps, *, seed: int, top: int | None) -> int:
    """Read a review, rank again what is disputed, and sum up. Return the exit status.

    Raises:
        InputError: a file is wrong, or cannot be written.
    """
    if not files.data.exists():
        raise InputError(f"{files.data}: no such file; --again needs the rankings that were reviewed")
    guidelines, reviewed = files.read_guidelines(), read_review(review)
    store = RankingStore(files.data, files.log_path)
    try:
        session = AgainSession(reviewed, store, seed=seed, top=top)
        loop = AgainLoop(session, guidelines)
        if session.current is None:
            if loop.notice:
                say(loop.notice)
            looked_at = (
                f"all {len(session.done)} disputed rankings were looked at again"
                if session.done
                else "no ranking to show again"
            )
            say(f"{review}: {looked_at}. For a new review: {steps.review}", wrap=False)
            if not (store.log.looked_at and sys.stdin.isatty()):
                return 0
        lead(loop)
        outcomes = session.outcomes()
        if not loop.interrupted:
            print_outcomes(outcomes)
        print_next(session, steps, review_again=any(outcome.changed for outcome in outcomes))
    finally:
        store.close()
    return INTERRUPTED if loop.interrupted else 0


def lead(loop: Loop) -> None:
    """Lead the person through a session, and say how much was done. Statistics are for those who have not pressed Ctrl-C: they take a second."""
    start = time.monotonic()
    loop.run()
    print_counts(loop.session, time.monotonic() - start)


def print_next(session: Session, steps: NextSteps, *, review_again: bool = False) -> None:
    """Say what to type next."""
    counts = session.counts()
    if counts.left + counts.skipped:
        say(f"continue:  {steps.rank}", wrap=False)
    if review_again:
        say(f"review:    {steps.review}", wrap=False)
    if counts.done:
        say(f"train:     {steps.train}", wrap=False)
