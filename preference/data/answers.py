"""What a table gives to be scored, in three layouts, and what is added to it.

rows: one answer in a record. lists: several answers to a prompt. pairs: one chosen and one rejected answer.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from preference.data.comparisons import Comparison, read_comparisons
from preference.data.rankings import dense_ranks
from preference.data.records import Record
from preference.data.roles import ROLES, Roles, plain_name
from preference.data.tables import Table, TableError
from preference.errors import InputError

ADDED = {
    "rows": ["reward", "rank_in_prompt", "percentile"],
    "lists": ["rewards", "ranks_in_prompt", "percentiles"],
    "pairs": ["reward_chosen", "reward_rejected", "margin", "probability"],
}


@dataclass
class Answers:
    """The answers of a table."""

    table: Table
    roles: Roles
    items: list[Comparison]  # one for each record; an empty answer is not scored
    notes: list[str]  # sentences on what was understood


def read_answers(table: Table, named: Mapping[str, str] = {}) -> Answers:
    """Return what there is to score in a table; `named` are columns that flags name for a role, see `roles.FLAGS`.

    Without flags, what it says of the answers is left aside where it cannot be read.
    """
    if not table.records:
        raise table.none_found("write one per prompt or per answer")
    notes = list(table.notes)
    try:
        roles, items = read_comparisons(table, named, labelled=False)
    except InputError as problem:
        if named:
            raise
        labels = {name for role in ("rank", "score", "vote") for name in ROLES[role]} - {*ROLES["chosen"]}
        rest = [{k: value for k, value in record.items() if plain_name(k) not in labels} for record in table.records]
        try:
            roles, items = read_comparisons(replace(table, records=rest), labelled=False)
        except InputError:
            raise problem from None
        notes.append(f"labels ignored: {str(problem).partition(chr(10))[0]}")
    if [item.index for item in items] != list(range(len(table.records))):
        what = "an export whose records are not one per prompt or answer"
        raise InputError(f"{table.source}: {what}; convert it first with convert_rankings.py")
    empty = [item for item in items if item.answers and not item.prompt.strip()]
    remedy = "write the text or delete the row"
    if problems := [f"{table.at(item.index)}: empty prompt: {item.prompt!r}; {remedy}" for item in empty]:
        raise TableError(problems)
    ours = roles.prompt == ("prompt",) and roles.answers in (("answer",), ("answers",))
    if not ours or (roles.how and roles.said != ("rank",)):
        notes.append(f"{table.source}: {roles.in_words()}")
    return Answers(table, roles, items, notes)


def per_answer(answers: Answers) -> Iterator[Record]:
    """Split records with several answers into one record for each, as in a CSV; their ranks become `rank`."""
    for record, item in zip(answers.table.records, answers.items, strict=True):
        rest = {name: value for name, value in record.items() if name not in answers.roles.columns}
        levels = iter(dense_ranks([rank for rank in item.ranks if rank is not None]))
        for answer, rank in zip(item.answers, item.ranks, strict=True):
            ranked = {"rank": None if rank is None else next(levels)} if answers.roles.how else {}
            yield {"prompt": item.prompt, "answer": answer, **ranked, **rest}
