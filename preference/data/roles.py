"""What each column of other people's preference data is: its role, known by its name.

A record has a prompt, two or more answers (or one, to be ranked against the others of its prompt), and something that was said of them:
which was chosen, ranks, scores, a vote, an order. Data sets differ in names and in how a vote is written. `ROLES` is the table of names;
a flag names a column that is not in it. Where two readings are possible, `find_roles` asks for the flag instead of guessing.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from preference.data.dialogues import are_messages, read_dialogue
from preference.data.values import number, opened
from preference.errors import InputError
from preference.wording import name_some, shorten

# Names are compared in lower case, with _ for spaces, hyphens and dots; of a column within another (`fields.prompt`), the last part counts, too.
ROLES: dict[str, tuple[str, ...]] = {
    "prompt": (
        "prompt", "user_prompt", "prompt_text", "question", "query", "instruction", "input", "user_input", "input_text", "user_query",
        "user_message", "anchor", "post", "article", "problem", "request", "context", "full_text",
    ),
    "chat": ("conversations", "conversation", "trajectory", "messages", "history", "text", "title"),  # the prompt, where none of those is there
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
ANSWER_WORDS = "answer|response|completion|output|candidate|reply|summary|conversation|generation|option|chat|human_ref|text"
_BESIDE = {  # columns of which there is one for each answer: `answer1`, `response_b`, `score_0`, `winner_model_a`; * is the side
    "answers": re.compile(rf"(?:model_|assistant_)?(?:\*_(?:{ANSWER_WORDS})|(?:{ANSWER_WORDS})_\*)(?:_text)?|\*"),
    "rank": re.compile(r"(?:answer_|response_)?(?:rank|ranking|position|place)_\*|(?:answer_|response_)?\*_rank"),
    "score": re.compile(r"(?:answer_|response_)?(?:score|rating|reward|stars)_\*|(?:answer_|response_)\*_(?:score|rating|reward)"),
    "won": re.compile(r"(?:winner|win|won|best|better)_(?:model_|answer_|response_)?\*"),
    "name": re.compile(r"(?:model|generator)_\*(?:_name)?"),
    "chosen": re.compile("|".join(f"{name}_\\*" for name in ROLES["chosen"])),
    "rejected": re.compile("|".join(f"{name}_\\*" for name in ROLES["rejected"])),
}
SIDES = {"left": 0, "right": 1, "first": 0, "second": 1, "one": 0, "two": 1, **{letter: i for i, letter in enumerate("abcdefgh")}}
STRENGTHS = {"overall_preference": 3.0, "preference_strength": 3.0}  # HelpSteer: from -3, the first is much better, to 3
FLAGS = {
    "prompt": "the column of the prompt; several, with commas, are put together",
    "chosen": "the column of the better answer",
    "rejected": "the column of the worse answer",
    "answers": "the columns of the answers, with commas, or the one that lists them, or that holds one",
    "vote": "the column that says which of the answers is better",
    "first": "the value of the vote with which the first answer is better",
    "rank": "the column of ranks, 1 for the best answer, or one for each of the answers",
    "score": "the column of scores, or one for each of the answers; higher is better, equal is a tie",
    "rater": "the column that says who ranked",
}
SAMPLE = 200  # records by which texts are compared

Record = dict[str, Any]


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
            how = {"vote": "vote", "won": "vote", "rank": "ranks, lower is better", "score": "scores, higher is better", "order": "order, best first"}
            parts += [f"{how[self.how]}: {', '.join(self.said)}"] * bool(self.said and self.how)
        if self.ends:
            parts[-1] += f" ({self.ends[0]:g}: the first, {self.ends[1]:g}: the second)"
        parts += [f"{name}: {column}" for name in ("turn", "rater", "group") if (column := getattr(self, name))]
        return "; ".join(parts)


def add_role_arguments(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add the flags that name a column for a role."""
    for role, help_text in FLAGS.items():
        parser.add_argument(f"--{role}", metavar="VALUE" if role == "first" else "NAME", help=help_text)


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
        self.columns, self.records, self.sample = columns, records, records[:SAMPLE]
        self.named = {role: tuple(name.strip() for name in value.split(",")) for role, value in named.items() if role != "first"}
        for role, wanted in self.named.items():
            keys = {key for name in self.named.get("answers", ()) for record in self.sample for key in _keys(record.get(name))}
            if missing := [name for name in wanted if name not in columns and name not in keys and not (role in ("rank", "score") and self.keys)]:
                raise InputError(f"--{role} {missing[0]}: no such column; there are {shorten(', '.join(columns), 200)}")
        taken = {name for role, names in self.named.items() for name in names}
        self.free = [column for column in columns if column not in taken]
        self.parts = {column: {plain_name(column), plain_name(column.rpartition(".")[2])} for column in columns}
        self.families = self._find_families()

    @property
    def keys(self) -> set[str]:
        """The keys of objects in lists."""
        return {key for record in self.sample for value in record.values() for key in _keys(value)}

    def of(self, role: str) -> list[str]:
        """Return the columns of a role, those that a flag names or those with one of its names, in the order of the names."""
        if role in self.named:
            return list(self.named[role])
        return [column for name in ROLES[role] for column in self.free if name in self.parts[column]]

    def one(self, role: str, *, ask: bool = False) -> str:
        """Return the first column of a role, or ""."""
        found = self.of(role)
        if ask and len(set(found)) > 1:
            raise InputError(f"{' and '.join(found[:2])} could both be the {role}; say which with --{role}")
        return found[0] if found else ""

    def _find_families(self) -> dict[str, list[tuple[str, str]]]:
        """Return by role the columns of which there are several, each with its side: [("a", "response_a"), ("b", "response_b")]."""
        found: dict[str, dict[str, list[tuple[str, str]]]] = {}
        for column in self.free:
            words = plain_name(column.rpartition(".")[2]).split("_")
            for i, word in enumerate(words):
                if word in SIDES or word.isdecimal():
                    key = "_".join([*words[:i], "*", *words[i + 1 :]])
                    for role, pattern in _BESIDE.items():
                        if pattern.fullmatch(key):
                            found.setdefault(role, {}).setdefault(column.rpartition(".")[0] + key, []).append((word, column))
        return {role: next((family for family in families.values() if len(family) > 1), []) for role, families in found.items()}

    def beside(self, role: str, sides: Sequence[str]) -> tuple[str, ...]:
        """Return the columns of a role, one for each side; or none."""
        if role in self.named:
            return self.named[role] if len(self.named[role]) == len(sides) else ()
        by_side = dict(self.families.get(role, []))
        return tuple(by_side[side] for side in sides) if sides and all(side in by_side for side in sides) else ()

    def values(self, column: str) -> list[Any]:
        return [value for record in self.records if (value := record.get(column)) is not None and value != ""]

    def holds(self, column: str, kind: type) -> bool:
        """Whether the column's values are of this kind, and there are any."""
        values = [opened(value) if kind is list else value for value in self.values(column)[:SAMPLE]]
        return bool(values) and all(isinstance(value, kind) for value in values)


def find_roles(columns: Sequence[str], records: Sequence[Record], named: Mapping[str, str] | None = None, *, labelled: bool = True) -> Roles:
    """Return the roles of the columns of a table.

    Args:
        records: all of them, flat (see `values.flat`).
        named: what flags say: role to column, several with commas.
        labelled: whether something must be said of the answers.

    Raises:
        InputError: a role is missing, or could be one of two columns; the text names the flag.
    """
    table = _Columns(columns, records, named or {})
    found = _find_answers(table, (named or {}).get("first", ""), labelled)
    prompt, history = _find_prompt(table, found)
    found = replace(found, prompt=prompt, history=history, system=table.one("system"), turn=table.one("turn") if found.layout == "lists" else "")
    return replace(found, rater=table.one("rater"), group=table.one("group"), subset=table.one("subset"))


def _find_answers(table: _Columns, first: str, labelled: bool) -> Roles:
    """Find the answers and what was said of them: a list of them, columns side by side, a pair, or one answer in a record."""
    named = {"chosen", "rejected"} & table.named.keys()
    unlabelled = None
    for reading in (_pair,) if named else (_listed, _side_by_side, _pair, _single):
        found = reading(table, first)
        if found and found.how:
            return found
        unlabelled = found or unlabelled
    if unlabelled and not labelled:
        return unlabelled
    if unlabelled:
        raise InputError(_nothing_said(table, unlabelled))
    raise InputError(
        f"no answers were found in the columns {shorten(', '.join(table.columns), 200)}; name them:"
        " --chosen NAME --rejected NAME, or --answers NAME,NAME --vote NAME, or --answers NAME --score NAME (or --rank NAME)"
    )


def _nothing_said(table: _Columns, found: Roles) -> str:
    if found.layout == "lists":
        return "candidates without ranks; rank them: python generate_data.py --candidates FILE"
    prompts = set(table.of("prompt"))
    numbers = [c for c in table.free if c not in {*found.answers, *prompts} and all(number(v) is not None for v in table.values(c)[:SAMPLE])]
    return f"answers without ranks; name the column of scores with --score, one of: {', '.join(numbers) or 'there is none'}"


def _pair(table: _Columns, first: str) -> Roles | None:
    """One column of better answers, and one of worse; or a whole chat with the worse end apart, or the two in one list."""
    chosen, rejected = table.one("chosen"), table.of("rejected") or [column for _, column in table.families.get("rejected", [])]
    if rejected and not chosen:
        chosen = next((column for column in table.of("chat") if table.holds(column, list)), "")
        if not chosen and not table.named:
            chosen = table.one("answer")
    if not chosen or not rejected:
        return None
    if "rejected" not in table.named:
        rejected = rejected[:1] if not table.families.get("rejected") else [column for _, column in table.families["rejected"]]
    scores = [next((c for c in table.free for name in _score_names(side) if name in table.parts[c]), "") for side in ("chosen", "rejected")]
    as_json = _are_lists_as_json(table, [chosen, *rejected])
    several = as_json or len(rejected) > 1 or any(isinstance(v, list) and not are_messages(v) for c in (chosen, *rejected) for v in table.values(c))
    return Roles(
        answers=(chosen,), rejected=tuple(rejected), how="chosen", layout="lists" if several else "pairs", as_json=as_json,
        scores=tuple(scores) if all(scores) else (),
    )  # fmt: skip


def _score_names(side: str) -> list[str]:
    words = ("score", "rating", "avg_rating", "reward")
    return [name for word in words for name in (f"score_{side}", f"{side}_{word}", f"{word}_{side}")]


def _are_lists_as_json(table: _Columns, columns: Sequence[str]) -> bool:
    """Whether the cells of a CSV hold lists of answers, as RewardBench 2 has them, and not answers that are JSON."""
    if not table.one("subset") or not all(table.holds(column, str) for column in columns):
        return False
    lists = [opened(value) for column in columns for value in table.values(column)]
    return all(isinstance(one, list) and all(isinstance(text, str) for text in one) for one in lists) and any(len(one) > 1 for one in lists)


def _side_by_side(table: _Columns, first: str) -> Roles | None:
    """A column for each answer, and a vote, or ranks or scores in as many columns."""
    if "answers" in table.named:
        answers = table.named["answers"]
        sides = [next((w for w in reversed(plain_name(c).split("_")) if w in SIDES or w.isdecimal()), str(i)) for i, c in enumerate(answers, 1)]
    else:
        sides, answers = [side for side, _ in table.families.get("answers", [])], tuple(c for _, c in table.families.get("answers", []))
    if len(answers) < 2:
        return None
    found = Roles(answers=answers, names=tuple(sides), models=table.beside("name", sides), first=first)
    if {"rank", "score"} & table.named.keys():
        votes = []
    else:
        votes = [c for c in table.of("vote") if "vote" in table.named or not table.one("rejected") or c != table.one("chosen")]
    won, ranks, scores = (table.beside(role, sides) for role in ("won", "rank", "score"))
    votes = list(dict.fromkeys(votes))
    if len(votes) > 1:
        raise InputError(f"{' and '.join(votes[:2])} could both be the vote; say which with --vote")
    if votes and ("vote" in table.named or not (ranks or scores)):
        return replace(found, how="vote", said=(votes[0],), ends=_ends_of(table, votes[0], sides, first))
    for how, said in (("won", won), ("rank", ranks), ("score", scores)):
        if said:
            return replace(found, how=how, said=said)
    return found


def _ends_of(table: _Columns, vote: str, sides: Sequence[str], first: str) -> tuple[float, float] | None:
    """Return the numbers with which a vote says that the first of two answers is better, and that the second is; None: it says it in words."""
    values = [value for value in (number(value) for value in table.values(vote)) if value is not None]
    if len(sides) != 2 or not values or any(isinstance(v, list) for v in table.values(vote)[:SAMPLE]):
        return None
    low, high = min(values), max(values)
    for name, most in STRENGTHS.items():
        if name in table.parts[vote]:
            return -most, most
    if first:
        wins = number(first)
        if wins is None:
            return None
        most = max(-low, high)
        return (most if wins > 0 else -most, -most if wins > 0 else most) if low < 0 else (wins, 3 - wins if high > 1 else 1 - wins)
    if all(side.isdecimal() for side in sides):
        one, two = (float(side) for side in sides)
        if one <= low and high <= two:
            return one, two
        if low == 0 and high == two == 2 and set(values) <= {0, 1, 2}:  # AlpacaFarm: 0 is a tie
            return one, two
    elif low >= 1 and high <= 2:
        return 1, 2
    raise InputError(
        f"{vote} has numbers from {low:g} to {high:g}, which could be read in two ways; say with --first which of them means the first answer"
    )


def _listed(table: _Columns, first: str) -> Roles | None:
    """A column that lists the answers: objects with a rank or a score each, or texts with ranks or scores in another list, or in order."""
    if order := table.one("order") if "answers" not in table.named else "":
        return Roles(answers=(order,), how="order", said=(order,))
    column = next((column for column in table.of("answers") if table.holds(column, list)), "")
    if not column:
        return None
    found = Roles(answers=(column,), first=first)
    lists = [opened(value) for value in table.values(column)]
    if all(isinstance(one, dict) for answers in lists for one in answers) and not any(are_messages(answers) for answers in lists):
        keys = list(dict.fromkeys(key for answers in lists for one in answers for key in one))
        for role in ("rank", "score"):
            wanted = [*table.named.get(role, ()), *(key for name in ROLES[role] for key in keys if plain_name(key) == name)]
            if wanted and (role in table.named or not {"rank", "score"} & table.named.keys()):
                return replace(found, how=role, said=(wanted[0],))
    elif plain_name(column) == "output" and all(len(answers) == 2 for answers in lists):
        return replace(found, how="order", said=(column,))  # LLaMA-Factory before 2024
    for role in ("rank", "score") if "answers" in table.named or not _pair(table, first) else ("rank",):  # pairs were chosen by their scores
        for other in table.of(role):
            if other != column and table.holds(other, list):
                return replace(found, how=role, said=(other,))
    if votes := [other for other in table.of("vote") if other != column]:
        return replace(found, how="vote", said=(votes[0],))
    return found


def _single(table: _Columns, first: str) -> Roles | None:
    """One answer in a record, with its rank or score."""
    answer = table.one("answers") if len(table.named.get("answers", ())) == 1 else table.one("answer")
    if not answer:
        answer = next((column for column in table.of("chat") if table.holds(column, list)), "")
    if not answer:
        return None
    found = Roles(answers=(answer,), layout="rows")
    for role in ("rank", "score"):
        others = [column for column in table.of(role) if column != answer]
        if others and (role in table.named or not {"rank", "score"} & table.named.keys()):
            if len(set(others)) > 1:
                raise InputError(f"{' and '.join(others[:2])} could both be the {role}; say which with --{role}")
            return replace(found, how=role, said=(others[0],))
    return found


def _find_prompt(table: _Columns, found: Roles) -> tuple[tuple[str, ...], str]:
    """Return the columns of the prompt, and the one of the turns before it."""
    used = {*found.answers, *found.rejected, *found.said}
    history = next((c for c in table.of("history") if c not in used), "")
    if "prompt" in table.named:
        return table.named["prompt"], "" if history in table.named["prompt"] else history
    prompts = [column for column in dict.fromkeys(table.of("prompt")) if column not in used and table.values(column)]
    if len(prompts) > 1:
        texts = {column: [str(record.get(column) or "").strip() for record in table.sample] for column in prompts}
        whole = [
            column for i, column in enumerate(prompts)  # what another one contains everywhere is in it already
            if not any(all(map(str.__contains__, texts[other], texts[column])) and (texts[other] != texts[column] or j < i)
                       for j, other in enumerate(prompts) if j != i)
        ]  # fmt: skip
        prompts = sorted(whole, key=lambda column: plain_name(column) == "input")
        if len(prompts) > 1 and [plain_name(column) for column in prompts] != ["instruction", "input"]:
            one, other = prompts[:2]
            raise InputError(
                f"{one} and {other} could both be the prompt; say which with --prompt {one}, or put them together: --prompt {one},{other}"
            )
    if prompts:
        return tuple(prompts), history
    chat = next((column for column in table.of("chat") if column not in used and table.values(column)), "")
    if chat:
        return (chat,), "" if chat == history else history
    if found.how == "chosen" and not history and not _begin_with_their_prompt(table, found):
        others = [column for column in table.free if column not in used and column != table.one("system")]
        if unknown := [column for column in others if any(" " in value for value in table.values(column)[:9] if isinstance(value, str))]:
            raise InputError(f"no column is known as the prompt; name it with --prompt, one of: {name_some(unknown, 9)}")
    if found.layout == "rows" and not any(are_messages(opened(value)) for value in table.values(found.answers[0])[:1]):
        raise InputError(f"no column is known as the prompt among {shorten(', '.join(table.columns), 200)}; name it with --prompt")
    return (), history


def _begin_with_their_prompt(table: _Columns, found: Roles) -> bool:
    """Whether the answers are whole dialogues."""
    some = [opened(value) for column in found.answers for value in table.values(column)[:9]]
    return bool(some) and all(isinstance(value, (list, dict)) or read_dialogue(str(value)) for value in some)


def _keys(value: Any) -> list[str]:
    found = opened(value)
    return [key for one in found if isinstance(one, dict) for key in one] if isinstance(found, list) else []
