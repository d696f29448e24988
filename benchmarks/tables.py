"""What the benchmark prints of its results."""

from collections.abc import Sequence

import numpy as np
from peers import OURS
from rich import box
from rich.table import Table

from preference.console import make_console, say

TITLES = {
    "peers": "Whole processes at equal data",
    "yield": "What more rankings bring",
    "bases": "Which base model",
    "scoring": "Scoring, answers per second",
    "sampling": "Sampling, candidates per second",
}
COLUMNS = {
    "peers": ["method", "ranked\nprompts", "accuracy", "length-\ncontrolled", "seconds", "CPU\nseconds", "x ours"],
    "yield": ["base model", "ranked\nprompts", "accuracy", "length-\ncontrolled", "layers"],
    "bases": ["base model", "ranked\nprompts", "accuracy", "length-\ncontrolled", "seconds", "answers/s", "MB"],
}


def print_part(name: str, part: dict) -> None:
    """Print the figures of one part, with their date and machine."""
    say(f"\n{TITLES[name]}: {part['date']}, {part['machine']}; {part['data']}")
    if "rates" in part:
        slowest = next(iter(part["rates"].values()))
        _print_table(
            ["way", "per second", "ratio"],
            [[way, f"{rate:.2f}", f"{rate / slowest:.1f}"] for way, rate in part["rates"].items()],
        )
        return
    draws = max(len(row["draws"]) for row in part["rows"])
    spread = f"; mean ± standard deviation of {draws} draws of the training prompts" if draws > 1 else ""
    say(f"accuracy on {part['unseen_prompts']} unseen prompts{spread}")
    ours = {row["rankings"]: row["draws"] for row in part["rows"] if row["method"] == OURS}
    rule = {"label": "the longest answer is best", "rankings": 0, "draws": [part["longest_answer"]]}
    cells = [_cells(row, ours.get(row["rankings"], [])) for row in [rule, *part["rows"]] if row["draws"]]
    _print_table(COLUMNS[name], [[row[column] for column in COLUMNS[name]] for row in cells])


def _cells(row: dict, ours: Sequence[dict]) -> dict[str, str]:
    """Return every cell that a table can show of a row, by the name of its column.

    Args:
        ours: figures of our trainer with as many rankings.
    """
    draws = row["draws"]

    def mean(key: str, some: Sequence[dict] = draws) -> float | None:
        values = [figures[key] for figures in some if figures.get(key) is not None]
        return float(np.mean(values)) if values else None

    def share(key: str) -> str:
        if (average := mean(key)) is None:
            return "–"
        values = [figures[key] for figures in draws if figures[key] is not None]
        return f"{average:.3f}" + (f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else "")

    def number(value: float | None, decimals: int = 0) -> str:
        return "–" if value is None else f"{value:.{decimals}f}"

    seconds, our_seconds = mean("seconds"), mean("seconds", ours)
    return {
        "method": row["label"],
        "base model": row["label"],
        "ranked\nprompts": str(row["rankings"] or "–"),
        "accuracy": share("accuracy"),
        "length-\ncontrolled": share("length_controlled"),
        "layers": layers_in_words(draws[0]),
        "seconds": number(seconds, 1),
        "CPU\nseconds": number(mean("cpu_seconds"), 1),
        "x ours": number(seconds / our_seconds if seconds and our_seconds else None, 1),
        "answers/s": number(mean("answers_per_second")),
        "MB": number(mean("megabytes")),
    }


def layers_in_words(figures: dict) -> str:
    """Say how many layers a model kept and how many were trained.

    >>> layers_in_words({"layers": 2, "frozen_layers": 2}), layers_in_words({"layers": 4, "frozen_layers": 0})
    ('2, head alone', '4, 4 trained')
    """
    if "layers" not in figures:
        return "–"
    trained = figures["layers"] - max(figures["frozen_layers"], 0)
    return f"{figures['layers']}, {f'{trained} trained' if trained > 0 else 'head alone'}"


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, padding=0)
    for i, column in enumerate(columns):  # the first gives way, the others never do
        narrowest = max(len(text) for text in [*column.split(), *(row[i] for row in rows)]) if i else None
        table.add_column(column, justify="right" if i else "left", min_width=narrowest)
    for row in rows:
        table.add_row(*row)
    make_console().print(table)
