"""What each column of other people's preference data is: its role, known by its name.

A record has a prompt, two or more answers (or one, to rank against others of its prompt), and what was said of them:
which was chosen, ranks, scores, a vote, an order. `ROLES` is the table of names; a flag names a column not in it.
"""

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from preference.data.dialogues import is_chat, read_dialogue
from preference.data.records import Record, number, opened
from preference.errors import InputError
from preference.wording import name_some, shorten

COLUMNS = ["prompt", "answer", "rank"]  # of this project's own tables
RATERS = ["rater", "annotator", "annotator_id", "judge"]  # columns that say who ranked there

# Names are compared in lower case, with _ for spaces, hyphens and dots; of `fields.prompt`, the last part counts, too.
ROLES = {
    role: names.split()
    for role, names in {
        "prompt": """prompt user_prompt prompt_text question query instruction input user_input input_text user_query
            user_message anchor post article problem request context full_text""",
        "chat": "conversations conversation trajectory messages history text",  # the prompt, where no other column is
        "system": "system system_prompt system_message",
        "chosen": """chosen chosen_response response_chosen chosen_answer answer_chosen chosen_message chosen_messages
            chosen_text preferred preferred_output preferred_response accepted positive positives pos positive_messages
            response_j win better_response better_answer""",
        "rejected": """rejected rejected_response response_rejected rejected_answer answer_rejected rejected_message
            rejected_messages rejected_text non_preferred non_preferred_output dispreferred_response rejected_output
            negative negatives neg negative_messages response_k lose worse_response worse_answer""",
        "answers": """answers responses completions candidates outputs generations summaries docs documents passages
            options candidates_completions responses_and_scores output""",
        "order": "ranked_responses ranked_answers ranked_completions ranked_outputs",  # answers from best to worst
        "answer": "answer response completion output reply candidate generated_text summary summary_text body text",
        "rank": "rank ranks ranking position place",
        "score": """score scores overall_score pm_score rating ratings reward rewards label labels helpfulness quality
            overall_quality best is_best avg_rating overall stars""",
        "vote": """winner vote preference choice label verdict better best preferred better_response_id better_answer_id
            better_response better_answer preferred_response preferred_answer human_preference preference_label selected
            accept overall_preference preference_strength comparison which_is_better which_answer_is_better
            which_response_is_better chosen""",
        "rater": """rater annotator annotator_id judge rater_id annotator_name worker worker_id labeler labeler_id
            user_id completed_by judge_id email_address username""",
        **{name: name for name in ("history", "turn", "group", "subset")},
    }.items()
}
_ANSWER = "answer|response|completion|output|candidate|reply|summary|conversation|generation|option|chat|human_ref|text"
_BESIDE = {  # columns of which there is one for each answer: `answer1`, `response_b`, `score_0`; * is the side
    "answers": rf"(model_|assistant_)?(\*_({_ANSWER})|({_ANSWER})_\*)(_text)?|\*",
    "rank": r"(answer_|response_)?((rank|ranking|position|place)_\*|\*_rank)",
    "score": r"(answer_|response_)?((score|rating|reward|stars)_\*|\*_(score|rating|reward))"
    r"|(winner|win|won|best|better)_(model_|answer_|response_)?\*",  # 1 for the answer that did
    "name": r"(model|generator)_\*(_name)?",
    "rejected": rf"({'|'.join(ROLES['rejected'])})_\*",
}
SIDES = {"left": 0, "right": 1, "first": 0, "second": 1, "one": 0, "two": 1} | {c: i for i, c in enumerate("abcdefgh")}
_SCORES = "score_{0} {0}_score rating_{0} {0}_rating {0}_avg_rating reward_{0} {0}_reward"  # of chosen and rejected
FLAGS = {
    "prompt": "the column of the prompt; several, separated by commas, are joined",
    "chosen": "the column of the better answer",
    "rejected": "the column of the worse answer",
    "answers": "the columns of the answers, separated by commas, or the one that lists or holds them",
    "vote": "the column that says which of the answers is better",
    "first": "the vote that means that the first answer is better; the one other value means the second",
    "rank": "the column of ranks, 1 for the best answer, or one for each of the answers",
    "score": "the column of scores, or one for each of the answers; higher is better, equal is a tie",
    "rater": "the column that says who ranked",
}
SAMPLE = 200  # records by which texts are compared


@dataclass(frozen=True)
class Roles:
    """The columns of each role."""

    prompt: tuple[str, ...] = ()  # joined by line ends; none: it is the common beginning of the answers
    answers: tuple[str, ...] = ()  # the better ones where `how` is "chosen"; else one for each answer, or one for all
    rejected: tuple[str, ...] = ()
    names: tuple[str, ...] = ()  # of the answers, as a vote calls them
    models: tuple[str, ...] = ()  # hold the names of those who answered, which a vote may give instead
    how: str = ""  # what was said of the answers: chosen, vote, rank, score, order, or "" for nothing
    said: tuple[str, ...] = ()  # say it; in a list of objects, the key
    scores: tuple[str, ...] = ()  # of chosen and rejected
    ends: tuple[float, float] | None = None  # the numbers of a vote for the first of two answers, and for the second
    first: str = ""  # the vote for the first of two answers
    as_json: bool = False  # whether chosen and rejected hold lists of answers as JSON text
    verbatim: bool = False  # whether texts are taken as typed, even where one is written like a chat
    layout: str = "lists"  # or rows (one answer in a record), or pairs (one chosen and one rejected answer)
    system: str = ""
    history: str = ""
    turn: str = ""
    rater: str = ""
    group: str = ""
    subset: str = ""

    @property
    def columns(self) -> list[str]:
        """The columns of the prompt, of the answers and of what was said of them."""
        return [*self.prompt, *self.answers, *self.rejected, *self.said]

    def in_words(self) -> str:
        """Return in one line what was understood.

        >>> Roles(prompt=("question",), answers=("chosen",), rejected=("rejected",), how="chosen").in_words()
        'prompt: question; better: chosen; worse: rejected'
        """
        kinds = {"vote": "vote", "rank": "ranks, lower is better", "score": "scores, higher is better"}
        ends = " ({:g}: the first, {:g}: the second)".format(*self.ends) if self.ends else ""
        answers = "better" if self.how == "chosen" else "answer" if self.layout == "rows" else "answers"
        prompt = [*filter(None, (self.system, self.history, *self.prompt))]
        parts = {
            "prompt": prompt or ["the common beginning of both answers"],
            answers: self.answers,
            "worse": self.rejected,
            "scores (equal is a tie)": self.scores,
            kinds.get(self.how, "order, best first"): [column + ends for column in self.said],
            **{name: [getattr(self, name)] for name in ("turn", "rater", "group")},
        }
        words = {name: ", ".join(filter(None, columns)) for name, columns in parts.items()}
        return "; ".join(f"{name}: {columns}" for name, columns in words.items() if columns)


def add_role_arguments(parser: argparse._ArgumentGroup, *without: str) -> None:
    """Add the flags that name a column for a role."""
    for role in (role for role in FLAGS if role not in without):
        parser.add_argument(f"--{role}", metavar="VALUE" if role == "first" else "NAME", help=FLAGS[role])


def named_roles(args: argparse.Namespace) -> dict[str, str]:
    """Return what those flags name."""
    return {role: value for role in FLAGS if (value := getattr(args, role, None)) is not None}


def plain_name(column: str) -> str:
    """Return a name as it is compared: in lower case, words joined by _, a number apart.

    >>> plain_name("Answer 1"), plain_name("fields.responseB"), plain_name("human_ref_A"), plain_name("chosen-rating")
    ('answer_1', 'fields_response_b', 'human_ref_a', 'chosen_rating')
    """
    apart = re.sub(r"(?<=[a-z])(?=[A-Z]\b|\d)", "_", column)
    return re.sub(r"[\W_]+", "_", apart.casefold()).strip("_")


class _Columns:
    """The columns of a table, by role."""

    def __init__(self, columns: Sequence[str], records: Sequence[Record], named: Mapping[str, str]):
        self.columns, self.records, self.first = columns, records, named.get("first", "").strip()
        self.named = {role: [*map(str.strip, value.split(","))] for role, value in named.items() if role != "first"}
        self.numeric = [role for role in ("rank", "score") if role in self.named] or ["rank", "score"]
        flagged = {name for names in self.named.values() for name in names}
        self.free = [column for column in columns if column not in flagged]
        self.parts = {column: {plain_name(column), plain_name(column.rpartition(".")[2])} for column in columns}
        self.families = self._find_families()
        for role, names in self.named.items():
            keys = self.inner_keys(columns, SAMPLE) if role in ("rank", "score") else []
            if missing := [name for name in names if name not in (*columns, *keys)]:
                there = shorten(", ".join(columns), 200)
                raise InputError(f"--{role} {missing[0]}: no such column; there are {there}")

    def _find_families(self) -> dict[str, dict[str, str]]:
        """Return by role the columns of which there are several, by their sides: {"a": "response_a", …}."""
        found: dict[str, dict[str, dict[str, str]]] = {role: {} for role in _BESIDE}
        for column in self.free:
            before, _, name = column.rpartition(".")
            words = plain_name(name).split("_")
            for i, side in enumerate(words):
                key = "_".join([*words[:i], "*", *words[i + 1 :]])
                for role, pattern in _BESIDE.items():
                    if (side in SIDES or side.isdecimal()) and re.fullmatch(pattern, key):
                        found[role].setdefault(before + key, {})[side] = column
        return {role: next((f for f in families.values() if len(f) > 1), {}) for role, families in found.items()}

    def of(self, role: str, *others: str) -> list[str]:
        """Return the columns that a flag names for a role, or those with one of its names; without others."""
        known = (column for name in ROLES[role] for column in self.free if name in self.parts[column])
        return [column for column in dict.fromkeys(self.named.get(role) or known) if column not in others]

    def one(self, role: str, *others: str, ask: bool = False) -> str:
        """Return the first column of a role, or ""; of several it may not choose one where it must `ask`."""
        found = self.of(role, *others)
        if ask and len(found) > 1:
            raise InputError(f"{found[0]} and {found[1]} could both be the {role}; say which with --{role}")
        return found[0] if found else ""

    def beside(self, role: str, sides: Sequence[str]) -> tuple[str, ...]:
        """Return the columns of a role, one for each side; or none."""
        if role in self.named:
            return tuple(self.named[role]) if len(self.named[role]) == len(sides) else ()
        return tuple(self.families[role][side] for side in sides) if {*sides} <= self.families[role].keys() else ()

    def values(self, column: str, most: int | None = None) -> list[Any]:
        return [value for record in self.records[:most] if (value := record.get(column)) is not None and value != ""]

    def holds_lists(self, column: str) -> bool:
        values = self.values(column, SAMPLE)
        return bool(values) and all(isinstance(opened(value), list) for value in values)

    def inner_keys(self, columns: Sequence[str], most: int | None = None) -> list[str]:
        """Return the keys of the objects in lists."""
        lists = [opened(value) for column in columns for value in self.values(column, most)]
        items = [item for found in lists if isinstance(found, list) and not is_chat(found) for item in found]
        return list(dict.fromkeys(key for item in items if isinstance(item, dict) for key in item))


def find_roles(columns: Sequence[str], records: Sequence[Record], named: Mapping[str, str], labelled: bool) -> Roles:
    """Return the roles of the columns of a table, from all its records, flat; see `comparisons.read_comparisons`."""
    table = _Columns(columns, records, named)
    if own := _own(table, labelled):
        return own
    found = _with_prompt(table, _find_answers(table, labelled))
    about = {role: table.one(role) for role in ("system", "rater", "group", "subset")}
    turn = table.one("turn") if found.layout == "lists" else ""
    return replace(found, turn=turn, first=table.first, **about)  # type: ignore[arg-type]


def _own(table: _Columns, labelled: bool) -> Roles | None:
    """The columns of this project's own tables, which no further column and no text makes anything else."""
    exact = lambda names: next((column for name in names for column in table.columns if column.casefold() == name), "")
    prompt, answer, rank = (exact([name]) for name in COLUMNS)
    others = table.of("rejected") or table.families["answers"]  # an unranked answer beside them is a reference
    if table.named or not prompt or not answer or (not rank and (labelled or others)):
        return None
    ranked = Roles(answers=(answer,), how="rank", said=(rank,), layout="rows")
    found = ranked if rank else next(_single(table))
    about = {"rater": exact(RATERS), "group": exact(["group"]), "subset": exact(["subset"])}
    return replace(found, prompt=(prompt,), verbatim=True, **about)  # type: ignore[arg-type]


def _find_answers(table: _Columns, labelled: bool) -> Roles:
    """Find the answers and what was said of them: the first of all guesses, or answers of which nothing was said."""
    readings = [_pair] if {"chosen", "rejected"} & table.named.keys() else [_listed, _side_by_side, _pair, _single]
    unlabelled = None
    for found in (found for reading in readings for found in reading(table)):
        if found.how:
            return found
        unlabelled = found
    if unlabelled is None:
        raise InputError(
            f"no answers were found in the columns {shorten(', '.join(table.columns), 200)}; name them: --chosen NAME"
            " --rejected NAME, or --answers NAME,NAME --vote NAME, or --answers NAME --score NAME (or --rank NAME)"
        )
    if labelled and unlabelled.layout == "lists":
        named = "or name what was said of them: --vote, --score or --rank NAME"
        raise InputError(f"candidates without ranks; rank them: python generate_data.py --candidates FILE, {named}")
    if labelled:
        others = [column for column in table.free if column not in (*unlabelled.answers, *table.of("prompt"))]
        numbers = [c for c in others if all(number(value) is not None for value in table.values(c, SAMPLE))]
        scores = f"the column of scores with --score, one of: {', '.join(numbers)}"
        what = scores if numbers else "what says which is better with --vote, --score or --rank"
        raise InputError(f"answers without ranks; name {what}")
    return unlabelled


def _listed(table: _Columns) -> Iterator[Roles]:
    """A column that lists answers: objects with a rank or score, texts beside a list of them, or in order."""
    order = "" if "answers" in table.named else table.one("order")
    column = order or next(filter(table.holds_lists, table.of("answers")), "")
    if not column:
        return
    found = Roles(answers=(column,))
    lists = [found for found in map(opened, table.values(column)) if isinstance(found, list)]
    # `output` with two texts: LLaMA-Factory before 2024
    if order or (plain_name(column) == "output" and all(len(found) == 2 for found in lists)):
        yield replace(found, how="order", said=(column,))
    keys = table.inner_keys([column])
    for role in table.numeric:
        names = table.named.get(role, ROLES[role])
        inside = (key for name in names for key in keys if name in (key, plain_name(key)))
        yield from (replace(found, how=role, said=(key,)) for key in inside)
    for role in table.numeric:
        for other in filter(table.holds_lists, table.of(role, column)):
            # Who made pairs by scores left something out on purpose.
            if role == "rank" or role in table.named or not any(_pair(table)):
                yield replace(found, how=role, said=(other,))
    if vote := table.one("vote", column):
        yield replace(found, how="vote", said=(vote,))
    yield found


def _side_by_side(table: _Columns) -> Iterator[Roles]:
    """A column for each answer, and a vote, or ranks or scores in as many columns."""
    family = table.families["answers"]
    if named := table.named.get("answers", []):
        words = [plain_name(column).split("_")[::-1] for column in named]
        sides = [next((w for w in name if w in SIDES or w.isdecimal()), str(i)) for i, name in enumerate(words, 1)]
        family = dict(zip(sides, named, strict=True))
    if len(family) < 2:
        return
    names = tuple(family)
    found = Roles(answers=tuple(family.values()), names=names, models=table.beside("name", names))
    numbers = {role: columns for role in table.numeric if (columns := table.beside(role, names))}
    may_vote = "vote" in table.named or not (numbers or {"rank", "score"} & table.named.keys())
    if may_vote and (vote := table.one("vote", *(table.of("chosen") if table.of("rejected") else []), ask=True)):
        yield replace(found, how="vote", said=(vote,), ends=_ends_of(table, vote, names))
    yield from (replace(found, how=role, said=columns) for role, columns in numbers.items())
    yield found


def _ends_of(table: _Columns, vote: str, sides: Sequence[str]) -> tuple[float, float] | None:
    """Return the numbers of a vote for the first of two answers, and for the second; None: it is words."""
    values, wins = [n for n in map(number, table.values(vote)) if n is not None], number(table.first)
    if len(sides) != 2 or not values or (table.first and wins is None):
        return None
    low, high = min(values), max(values)
    if table.parts[vote] & {"overall_preference", "preference_strength"}:  # HelpSteer: -3, the first is much better
        return -3, 3
    if wins is not None:
        most = max(-low, high) * (1 if wins > 0 else -1)
        return (most, -most) if low < 0 else (wins, (3 if high > 1 else 1) - wins)
    first, second = (float(side) for side in sides) if all(map(str.isdecimal, sides)) else (1, 2)
    if (first <= low and high <= second) or (second == 2 and {*values} == {0, 1, 2}):  # AlpacaFarm: 0 is a tie
        return first, second
    what = f"{vote} has numbers from {low:g} to {high:g}, which could be read in two ways"
    raise InputError(f"{what}; say with --first which of them means the first answer")


def _pair(table: _Columns) -> Iterator[Roles]:
    """A column of better answers, and one or more of worse; or a whole chat, or an answer, and the worse one apart."""
    rejected = table.named.get("rejected") or [*table.families["rejected"].values()] or table.of("rejected")[:1]
    chosen = table.one("chosen") or next(filter(table.holds_lists, table.of("chat")), "") or table.one("answer")
    if not chosen or not rejected:
        return
    forms = [{*_SCORES.format(side).split()} for side in ("chosen", "rejected")]
    scores = [next((column for column in table.free if table.parts[column] & names), "") for names in forms]
    values = [value for column in (chosen, *rejected) for value in table.values(column)]
    # RewardBench 2 as CSV has lists of answers, which are not to be taken for answers that are JSON.
    may_be_json = table.one("subset") and all(isinstance(value, str) for value in values)
    lists = list(map(opened, values)) if may_be_json else [""]
    are_lists = all(isinstance(found, list) and all(isinstance(text, str) for text in found) for found in lists)
    as_json = are_lists and any(len(found) > 1 for found in lists)
    listed = as_json or len(rejected) > 1 or any(isinstance(value, list) and not is_chat(value) for value in values)
    found = Roles(answers=(chosen,), rejected=tuple(rejected), how="chosen", as_json=as_json)
    yield replace(found, layout="lists" if listed else "pairs", scores=tuple(scores) if all(scores) else ())


def _single(table: _Columns) -> Iterator[Roles]:
    """One answer in a record, with its rank or score."""
    named = table.one("answers" if "answers" in table.named else "answer")
    if answer := named or next(filter(table.holds_lists, table.of("chat")), ""):
        found = Roles(answers=(answer,), layout="rows")
        said = ((role, table.one(role, answer, ask=True)) for role in table.numeric)
        yield from (replace(found, how=role, said=(column,)) for role, column in said if column)
        yield found


def _with_prompt(table: _Columns, found: Roles) -> Roles:
    """Find the columns of the prompt, and the one of the turns before it."""
    used = (*found.answers, *found.rejected, *found.said)
    history, prompts = table.one("history", *used), table.named.get("prompt", [])
    if not prompts:
        prompts = _without_repeated(table, [column for column in table.of("prompt", *used) if table.values(column)])
        if len(prompts) > 1 and [*map(plain_name, prompts)] != ["instruction", "input"]:
            first, second = prompts[:2]
            ways = f"say which with --prompt {first}, or join them: --prompt {first},{second}"
            raise InputError(f"{first} and {second} could both be the prompt; {ways}")
    prompts = prompts or [column for column in table.of("chat", *used) if table.values(column)][:1]
    if not prompts:
        answers = [opened(value, is_list=False) for column in found.answers for value in table.values(column, SAMPLE)]
        whole_chats = answers and all(isinstance(value, (list, dict)) or read_dialogue(str(value)) for value in answers)
        others = [column for column in table.free if column not in (*used, *table.of("system"))]
        texts = [c for c in others if any(" " in v for v in table.values(c, SAMPLE) if isinstance(v, str))]
        if not whole_chats and (texts or found.how != "chosen"):
            one_of = f", one of: {name_some(texts or others, 9)}" if others else ""
            raise InputError(f"found no column for the prompt; name it with --prompt{one_of}")
    return replace(found, prompt=tuple(prompts), history="" if history in prompts else history)


def _without_repeated(table: _Columns, prompts: list[str]) -> list[str]:
    """Leave out columns whose text another one has everywhere, as a prompt has the question; `input` comes last."""
    texts = {column: [str(record.get(column) or "").strip() for record in table.records[:SAMPLE]] for column in prompts}
    kept: list[str] = []
    for column in sorted(prompts, key=lambda column: -sum(map(len, texts[column]))):
        if not any(all(map(str.__contains__, texts[other], texts[column])) for other in kept):
            kept.append(column)
    return sorted(kept, key=lambda column: (plain_name(column) == "input", prompts.index(column)))
