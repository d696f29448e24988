"""What training prints at its end: the rewards of the test answers, the agreement with the rankings, checks and verdict."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from preference.data.rankings import Ranking
from preference.evaluation.evaluation import UNSEEN, Evaluation
from preference.evaluation.metrics import Metrics, predicted_ranks, split_rewards
from preference.wording import counted, name_some, plain, shorten

MOST_ANSWERS = 200  # printed; all of them are in rewards.csv


class RepeatedAgreement(Protocol):
    """How often one person ordered pairs as before, when prompts were shown to them a second time."""

    @property
    def prompts(self) -> int: ...

    @property
    def share(self) -> float: ...

    @property
    def interval(self) -> tuple[float, float]: ...


def print_report(evaluations: Sequence[Evaluation], *, answers: bool = True, again: RepeatedAgreement | None = None) -> None:
    """Print the rewards of the first part's answers, the metrics of all parts beside the baselines, the checks and the verdict.

    Args:
        answers: False leaves the answers out.
        again: see `agreement_table`.
    """
    console = _console()
    first = evaluations[0]
    if answers:
        table, left_out = answers_table(first, MOST_ANSWERS)
        console.print(table)
        if left_out:
            console.print(f"({left_out} more answers are in rewards.csv)\n")
    if agreement := agreement_table(evaluations, again=again):
        console.print(agreement)
    for check in first.checks:
        console.print(f"{check.result:>12}  {check.name}: {check.evidence}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"\n{first.verdict}", markup=False, highlight=False)


def print_reversed(rankings: Sequence[Ranking], positions: Sequence[int]) -> None:
    """Warn of the rankings at `positions`, which look reversed; print nothing where there are none."""
    if positions:
        names = [shorten(rankings[i].prompt) + (f" ({shorten(rankings[i].apart)})" if rankings[i].apart else "") for i in positions]
        verb = "looks" if len(positions) == 1 else "look"
        text = f"warning: {len(positions)} of {counted(len(rankings), 'ranking')} {verb} reversed (1 must be the best answer): {name_some(names)}\n"
        _console().print(plain(text), markup=False, highlight=False)


def print_disputes(rankings: Sequence[Ranking], rewards: np.ndarray, disputes: np.ndarray, most: int) -> None:
    """Print the `most` disputed rankings, each with the pair of answers that the model most wants the other way round."""
    table = Table(title=f"Most disputed of {counted(len(rankings), 'ranking')}", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("dispute", justify="right", min_width=7)
    groups = any(ranking.apart for ranking in rankings)
    for name, width in (("prompt", 28), *([("group", 12)] if groups else []), ("you ranked higher", 36), ("the models prefer", 36)):
        table.add_column(name, max_width=width, no_wrap=True, overflow="ellipsis")
    parts = split_rewards(rankings, rewards)
    for i in np.argsort(-disputes, kind="stable")[:most]:
        ranking, ranks = rankings[i], np.asarray(rankings[i].ranks)
        margins = np.where(ranks[:, None] < ranks[None, :], parts[i][:, None] - parts[i][None, :], np.inf)
        pair = np.unravel_index(int(margins.argmin()), margins.shape)
        answers = [Text(f"[{ranking.ranks[k]}] {_one_line(ranking.answers[k])}") for k in pair]
        group = [Text(_one_line(ranking.apart))] if groups else []
        table.add_row(f"{disputes[i]:.2f}", Text(_one_line(ranking.prompt)), *group, *answers)
    if table.row_count:
        _console().print(table)


def _console() -> Console:
    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=120)


def answers_table(evaluation: Evaluation, most: int) -> tuple[Table, int]:
    """Return a table of a part's answers with true rank, reward and predicted rank, best-ranked first, and how many it leaves out.

    Prompts are shown whole until `most` answers are reached.
    """
    prompts = "unseen prompts" if evaluation.unseen else "seen prompts"
    table = Table(title=f"Rewards of the {evaluation.part} answers ({prompts})", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("prompt", max_width=32, no_wrap=True, overflow="ellipsis")
    table.add_column("answer", max_width=48, no_wrap=True, overflow="ellipsis")
    for name in ("true rank", "reward", "predicted rank"):
        table.add_column(name, justify="right")
    shown = 0
    for ranking, values in zip(evaluation.rankings, split_rewards(evaluation.rankings, evaluation.rewards), strict=True):
        if shown >= most:
            break
        predicted = predicted_ranks(values)
        for i in sorted(range(len(values)), key=lambda i: ranking.ranks[i]):
            cells = [_one_line(ranking.prompt), _one_line(ranking.answers[i]), str(ranking.ranks[i]), f"{values[i]:+.3f}", str(predicted[i])]
            table.add_row(*map(Text, cells))
        table.add_section()
        shown += len(values)
    return table, len(evaluation.rewards) - shown


def agreement_table(evaluations: Sequence[Evaluation], *, again: RepeatedAgreement | None = None) -> Table | None:
    """Return a table of the metrics of the unseen parts beside the length baselines; None where there is no unseen part.

    Args:
        again: how well the person agrees with themselves, where prompts were shown twice: stands beside the accuracy.
    """
    unseen = sorted((e for e in evaluations if e.unseen), key=lambda e: UNSEEN.index(e.part), reverse=True)
    if not unseen:
        return None
    table = Table(title="Agreement with the rankings", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("")
    for e in unseen:
        table.add_column(f"{e.part} ({counted(e.metrics.prompts, 'prompt')})", justify="right")

    def row(name: str, cell: Callable[[Evaluation], str]) -> None:
        table.add_row(Text(name), *(Text(cell(e)) for e in unseen))

    row("pairwise accuracy [95 % interval]", lambda e: _accuracy(e.metrics))
    row("  longest answer is best", lambda e: _accuracy(e.longest))
    row("  shortest answer is best", lambda e: _accuracy(e.shortest))
    if again:
        row(f"  yourself, shown {counted(again.prompts, 'prompt')} again", lambda e: _share(again.share, again.interval, again.prompts))
    if any(e.raters for e in unseen):
        row("  two raters agree", lambda e: _share(e.raters.share, e.raters.interval, e.raters.prompts) if e.raters else "–")
        row("    Krippendorff's alpha", lambda e: _number(e.raters.alpha if e.raters else None))
    row("length-controlled accuracy", lambda e: _number(e.metrics.length_controlled_accuracy))
    row("Kendall tau", lambda e: _number(e.metrics.kendall_tau))
    row("Spearman rho", lambda e: _number(e.metrics.spearman_rho))
    row("best-of-n hit rate", lambda e: _number(e.metrics.best_of_n_hit_rate))
    row("reward range", lambda e: f"{e.spread.reward_min:+.2f} to {e.spread.reward_max:+.2f}")
    row("reward mean, standard deviation", lambda e: f"{e.spread.reward_mean:+.2f}, {e.spread.reward_std:.2f}")
    return table


def _accuracy(metrics: Metrics) -> str:
    return _share(metrics.pairwise_accuracy, metrics.pairwise_accuracy_95, metrics.prompts)


def _share(share: float, interval: tuple[float, float], prompts: int) -> str:
    return f"{share:.3f}" if prompts < 2 else f"{share:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"  # one prompt has no spread


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
