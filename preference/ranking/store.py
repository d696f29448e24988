"""Where confirmed rankings go: rows of the CSV, changed one ranking at a time, and events of the log beside it."""

import contextlib
import csv
import io
import os
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

from preference.data.rankings import Key, identities, parse_rank, whole_ranks
from preference.data.tables import COLUMNS, GZIP, Form, Table, find_unwritable, format_rows, kind_of, read_table
from preference.data.values import text_of
from preference.durable_files import append_durably, locked, prepare_file, write_atomically
from preference.errors import InputError
from preference.ranking.log import RankingLog
from preference.wording import as_command, shorten

TAKEN = "another ranker is working on this file; finish that one first, or choose another --data"


class RankingStore:
    """The CSV that a person's rankings go to, and its log.

    The CSV is what counts, so it comes first: the rows of a new ranking are appended in one write, and are on the disk before
    the log says when they were ranked and before the person reads "saved". Whatever is undone or ranked again replaces the
    whole file, old by new in one rename, and is logged then. A crash in between leaves a CSV that has everything that was
    confirmed, and a log that lacks its last event: that ranking can no longer be undone with `u`. Nothing is completed at
    the next start, so nothing that a person deleted comes back; a row that a power failure cut short is an error with its
    line there. Where the log cannot be written, the CSV is left as it was.

    Rows that others wrote stay byte for byte as they are, with their extra columns; new ones are written as they are: with
    their separator, line ends and columns, and the prompt in its first row only where that is so. They may be edited while
    this runs: when the file's size or time of change is not what this left behind, the file is read again. A lock file
    keeps a second ranker out.

    Raises:
        InputError: another ranker is working on the CSV, it breaks the contract, is another kind of table, or one of the two
            files cannot be written.
    """

    def __init__(self, path: str | Path, log: str | Path):
        self.path = Path(path)
        self._known: tuple | None = None  # the state of the file when the next four were right
        self._table, self._columns = Table("", "csv", COLUMNS, [], []), COLUMNS
        self._ranks: dict[Key, dict[str, int]] = {}  # of each answer that has one
        self._last_prompt = ""
        self._check_kind(kind_of(path, "csv"), self.path.suffix.lower() == ".gz")
        prepare_file(self.path, "--data")
        prepare_file(log, "--log")
        with contextlib.ExitStack() as until_closed:
            until_closed.enter_context(locked(self.path, TAKEN))
            self.log = RankingLog(log, path)
            self._read()
            self._lock = until_closed.pop_all()

    def close(self) -> None:
        """Let other rankers work on the CSV."""
        self._lock.close()

    def prompts(self) -> set[str]:
        """Return the prompts of which an answer has a rank."""
        self._read()
        return {prompt for prompt, *_ in self._ranks}

    def ranks(self, key: Key) -> dict[str, int]:
        """Return the rank of each answer of a ranking as the CSV has it now; nothing if it has none."""
        self._read()
        return self._ranks.get(key, {})

    def add(self, prompt: str, answers: list[str], ranks: list[int], **details) -> None:
        """Save one prompt's ranking: its rows, best first, and a `ranked` event with `details`.

        Raises:
            InputError: the CSV was broken by hand meanwhile, or cannot hold one of the texts.
        """
        for text in (prompt, *answers):
            if what := find_unwritable(text):
                raise InputError(f"{self.path}: {what} in {shorten(text)}; remove it")
        self._read()
        rows = [] if self._known and self._known[2] else [COLUMNS]
        above = self._last_prompt
        for rank, answer in sorted(zip(ranks, answers, strict=True)):
            merged, above = self._table.merged and above == prompt.strip(), prompt.strip()
            values = dict(zip(self._columns, ["" if merged else prompt, answer, str(rank)], strict=True))
            rows.append([values.get(name, "") for name in self._table.places])
        end = self._table.form.line_end
        size = append_durably(
            self.path, format_rows(rows, line_end=end, separator=self._table.form.separator).removesuffix(end), end
        )
        try:
            self.log.add("ranked", prompt=prompt, answers=answers, ranks=ranks, **details)
        except OSError:
            os.truncate(self.path, size)
            raise
        ranked = self._ranks.setdefault((prompt.strip(), "", ""), {})
        ranked |= dict(zip(map(str.strip, answers), ranks, strict=True))
        self._last_prompt, self._known = above, self._state()

    def undo(self, ranked: dict) -> bool:
        """Undo a ranking, given its `ranked` event: remove exactly the rows that `add` wrote, and log it.

        If one of them is not there any more, none is removed; that is logged too, so that the one before can be undone.

        Returns:
            Whether they were there. Those of a second showing, which has none, always are.
        """
        lines = [] if ranked.get("recheck") or not self.path.exists() else self._own_rows(ranked)
        self._rewrite(dict.fromkeys(lines), "undone", prompt=ranked["prompt"], recheck=ranked.get("recheck", False))
        return bool(lines) or ranked.get("recheck", False)

    def change_ranks(
        self, event: str, key: Key, answers: list[str], ranks: list[int], old_ranks: list[int], **details
    ) -> None:
        """Give the answers of a ranking that is in the CSV other ranks, in the rows where they are, and log it.

        Args:
            event: `reranked` or `restored`.
            old_ranks: those that the CSV must have now.
            details: go to the log.

        Raises:
            InputError: the CSV has other answers or ranks now, or was broken by hand.
        """
        table, (prompt, group, rater) = read_table(self.path), key
        if self.ranks(key) != dict(zip(answers, old_ranks, strict=True)):
            raise InputError(f"{self.path}: the rows of {shorten(prompt)} have been changed since; press s to continue")
        new, contents = dict(zip(answers, ranks, strict=True)), _contents(table) if ranks != old_ranks else []
        cells = {
            line: str(new[answer])
            for line, of, answer, rank in contents
            if of == key and rank not in (None, new.get(answer))
        }
        self._rewrite(
            cells,
            event,
            prompt=prompt,
            group=group,
            rater=rater,
            answers=answers,
            ranks=ranks,
            old_ranks=old_ranks,
            **details,
        )

    def _own_rows(self, ranked: dict) -> list[int]:
        """Return the lines of a ranking's rows, if all are as `add` writes them: without a group, or anything else."""
        wanted = set(zip(map(str.strip, ranked["answers"]), ranked["ranks"], strict=True))
        table, key, found = read_table(self.path), (ranked["prompt"].strip(), "", ""), {}
        contents = _contents(table)
        for i, (_, of, answer, rank) in enumerate(contents):
            if (
                of == key
                and (answer, rank) in wanted
                and sum(bool(cell.strip()) for cell in table.records[i].values()) == len(COLUMNS)
            ):
                found[answer, rank] = i
        own = set(found.values())
        after = [contents[i + 1][1] for i in own if i + 1 < len(contents) and i + 1 not in own]
        has_prompt_from_them = table.merged and key in after
        return [] if found.keys() != wanted or has_prompt_from_them else [contents[i][0] for i in own]

    def _rewrite(self, edits: Mapping[int, str | None], event: str, **values) -> None:
        """Give the rows that begin on these lines another rank, or remove them (None), and log it. Other rows keep every byte."""
        before = self.path.read_bytes() if edits else b""
        if edits:
            self._read()
            lines, separator = list(io.StringIO(before.decode("utf-8"), newline="")), self._table.form.separator
            for line, rank in edits.items():
                reader = csv.reader(islice(lines, line - 1, None), delimiter=separator, strict=True)
                cells = next(reader)
                cells[self._table.places.index(self._columns[2])] = rank or ""
                last = lines[line + reader.line_num - 2]
                line_end = last[len(last.rstrip("\r\n")) :]
                new = "" if rank is None else format_rows([cells], line_end=line_end, separator=separator)
                lines[line - 1 : line - 1 + reader.line_num] = [new] + [""] * (
                    reader.line_num - 1
                )  # later lines keep their numbers
            write_atomically(self.path, "".join(lines))
        try:
            self.log.add(event, **values)
        except OSError:
            if edits:
                write_atomically(self.path, before)
            raise

    def _read(self) -> None:
        """Read the CSV, unless it is as it was left."""
        state = self._state()
        if self._known is not None and state == self._known:
            return
        form = Form("\t" if self.path.suffix.lower() in (".tsv", ".tab") else ",")
        self._table, self._columns, self._ranks = (
            Table("", "csv", COLUMNS, [], [], form=form, places=COLUMNS),
            COLUMNS,
            {},
        )
        self._last_prompt = ""
        if state and state[2]:
            table = read_table(self.path)
            with open(self.path, "rb") as file:
                self._check_kind(table.kind, file.read(2) == GZIP)
            self._table, self._columns = replace(table, records=[], numbers=[], rows=[]), table.need(*COLUMNS)
            found: dict[Key, dict[str, float]] = {}
            for _, key, answer, rank in _contents(table):
                self._last_prompt = key[0]
                if rank is not None:
                    found.setdefault(key, {})[answer] = rank
            self._ranks = {
                key: dict(zip(ranks, whole_ranks(list(ranks.values())), strict=True)) for key, ranks in found.items()
            }
        self._known = state

    def _check_kind(self, kind: str, compressed: bool) -> None:
        """Raise InputError unless rows can be added at the end of the file: whoever writes another kind anew loses what it holds besides."""
        if kind != "csv" or compressed:
            stem = self.path.name.partition(".")[0]
            target = self.path.with_name(f"{stem}_new.csv" if self.path.suffix == ".csv" else f"{stem}.csv")
            ways = f"make a CSV of it: {as_command(['python', 'convert_rankings.py', str(self.path), str(target)])}"
            raise InputError(
                f"{self.path}: rankings are added to a CSV only; {ways if self.path.exists() else 'choose a --data that ends in .csv'}"
            )

    def _state(self) -> tuple | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _contents(table: Table) -> list[tuple[int, Key, str, float | None]]:
    """Return each row's line, the ranking that it is part of, its answer and its rank."""
    _, answer, rank = table.need(*COLUMNS)
    return [
        (line, key, text_of(record[answer]), parse_rank(text_of(record[rank])))
        for line, key, record in zip(table.numbers, identities(table), table.records, strict=True)
    ]
