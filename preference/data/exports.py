"""Records that hold more than one comparison, or hold it deep inside: exports of annotation tools, trees of messages, forms.

`unfold` makes plain records of them, with columns as `roles` knows them. Other records stay as they are.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from preference.data.dialogues import are_messages
from preference.data.values import Record, number

Numbered = tuple[int, Record]  # the index of the record from which it comes
_GRID = re.compile(r"(.+?)\s*\[(.+)\]\s*", re.S)  # a row of a grid of Google Forms: "Which is best? [Answer A]"


def unfold(records: Sequence[Record]) -> list[Numbered]:
    """Return the records, each with its index in `records`; those of a tool, a tree or a form as plain ones."""
    if not records:
        return []
    names = set(records[0])
    only = list(records[0].values()) if len(records) == 1 else []
    if only and all(
        isinstance(value, dict) and all(map(str.isdecimal, value)) for value in only
    ):  # a table by its columns, as pandas writes it
        return [(0, {name: values.get(i) for name, values in records[0].items()}) for i in only[0]]
    if len(only) == 1 and _are_objects(only[0]) and not are_messages(only[0]):  # {"data": [...]}
        return [(0, record) for _, record in unfold(only[0])]
    if isinstance(records[0].get("prompt"), dict) and "replies" in records[0]["prompt"]:
        return _trees(
            [(i, message) for i, record in enumerate(records) for message in _messages_of(record["prompt"], None)]
        )
    if {"message_id", "parent_id", "text", "role"} <= names:
        return _trees(list(enumerate(records)))
    if {"data", "annotations"} <= names:
        return [(i, made) for i, record in enumerate(records) for made in _label_studio(record)]
    if {"fields", "responses"} <= names or any(
        _are_answers_of_people(value) or name.endswith(".responses") for name, value in records[0].items()
    ):
        return [(i, made) for i, record in enumerate(records) for made in _argilla(record)]
    if {"options", "accept"} <= names:  # Prodigy
        raters = {"rater": next((name for name in ("_annotator_id", "_session_id") if name in names), "")}
        return [
            (
                i,
                {
                    **record,
                    "rater": record.get(raters["rater"]),
                    "accept": record["accept"] if record.get("answer") == "accept" else None,
                },
            )
            for i, record in enumerate(records)
        ]
    if sum(bool(_GRID.fullmatch(name)) for name in names) > 1:
        return [(i, made) for i, record in enumerate(records) for made in _form(record)]
    return list(enumerate(records))


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


# OpenAssistant: a tree of messages, in which the siblings are ranked. https://huggingface.co/datasets/OpenAssistant/oasst1


def _messages_of(message: Record, parent: str | None) -> Iterator[Record]:
    yield {**message, "parent_id": parent}
    for reply in message.get("replies") or []:
        yield from _messages_of(reply, message.get("message_id"))


def _trees(messages: list[Numbered]) -> list[Numbered]:
    """Return a record for each message that has ranked answers: the path to it, and them. Rank 0 is the best."""
    by_id = {message["message_id"]: message for _, message in messages}
    answers: dict[str, list[Numbered]] = {}
    for i, message in messages:
        if message.get("role") == "assistant" and message.get("rank") is not None and message.get("parent_id") in by_id:
            answers.setdefault(message["parent_id"], []).append((i, message))
    found = []
    for parent, siblings in answers.items():
        path, at = list[Record](), by_id.get(parent)
        while at and len(path) < len(by_id):  # no circle
            path.insert(0, {"role": at["role"], "content": at["text"]})
            at = by_id.get(at.get("parent_id") or "")
        found.append(
            (
                siblings[0][0],
                {"prompt": path, "answers": [{"text": one["text"], "rank": one["rank"]} for _, one in siblings]},
            )
        )
    return found


# Label Studio: what several people said of one task. https://labelstud.io/guide/export


def _label_studio(record: Record) -> Iterator[Record]:
    data = {name: value for name, value in record["data"].items()}
    listed: list[Record] = next(
        (value for value in data.values() if _are_objects(value) and all("id" in one for one in value)), []
    )
    for annotation in record["annotations"]:
        by = annotation.get("completed_by")
        rater = by.get("email", by.get("id")) if isinstance(by, dict) else by
        made, said = {**data, "rater": rater}, {}
        for result in [] if annotation.get("was_cancelled") else annotation.get("result", []):
            value = result.get("value", {})
            if isinstance(order := value.get("ranker"), dict):
                ids = [
                    str(one)
                    for one in order.get("rank") or next((ids for name, ids in order.items() if name != "_"), [])
                ]
                ranked = [
                    {**one, "rank": ids.index(str(one["id"])) if str(one["id"]) in ids else None} for one in listed
                ]
                made = {name: ranked if value is listed else value for name, value in made.items()}
            for kind in ("selected", "choices", "rating"):
                if kind in value:
                    told = value[kind]
                    said["vote" if kind != "rating" else result.get("from_name", kind)] = (
                        told[0] if isinstance(told, list) and told else told
                    )
        yield {**made, **said}


# Argilla: `responses` of several people to several questions; version 1 has them in a column for each question. https://docs.argilla.io


def _are_answers_of_people(value: Any) -> bool:
    return _are_objects(value) and all("value" in one and ({"user_id", "status"} & one.keys()) for one in value)


def _argilla(record: Record) -> Iterator[Record]:
    fields, questions = record.get("fields", {}), record.get("responses")
    if not isinstance(questions, dict):
        questions = {name: value for name, value in record.items() if _are_answers_of_people(value)}
        for name in [name for name in record if name.endswith(".responses")]:  # a data set on the Hub
            people = zip(
                record[name] or [], record.get(f"{name}.users") or [], record.get(f"{name}.status") or [], strict=False
            )
            questions[name.removesuffix(".responses")] = [
                {"value": value, "user_id": who, "status": status} for value, who, status in people
            ]
        fields = fields or {
            name: value for name, value in record.items() if name not in questions and ".responses" not in name
        }
    by_user: dict[str, Record] = {}
    for question, said in questions.items():
        for one in said or []:
            if one.get("status", "submitted") == "submitted":
                made = by_user.setdefault(str(one.get("user_id")), {**fields, "rater": one.get("user_id")})
                made |= (
                    _ranked_fields(fields, one["value"])
                    if isinstance(one["value"], (list, dict))
                    else {_named(question): one["value"]}
                )
    yield from by_user.values() or [fields]


def _ranked_fields(fields: Record, value: Any) -> Record:
    """Return the answers with their ranks: a value is names from best to worst, or names and ranks."""
    if isinstance(value, dict):
        ranks = dict(zip(value.get("value", []), value.get("rank", []), strict=False))
    elif all(isinstance(one, dict) for one in value):
        ranks = {one.get("value"): one.get("rank") for one in value}
    else:
        ranks = {name: i for i, name in enumerate(value)}
    texts = {name.replace("-", "_"): text for name, text in fields.items()}
    return {
        "answers": [{"text": texts.get(str(name).replace("-", "_"), ""), "rank": rank} for name, rank in ranks.items()]
    }


def _named(question: str) -> str:
    """Return a question's name as the role it has: what is no rating is the vote."""
    return question if re.search(r"rating|score|\d$", question) else "vote"


# Google Forms: a row for each person, a column for each row of a grid


def _form(record: Record) -> Iterator[Record]:
    rater = next(
        (value for name, value in record.items() if name.casefold() in ("email address", "username", "timestamp")), None
    )
    answers: dict[str, list[Record]] = {}
    for name, value in record.items():
        if cell := _GRID.fullmatch(name):
            answers.setdefault(cell[1], []).append({"text": cell[2], "rank": number(value)})
    for prompt, ranked in answers.items():
        yield {"prompt": prompt, "answers": ranked, "rater": rater}
