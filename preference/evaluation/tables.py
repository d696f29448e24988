"""What training prints at its end: the rewards of the test answers, the agreement with the rankings, checks and verdict."""

from collections.abc import Sequence

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from preference.data.rankings import Ranking
from preference.evaluation.metrics import predicted_ranks, split_rewards
from preference.wording import counted

MOST_ANSWERS = 200  # printed; all of them stand in test_rewards.csv


def print_report(metrics: dict, rankings: Sequence[Ranking], rewards: np.ndarray, part: str) -> None:
    """Print the rewards of the answers to `rankings`, the metrics beside the baselines, the checks and the verdict.

    Args:
        metrics: what `metrics.json` holds.
        part: which answers they are, `test`, `validation` or `training`.
    """
    terminal = Console()
    console = terminal if terminal.is_terminal else Console(width=120)
    table, left_out = answers_table(rankings, rewards, part, MOST_ANSWERS)
    console.print(table)
    if left_out:
        console.print(f"({left_out} more answers are in test_rewards.csv)\n")
    if agreement := agreement_table(metrics):
        console.print(agreement)
    for check in metrics["checks"]:
        console.print(f"{check['result']:>12}  {check['name']}: {check['evidence']}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"\n{metrics['verdict']}", markup=False, highlight=False)


def answers_table(rankings: Sequence[Ranking], rewards: np.ndarray, part: str, most: int) -> tuple[Table, int]:
    """Return a table of answers with true rank, reward and predicted rank, best-ranked first, and how many it leaves out.

    Prompts are shown whole until `most` answers are reached.
    """
    prompts = "seen prompts" if part == "training" else "unseen prompts"
    table = Table(title=f"Rewards of the {part} answers ({prompts})", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("prompt", max_width=32, no_wrap=True, overflow="ellipsis")
    table.add_column("answer", max_width=48, no_wrap=True, overflow="ellipsis")
    for name in ("true rank", "reward", "predicted rank"):
        table.add_column(name, justify="right")
    shown = 0
    for ranking, values in zip(rankings, split_rewards(rankings, rewards), strict=True):
        if shown >= most:
            break
        predicted = predicted_ranks(values)
        for i in sorted(range(len(values)), key=lambda i: ranking.ranks[i]):
            cells = [_one_line(ranking.prompt), _one_line(ranking.answers[i]), str(ranking.ranks[i]), f"{values[i]:+.3f}", str(predicted[i])]
            table.add_row(*map(Text, cells))
        table.add_section()
        shown += len(values)
    return table, len(rewards) - shown


def agreement_table(metrics: dict) -> Table | None:
    """Return a table of the metrics of the validation and test parts beside the length baselines; None where both are missing.

    Args:
        metrics: what `metrics.json` holds.
    """
    parts = [part for part in ("validation", "test") if metrics[part]]
    if not parts:
        return None
    table = Table(title="Agreement with the rankings", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("")
    for part in parts:
        table.add_column(f"{part} ({counted(metrics[part]['prompts'], 'prompt')})", justify="right")

    def row(name: str, cell) -> None:
        table.add_row(Text(name), *(Text(cell(metrics[part], metrics["baselines"][part])) for part in parts))

    def number(key: str):
        return lambda values, baselines: "–" if values[key] is None else f"{values[key]:.3f}"

    row("pairwise accuracy [95 % interval]", lambda values, baselines: _accuracy(values))
    row("  longest answer is best", lambda values, baselines: _accuracy(baselines["longest_answer"]))
    row("  shortest answer is best", lambda values, baselines: _accuracy(baselines["shortest_answer"]))
    row("length-controlled accuracy", number("length_controlled_accuracy"))
    row("Kendall tau", number("kendall_tau"))
    row("Spearman rho", number("spearman_rho"))
    row("best-of-n hit rate", number("best_of_n_hit_rate"))
    row("reward range", lambda values, baselines: f"{values['reward_min']:+.2f} to {values['reward_max']:+.2f}")
    row("reward mean, standard deviation", lambda values, baselines: f"{values['reward_mean']:+.2f}, {values['reward_std']:.2f}")
    return table


def _accuracy(values: dict) -> str:
    low, high = values["pairwise_accuracy_95"]
    return f"{values['pairwise_accuracy']:.3f} [{low:.3f}, {high:.3f}]"


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
