"""The log: what was shown, when, and what the person made of it; and how well they agree with themselves."""

import datetime
import json
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from pathlib import Path

from preference.data.rankings import Key, Ranking
from preference.data.tables import read_table
from preference.durable_files import append_durably
from preference.errors import InputError

KINDS = {  # what each kind of event lists, one item per answer
    "shown": ("answers",),
    "ranked": ("answers", "ranks"),
    "discarded": (),
    "undone": (),  # the last `ranked` or `discarded` of its prompt
    "skipped": (),
    "changed": ("answers",),  # the prompt has other answers now; `sampled` are those of them that a model gave
    "reranked": ("answers", "ranks", "old_ranks"),
    "kept": ("answers", "ranks"),  # the earlier ranking stays, and is not shown again
    "restored": (),  # the last `reranked` or `kept` of its ranking was undone
}


@dataclass(frozen=True, eq=False)
class Event:
    """A line of the log; answers and ranks in the order on the screen. Several CSVs can share it: `data` names one."""

    kind: str
    prompt: str
    group: str = ""
    rater: str = ""
    answers: Sequence[str] = ()
    ranks: Sequence[int] = ()
    old_ranks: Sequence[int] = ()  # that `ranks` replace
    sampled: Sequence[str] = ()
    seconds: float | None = None  # from showing to confirming
    recheck: bool = False  # a second showing, to measure agreement
    again: bool = False  # a showing of what is in the CSV already
    data: str = ""
    time: str = ""

    @property
    def key(self) -> Key:
        """The ranking that it is about."""
        return self.prompt.strip(), self.group.strip(), self.rater.strip()

    @property
    def rank_of(self) -> dict[str, int]:
        """The rank of each answer."""
        return dict(zip(self.answers, self.ranks, strict=True))


class RankingLog:
    """What was shown when, one JSON object per line; of several CSVs that share a log, the events of one.

    Attributes:
        events: all, oldest first.
        undoable: the `ranked` and `discarded` events that were not undone.
        looked_at: the `reranked` and `kept` events that were not undone.
        screens: the orders in which the answers of each ranking were shown.
    """

    def __init__(self, path: str | Path, data: str | Path):
        self.path, self.data = Path(path), name_in_log(path, data)
        self.events: list[Event] = []
        self.undoable: list[Event] = []
        self.looked_at: list[Event] = []
        self._compared: set[str] = set()  # prompts of which the person has seen the models' order
        self._informed: set[Event] = set()  # what was ranked after that
        self.screens: defaultdict[Key, list[list[str]]] = defaultdict(list)
        for event in read_log(path):
            if event.data == self.data:
                self._take_in(event)

    @property
    def standing(self) -> list[Event]:
        """The `ranked` events that were not undone."""
        return [event for event in self.undoable if event.kind == "ranked"]

    def shown_twice(self) -> list[tuple[Ranking, list[int]]]:
        """Return the ranking of each prompt that was shown twice at random, and the second ranks of its answers.

        Rankings that were shown again because models dispute them are the doubtful ones, and after such a showing the
        person knows the models' order, so that a later second showing says nothing either: both are left out.
        """
        standing = self.standing
        first = {event.prompt: event for event in standing if not event.recheck}
        pairs = [
            (first.get(event.prompt), event) for event in standing if event.recheck and event not in self._informed
        ]
        return [
            (Ranking(once.prompt, list(once.answers), list(once.ranks)), [again.rank_of[a] for a in once.answers])
            for once, again in pairs
            if once and set(once.answers) == set(again.answers)
        ]

    def add(self, kind: str, key: Key, **values) -> Event:
        """Append an event and return it; it is on the disk then."""
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        event = Event(kind, *key, **values, data=self.data, time=now)
        given = {item.name: value for item in fields(Event) if (value := getattr(event, item.name)) != item.default}
        append_durably(self.path, json.dumps({"event": given.pop("kind"), **given}, ensure_ascii=False))
        self._take_in(event)
        return event

    def _take_in(self, event: Event) -> None:
        self.events.append(event)
        if event.kind == "shown":
            self.screens[event.key].append(list(event.answers))
        elif event.kind in ("ranked", "discarded"):
            self.undoable.append(event)
            if event.prompt in self._compared:
                self._informed.add(event)
        elif event.kind in ("reranked", "kept"):
            self.looked_at.append(event)
            if event.kind == "reranked":
                self._compared.add(event.prompt)
        elif event.kind in ("undone", "restored"):
            drop_undone(self.undoable if event.kind == "undone" else self.looked_at, event)


def read_log(path: str | Path) -> list[Event]:
    """Return the events of a log, of whatever CSV; none if there is no such file. Events of unknown kinds are left out.

    Raises:
        InputError: the file cannot be read, or a line is not an event.
    """
    events: list[Event] = []
    if not Path(path).exists():
        return events
    table, names = read_table(path, "jsonl", whole=True), {one.name for one in fields(Event)} - {"kind"}
    for i, record in enumerate(table.records):
        kind = record.get("event")
        if not isinstance(kind, str):
            raise InputError(f'{table.at(i)}: no "event"; this is not a ranking log: choose another --log')
        lists = [record.get(name) for name in KINDS.get(kind, ())]
        if kind in KINDS and not (
            isinstance(record.get("prompt"), str)
            and all(isinstance(values, list) and len(values) == len(record["answers"]) for values in lists)
        ):
            needs = f'{"an" if kind == "undone" else "a"} "{kind}" event needs {", ".join(("prompt", *KINDS[kind]))}'
            lists_too = ", lists of one length" if KINDS[kind] else ""
            raise InputError(f"{table.at(i)}: {needs}{lists_too}; delete the line, or choose another --log")
        if kind in KINDS:
            events.append(Event(kind, **{name: record[name] for name in names & record.keys()}))
    return events


def name_in_log(log: str | Path, data: str | Path) -> str:
    """Return what a log calls a CSV: its path from the log's folder, so that both can be moved together."""
    path, folder = os.path.realpath(data), os.path.dirname(os.path.realpath(log))
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # on another drive of Windows
        return path


def drop_undone(undoable: list[Event], undone: Event) -> None:
    """Take the last event of the ranking that was undone out of `undoable`, in place."""
    for i in reversed(range(len(undoable))):
        if undoable[i].key == undone.key:
            del undoable[i]
            return


def disagreement(ranks: Sequence[int], other: Sequence[int]) -> float:
    """Return how many pairs of answers two rankings order differently; one that ties in one of them counts half.

    >>> disagreement([1, 2, 3], [2, 1, 3]), disagreement([1, 2, 3], [1, 1, 2])
    (1.0, 0.5)
    """
    signs = ([(a > b) - (a < b) for a, b in combinations(some, 2)] for some in (ranks, other))
    return sum(abs(a - b) for a, b in zip(*signs, strict=True)) / 2
