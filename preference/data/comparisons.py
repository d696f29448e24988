"""Other people's preference data, read by the roles of its columns: what each compares, and the rankings of all."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from os.path import commonprefix
from typing import Any

from preference.data.dialogues import ASSISTANT, USER, Turn, as_text, as_turns, is_chat, read_dialogue, read_messages
from preference.data.rankings import Ranking, dense_ranks, ranking_of, rankings_of
from preference.data.records import NoComparison, Record, Unreadable, number, opened, says_nothing, text_of, unfold
from preference.data.roles import ROLES, SIDES, Roles, find_roles, plain_name
from preference.data.table_writing import find_unwritable, first_line
from preference.data.tables import Table, TableError, keys_of
from preference.errors import InputError
from preference.wording import counted, name_some, shorten

TWO_PLACES = "answers listed twice with different ranks"
_TIES = re.compile(r"(tie|tied|both|bothbad|equal|equally|same|draw|neither|none|even|no_preference)(_|$)")
_COMPARED = re.compile(r"\W*(\w+)\s*(>+|<+|=+)\s*(\w+)\W*")  # A>B


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one record says."""

    index: int  # of the record in the table
    prompt: str
    answers: list[str]
    ranks: list[float | None]  # of each answer: lower is better, any numbers; None: nothing was said of it
    rater: str = ""
    group: str = ""
    subset: str = ""
    left_out: str = ""  # why it compares nothing; then there may be no answers


def read_comparisons(
    table: Table, named: Mapping[str, str] = {}, *, labelled: bool = True
) -> tuple[Roles, list[Comparison]]:
    """Return the roles of a table's columns, and what its records compare, in their order.

    `named` are columns that flags name for a role (see `roles.FLAGS`), several with commas. Where something must be
    said of the answers, they are `labelled`; otherwise they may be answers to be scored.
    """
    try:
        unfolded = unfold(table.records)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"looks like a tool's export, but is not in its format: {first_line(error)}"
        raise InputError(f"{table.source}: {what}") from None
    records = [record for _, record in unfolded]
    try:
        roles = find_roles(keys_of(records), records, named, labelled)
    except (InputError, Unreadable) as problem:
        raise InputError(f"{table.source}: {problem}") from None
    if roles.verbatim and labelled and {*roles.columns} <= {*table.columns}:  # not of records within a record
        rankings_of(table)  # names what is wrong, as for the trainer
    if roles.first and roles.how == "vote" and not roles.ends:
        votes = {text_of(record.get(roles.said[0])).casefold() for record in records} - {roles.first.casefold()}
        others = sorted(text for text in votes if not (says_nothing(text) or _TIES.match(plain_name(text))))
        if len(others) > 1:
            what = f"beside --first {roles.first}, {roles.said[0]} holds {name_some(map(shorten, others))}"
            remedy = "besides it, only one other value and words for a tie are allowed"
            raise InputError(f"{table.source}: {what}; {remedy}")
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
    columns = roles.rater, roles.group, roles.subset
    rater, group, subset = (text_of(record.get(column)) if column else "" for column in columns)
    prompt, answers, names, ranks, left_out = "", list[str](), list[str](), list[float | None](), ""
    try:
        if typed := _as_typed(record, roles):
            prompt, *answers = typed
        else:
            context = _context(record, roles)
            values, names = (_pair if roles.how == "chosen" else _values)(record, roles)
            prompt, answers = _prompt_and_answers(context, values, record, roles)
        if len(answers) == 2 and answers[0].strip() == answers[1].strip() != "":
            raise NoComparison("identical answers")
        if roles.layout == "rows" and not answers[0].strip():
            raise NoComparison("an empty text")
        ranks = _ranks(record, roles, names, answers)
    except NoComparison as reason:
        ranks, left_out = [None] * len(answers), str(reason)
    for text in (prompt, *answers, rater, group, subset):
        if what := find_unwritable(text):
            raise Unreadable(f"{what} in {shorten(text)}; remove it")
    return Comparison(index, prompt, answers, ranks, rater, group, subset, left_out)


def _as_typed(record: Record, roles: Roles) -> list[str]:
    """Return the prompt and the answer of one of this project's own tables; of another, or of messages, nothing."""
    texts: list[Any] = [record.get(column) for column in (*roles.prompt, *roles.answers)]
    return texts if roles.verbatim and all(isinstance(text, str) for text in texts) else []


def _given(record: Record, name: str) -> Any:
    if name not in record:
        raise Unreadable(f"no {name!r}; give every record one")
    return "" if record[name] is None else record[name]


def _list(record: Record, name: str) -> list[Any]:
    listed = opened(_given(record, name))
    if not isinstance(listed, list):
        raise Unreadable(f"{name!r} is not a list: {shorten(str(listed))}; write a list")
    return listed


def _text(value: Any, what: str = "not a text", remedy: str = "write a text") -> str:
    if value is not None and not isinstance(value, str):
        raise Unreadable(f"{what}: {shorten(str(value))}; {remedy}")
    return value or ""


def _context(record: Record, roles: Roles) -> list[Turn]:
    """Return the turns before the answers: system, history, prompt."""
    history = opened(record.get(roles.history)) or []
    turns, exchanges = (read_messages(history), []) if is_chat(history) else ([], history)
    for exchange in exchanges if isinstance(exchanges, list) else [exchanges]:
        if not isinstance(exchange, list) or len(exchange) != 2:
            raise Unreadable(f'{roles.history} has {shorten(str(exchange))}; write [["question", "answer"], ...]')
        turns += [Turn(role, _text(said)) for role, said in zip((USER, ASSISTANT), exchange)]
    values = [opened(_given(record, column), is_list=False) for column in roles.prompt]
    if len(values) == 1 and isinstance(values[0], (list, dict)):
        turns += [Turn(USER, text) for text in _texts_of_turns(values[0])] or read_messages(values[0])
    elif values:
        wrong = "the prompt is not a text", "write a text or a list of messages"
        text = "\n".join(text for value in values if (text := _text(value, *wrong)))
        turns += read_dialogue(text) or as_turns(text)
    if turns and turns[-1].role == ASSISTANT and not turns[-1].text.strip():
        turns.pop()  # the answer is still to come
    system = _text(record.get(roles.system)) if roles.system else ""
    return [Turn("system", system), *turns] if system.strip() and not (turns and turns[0].role == "system") else turns


def _texts_of_turns(value: Any) -> list[str]:
    """Return what was said turn by turn, where a value lists it as texts."""
    are_texts = isinstance(value, list) and all(text is None or isinstance(text, str) for text in value)
    return [text or "" for text in value] if are_texts else []


def _values(record: Record, roles: Roles) -> tuple[list[Any], list[str]]:
    """Return the answers of a record, and what a vote calls them."""
    if len(roles.answers) > 1 or roles.layout == "rows":
        return [_given(record, column) for column in roles.answers], list(roles.names)
    texts, listed = [], _list(record, roles.answers[0])
    if not listed:
        raise NoComparison("no answers")
    for item in listed:
        if isinstance(item, dict) and not is_chat(item):
            found = [item[key] for name in (*ROLES["answer"], "content") for key in item if plain_name(key) == name]
            if not found:
                write = 'write [{"answer": "...", "rank": 1}, ...]'
                raise Unreadable(f"{roles.answers[0]} has {shorten(str(item))}; {write}")
            item = found[0]
        texts.append(item)
    ids = [text_of(item.get("id")) if isinstance(item, dict) else "" for item in listed]
    return texts, ids if all(ids) else [str(i) for i in range(len(listed))]


def _pair(record: Record, roles: Roles) -> tuple[list[Any], list[str]]:
    """Return the better and the worse answers, several where a column lists them, and on which side each is."""
    texts, sides = list[Any](), list[str]()
    for side, columns in ("chosen", roles.answers), ("rejected", roles.rejected):
        for column in columns:
            if len(columns) == 1 or not says_nothing(record.get(column)):  # negative_3 of a record that has two
                value = opened(_given(record, column)) if roles.as_json else _given(record, column)
                is_list = isinstance(value, list) and value and not any(isinstance(item, dict) for item in value)
                texts += value if is_list else [value]
                sides += [side] * (len(texts) - len(sides))
    return texts, sides


def _prompt_and_answers(context: list[Turn], values: list[Any], record: Record, roles: Roles) -> tuple[str, list[str]]:
    """Return the prompt and the answers as texts, by the chat rule; answers may be whole chats, with the prompt."""
    chats = _turn_by_turn(context, values, record, roles)
    if not chats:
        values = [opened(value, is_list=False) for value in values]
        chats = [read_messages(v) if isinstance(v, (list, dict)) else [Turn(ASSISTANT, _text(v))] for v in values]
        if not roles.prompt and all(isinstance(value, str) for value in values):
            dialogues = [dialogue for value in values if (dialogue := read_dialogue(value))]
            if len(dialogues) == len(values):
                chats = dialogues
            elif not context:
                return _common_beginning(values)
    if any(turn.role == USER for chat in chats for turn in chat):
        context, chats = _without_prompt(context, chats, text_of(record.get(roles.turn)) if roles.turn else "")
    return as_text(context), [as_text(chat, ASSISTANT) for chat in chats]


def _turn_by_turn(context: list[Turn], values: list[Any], record: Record, roles: Roles) -> list[list[Turn]]:
    """Return the chats where prompt and answers list what was said in each turn: '["Hi", "Bye"]'."""
    if len(roles.prompt) != 1 or roles.how == "chosen":
        return []
    asked, *said = [_texts_of_turns(opened(value)) for value in (record.get(roles.prompt[0]), *values)]
    if not asked or any(len(texts) != len(asked) for texts in said):
        return []
    system = [turn for turn in context[:1] if turn.role == "system"]
    turns = (USER, ASSISTANT)
    return [[*system, *(Turn(*turn) for pair in zip(asked, texts) for turn in zip(turns, pair))] for texts in said]


def _without_prompt(context: list[Turn], chats: list[list[Turn]], turn: str) -> tuple[list[Turn], list[list[Turn]]]:
    """Divide chats into the turns with which all begin, and the rest of each; some may be only the end of others."""
    asked_at = lambda chat: [i for i, turn in enumerate(chat) if turn.role == USER]
    before = context or next(chat[:-1] for chat in chats if asked_at(chat))
    chats = [chat if asked_at(chat) else [*before, *chat] for chat in chats]
    if turn.isdecimal():  # how many were judged
        chats = [chat[: (*at, None)[min(int(turn), len(at))]] for chat, at in zip(chats, map(asked_at, chats))]
    if start := common_turns(chats):
        system = [t for t in context[:1] if t.role == "system" and chats[0][0].role != "system"]
        return [*system, *chats[0][:start]], [chat[start:] for chat in chats]
    last = [max(asked_at(chat), default=-1) for chat in chats]
    asked = {chat[i].text.strip() if i >= 0 else None for chat, i in zip(chats, last, strict=True)}
    ends = [chat[i + 1 :] for chat, i in zip(chats, last, strict=True)]
    if context and asked == {context[-1].text.strip()} and all(ends):
        return context, ends
    if any(chat != chats[0] for chat in chats):
        raise NoComparison("answers to different prompts")
    return context, chats


def common_turns(chats: Sequence[list[Turn]]) -> int:
    """Return with how many equal turns all chats begin; each keeps at least one of its own."""
    return min(len(commonprefix(chats)), max(min(map(len, chats)) - 1, 0))


def common_words(text: str, other: str) -> int:
    """Return where the common beginning of two texts ends, between words; each text keeps at least a word.

    >>> common_words("The sky is blue.", "The sky is black.")
    10
    """
    most = min(len(text.rstrip()), len(other.rstrip())) - 1
    end = max(min(len(commonprefix([text, other])), most), 0)
    while end and not (text[end].isspace() and other[end].isspace()):
        end -= 1
    return end


def _common_beginning(texts: Sequence[str]) -> tuple[str, list[str]]:
    if len(texts) != 2:
        raise NoComparison("no prompt")
    if (start := common_words(*texts)) == 0 and all(text.strip() for text in texts):
        none = "no common beginning that could be the prompt"
        raise NoComparison("identical answers" if texts[0] == texts[1] else none)
    return texts[0][:start], [text[start:] for text in texts]


def _ranks(record: Record, roles: Roles, names: list[str], answers: list[str]) -> list[float | None]:
    """Return a rank for each answer, of any numbers: lower is better."""
    if roles.how == "chosen":
        better, worse = [_number(record.get(column), column) for column in roles.scores] or (None, None)
        if better is not None and worse is not None and better < worse:
            raise NoComparison("scores that contradict chosen and rejected")
        return [1.0 if name == "chosen" or (better is not None and better == worse) else 2.0 for name in names]
    if roles.how == "vote":
        return _ranks_of_vote(record, roles, names, answers)
    if roles.how in ("order", ""):
        return [float(i) if roles.how else None for i in range(len(answers))]
    column, said = roles.answers[0], roles.said[0]
    if len(roles.answers) > 1 or roles.layout == "rows":
        given = [(_given(record, name), name) for name in roles.said]
    elif said in record:
        given = [(value, said) for value in _list(record, said)]
    else:
        listed = _list(record, column)
        if not all(isinstance(item, dict) and said in item for item in listed):
            raise Unreadable(f'{column} has {shorten(str(listed))}; write [{{"answer": "...", "{said}": 1}}, ...]')
        given = [(item[said], said) for item in listed]
    numbers = [_number(value, name) for value, name in given]
    if len(numbers) != len(answers):
        what = f"{counted(len(numbers), 'value')} for {counted(len(answers), 'answer')}"
        raise Unreadable(f"{said!r} has {what}; write one per answer")
    if roles.how == "rank":
        return _by_position(numbers, answers, record) if roles.layout == "lists" else numbers
    return [None if value is None else -value for value in numbers]


def _number(value: Any, name: str) -> float | None:
    if (found := number(value)) is None and not says_nothing(value):
        raise Unreadable(f"{name!r} is not a number: {shorten(str(value))}; write a number")
    return found


def _by_position(ranks: list[float | None], answers: list[str], record: Record) -> list[float | None]:
    """Return the rank of each answer; OpenHermesPreferences writes their positions from best to worst, from 0, instead:
    where the two differ, `chosen` and `rejected` of the same record tell."""
    ends = [opened(record.get(side), is_list=False) for side in ("chosen", "rejected")]
    if not all(ends) or {*ranks} != {*range(len(answers))}:
        return ranks
    texts = [end if isinstance(end, str) else read_messages(end)[-1].text for end in ends]
    places = [ranks.index(i) for i in range(len(answers))]
    is_position = [answers[int(ranks[i] or 0)] for i in (0, -1)] == texts != [answers[places[i]] for i in (0, -1)]
    return [float(place) for place in places] if is_position else ranks


def _ranks_of_vote(record: Record, roles: Roles, names: list[str], answers: list[str]) -> list[float | None]:
    """Return ranks from a vote: 1 for those that won, 2 for the others; or from a number between the `roles.ends`."""
    value, said = record.get(roles.said[0]), roles.said[0]
    won = opened(value)
    if says_nothing(value) or won == []:
        raise NoComparison("no vote")
    if roles.ends and (given := number(value)) is not None:
        if given == 0 and roles.ends == (1, 2):  # AlpacaFarm
            return [1.0, 1.0]
        low, high = sorted(roles.ends)
        if not low <= given <= high:
            raise Unreadable(f"{said} is {shorten(str(value))}; it must be between {low:g} and {high:g}")
        return [*(abs(given - end) for end in roles.ends)]
    models, votes = [text_of(record.get(column)) for column in roles.models], won if isinstance(won, list) else [value]
    winners = {_winner(text_of(vote), roles, names, models, answers) for vote in votes}
    return [1.0 if i in winners or -1 in winners else 2.0 for i in range(len(answers))]


def _winner(text: str, roles: Roles, names: list[str], models: list[str], answers: list[str]) -> int:
    """Return which answer a vote names (by number, letter, side, id, column, model or text), or -1 for a tie."""
    is_tie = bool(_TIES.match(plain_name(text)))
    if roles.first and len(answers) == 2 and not is_tie:
        return int(text.casefold() != roles.first.casefold())
    for i, answer in enumerate(answers):
        if text and (text == answer.strip() or text.casefold() in [name.casefold() for name in names[i : i + 1]]):
            return i
    if text and text in models:
        return models.index(text)
    if is_tie:
        return -1
    if compared := _COMPARED.fullmatch(text):
        left, sign, right = compared.groups()
        return -1 if "=" in sign else _winner(left if ">" in sign else right, roles, names, models, answers)
    words = plain_name(text).split("_")
    named = {names.index(word) for word in words if word in names} or {SIDES[word] for word in words if word in SIDES}
    if len(named) == 1 and (found := named.pop()) < len(answers):
        return found
    other = ", or say with --first which value means the first answer" if len(answers) == 2 else ""
    raise Unreadable(f"{roles.said[0]} is {shorten(text)}; write one of {', '.join(names)}, tie{other}")


def gather(comparisons: Sequence[Comparison], roles: Roles) -> tuple[list[Ranking], list[str]]:
    """Put what the records compare together to rankings, those of one prompt one after the other; also return in words
    what is left out: how many answers, records or rankings, and why.

    What each record compares is a ranking of its own: several of a prompt by one rater get a `group` each. Only single
    answers are ranked against each other, and pairs of one group that make up a ranking become it again.
    """
    rankings, left_out, unranked = list[Ranking](), Counter[str](), 0
    by_prompt: dict[str, dict[tuple[str, str], list[Comparison]]] = {}
    for record in comparisons:
        if record.left_out or not record.prompt.strip():
            left_out[record.left_out or "an empty text"] += 1
        else:
            by_prompt.setdefault(record.prompt.strip(), {}).setdefault((record.rater, record.group), []).append(record)
            unranked += record.ranks.count(None)
    for prompt, by_rater in by_prompt.items():
        for (rater, group), said in by_rater.items():
            made = _rankings_of(said, roles, left_out)
            numbered = (f"{group} {i}".strip() for i in count(1))
            groups = [group] if len(made) == 1 else (name for name in numbered if (rater, name) not in by_rater)
            for own, (ranks, subset) in zip(groups, made):
                rankings.append(Ranking(prompt, list(ranks), list(ranks.values()), own, rater, subset))
    reasons = [f"{counted(unranked, 'answer')} without a rank or score"] * bool(unranked)
    return rankings, [*reasons, *(f"{count:,} with {why}" for why, count in left_out.most_common())]


def _rankings_of(said: list[Comparison], roles: Roles, left_out: Counter[str]) -> list[tuple[dict[str, int], str]]:
    """Return one rater's rankings of a prompt in one group, as ranks by answer, each with its subset."""
    found: dict[Any, tuple[dict[str, int], str]] = {}
    for part in [said] if roles.layout == "rows" else [[record] for record in said]:
        ranked = [(text.strip(), rank) for record in part for text, rank in zip(record.answers, record.ranks)]
        if ranks := distinct_ranks(ranked, left_out):
            key = part[0].subset, frozenset(ranks.items())
            left_out.update(["an exact duplicate"] * (key in found))
            found.setdefault(key, (ranks, part[0].subset))
    pairs = [list(ranks) for ranks, _ in found.values()]
    are_pairs = len(pairs) > 1 and roles.how == "chosen" and roles.group and all(len(pair) == 2 for pair in pairs)
    whole = ranking_of(pairs) if are_pairs else None
    return [(whole, said[0].subset)] if whole else list(found.values())


def distinct_ranks(ranked: Sequence[tuple[str, float | None]], left_out: Counter[str]) -> dict[str, int]:
    """Return ranks from 1 without gaps, without empty answers, those without a rank and those with two, which are
    counted as left out; none where what is left compares nothing.

    >>> distinct_ranks([("a", 2), ("b", 5), ("a", 2), ("c", 1), ("c", 3)], Counter())
    {'a': 1, 'b': 2}
    """
    given: dict[str, set[float]] = {}
    for answer, rank in ranked:
        if rank is not None:
            given.setdefault(answer, set()).add(rank)
    kept = {answer: min(ranks) for answer, ranks in given.items() if answer and len(ranks) == 1}
    twice = any(len(ranks) > 1 for answer, ranks in given.items() if answer)
    why = TWO_PLACES if twice else "only ties" if len(kept) > 1 else "only one answer"
    if len(set(kept.values())) < 2:
        left_out["no ranks" if not given else "an empty text" if "" in given else why] += 1
        return {}
    left_out.update([TWO_PLACES] * twice)
    return dict(zip(kept, dense_ranks([*kept.values()])))
