"""review.csv: all rankings, most disputed first, with the models' rewards, ranks and disputes beside the CSV's own columns."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from preference.data.csv_table import CsvTable, Row, format_rows
from preference.data.rankings import Ranking
from preference.errors import InputError
from preference.evaluation.metrics import predicted_ranks, split_rewards

ADDED = ["reward", "predicted_rank", "dispute"]


def review_csv(table: CsvTable, rankings: Sequence[Ranking], rewards: np.ndarray, disputes: np.ndarray) -> str:
    """Return the rows of `table` that are part of one of its `rankings`, most disputed ranking first, with the columns `ADDED`.

    Columns of these names that the table has already, being an earlier review, are left out.
    """
    kept = [i for i, name in enumerate(table.columns) if name not in ADDED]
    rows_of: dict[tuple[str, str], list[list[str]]] = {}
    for row in table.rows:
        rows_of.setdefault((_cell(table, row, "prompt"), _cell(table, row, "group")), []).append(row.cells)
    answer = table.columns.index("answer")
    rows = []
    parts = split_rewards(rankings, rewards)
    for i in sorted(range(len(rankings)), key=lambda i: -disputes[i]):
        added = dict(zip(rankings[i].answers, zip(parts[i], predicted_ranks(parts[i]), strict=True), strict=True))
        for cells in rows_of[rankings[i].prompt, rankings[i].group]:
            reward, rank = added[cells[answer].strip()]
            rows.append([*(cells[k] for k in kept), f"{reward:.4f}", rank, f"{disputes[i]:.4f}"])
    return format_rows([[*(table.columns[k] for k in kept), *ADDED], *rows])


def check_output(output: Path, data: str) -> None:
    """Before any work, refuse to write where there is no folder, over the rankings, or over a file that is not a review.

    Raises:
        InputError: as said.
    """
    if not output.parent.is_dir():
        raise InputError(f"--output {output}: no folder {output.parent}; create it, or choose another --output")
    if not output.exists():
        return
    header = ""
    if output.is_file():
        with output.open(encoding="utf-8-sig", errors="replace") as file:
            header = file.readline()
    if not set(ADDED) <= set(header.strip().split(",")) or output.samefile(data):
        raise InputError(f"{output}: exists and is not a review; choose another --output")


def _cell(table: CsvTable, row: Row, column: str) -> str:
    """Return the row's cell of `column` without white space around it; "" where the CSV has no such column."""
    return row.cells[table.columns.index(column)].strip() if column in table.columns else ""
