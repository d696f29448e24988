"""What each column of other people's preference data is: its role, known by its name.

A record has a prompt, two or more answers (or one, to be ranked against the others of its prompt), and something that was said of them:
which was chosen, ranks, scores, a vote, an order. Data sets differ in names and in how a vote is written. `ROLES` is the table of names;
a flag names a column that is not in it. Where two readings are possible, `find_roles` asks for the flag instead of guessing.
"""

import argparse
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from preference.data.dialogues import are_messages, read_dialogue
from preference.data.values import Record, number, opened
from preference.errors import InputError
from preference.wording import name_some, shorten

# Names are compared in lower case, with _ for spaces, hyphens and dots; of a column within another (`fields.prompt`), the last part counts, too.
ROLES: dict[str, tuple[str, ...]] = {
    "prompt": (
        "prompt", "user_prompt", "prompt_text", "question", "query", "instruction", "input", "user_input", "input_text", "user_query",
        "user_message", "anchor", "post", "article", "problem", "request", "context", "full_text",
    ),
    "chat": ("conversations", "conversation", "trajectory", "messages", "history", "text"),  # the prompt, where none of those is there
    "system": ("system", "system_prompt", "system_message"),
    "history": ("history",),
    "turn": ("turn",),
    "chosen": (
        "chosen", "chosen_response", "response_chosen", "chosen_answer", "answer_chosen", "chosen_message", "chosen_messages", "chosen_text",
        "preferred", "preferred_output", "preferred_response", "accepted", "positive", "positives", "pos", "positive_messages", "response_j", "win",
        "better_response", "better_answer",
    ),
    "rejected": (
        "rejected", "rejected_response", "response_rejected", "rejected_answer", "answer_rejected", "rejected_message", "rejected_messages",
        "rejected_text", "non_preferred", "non_preferred_output", "dispreferred_response", "rejected_output", "negative", "negatives", "neg",
        "negative_messages", "response_k", "lose", "worse_response", "worse_answer",
    ),
    "answers": (
        "answers", "responses", "completions", "candidates", "outputs", "generations", "summaries", "docs", "documents", "passages", "options",
        "candidates_completions", "responses_and_scores", "output",
    ),
    "order": ("ranked_responses", "ranked_answers", "ranked_completions", "ranked_outputs"),  # answers from best to worst
    "answer": ("answer", "response", "completion", "output", "reply", "candidate", "generated_text", "summary", "summary_text", "body", "text"),
    "rank": ("rank", "ranks", "ranking", "position", "place"),
    "score": (
        "score", "scores", "overall_score", "pm_score", "rating", "ratings", "reward", "rewards", "label", "labels", "helpfulness", "quality",
        "overall_quality", "best", "is_best", "avg_rating", "overall", "stars",
    ),
    "vote": (
        "winner", "vote", "preference", "choice", "label", "verdict", "better", "best", "preferred", "better_response_id", "better_answer_id",
        "better_response", "better_answer", "preferred_response", "preferred_answer", "human_preference", "preference_label", "selected", "accept",
        "overall_preference", "preference_strength", "comparison", "which_is_better", "which_answer_is_better", "which_response_is_better", "chosen",
    ),
    "rater": (
        "rater", "annotator", "annotator_id", "judge", "rater_id", "annotator_name", "worker", "worker_id", "labeler", "labeler_id", "user_id",
        "completed_by", "judge_id", "email_address", "username",
    ),
    "group": ("group",),
    "subset": ("subset",),
}  # fmt: skip
ANSWER_WORDS = (
    "answer|response|completion|output|candidate|reply|summary|conversation|generation|option|chat|human_ref|text"
)
_BESIDE = {  # columns of which there is one for each answer: `answer1`, `response_b`, `score_0`, `winner_model_a`; * is the side
    "answers": re.compile(rf"(?:model_|assistant_)?(?:\*_(?:{ANSWER_WORDS})|(?:{ANSWER_WORDS})_\*)(?:_text)?|\*"),
    "rank": re.compile(r"(?:answer_|response_)?(?:rank|ranking|position|place)_\*|(?:answer_|response_)?\*_rank"),
    "score": re.compile(
        r"(?:answer_|response_)?(?:score|rating|reward|stars)_\*|(?:answer_|response_)\*_(?:score|rating|reward)"
    ),
    "won": re.compile(r"(?:winner|win|won|best|better)_(?:model_|answer_|response_)?\*"),
    "name": re.compile(r"(?:model|generator)_\*(?:_name)?"),
    "chosen": re.compile("|".join(f"{name}_\\*" for name in ROLES["chosen"])),
    "rejected": re.compile("|".join(f"{name}_\\*" for name in ROLES["rejected"])),
}
SIDES = {
    "left": 0,
    "right": 1,
    "first": 0,
    "second": 1,
    "one": 0,
    "two": 1,
    **{letter: i for i, letter in enumerate("abcdefgh")},
}
STRENGTHS = {"overall_preference", "preference_strength"}  # HelpSteer: from -3, the first is much better, to 3
SCORES_BESIDE = (
    "score_{}",
    "{}_score",
    "rating_{}",
    "{}_rating",
    "{}_avg_rating",
    "reward_{}",
    "{}_reward",
)  # of chosen and rejected
FLAGS = {
    "prompt": "the column of the prompt; several, separated by commas, are joined",
    "chosen": "the column of the better answer",
    "rejected": "the column of the worse answer",
    "answers": "the columns of the answers, separated by commas, or the one that lists or holds them",
    "vote": "the column that says which of the answers is better",
    "first": "the value of the vote that means the first answer is better",
    "rank": "the column of ranks, 1 for the best answer, or one for each of the answers",
    "score": "the column of scores, or one for each of the answers; higher is better, equal is a tie",
    "rater": "the column that says who ranked",
}
_SAID = {
    "vote": "vote",
    "won": "vote",
    "rank": "ranks, lower is better",
    "score": "scores, higher is better",
    "order": "order, best first",
}
SAMPLE = 200  # records by which texts are compared


@dataclass(frozen=True)
class Roles:
    """The columns of each role.

    Attributes:
        prompt: put together with line ends; none: the prompt is what the answers have in common at their beginning.
        answers: the better ones where `how` is "chosen"; otherwise one column for each answer, or one that lists them, or one answer.
        names: of the answers, as a vote calls them.
        how: what was said: chosen, vote, won (a column for each answer), rank, score, order, or "" for nothing.
        said: the columns that say it; in a list of objects the key.
        layout: rows (one answer in a record), lists, or pairs (one chosen and one rejected answer).
        ends: the numbers of a vote with which the first answer is best, and with which the second is.
        models: the columns with the names of those who answered, which a vote may name instead.
        as_json: whether chosen and rejected hold lists of answers as JSON text.
        scores: of chosen and rejected.
    """

    prompt: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    how: str = ""
    said: tuple[str, ...] = ()
    layout: str = "lists"
    ends: tuple[float, float] | None = None
    first: str = ""
    models: tuple[str, ...] = ()
    as_json: bool = False
    scores: tuple[str, ...] = ()
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

    def told(self) -> str:
        """Return in one line what was understood.

        >>> Roles(prompt=("question",), answers=("chosen",), rejected=("rejected",), how="chosen", system="system").told()
        'prompt: system, question; better: chosen; worse: rejected'
        """
        before = [name for name in (self.system, self.history) if name]
        parts = ["prompt: " + (", ".join([*before, *self.prompt]) or "the common beginning of both answers")]
        if self.how == "chosen":
            parts += ["better: " + ", ".join(self.answers), "worse: " + ", ".join(self.rejected)]
            parts += ["scores (equal is a tie): " + ", ".join(self.scores)] * bool(self.scores)
        else:
            parts.append(f"answer{'s' * (self.layout != 'rows')}: {', '.join(self.answers)}")
            parts += [f"{_SAID[self.how]}: {', '.join(self.said)}"] if self.how else []
        if self.ends:
            parts[-1] += f" ({self.ends[0]:g}: the first, {self.ends[1]:g}: the second)"
        parts += [f"{name}: {column}" for name in ("turn", "rater", "group") if (column := getattr(self, name))]
        return "; ".join(parts)


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
        self.named = {
            role: [name.strip() for name in value.split(",")] for role, value in named.items() if role != "first"
        }
        self.free = [column for column in columns if not any(column in names for names in self.named.values())]
        self.parts = {column: {plain_name(column), plain_name(column.rpartition(".")[2])} for column in columns}
        self.families = self._find_families()
        for role, names in self.named.items():
            known = {*columns}
            if role in ("rank", "score"):
                known |= {key for column in columns for value in self.values(column, SAMPLE) for key in _keys(value)}
            if missing := [name for name in names if name not in known]:
                raise InputError(f"--{role} {missing[0]}: no such column; there are {shorten(', '.join(columns), 200)}")

    def of(self, role: str, *others: str) -> list[str]:
        """Return the columns of a role, those that a flag names or those with one of its names, in the order of the names; without others."""
        found = self.named.get(role) or [
            column for name in ROLES[role] for column in self.free if name in self.parts[column]
        ]
        return [column for column in dict.fromkeys(found) if column not in others]

    def one(self, role: str, *others: str, ask: bool = False) -> str:
        """Return the first column of a role, or ""; of several it may not choose one where it must `ask`."""
        found = self.of(role, *others)
        if ask and len(found) > 1:
            raise InputError(f"{found[0]} and {found[1]} could both be the {role}; say which with --{role}")
        return found[0] if found else ""

    def _find_families(self) -> dict[str, dict[str, str]]:
        """Return by role the columns of which there are several, by their sides: {"a": "response_a", "b": "response_b"}."""
        found: dict[str, dict[str, dict[str, str]]] = {}
        for column in self.free:
            words = plain_name(column.rpartition(".")[2]).split("_")
            for i, word in enumerate(words):
                key = "_".join([*words[:i], "*", *words[i + 1 :]])
                for role, pattern in _BESIDE.items():
                    if (word in SIDES or word.isdecimal()) and pattern.fullmatch(key):
                        found.setdefault(role, {}).setdefault(column.rpartition(".")[0] + key, {})[word] = column
        return {
            role: next((family for family in families.values() if len(family) > 1), {})
            for role, families in found.items()
        }

    def beside(self, role: str, sides: Sequence[str]) -> tuple[str, ...]:
        """Return the columns of a role, one for each side; or none."""
        if role in self.named:
            return tuple(self.named[role]) if len(self.named[role]) == len(sides) else ()
        family = self.families.get(role, {})
        return tuple(family[side] for side in sides) if set(sides) <= set(family) else ()

    def values(self, column: str, most: int | None = None) -> list[Any]:
        return [value for record in self.records[:most] if (value := record.get(column)) is not None and value != ""]

    def holds_lists(self, column: str) -> bool:
        values = self.values(column, SAMPLE)
        return bool(values) and all(isinstance(opened(value), list) for value in values)


def _keys(value: Any) -> list[str]:
    """Return the keys of the objects in a list."""
    found = opened(value)
    return (
        [key for one in found if isinstance(one, dict) for key in one]
        if isinstance(found, list) and not are_messages(found)
        else []
    )


def find_roles(
    columns: Sequence[str], records: Sequence[Record], named: Mapping[str, str] | None = None, *, labelled: bool = True
) -> Roles:
    """Return the roles of the columns of a table.

    Args:
        records: all of them, flat (see `values.flat`).
        named: what flags say: role to column, several with commas.
        labelled: whether something must be said of the answers.

    Raises:
        InputError: a role is missing, or could be one of two columns; the text names the flag.
    """
    table = _Columns(columns, records, named or {})
    found = _find_answers(table, labelled)
    prompt, history = _find_prompt(table, found)
    turn = table.one("turn") if found.layout == "lists" else ""
    about = {role: table.one(role) for role in ("system", "rater", "group", "subset")}
    return replace(found, prompt=prompt, history=history, turn=turn, **about)  # type: ignore[arg-type]


def _find_answers(table: _Columns, labelled: bool) -> Roles:
    """Find the answers and what was said of them: in a list, in columns side by side, a pair, or one answer in a record."""
    unlabelled = None
    for reading in (
        (_pair,) if {"chosen", "rejected"} & table.named.keys() else (_listed, _side_by_side, _pair, _single)
    ):
        found = reading(table)
        if found and found.how:
            return found
        unlabelled = found or unlabelled
    if unlabelled is None:
        raise InputError(
            f"no answers were found in the columns {shorten(', '.join(table.columns), 200)}; name them:"
            " --chosen NAME --rejected NAME, or --answers NAME,NAME --vote NAME, or --answers NAME --score NAME (or --rank NAME)"
        )
    if labelled and unlabelled.layout == "lists":
        named = "or name what was said of them: --vote, --score or --rank NAME"
        raise InputError(f"candidates without ranks; rank them: python generate_data.py --candidates FILE, {named}")
    if labelled:
        others = [column for column in table.free if column not in (*unlabelled.answers, *table.of("prompt"))]
        numbers = [
            column for column in others if all(number(value) is not None for value in table.values(column, SAMPLE))
        ]
        remedy = (
            f"name the column of scores with --score, one of: {', '.join(numbers)}"
            if numbers
            else "there is no column of numbers; add one"
        )
        raise InputError(f"answers without ranks; {remedy}")
    return unlabelled


def _listed(table: _Columns) -> Roles | None:
    """A column that lists the answers: objects with a rank or a score each, or texts with ranks or scores in another list, or in order."""
    if order := "" if "answers" in table.named else table.one("order"):
        return Roles(answers=(order,), how="order", said=(order,))
    column = next(filter(table.holds_lists, table.of("answers")), "")
    if not column:
        return None
    found = Roles(answers=(column,), first=table.first)
    keys = list(dict.fromkeys(key for value in table.values(column) for key in _keys(value)))
    if plain_name(column) == "output" and all(
        len(opened(value)) == 2 for value in table.values(column)
    ):  # LLaMA-Factory before 2024
        return replace(found, how="order", said=(column,))
    for role in _numbers_of(table):
        if inside := [
            key for name in table.named.get(role, ROLES[role]) for key in keys if name in (key, plain_name(key))
        ]:
            return replace(found, how=role, said=(inside[0],))
    for role in _numbers_of(table):
        lists = [other for other in table.of(role, column) if table.holds_lists(other)]
        if lists and (
            role == "rank" or role in table.named or not _pair(table)
        ):  # who made pairs by scores left something out on purpose
            return replace(found, how=role, said=(lists[0],))
    vote = table.one("vote", column)
    return replace(found, how="vote", said=(vote,)) if vote else found


def _numbers_of(table: _Columns) -> list[str]:
    """Return the roles of numbers, or the one that a flag names."""
    return [role for role in ("rank", "score") if role in table.named] or ["rank", "score"]


def _side_by_side(table: _Columns) -> Roles | None:
    """A column for each answer, and a vote, or ranks or scores in as many columns."""
    words = {column: reversed(plain_name(column).split("_")) for column in table.named.get("answers", [])}
    named = {
        next((word for word in words[c] if word in SIDES or word.isdecimal()), str(i)): c
        for i, c in enumerate(words, 1)
    }
    family = named or table.families.get("answers", {})
    if len(family) < 2:
        return None
    sides = tuple(family)
    found = Roles(answers=tuple(family.values()), names=sides, models=table.beside("name", sides), first=table.first)
    columns = {role: table.beside(role, sides) for role in ("won", *_numbers_of(table))}
    if "vote" in table.named or not (any(columns.values()) or {"rank", "score"} & table.named.keys()):
        vote = table.one("vote", *(table.of("chosen") if table.of("rejected") else []), ask=True)
        if vote:
            return replace(found, how="vote", said=(vote,), ends=_ends_of(table, vote, sides))
    return next((replace(found, how=role, said=said) for role, said in columns.items() if said), found)


def _ends_of(table: _Columns, vote: str, sides: Sequence[str]) -> tuple[float, float] | None:
    """Return the numbers with which a vote says that the first of two answers is better, and that the second is; None: it says it in words."""
    values = [value for value in map(number, table.values(vote)) if value is not None]
    wins = number(table.first)
    if len(sides) != 2 or not values or (table.first and wins is None):
        return None
    low, high = min(values), max(values)
    if table.parts[vote] & STRENGTHS:
        return -3, 3
    if wins is not None:
        most = max(-low, high)
        return (
            (math.copysign(most, wins), -math.copysign(most, wins))
            if low < 0
            else (wins, 3 - wins if high > 1 else 1 - wins)
        )
    one, two = (float(side) for side in sides) if all(map(str.isdecimal, sides)) else (1, 2)
    if (one <= low and high <= two) or (two == 2 and set(values) == {0, 1, 2}):  # AlpacaFarm: 0 is a tie
        return one, two
    raise InputError(
        f"{vote} has numbers from {low:g} to {high:g}, which could be read in two ways; say with --first which of them means the first answer"
    )


def _pair(table: _Columns) -> Roles | None:
    """One column of better answers, and one or more of worse; or a whole chat, or an answer, and the worse one apart."""
    rejected = (
        table.named.get("rejected") or list(table.families.get("rejected", {}).values()) or table.of("rejected")[:1]
    )
    chosen = table.one("chosen") or next(filter(table.holds_lists, table.of("chat")), "") or table.one("answer")
    if not chosen or not rejected:
        return None
    forms = {side: [form.format(side) for form in SCORES_BESIDE] for side in ("chosen", "rejected")}
    scores = [next((column for column in table.free if table.parts[column] & {*names}), "") for names in forms.values()]
    as_json = _are_lists_as_json(table, [chosen, *rejected])
    listed = (
        as_json
        or len(rejected) > 1
        or any(isinstance(v, list) and not are_messages(v) for c in (chosen, *rejected) for v in table.values(c))
    )
    found = Roles(
        answers=(chosen,),
        rejected=tuple(rejected),
        how="chosen",
        layout="lists" if listed else "pairs",
        as_json=as_json,
    )
    return replace(found, scores=tuple(scores)) if all(scores) else found


def _are_lists_as_json(table: _Columns, columns: Sequence[str]) -> bool:
    """Whether the cells of a CSV hold lists of answers, as RewardBench 2 has them, and not answers that are JSON."""
    values = [value for column in columns for value in table.values(column)]
    if not table.one("subset") or not all(isinstance(value, str) for value in values):
        return False
    lists = list(map(opened, values))
    return all(isinstance(one, list) and all(isinstance(text, str) for text in one) for one in lists) and any(
        len(one) > 1 for one in lists
    )


def _single(table: _Columns) -> Roles | None:
    """One answer in a record, with its rank or score."""
    answer = (
        table.one("answers")
        if "answers" in table.named
        else table.one("answer") or next(filter(table.holds_lists, table.of("chat")), "")
    )
    if not answer:
        return None
    found = Roles(answers=(answer,), layout="rows")
    said = ((role, table.one(role, answer, ask=True)) for role in _numbers_of(table))
    return next((replace(found, how=role, said=(column,)) for role, column in said if column), found)


def _find_prompt(table: _Columns, found: Roles) -> tuple[tuple[str, ...], str]:
    """Return the columns of the prompt, and the one of the turns before it."""
    used = (*found.answers, *found.rejected, *found.said)
    history = table.one("history", *used)
    prompts = table.named.get("prompt") or _without_repeated(
        table, [column for column in table.of("prompt", *used) if table.values(column)]
    )
    if (
        "prompt" not in table.named
        and len(prompts) > 1
        and [plain_name(column) for column in prompts] != ["instruction", "input"]
    ):
        one, other = prompts[:2]
        raise InputError(
            f"{one} and {other} could both be the prompt; say which with --prompt {one}, or join them: --prompt {one},{other}"
        )
    prompts = prompts or [column for column in table.of("chat", *used) if table.values(column)][:1]
    if not prompts:
        answers = [opened(value, is_list=False) for column in found.answers for value in table.values(column, SAMPLE)]
        whole_chats = answers and all(isinstance(value, (list, dict)) or read_dialogue(str(value)) for value in answers)
        others = [column for column in table.free if column not in (*used, *table.of("system"))]
        unknown = [
            column
            for column in others
            if any(" " in value for value in table.values(column, SAMPLE) if isinstance(value, str))
        ]
        if not whole_chats and (unknown or found.how != "chosen"):
            one_of = f", one of: {name_some(unknown or others, 9)}" if others else ""
            raise InputError(f"found no column for the prompt; name it with --prompt{one_of}")
    return tuple(prompts), "" if history in prompts else history


def _without_repeated(table: _Columns, prompts: list[str]) -> list[str]:
    """Leave out columns whose text is in another one everywhere, as a question is in the prompt that was made of it; `input` comes last."""
    texts = {column: [str(record.get(column) or "").strip() for record in table.records[:SAMPLE]] for column in prompts}
    kept: list[str] = []
    for column in sorted(prompts, key=lambda column: -sum(map(len, texts[column]))):
        if not any(all(map(str.__contains__, texts[other], texts[column])) for other in kept):
            kept.append(column)
    return sorted(kept, key=lambda column: (plain_name(column) == "input", prompts.index(column)))
