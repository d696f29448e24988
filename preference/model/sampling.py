"""Candidates for prompts that have none: the generator is loaded when it is first needed, and what takes long shows that it goes on."""

import contextlib
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from preference.console import make_console, say
from preference.data.candidates import Candidates, SamplingSettings, append_candidates, read_candidates
from preference.durable_files import prepare_file
from preference.machine import avoid_busy_waiting
from preference.model.base_models import find_base_model
from preference.wording import counted, shorten

if TYPE_CHECKING:
    from preference.model.generator import Generator

PROMPTS_AT_ONCE = 8  # sampled together; their candidates are saved together


class LazyGenerator:
    """A generator that is loaded when it is first needed: ranking answers that are already sampled needs none."""

    def __init__(self, name: str, device: str, settings: SamplingSettings):
        self.name, self.device, self.settings = name, device, settings

    @cached_property
    def model(self) -> "Generator":
        """The generator. Loading it takes from seconds to a minute, most of it the first import of PyTorch."""
        terminal = make_console(stderr=True)
        if terminal.is_terminal:
            terminal.print(f"looking for the generator {self.name} …")
        avoid_busy_waiting()
        base = find_base_model(self.name)
        say(base.note or f"generator: {base.used} ({base.source})")
        with working("loading the generator"):
            import torch

            from preference.machine import check_device
            from preference.model.generator import Generator

            check_device(self.device)
            loaded = Generator(base, self.device)
        if self.device == "cpu" and torch.cuda.is_available():
            say("PyTorch sees a GPU here: --device cuda samples on it")
        return loaded

    def sample_again(self, prompt: str, attempt: int) -> list[str]:
        """Return new candidates for one prompt."""
        model = self.model
        with working("sampling new answers"):
            return model.sample([prompt], self.settings, attempt=attempt)[0]

    def candidates(self, prompts: list[str], ranked: set[str], path: Path) -> list[Candidates]:
        """Return each prompt's candidates. Those that the file `path` lacks are sampled and saved in it, but not for `ranked` prompts.

        Raises:
            InputError: the file cannot be read or written; see `read_candidates`.
        """
        found = {one.prompt: one for one in read_candidates(path)} if path.exists() else {}
        missing = [prompt for prompt in prompts if prompt not in found and prompt not in ranked]
        if missing:
            prepare_file(path, "--candidates")
            found |= {one.prompt: one for one in self._sample(missing, path)}
        return [found.get(prompt, Candidates(prompt, [])) for prompt in prompts]

    def _sample(self, prompts: list[str], path: Path) -> list[Candidates]:
        model, settings = self.model, self.settings
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        start, sampled = time.perf_counter(), []
        terminal = make_console(stderr=True)
        count = TextColumn("{task.fields[saved]} of {task.fields[prompts]} prompts")
        columns = [TextColumn("sampling candidates"), BarColumn(), count, TimeElapsedColumn()]
        with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
            batches = [prompts[first : first + PROMPTS_AT_ONCE] for first in range(0, len(prompts), PROMPTS_AT_ONCE)]
            task = progress.add_task("", total=len(batches) * settings.max_new_tokens, saved=0, prompts=len(prompts))
            for number, batch in enumerate(batches, 1):
                for prompt, answers in zip(
                    batch, model.sample(batch, settings, on_token=lambda: progress.advance(task)), strict=True
                ):
                    sampled.append(Candidates(prompt, answers, {"generator": model.name, **settings.as_record()}))
                    append_candidates(path, sampled[-1])
                    if len(answers) < settings.num_candidates:
                        progress.console.print(
                            f"warning: only {counted(len(answers), 'distinct candidate')} for {shorten(prompt)}"
                        )
                progress.update(task, saved=len(sampled), completed=number * settings.max_new_tokens)
        total = sum(len(one.answers) for one in sampled)
        say(
            f"{path}: {counted(total, 'candidate')} for {counted(len(prompts), 'prompt')} in {time.perf_counter() - start:.0f} s"
        )
        return sampled


@contextlib.contextmanager
def working(what: str) -> Iterator[None]:
    """Show on standard error that something goes on, and for how long, where that is a terminal. Print nothing within this."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    terminal = make_console(stderr=True)
    columns = [SpinnerColumn("line"), TextColumn(what), TimeElapsedColumn()]
    with Progress(
        *columns,
        console=terminal,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not terminal.is_terminal,
    ) as shown:
        shown.add_task("", total=None)
        yield
