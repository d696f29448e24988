"""What a training shows: one progress bar, the log for TensorBoard, and a summary at its end."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter
from transformers import TrainerCallback
from transformers.integrations import TensorBoardCallback

from preference.console import make_console, say
from preference.data.rankings import Ranking
from preference.training.train import Trained
from preference.wording import counted


class ShowProgress(TrainerCallback):
    """One bar on standard error, where that is a terminal: steps, time left, loss, validation accuracy."""

    def __init__(self) -> None:
        self.bar = _bar("training", MofNCompleteColumn())
        self.task = self.bar.add_task("", total=None)
        self.loss = self.accuracy = ""

    def on_train_begin(self, args, state, control, **kwargs):
        self.bar.update(self.task, total=state.max_steps)
        self.bar.start()

    def on_step_end(self, args, state, control, **kwargs):
        self.bar.update(self.task, completed=state.global_step, description=f"{self.loss} {self.accuracy}")

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "loss" in logs:
            self.loss = f"loss {logs['loss']:.3f}"
        if "eval_pairwise_accuracy" in logs:
            self.accuracy = f"validation accuracy {logs['eval_pairwise_accuracy']:.3f}"

    def on_train_end(self, args, state, control, **kwargs):
        self.bar.stop()


@contextlib.contextmanager
def progress_bar(title: str, total: int) -> Iterator[Callable[[int], object]]:
    """Show a bar on standard error, where that is a terminal; give the function that moves it on."""
    with _bar(title, MofNCompleteColumn()) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.advance(task, done)


def _bar(title: str, *columns: ProgressColumn) -> Progress:
    terminal = make_console(stderr=True)
    shown = (TextColumn(title), BarColumn(), *columns, TimeRemainingColumn(), TextColumn("{task.description}"))
    return Progress(*shown, console=terminal, transient=True, disable=not terminal.is_terminal)


class TensorBoardLog(TensorBoardCallback):
    """Writes losses, learning rate and metrics to `folder`, which is made when training begins."""

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = folder

    def on_train_begin(self, args, state, control, **kwargs):
        self._open()
        super().on_train_begin(args, state, control, **kwargs)

    def on_log(self, args, state, control, logs=None, **kwargs):
        self._open()  # step 0 is evaluated before training begins
        super().on_log(args, state, control, logs=logs, **kwargs)

    def _open(self) -> None:
        if getattr(self, "tb_writer", None) is None:
            self.tb_writer = SummaryWriter(log_dir=str(self.folder))


def say_summary(trained: Trained, training: Sequence[Ranking], validation: Sequence[Ranking]) -> None:
    """Print how many answers were trained on and kept for validation, how long it took, and the mean loss of the steps."""
    for name, part in (("training", training), ("validation", validation)):
        answers = counted(sum(len(ranking.answers) for ranking in part), "ranked answer")
        after = " (learned from too, in the end)" if part is validation and part and trained.rewards is not None else ""
        say(
            f"{name} samples".ljust(20)
            + f"{answers} to {counted(len({ranking.prompt for ranking in part}), 'prompt')}{after}",
            hanging=20,
        )
    speed = f"{counted(trained.steps, 'step')} in {trained.seconds:.1f} s, {trained.ranked_answers_per_second:.1f} ranked answers/s"
    say(f"{'training time':20}{speed}", hanging=20)
    say(f"{'training loss':20}{trained.training_loss:.4f} (mean of all steps)", hanging=20)
