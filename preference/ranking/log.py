"""The log: what was shown, when, and what the person made of it."""

import datetime
import json
import os
from collections import defaultdict
from pathlib import Path

from preference.data.tables import read_table
from preference.durable_files import append_durably
from preference.errors import InputError

_KEYS = {  # what an event must say
    "shown": ["prompt", "answers"],
    "ranked": ["prompt", "answers", "ranks"],
    "undone": ["prompt"],
    "skipped": ["prompt"],
    "discarded": ["prompt"],
    "changed": ["prompt", "answers"],
    "reranked": ["prompt", "group", "answers", "ranks", "old_ranks"],
    "restored": ["prompt", "group"],
    "kept": ["prompt", "group", "answers", "ranks"],
}


class RankingLog:
    """What was shown when and where, one JSON object per line. Several CSV files can share a log: each line names its own.

    Events: `shown` (`prompt`, `answers` in the order on the screen, `recheck`), `ranked` (the same with `ranks` and
    `seconds`), `discarded` (`prompt`, `answers`), `undone` (the last `ranked` or `discarded` of its `prompt`), `skipped`,
    `changed` (new `answers`; `sampled`, those of them that a model gave; older logs call it `drawn`).

    Where a ranking of the CSV is shown again: `shown` and `skipped` with `again`; `reranked` (`prompt`, `group`, `rater`,
    `answers` in the order on the screen, the new `ranks`, the `old_ranks` that they replace, `seconds`), `restored` (the
    last `reranked` or `kept` of that ranking was undone), `kept` (the earlier ranking stays, and is not shown again).

    Attributes:
        events: all events of this CSV, oldest first.
        undoable: the `ranked` and `discarded` events that were not undone.
        looked_at: the `reranked` and `kept` events that were not undone.
        rankings_of: every `ranked` event of a prompt, also the undone ones.
    """

    def __init__(self, path: str | Path, data: str | Path):
        self.path, self.data = Path(path), name_in_log(path, data)
        self.events: list[dict] = []
        self.undoable: list[dict] = []
        self.looked_at: list[dict] = []
        self.rankings_of: defaultdict[str, list[dict]] = defaultdict(list)
        for event in read_log(path):
            if event.get("data") == self.data:
                self._take_in(event)

    @property
    def standing(self) -> list[dict]:
        """The `ranked` events that were not undone."""
        return [event for event in self.undoable if event["event"] == "ranked"]

    def add(self, event: str, **values) -> None:
        """Append an event; it is on the disk when this returns."""
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        record = {"event": event, "time": now, "data": self.data, **values}
        append_durably(self.path, json.dumps(record, ensure_ascii=False))
        self._take_in(record)

    def _take_in(self, event: dict) -> None:
        kind = event["event"]
        self.events.append(event)
        if kind in ("ranked", "discarded"):
            self.undoable.append(event)
            if kind == "ranked":
                self.rankings_of[event["prompt"]].append(event)
        elif kind == "undone":
            drop_undone(self.undoable, event)
        elif kind in ("reranked", "kept"):
            self.looked_at.append(event)
        elif kind == "restored":
            drop_undone(self.looked_at, event)


def read_log(path: str | Path) -> list[dict]:
    """Return the events of a log, of whatever CSV; none if there is no such file.

    Raises:
        InputError: the file cannot be read, or a line is no event.
    """
    if not Path(path).exists():
        return []
    table = read_table(path, "jsonl", whole=True)
    for i, event in enumerate(table.records):
        if not isinstance(event.get("event"), str):
            raise InputError(f'{table.at(i)}: no "event"; this is not a ranking log: choose another --log')
        for key in _KEYS.get(event["event"], []):
            if not _fits(key, event):
                value = repr(event.get(key))[:60]
                raise InputError(
                    f'{table.at(i)}: "{key}" of this event is wrong: {value}; delete the line, or choose another --log'
                )
    return table.records


def name_in_log(log: str | Path, data: str | Path) -> str:
    """Return what a log calls a CSV: its path from the log's folder, so that both can be moved together."""
    path, folder = os.path.realpath(data), os.path.dirname(os.path.realpath(log))
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # on another drive of Windows
        return path


def drop_undone(undoable: list[dict], undone: dict) -> None:
    """Take the last event of the prompt (group, rater) that was undone out of `undoable`, in place."""
    for i in reversed(range(len(undoable))):
        if all(undoable[i].get(key, "") == undone.get(key, "") for key in ("prompt", "group", "rater")):
            del undoable[i]
            return


def _fits(key: str, event: dict) -> bool:
    value = event.get(key)
    if key in ("prompt", "group"):
        return isinstance(value, str)
    kind = str if key == "answers" else int
    return (
        isinstance(value, list) and len(value) == len(event["answers"]) and all(isinstance(one, kind) for one in value)
    )
