"""Other people's preference data: how each format is known by its columns, and what one of its records says.

Every reader takes one record (a dict) and returns the answers to one prompt with their ranks. `SOURCES` is the table of them all,
and the order in which they are tried.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from preference.data.dialogues import ASSISTANT, HUMAN, Turn, Unreadable, as_text, common_turns, read_helpsteer, read_hh, read_messages
from preference.data.source_values import SIDES, SUBSET, Record, answer_text, given, listed, name_of, number, prompt_text, texts
from preference.errors import InputError
from preference.wording import shorten

RATERS = ("group", "annotator", "annotator_id", "rater", "judge")  # columns that say who ranked
ANSWERS = ("response", "answer", "completion", "output")  # columns that hold one scored answer


class NoComparison(Exception):
    """A record is as it should be, but compares nothing; the text says why."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What one record says: answers to one prompt, and a rank for each (lower is better; any numbers)."""

    prompt: str
    answers: list[str]
    ranks: Sequence[float]


@dataclass(frozen=True)
class SourceFormat:
    """One format: what it is called, the columns that tell it, and what reads a record of it."""

    name: str  # of one record
    columns: tuple[str, ...]
    read: Callable[[Record], Compared] | None  # None: rows of the CSV contract, which `rankings.RankedRows` checks
    note: str = ""
    fits: Callable[[Record], bool] = lambda record: True  # asked of the first record
    layout: str = "lists"  # of one record: rows (one answer; those of one prompt and rater are ranked against each other), lists or pairs


def find_format(columns: list[str], first: Record, score: str | None = None) -> SourceFormat:
    """Return the format of a table, known by its columns and its first record.

    Args:
        score: the column of scores, where the records are scored answers.

    Raises:
        InputError: none fits; the message lists those that are known.
    """
    if first and all(isinstance(value, dict) and all(name.isdecimal() for name in value) for value in first.values()):
        raise InputError('a table by its columns, as pandas writes it; write its records: to_json(..., orient="records", lines=True)')
    answer = next((name for name in ANSWERS if name in columns), None)
    if score is not None:
        if "prompt" not in columns or answer is None or score not in columns:
            raise InputError(f"--score {score}: needs the columns prompt, {score} and one of {', '.join(ANSWERS)}; there are {', '.join(columns)}")
        return SourceFormat("scored answer", ("prompt", answer, score), partial(read_scored, answer=answer, score=score), layout="rows")
    for known in SOURCES:
        if set(known.columns) <= set(columns) and known.fits(first):
            return known
    if {"prompt", "answers"} <= set(columns):
        raise InputError("candidates without ranks; rank them: python generate_data.py --candidates FILE")
    if "prompt" in columns and answer is not None:
        others = [name for name in columns if name not in ("prompt", answer)]
        raise InputError(f"answers without ranks; name the column of scores with --score, one of: {', '.join(others) or 'there is none'}")
    if inside := [name for name, value in first.items() if isinstance(value, list) and value and isinstance(value[0], dict)]:
        raise InputError(
            f"of no known format; its records may be those in {inside[0]!r}: write that list alone. Known formats are\n{known_formats()}"
        )
    raise InputError(f"of no known format: the columns are {shorten(', '.join(columns), 200)}; known are\n{known_formats()}")


def known_formats() -> str:
    """Return the list of the formats, one on a line, with their columns."""
    named = {f"{one.name}s{one.note}": ", ".join(one.columns) for one in SOURCES} | {"scored answers": "prompt, response, and --score NAME"}
    width = max(map(len, named))
    return "\n".join(f"  {name:{width}}  {columns}" for name, columns in named.items())


def subset_of(record: Record) -> str:
    """Return what the record's column `subset` says, or ""."""
    value = record.get(SUBSET)
    return "" if value is None else str(value)


def rater_of(record: Record) -> str:
    """Return who ranked, where a column says so, or ""."""
    return next(filter(None, (name_of(record.get(column)) for column in RATERS)), "")


# Pairs


def read_pair(record: Record) -> Compared:
    """A chosen and a rejected answer: texts or messages, with the prompt or without it.

    Without a prompt it is the common beginning of both, up to the end of a word or a turn; so it is where the prompt is a text, and
    the others are whole chats. https://huggingface.co/docs/trl/dataset_formats#preference
    """
    prompt, chosen, rejected = record.get("prompt"), given(record, "chosen"), given(record, "rejected")
    if isinstance(chosen, str) and isinstance(rejected, str):
        if "prompt" in record:
            return pair(prompt_text(given(record, "prompt")), chosen, rejected)
        if (one := read_hh(chosen)) and (other := read_hh(rejected)):
            return whole_chats(one, other)
        start = common_words(chosen, rejected)
        compared = pair(chosen[:start], chosen[start:], rejected[start:])
        if start == 0 and chosen.strip() and rejected.strip():
            raise NoComparison("no common beginning that could be the prompt")
        return compared
    if isinstance(prompt, list):
        context = read_messages(prompt)
        return pair(as_text(context), *(answer_text(side, after=context) for side in (chosen, rejected)))
    one, other = read_messages(chosen), read_messages(rejected)
    if common_turns(one, other) == 0 and isinstance(prompt, str):
        return pair(prompt_text(prompt), as_text(one, ASSISTANT), as_text(other, ASSISTANT))
    return whole_chats(one, other)


def read_ultrafeedback(record: Record) -> Compared:
    """Whole chats with scores: equal scores are a tie. https://huggingface.co/datasets/HuggingFaceH4/ultrafeedback_binarized"""
    compared = read_pair(record)
    better, worse = number(record, "score_chosen"), number(record, "score_rejected")
    if better < worse:
        raise NoComparison("scores that contradict chosen and rejected")
    return compared if better > worse else Compared(compared.prompt, compared.answers, [1, 1])


def read_rewardbench_2(record: Record) -> Compared:
    """Lists of right and wrong answers; those of one list are ties. https://huggingface.co/datasets/allenai/reward-bench-2"""
    chosen, rejected = listed(record, "chosen"), listed(record, "rejected")
    return Compared(prompt_text(given(record, "prompt")), texts([*chosen, *rejected]), [1] * len(chosen) + [2] * len(rejected))


def read_helpsteer3(record: Record) -> Compared:
    """Two answers and a preference from -3 (the first is much better) to 3; 0 is a tie. https://huggingface.co/datasets/nvidia/HelpSteer3"""
    preference = number(record, "overall_preference")
    if not -3 <= preference <= 3:
        raise Unreadable(f"overall_preference is {shorten(str(record['overall_preference']))}; it must be from -3 to 3")
    answers = [answer_text(given(record, name)) for name in ("response1", "response2")]
    return Compared(prompt_text(given(record, "context")), answers, [preference, -preference])


def read_alpaca(record: Record) -> Compared:
    """The prompt is `instruction`, a line end and `input`; `system` and `history` stand before it.

    https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md#preference-dataset
    """
    said = "\n".join(filter(None, texts([given(record, "instruction"), record.get("input")])))
    turns = [Turn("system", text) for text in texts([record.get("system")]) if text]
    for exchange in listed(record, "history") if record.get("history") else []:
        if not isinstance(exchange, list) or len(exchange) != 2:
            raise Unreadable(f'history has {shorten(str(exchange))}; write [["question", "answer"], ...]')
        question, answer = texts(exchange)
        turns += [Turn("user", question), Turn(ASSISTANT, answer)]
    return pair(as_text([*turns, Turn("user", said)]), *(answer_text(given(record, side)) for side in SIDES))


def read_sharegpt(record: Record) -> Compared:
    """A chat in `conversations`, and its two ends. https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md#preference-dataset-1"""
    turns = read_messages(listed(record, "conversations"))
    if record.get("system") and turns[0].role != "system":
        turns = [Turn("system", *texts([record["system"]])), *turns]
    return pair(as_text(turns), *(answer_text(given(record, side), after=turns) for side in SIDES))


def read_arena(record: Record) -> Compared:
    """A vote on two whole chats. https://huggingface.co/datasets/lmsys/chatbot_arena_conversations"""
    winner = given(record, "winner")
    if not isinstance(winner, str) or winner not in WINNERS:
        raise Unreadable(f"winner is {shorten(str(winner))}; write one of {', '.join(WINNERS)}")
    one, other = (read_messages(listed(record, f"conversation_{side}")) for side in "ab")
    compared = whole_chats(one, other)
    return Compared(compared.prompt, compared.answers, list(WINNERS[winner]))


WINNERS = {"model_a": (1, 2), "model_b": (2, 1), "tie": (1, 1), "tie (bothbad)": (1, 1), "both_bad": (1, 1), "bothbad": (1, 1)}


# Lists


def read_nectar(record: Record) -> Compared:
    """`answers`, each with its rank. https://huggingface.co/datasets/berkeley-nest/Nectar"""
    answers = listed(record, "answers")
    if not all(isinstance(one, dict) and {"answer", "rank"} <= one.keys() for one in answers):
        raise Unreadable(f'answers has {shorten(str(answers))}; write [{{"answer": "...", "rank": 1}}, ...]')
    return Compared(prompt_text(given(record, "prompt")), texts([one["answer"] for one in answers]), [number(one, "rank") for one in answers])


def read_openhermes(record: Record) -> Compared:
    """`candidates_completions` and `ranks`, which its maker wrote as the candidates' positions from best to worst, from 0; others write
    the rank of each candidate. Where the two differ, `chosen` and `rejected` of the same record tell.

    https://huggingface.co/datasets/argilla/OpenHermesPreferences
    """
    answers, ranks = texts(listed(record, "candidates_completions")), listed(record, "ranks")
    if len(ranks) != len(answers):
        raise Unreadable(f"{len(ranks)} ranks for {len(answers)} candidates; give each candidate a rank")
    of_each: list[float] = [number({"ranks": rank}, "ranks") for rank in ranks]
    if sorted(of_each) == list(range(len(answers))):
        by_position: list[float] = [of_each.index(i) for i in range(len(answers))]
        if by_position != of_each and record.get("chosen") and record.get("rejected"):
            ends = [end if isinstance(end, str) else read_messages(end)[-1].text for end in map(record.get, SIDES)]

            def agrees(some: list[float]) -> bool:
                return [answers[some.index(rank)] for rank in (0, len(answers) - 1)] == ends

            if agrees(by_position) and not agrees(of_each):
                of_each = by_position
    return Compared(prompt_text(given(record, "prompt")), answers, of_each)


def read_nemo(record: Record) -> Compared:
    """`completions`, each with its rank from 0. https://docs.nvidia.com/nemo/rl/latest/guides/dpo.html#datasets"""
    completions = listed(record, "completions")
    if not all(isinstance(one, dict) and {"completion", "rank"} <= one.keys() for one in completions):
        raise Unreadable(f'completions has {shorten(str(completions))}; write [{{"rank": 0, "completion": ...}}, ...]')
    prompt = prompt_text(given(record, "context" if "context" in record else "prompt"))
    return Compared(prompt, [answer_text(one["completion"]) for one in completions], [number(one, "rank") for one in completions])


def read_labelled_list(record: Record) -> Compared:
    """`docs` with a label each, higher is better. https://sbert.net/docs/cross_encoder/loss_overview.html"""
    docs, labels = listed(record, "docs"), listed(record, "labels")
    if len(docs) != len(labels):
        raise Unreadable(f"{len(labels)} labels for {len(docs)} docs; give each doc a label")
    return Compared(prompt_text(given(record, "query")), texts(docs), [-number({"labels": label}, "labels") for label in labels])


# Single answers


def read_scored(record: Record, answer: str, score: str) -> Compared:
    """One answer with a score, higher is better. https://huggingface.co/datasets/nvidia/HelpSteer2"""
    prompt = given(record, "prompt")
    turns = read_helpsteer(prompt) if isinstance(prompt, str) else []
    text = as_text(turns) if len(turns) > 1 else prompt_text(prompt)
    return Compared(text, [answer_text(given(record, answer))], [-number(record, score)])


def _holds_chats(record: Record) -> bool:
    return all(isinstance(record.get(side), (list, dict)) for side in SIDES)


def _holds_lists_of_texts(record: Record) -> bool:
    return all(isinstance(record.get(side), list) and all(isinstance(one, str) for one in record[side]) for side in SIDES)


def _holds_ranks(record: Record) -> bool:
    return not (isinstance(record.get("answers"), list) and any(isinstance(answer, str) for answer in record["answers"]))


def _holds_dialogues(record: Record) -> bool:
    return str(record.get("chosen")).startswith(HUMAN)


RANKED = SourceFormat("ranked answer", ("prompt", "answer", "rank"), None, layout="rows")
_PAIR = ("prompt", "chosen", "rejected")

SOURCES = [
    RANKED,
    SourceFormat("ranked list", ("prompt", "candidates_completions", "ranks"), read_openhermes, " (OpenHermesPreferences)"),
    SourceFormat("ranked list", ("prompt", "answers"), read_nectar, " (Nectar)", fits=_holds_ranks),
    SourceFormat("ranked list", ("context", "completions"), read_nemo, " (NeMo-RL)"),
    SourceFormat("ranked list", ("prompt", "completions"), read_nemo, " (NeMo-RL, prompt)"),
    SourceFormat("labelled list", ("query", "docs", "labels"), read_labelled_list, " (sentence-transformers)"),
    SourceFormat("HelpSteer3 preference", ("context", "response1", "response2", "overall_preference"), read_helpsteer3),
    SourceFormat("arena vote", ("conversation_a", "conversation_b", "winner"), read_arena),
    SourceFormat("LLaMA-Factory pair", ("instruction", "chosen", "rejected"), read_alpaca, " (alpaca)", layout="pairs"),
    SourceFormat("LLaMA-Factory pair", ("conversations", "chosen", "rejected"), read_sharegpt, " (sharegpt)", layout="pairs"),
    SourceFormat("RewardBench 2 row", _PAIR, read_rewardbench_2, fits=_holds_lists_of_texts),
    SourceFormat("RewardBench row", (*_PAIR, SUBSET), read_pair, layout="pairs"),
    SourceFormat("UltraFeedback pair", (*_PAIR, "score_chosen", "score_rejected"), read_ultrafeedback, " (binarized)", layout="pairs"),
    SourceFormat("TRL preference pair", _PAIR, read_pair, " (conversational)", fits=_holds_chats, layout="pairs"),
    SourceFormat("TRL preference pair", _PAIR, read_pair, " (standard)", layout="pairs"),
    SourceFormat("HH-RLHF dialogue pair", ("chosen", "rejected"), read_pair, fits=_holds_dialogues, layout="pairs"),
    SourceFormat("TRL preference pair", _PAIR[1:], read_pair, " (conversational, implicit prompt)", fits=_holds_chats, layout="pairs"),
    SourceFormat("TRL preference pair", _PAIR[1:], read_pair, " (standard, implicit prompt)", layout="pairs"),
]


# What the readers share


def whole_chats(chosen: list[Turn], rejected: list[Turn]) -> Compared:
    """Compare two chats: the turns with which both begin are the prompt, and the rest of each is an answer."""
    start = common_turns(chosen, rejected)
    if start == 0 and chosen != rejected:
        raise NoComparison("answers to different prompts")
    return pair(as_text(chosen[:start]), as_text(chosen[start:], ASSISTANT), as_text(rejected[start:], ASSISTANT))


def common_words(one: str, other: str) -> int:
    """Return where the common beginning of two texts ends, between words; each text keeps at least a word.

    >>> common_words("The sky is blue.", "The sky is black.")
    10
    """
    limit = min(len(one.rstrip()), len(other.rstrip()))
    end = next((i for i in range(limit) if one[i] != other[i]), max(limit - 1, 0))
    while end and not (one[end].isspace() and other[end].isspace()):
        end -= 1
    return end


def pair(prompt: str, chosen: str, rejected: str) -> Compared:
    """Return one comparison, which needs two different answers; raise NoComparison otherwise."""
    if chosen.strip() == rejected.strip() and chosen.strip():
        raise NoComparison("identical answers")
    return Compared(prompt, [chosen, rejected], [1, 2])
