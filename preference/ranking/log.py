"""The log: what was shown, when, and what the person made of it."""

import contextlib
import datetime
import json
from collections import defaultdict
from pathlib import Path

from preference.data.jsonl import drop_cut_line, read_jsonl
from preference.durable_files import append_durably


class RankingLog:
    """What was shown when and where, one JSON object per line. Several CSV files can share a log: each line names its own.

    Events: `shown` (`prompt`, `answers` in the order on the screen, `recheck`), `ranked` (the same with `ranks` and
    `seconds`, and `csv_size`, the bytes of the CSV before its rows), `undone` (the last `ranked` before it), `skipped`,
    `discarded`, `changed` (new `answers`; `sampled`, those of them that a model gave; older logs call it `drawn`),
    `ended` (what the event before it says about the CSV has been written).

    Where a ranking of the CSV is shown again: `shown` and `skipped` with `again`; `reranked` (`prompt`, `group`, `answers`
    in the order on the screen, the new `ranks`, the `old_ranks` that they replace, `seconds`, and `csv_sha256`, of the CSV
    before), `restored` (the same with new and old exchanged: the last `reranked` before it was undone), `kept` (the earlier
    ranking stays, and is not shown again).

    Attributes:
        events: all events of this CSV, oldest first.
        standing: the `ranked` events that were not undone.
        undone: the `ranked` event that was undone last.
        reranked: the `reranked` events that were not undone.
        rankings_of: every `ranked` event of a prompt, also the undone ones.
    """

    def __init__(self, path: str | Path, data: str | Path):
        self.path, self.data = Path(path), Path(data).name
        self.events: list[dict] = []
        self.standing: list[dict] = []
        self.undone: dict | None = None
        self.reranked: list[dict] = []
        self.rankings_of: defaultdict[str, list[dict]] = defaultdict(list)
        for _, event in read_jsonl(path) if self.path.exists() else []:
            if event.get("data") == self.data:
                self._take_in(event)
        drop_cut_line(self.path)

    def add(self, event: str, **values) -> None:
        """Append an event; it is on the disk when this returns."""
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        record = {"event": event, "time": now, "data": self.data, **values}
        try:
            append_durably(self.path, json.dumps(record, ensure_ascii=False))
        except OSError as error:
            with contextlib.suppress(OSError):
                drop_cut_line(self.path)
            error.filename = self.path
            raise
        self._take_in(record)

    def _take_in(self, event: dict) -> None:
        self.events.append(event)
        if event["event"] == "ranked":
            self.standing.append(event)
            self.rankings_of[event["prompt"]].append(event)
        elif event["event"] == "undone" and self.standing:
            self.undone = self.standing.pop()
        elif event["event"] == "reranked":
            self.reranked.append(event)
        elif event["event"] == "restored" and self.reranked:
            self.reranked.pop()
