"""Other people's preference data, read by the roles of its columns: what each record compares, and the rankings that they make up together."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from preference.data.dialogues import (
    ASSISTANT,
    USER,
    Turn,
    Unreadable,
    are_messages,
    as_text,
    common_turns,
    common_words,
    read_dialogue,
    read_messages,
)
from preference.data.exports import unfold
from preference.data.rankings import Ranking, dense_ranks, ranking_of
from preference.data.roles import ROLES, Roles, find_roles, plain_name
from preference.data.tables import TableError, find_unwritable, first_line
from preference.data.values import NoComparison, Record, flat, number_or_none, opened, says_nothing, text_of
from preference.data.votes import read_vote
from preference.errors import InputError
from preference.wording import shorten

if TYPE_CHECKING:
    from preference.data.tables import Table

TWO_PLACES = "answers listed twice with different ranks"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one record says.

    Attributes:
        index: of the record in the table.
        ranks: of each answer: lower is better, any numbers; None: nothing was said of it.
        left_out: why it compares nothing; then there may be no answers.
    """

    index: int
    prompt: str
    answers: list[str]
    ranks: list[float | None]
    rater: str = ""
    group: str = ""
    subset: str = ""
    left_out: str = ""


def read_comparisons(
    table: "Table", named: Mapping[str, str] | None = None, *, labelled: bool = True
) -> tuple[Roles, list[Comparison]]:
    """Return the roles of a table's columns, and what its records compare, in their order.

    Args:
        named: columns that flags name for a role, see `roles.FLAGS`.
        labelled: whether something must be said of the answers; otherwise they may be answers to be scored.

    Raises:
        InputError: the roles are not clear.
        TableError: records are wrong, one line for each.
    """
    try:
        unfolded = [(i, flat(record)) for i, record in unfold(table.records)]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{table.source}: looks like a tool's export, but is not in its format: {first_line(error)}"
        ) from None
    records = [record for _, record in unfolded]
    columns = list(dict.fromkeys(name for record in records for name in record))
    try:
        roles = find_roles(columns, records, named, labelled=labelled)
    except (InputError, Unreadable) as problem:
        raise InputError(f"{table.source}: {problem}") from None
    found, problems = [], []
    for i, record in unfolded:
        try:
            found.append(_read(i, record, roles))
        except Unreadable as problem:
            problems.append(f"{table.at(i)}: {problem}")
    if problems:
        raise TableError(problems)
    return roles, found


def _read(index: int, record: Record, roles: Roles) -> Comparison:
    about = [text_of(record.get(column)) if column else "" for column in (roles.rater, roles.group, roles.subset)]
    prompt, answers, ranks = "", list[str](), list[float | None]()
    try:
        context = _context(record, roles)
        values, names = _values(record, roles)
        prompt, answers = _prompt_and_answers(context, values, record, roles)
        if len(answers) == 2 and answers[0].strip() == answers[1].strip() != "":
            raise NoComparison("identical answers")
        if roles.layout == "rows" and not answers[0].strip():
            raise NoComparison("an empty text")
        ranks, left_out = _ranks(record, roles, names, answers), ""
    except NoComparison as reason:
        ranks, left_out = [None] * len(answers), str(reason)
    for text in (prompt, *answers, *about):
        if what := find_unwritable(text):
            raise Unreadable(f"{what} in {shorten(text)}; remove it")
    return Comparison(index, prompt, answers, ranks, about[0], about[1], about[2], left_out)


# The prompt


def _given(record: Record, name: str) -> Any:
    if name not in record:
        raise Unreadable(f"no {name!r}; give every record one")
    return "" if record[name] is None else record[name]


def _list(record: Record, name: str) -> list[Any]:
    listed = opened(_given(record, name))
    if not isinstance(listed, list):
        raise Unreadable(f"{name!r} is not a list: {shorten(str(listed))}; write a list")
    return listed


def _text(value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise Unreadable(f"not a text: {shorten(str(value))}; write a text")
    return value or ""


def _context(record: Record, roles: Roles) -> list[Turn]:
    """Return the turns before the answers: system, history, prompt."""
    turns: list[Turn] = []
    history = opened(record.get(roles.history)) or []
    if are_messages(history):
        turns = read_messages(history)
    else:
        for exchange in history if isinstance(history, list) else [history]:
            if not isinstance(exchange, list) or len(exchange) != 2:
                raise Unreadable(f'{roles.history} has {shorten(str(exchange))}; write [["question", "answer"], ...]')
            turns += [Turn(USER, _text(exchange[0])), Turn(ASSISTANT, _text(exchange[1]))]
    values = [opened(_given(record, column), is_list=False) for column in roles.prompt]
    if len(values) == 1 and isinstance(values[0], (list, dict)):
        turns += [Turn(USER, text) for text in _texts_of_turns(values[0])] or read_messages(values[0])
    elif values:
        for value in values:
            if not isinstance(value, str):
                raise Unreadable(f"the prompt is not a text: {shorten(str(value))}; write a text or a list of messages")
        text = "\n".join(value for value in values if value)
        turns += read_dialogue(text) or [Turn(USER, text)]
    if turns and turns[-1].role == ASSISTANT and not turns[-1].text.strip():
        turns.pop()  # the answer is still to come
    system = _text(record.get(roles.system)) if roles.system else ""
    return [Turn("system", system), *turns] if system.strip() and not (turns and turns[0].role == "system") else turns


def _texts_of_turns(value: Any) -> list[str]:
    """Return what the user said turn by turn, where a value lists it as texts."""
    return (
        [text or "" for text in value]
        if isinstance(value, list) and all(text is None or isinstance(text, str) for text in value)
        else []
    )


# The answers


def _values(record: Record, roles: Roles) -> tuple[list[Any], list[str]]:
    """Return the answers of a record, and what a vote calls them."""
    if roles.how == "chosen":
        return [value for columns in (roles.answers, roles.rejected) for value in _side(record, columns, roles)], []
    if len(roles.answers) > 1:
        return [_given(record, column) for column in roles.answers], list(roles.names)
    if roles.layout == "rows":
        return [_given(record, roles.answers[0])], []
    name = roles.answers[0]
    listed = _list(record, name)
    if not listed:
        raise NoComparison("no answers")
    ids = [text_of(one.get("id")) if isinstance(one, dict) else "" for one in listed]
    texts = []
    for one in listed:
        if isinstance(one, dict) and not are_messages(one):
            key = next(
                (key for wanted in (*ROLES["answer"], "content") for key in one if plain_name(key) == wanted), None
            )
            if key is None:
                raise Unreadable(f'{name} has {shorten(str(one))}; write [{{"answer": "...", "rank": 1}}, ...]')
            one = one[key]
        texts.append(one)
    return texts, ids if all(ids) else [str(i) for i in range(len(listed))]


def _side(record: Record, columns: Sequence[str], roles: Roles) -> list[Any]:
    """Return the answers of one side of a pair, which are several where a column lists them."""
    found: list[Any] = []
    for column in columns:
        if len(columns) > 1 and says_nothing(record.get(column)):  # negative_3 of a record that has two
            continue
        value = _given(record, column)
        value = opened(value) if roles.as_json else value
        found += (
            value if isinstance(value, list) and value and not any(isinstance(one, dict) for one in value) else [value]
        )
    return found


def _prompt_and_answers(context: list[Turn], values: list[Any], record: Record, roles: Roles) -> tuple[str, list[str]]:
    """Return the prompt and the answers as texts, by the chat rule. Answers may be whole chats, which have the prompt in them."""
    if turns := _turn_by_turn(context, values, record, roles):
        chats = turns
    else:
        values = [opened(value, is_list=False) for value in values]
        chats = [
            read_messages(value) if isinstance(value, (list, dict)) else [Turn(ASSISTANT, _text(value))]
            for value in values
        ]
        if not roles.prompt and all(isinstance(value, str) for value in values):
            dialogues = [read_dialogue(value) for value in values]
            if all(dialogues):
                chats = [dialogue for dialogue in dialogues if dialogue]
            elif not context:
                return _common_beginning(values)
    whole = [any(turn.role == USER for turn in chat) for chat in chats]
    if any(whole):
        context, chats = _without_prompt(context, chats, whole, text_of(record.get(roles.turn)) if roles.turn else "")
    return as_text(context), [as_text(chat, ASSISTANT) for chat in chats]


def _turn_by_turn(context: list[Turn], values: list[Any], record: Record, roles: Roles) -> list[list[Turn]]:
    """Return the chats of which prompt and answers are lists of what was said in each turn: '["Hi", "Bye"]', '["Hello", "See you"]'."""
    if len(roles.prompt) != 1 or roles.how == "chosen":
        return []
    asked, said = (
        _texts_of_turns(opened(record.get(roles.prompt[0]))),
        [_texts_of_turns(opened(value)) for value in values],
    )
    if not asked or not all(len(one) == len(asked) for one in said):
        return []
    before = context[:1] if context and context[0].role == "system" else []
    return [
        [
            *before,
            *(
                t
                for question, text in zip(asked, one, strict=True)
                for t in (Turn(USER, question), Turn(ASSISTANT, text))
            ),
        ]
        for one in said
    ]


def _without_prompt(
    context: list[Turn], chats: list[list[Turn]], whole: list[bool], turn: str
) -> tuple[list[Turn], list[list[Turn]]]:
    """Divide whole chats into the turns with which all begin, and the rest of each; some may be only the end of the others."""
    before = context or next(chat for chat, is_whole in zip(chats, whole, strict=True) if is_whole)[:-1]
    chats = [chat if is_whole else [*before, *chat] for chat, is_whole in zip(chats, whole, strict=True)]
    if turn.isdecimal():  # what was judged
        users = [[i for i, t in enumerate(chat) if t.role == USER] for chat in chats]
        chats = [chat[: at[int(turn)]] if len(at) > int(turn) else chat for chat, at in zip(chats, users, strict=True)]
    if start := common_turns(chats):
        system = [t for t in context[:1] if t.role == "system" and chats[0][0].role != "system"]
        return [*system, *chats[0][:start]], [chat[start:] for chat in chats]
    ends = [max((i for i, t in enumerate(chat) if t.role == USER), default=-1) for chat in chats]
    asked = {chat[end].text.strip() if end >= 0 else None for chat, end in zip(chats, ends, strict=True)}
    if (
        context
        and asked == {context[-1].text.strip()}
        and all(end + 1 < len(chat) for chat, end in zip(chats, ends, strict=True))
    ):
        return context, [chat[end + 1 :] for chat, end in zip(chats, ends, strict=True)]
    if any(chat != chats[0] for chat in chats):
        raise NoComparison("answers to different prompts")
    return context, chats


def _common_beginning(texts: Sequence[str]) -> tuple[str, list[str]]:
    if len(texts) != 2:
        raise NoComparison("no prompt")
    start = common_words(*texts)
    if start == 0 and all(text.strip() for text in texts):
        raise NoComparison(
            "identical answers" if texts[0] == texts[1] else "no common beginning that could be the prompt"
        )
    return texts[0][:start], [text[start:] for text in texts]


# What was said of them


def _ranks(record: Record, roles: Roles, names: list[str], answers: list[str]) -> list[float | None]:
    """Return a rank for each answer, of any numbers: lower is better."""
    if roles.how == "chosen":
        better = len(_side(record, roles.answers, roles))
        told = [number_or_none(record.get(column), column) for column in roles.scores]
        if len(told) == 2 and told[0] is not None and told[1] is not None and told[0] <= told[1]:
            if told[0] < told[1]:
                raise NoComparison("scores that contradict chosen and rejected")
            better = len(answers)
        return [*([1.0] * better), *([2.0] * (len(answers) - better))]
    if roles.how == "vote":
        return read_vote(record.get(roles.said[0]), roles, names, answers, record)
    if roles.how == "order":
        return [float(i) for i in range(len(answers))]
    if not roles.how:
        return [None] * len(answers)
    numbers = [number_or_none(value, name) for name, value in _numbers(record, roles)]
    if len(numbers) != len(answers):
        raise Unreadable(f"{len(numbers)} {roles.said[0]} for {len(answers)} {roles.answers[0]}; give each of them one")
    if roles.how == "rank":
        return _by_position(numbers, answers, record) if roles.layout == "lists" else numbers
    return [None if value is None else -value for value in numbers]


def _numbers(record: Record, roles: Roles) -> list[tuple[str, Any]]:
    """Return the rank, score or one-hot vote of each answer, with its name."""
    said = roles.said[0]
    if len(roles.answers) > 1 or roles.layout == "rows":
        return [(column, _given(record, column)) for column in roles.said]
    if said in record:
        return [(said, value) for value in _list(record, said)]
    listed = opened(record[roles.answers[0]])
    if not all(isinstance(one, dict) and said in one for one in listed):
        raise Unreadable(
            f'{roles.answers[0]} has {shorten(str(listed))}; write [{{"answer": "...", "{said}": 1}}, ...]'
        )
    return [(said, one[said]) for one in listed]


def _by_position(ranks: list[float | None], answers: list[str], record: Record) -> list[float | None]:
    """Return the rank of each answer; OpenHermesPreferences writes their positions from best to worst, from 0, instead.

    Where the two differ, `chosen` and `rejected` of the same record tell.
    """
    ends = [opened(record.get(side), is_list=False) for side in ("chosen", "rejected")]
    if not all(ends) or sorted(rank for rank in ranks if rank is not None) != list(range(len(answers))):
        return ranks
    texts = [end if isinstance(end, str) else read_messages(end)[-1].text for end in ends]
    best, worst = ranks.index(0), ranks.index(len(answers) - 1)
    by_rank, by_position = ([answers[best], answers[worst]], [answers[int(ranks[i] or 0)] for i in (0, -1)])
    return [float(ranks.index(i)) for i in range(len(answers))] if by_position == texts != by_rank else ranks


# Rankings


@dataclass
class Gathered:
    """The rankings of all records, those of one prompt one after the other, and what each says in the column `subset`."""

    rankings: list[Ranking] = field(default_factory=list)
    subsets: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)  # why -> how many records or rankings
    unranked: int = 0  # answers


def gather(comparisons: Sequence[Comparison], roles: Roles) -> Gathered:
    """Put what the records compare together to rankings.

    What each record compares is a ranking of its own: several rankings of one prompt by one rater get a `group` each. Only single
    answers are ranked against each other, those of one rater and group, and pairs of one group that make up a ranking become it again.
    """
    found = Gathered()
    by_prompt: dict[str, dict[tuple[str, str], list[Comparison]]] = {}
    for one in comparisons:
        if one.left_out or not one.prompt.strip():
            found.left_out[one.left_out or "an empty text"] += 1
        else:
            by_prompt.setdefault(one.prompt.strip(), {}).setdefault((one.rater, one.group), []).append(one)
    for prompt, by_rater in by_prompt.items():
        for (rater, group), said in by_rater.items():
            rankings = _rankings_of(said, roles, found.left_out)
            found.unranked += sum(rank is None for one in said for rank in one.ranks)
            numbered = (f"{group} {i}".strip() for i in count(1))
            groups = [group] if len(rankings) == 1 else (name for name in numbered if (rater, name) not in by_rater)
            for own, (answers, ranks, subset) in zip(groups, rankings):
                found.rankings.append(Ranking(prompt, answers, ranks, own, rater))
                found.subsets.append(subset)
    return found


def _rankings_of(
    said: list[Comparison], roles: Roles, left_out: Counter[str]
) -> list[tuple[list[str], list[int], str]]:
    """Return one rater's rankings of a prompt in one group: answers, ranks, subset."""
    together = [said] if roles.layout == "rows" else [[one] for one in said]
    found: dict[Any, tuple[list[str], list[int], str]] = {}
    for part in together:
        answers, subset = [answer.strip() for one in part for answer in one.answers], part[0].subset
        try:
            kept, levels, twice = settle(answers, [rank for one in part for rank in one.ranks])
        except NoComparison as reason:
            left_out[str(reason)] += 1
            continue
        if twice:
            left_out[TWO_PLACES] += 1
        key = (subset, frozenset((answers[i], level) for i, level in zip(kept, levels, strict=True)))
        if key in found:
            left_out["an exact duplicate"] += 1
        found.setdefault(key, ([answers[i] for i in kept], levels, subset))
    rankings = list(found.values())
    if (
        len(rankings) > 1
        and roles.how == "chosen"
        and roles.group
        and all(len(answers) == 2 for answers, _, _ in rankings)
    ):
        whole = ranking_of([answers for answers, _, _ in rankings])
        return [(*whole, rankings[0][2])] if whole else rankings
    return rankings


def settle(answers: Sequence[str], ranks: Sequence[float | None]) -> tuple[list[int], list[int], bool]:
    """Keep each answer once, without empty ones, those without a rank and those to which two ranks are given.

    Returns:
        The positions of the answers that are kept, their ranks from 1 without gaps, and whether any had two ranks.

    >>> settle(["a", "b", "a", "c", "c"], [2, 5, 2, 1, 3])
    ([0, 1], [1, 2], True)

    Raises:
        NoComparison: nothing is compared by what is left.
    """
    given: dict[str, set[float]] = {}
    for answer, rank in zip(answers, ranks, strict=True):
        if rank is not None:
            given.setdefault(answer, set()).add(rank)
    first = {answer: i for i, answer in reversed([*enumerate(answers)])}
    kept = [first[answer] for answer, some in given.items() if answer and len(some) == 1]
    levels = [next(iter(given[answers[i]])) for i in kept]
    twice = any(len(some) > 1 for answer, some in given.items() if answer)
    if not given:
        raise NoComparison("no ranks")
    if len(set(levels)) < 2:
        raise NoComparison(
            "an empty text"
            if "" in given
            else TWO_PLACES
            if twice
            else "only ties"
            if len(kept) > 1
            else "only one answer"
        )
    return kept, dense_ranks(levels), twice
