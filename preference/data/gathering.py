"""Records of other formats, put together to rankings on the disk, so that memory does not grow with the length of the texts."""

import contextlib
import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from preference.data.dialogues import Unreadable
from preference.data.rankings import Ranking, dense_ranks
from preference.data.source_formats import Compared, NoComparison
from preference.data.tables import find_unwritable
from preference.wording import shorten

TWO_PLACES = "answers listed twice with different ranks"


class Gathered(NamedTuple):
    """A ranking, and what its records said in the column `subset`."""

    ranking: Ranking
    subset: str = ""


class _Kept(NamedTuple):
    """One record, as the temporary file keeps it."""

    prompt: str
    answers: list[str]
    ranks: list[float]
    rater: str
    subset: str
    of_a_ranking: bool


class Gathering:
    """Comparisons by prompt; a context, at whose end the temporary file is closed.

    What each record compares is a ranking of its own: several rankings of one prompt get a `group` each. Only single answers are
    ranked against each other, those of one rater, and pairs that name the ranking they were taken from become that ranking again.
    """

    def __init__(self, *, one_answer: bool):
        self.one_answer = one_answer  # in a record
        self.left_out: Counter[str] = Counter()  # why -> records, or where those hold single answers, rankings
        self.has_subsets = False
        self.most_answers = 0
        self._has_raters = False
        self._places: dict[bytes, list[int]] = {}  # of the records of each prompt
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  (gone when it is closed, at the latest with the process)

    def __enter__(self) -> "Gathering":
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(OSError):  # a full disk, of which was said already
            self._file.close()

    def add(self, compared: Compared, rater: str, subset: str, *, of_a_ranking: bool = False) -> None:
        """Keep what a record says.

        Args:
            of_a_ranking: the record is one of the pairs of a ranking, which `rater` names.

        Raises:
            Unreadable: a text holds what no CSV can hold.
            NoComparison: it compares nothing.
        """
        for text in (compared.prompt, *compared.answers, rater, subset):
            if what := find_unwritable(text):
                raise Unreadable(f"{what} in {shorten(text)}; remove it")
        prompt, rater = compared.prompt.strip(), rater.strip()
        if not prompt:
            raise NoComparison("an empty text")
        answers, ranks = [answer.strip() for answer in compared.answers], list(compared.ranks)
        if self.one_answer:
            if not answers[0]:
                raise NoComparison("an empty text")
        else:
            answers, ranks = self._settled(answers, ranks)
        of_a_ranking = of_a_ranking and len(answers) == 2
        places = self._places.setdefault(hashlib.blake2b(prompt.encode(), digest_size=16).digest(), [])
        places.append(self._file.tell())
        self._file.write(json.dumps(_Kept(prompt, answers, list(ranks), rater, subset, of_a_ranking)).encode() + b"\n")
        self._has_raters |= bool(rater)
        self.has_subsets |= bool(subset)
        self.most_answers = max(self.most_answers, len(places) if self.one_answer or of_a_ranking else len(answers))

    @property
    def has_groups(self) -> bool:
        """Whether any ranking has a group."""
        several = (places for places in self._places.values() if len(places) > 1 and not self.one_answer)
        return self._has_raters or any(gathered.ranking.group for places in several for gathered in self._of_prompt(places))

    def rankings(self) -> Iterator[Gathered]:
        """Give the rankings, those of one prompt one after the other, in the order in which the prompts were first seen."""
        for places in self._places.values():
            yield from self._of_prompt(places)

    def _of_prompt(self, places: list[int]) -> Iterator[Gathered]:
        by_rater: dict[str, list[_Kept]] = {}
        for place in places:
            self._file.seek(place)
            record = _Kept(*json.loads(self._file.readline()))
            by_rater.setdefault(record.rater, []).append(record)
        used = set(by_rater)
        for rater, said in by_rater.items():
            found = list(self._joined(said))
            for number, (answers, ranks, subset) in enumerate(found, 1):
                group = rater
                while len(found) > 1 and (group == rater or group in used):
                    group, number = f"{rater} {number}".strip(), number + 1
                used.add(group)
                yield Gathered(Ranking(said[0].prompt, answers, [int(rank) for rank in ranks], group), subset)

    def _joined(self, said: list[_Kept]) -> Iterator[tuple[list[str], list[float], str]]:
        """Give one rater's rankings of a prompt: answers, ranks, subset."""
        subset = said[0].subset
        if self.one_answer:
            try:
                yield *self._settled([one.answers[0] for one in said], [one.ranks[0] for one in said]), subset
            except NoComparison as reason:
                self.left_out[str(reason)] += 1
        elif len(said) > 1 and all(one.of_a_ranking for one in said) and (whole := ranking_of([one.answers for one in said])):
            yield whole[0], list(whole[1]), subset
        else:
            for one in said:
                yield one.answers, one.ranks, one.subset

    def _settled(self, answers: list[str], ranks: list[float]) -> tuple[list[str], list[float]]:
        kept, levels, twice = settle(answers, ranks)
        if twice:
            self.left_out[TWO_PLACES] += 1
        return [answers[i] for i in kept], list(levels)


def settle(answers: Sequence[str], ranks: Sequence[float]) -> tuple[list[int], list[int], bool]:
    """Keep each answer once, without empty ones and those to which two ranks are given.

    Returns:
        The positions of the answers that are kept, their ranks from 1 without gaps, and whether any had two ranks.

    >>> settle(["a", "b", "a", "c", "c"], [2, 5, 2, 1, 3])
    ([0, 1], [1, 2], True)

    Raises:
        NoComparison: nothing is compared by what is left.
    """
    given: dict[str, set[float]] = {}
    for answer, rank in zip(answers, ranks, strict=True):
        given.setdefault(answer, set()).add(rank)
    kept = [answers.index(answer) for answer, some in given.items() if answer and len(some) == 1]
    twice = any(len(some) > 1 for answer, some in given.items() if answer)
    if len({ranks[i] for i in kept}) < 2:
        raise NoComparison("an empty text" if "" in given else TWO_PLACES if twice else "only ties" if len(kept) > 1 else "only one answer")
    return kept, dense_ranks([ranks[i] for i in kept]), twice


def ranking_of(pairs: list[list[str]]) -> tuple[list[str], list[int]] | None:
    """Return the ranking whose untied pairs are exactly these (better, worse), or None where there is none.

    >>> ranking_of([["a", "b"], ["a", "c"], ["d", "b"], ["d", "c"]])
    (['a', 'b', 'c', 'd'], [1, 2, 2, 1])
    """
    answers = list(dict.fromkeys(answer for pair in pairs for answer in pair))
    lost = Counter(worse for _, worse in pairs)
    levels = sorted({lost[answer] for answer in answers})
    ranks = {answer: levels.index(lost[answer]) + 1 for answer in answers}
    untied = {(a, b) if ranks[a] < ranks[b] else (b, a) for a, b in combinations(answers, 2) if ranks[a] != ranks[b]}
    if len(untied) != len(pairs) or untied != {(better, worse) for better, worse in pairs}:
        return None
    return answers, [ranks[answer] for answer in answers]
