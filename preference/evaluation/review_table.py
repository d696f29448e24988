"""review.csv: all rankings, most disputed first, with the models' rewards, ranks and disputes beside the CSV's own columns."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from preference.data.rankings import Key, Ranking, identities
from preference.data.tables import Table, format_csv, read_table
from preference.errors import InputError
from preference.evaluation.metrics import predicted_ranks, split_rewards

ADDED = ["reward", "predicted_rank", "dispute"]


def review_csv(table: Table, rankings: Sequence[Ranking], rewards: np.ndarray, disputes: np.ndarray) -> bytes:
    """Return the rows of `table` that are part of one of its `rankings`, most disputed first, with the columns `ADDED`, as `table` was written.

    Columns of these names that the table has already, being an earlier review, are left out.
    """
    kept = [name for name in table.columns if name not in ADDED]
    (answer,) = table.need("answer")
    rows_of: dict[Key, list[dict[str, Any]]] = {}
    for key, record in zip(identities(table), table.records, strict=True):
        rows_of.setdefault(key, []).append(record)
    rows = []
    parts = split_rewards(rankings, rewards)
    for i in sorted(range(len(rankings)), key=lambda i: -disputes[i]):
        added = dict(zip(rankings[i].answers, zip(parts[i], predicted_ranks(parts[i]), strict=True), strict=True))
        for record in rows_of[rankings[i].identity]:
            if scores := added.get(record[answer].strip()):  # an answer without a rank has none
                values = f"{scores[0]:.4f}", scores[1], f"{disputes[i]:.4f}"
                rows.append({name: record.get(name) for name in kept} | dict(zip(ADDED, values, strict=True)))
    return format_csv(table.source, [*kept, *ADDED], rows, table.form)


def check_output(output: Path, data: str) -> None:
    """Before any work, refuse to write where there is no folder, over the rankings, or over a file that is not a review.

    Raises:
        InputError: as said.
    """
    if not output.parent.is_dir():
        raise InputError(f"--output {output}: no folder {output.parent}; create it, or choose another --output")
    if not output.exists():
        return
    try:
        columns = read_table(output).columns
    except InputError:
        columns = []
    if not set(ADDED) <= set(columns) or output.samefile(data):
        raise InputError(f"{output}: exists and is not a review; choose another --output")
