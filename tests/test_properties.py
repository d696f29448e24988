"""What holds for any text, any bytes and any order: checked on examples that hypothesis makes, the same ones each
time."""

import atexit
import json
import re
import tempfile
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
from conftest import write_rankings
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from known_formats import KNOWN, NESTED

import convert_rankings
from preference.data.rankings import Ranking, read_rankings
from preference.data.roles import COLUMNS
from preference.data.splits import split_by_prompt
from preference.data.table_writing import format_rows, write_table
from preference.data.tables import TableError, read_table
from preference.errors import InputError
from preference.ranking.loop import parse_order
from preference.ranking.session import format_order
from preference.ranking.store import RankingStore
from preference.scripts import call

_HOME = tempfile.TemporaryDirectory(prefix="hypothesis-")  # else hypothesis keeps its files in the working directory
atexit.register(_HOME.cleanup)
set_hypothesis_home_dir(_HOME.name)

FILES = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
VALUES = settings(FILES, max_examples=200)

_ODD = [
    "\n",
    "\r",
    "\r\n",
    '"',
    '""',
    ",",
    ";",
    "\t",
    " ",
    "\u00a0",
    "\u2028",
    "\x85",
    "\x1c",
    "\ufeff",
    "=",
    "\\",
    "a",
    "é",
    "🙂",
    "\u202e",
]
texts = st.one_of(  # whatever UTF-8 can hold, but NUL
    st.lists(st.sampled_from(_ODD), max_size=6).map("".join),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
)
full_texts = texts.filter(str.strip)


@st.composite
def rankings(draw) -> list[Ranking]:
    """Rankings with two distinct ranks, each prompt and group once, each answer once; texts as they are read,
    trimmed."""
    trimmed = full_texts.map(str.strip)
    keys = draw(
        st.lists(st.tuples(trimmed, st.one_of(st.just(""), texts.map(str.strip))), min_size=1, max_size=4, unique=True)
    )
    made = []
    for prompt, group in keys:
        answers = draw(st.lists(trimmed, min_size=2, max_size=4, unique=True))
        ranks = draw(
            st.lists(st.integers(1, 999_999_999), min_size=len(answers), max_size=len(answers)).filter(
                lambda ranks: len(set(ranks)) > 1
            )
        )
        made.append(Ranking(prompt, answers, ranks, group))
    return made


@FILES
@given(rankings(), st.lists(st.sampled_from(["", " ", "\n", "\r\n", "\u3000"]), min_size=2, max_size=2))
def test_rankings_read_back_as_they_were_written(tmp_path, made, around):
    path = tmp_path / "data.csv"
    write_rankings(path, made)
    read = read_rankings(path)
    assert read.rankings == made and read.warnings() == []
    left, right = around
    write_rankings(
        path,
        [
            Ranking(left + r.prompt + right, [left + a + right for a in r.answers], r.ranks, left + r.group + right)
            for r in made
        ],
    )
    assert read_rankings(path).rankings == made  # white space around a text does not count


@FILES
@given(st.lists(st.lists(texts, min_size=3, max_size=3), max_size=5), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_cells_read_back_to_the_letter(tmp_path, rows, line_end, mark):
    path = tmp_path / "data.csv"
    written = format_rows([["x", "y", "z"], *rows], line_end=line_end)
    path.write_bytes(b"\xef\xbb\xbf" * mark + written.encode())
    assert [list(record.values()) for record in read_table(path).records] == [
        cells for cells in rows if any(cell.strip() for cell in cells)
    ]


_PIECES = [
    b"prompt,answer,rank", b"group", b",", b",", b"\n", b"\n", b"\r", b'"', b"p", b"q", b"1", b"2", b"0", b" ", b";",
    b"\xef\xbb\xbf", b"\0", b"\xe9",
]  # fmt: skip
_ROWS = [
    b"p,a,1\n",
    b"p,b,2\n",
    b"q,a,1\r\n",
    b'"p",c,2\n',
    b'q,"d\n\n",3\r',
    b",,\n",
    b"\n",
    b"p,a,1.0\n",
    "r,é,1\n".encode(),
    b'r,"""",4\n',
]
_WRONG = [b"p,", b",3\n", b'q,"c\n', b'"', b"p,a,2\n", b"p,x,0\n", b",x,1\n", b"\xc3", b"\xff", b"\0", b","]
file_contents = st.one_of(
    st.binary(max_size=40),
    st.lists(st.sampled_from(_PIECES), max_size=25).map(b"".join),
    st.lists(st.sampled_from(_ROWS), max_size=12).map(lambda rows: b"prompt,answer,rank\n" + b"".join(rows)),
    st.lists(st.tuples(st.sampled_from([b"g", b"h", b""]), st.sampled_from(_ROWS)), max_size=12).map(
        lambda rows: b"group,prompt,answer,rank\n" + b"".join(group + b"," + row for group, row in rows if len(row) > 3)
    ),
    st.lists(st.sampled_from(_ROWS + _WRONG), max_size=12).map(lambda rows: b"prompt,answer,rank\n" + b"".join(rows)),
)


@VALUES
@given(file_contents)
def test_any_bytes_give_rankings_or_messages_that_name_their_lines(tmp_path, content):
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    try:
        read = read_rankings(path)
    except InputError as error:
        problems = [problem for problem in str(error).split("\n") if not problem.startswith("... and ")]
        if not isinstance(error, TableError) and not re.match(rf"{re.escape(str(path))}:\d", problems[0]):
            return  # another kind of file
        lines = [int(re.match(r"\d+", problem.removeprefix(f"{path}:"))[0]) for problem in problems]
        assert lines == sorted(lines) and lines[0] >= 1 and lines[-1] <= len((content + b".").splitlines())
        return
    read.warnings()
    assert read.rankings and all(
        len(set(r.ranks)) > 1 and len(set(r.answers)) == len(r.answers) == len(r.ranks) for r in read.rankings
    )
    assert all(text == text.strip() for r in read.rankings for text in (r.prompt, *r.answers, r.group))
    write_rankings(path, read.rankings)
    assert read_rankings(path).rankings == read.rankings


@st.composite
def files_of_others(draw) -> tuple[bytes, str]:
    """A CSV that others wrote, with columns of their own in any order, and its line end."""
    columns = draw(st.permutations([*COLUMNS, "note"]))
    line_end = draw(st.sampled_from(["\n", "\r\n"]))
    values = {"prompt": full_texts, "answer": full_texts, "rank": st.integers(1, 9), "note": texts}
    rows = draw(st.lists(st.tuples(*(values[name] for name in columns)), max_size=4))
    text = format_rows([columns, *map(list, rows)], line_end=line_end)
    return (
        b"\xef\xbb\xbf" * draw(st.booleans()) + (text if draw(st.booleans()) else text.removesuffix(line_end)).encode()
    ), line_end


@settings(FILES, max_examples=25)
@given(
    files_of_others(),
    st.lists(
        st.tuples(full_texts, st.lists(full_texts, min_size=2, max_size=3, unique_by=str.strip)), min_size=1, max_size=3
    ),
    st.integers(0, 2),
    st.booleans(),
)
def test_adding_and_removing_rankings_keeps_other_rows_byte_for_byte(others, added, removed, by_hand):
    content, _ = others
    ranked = [
        (f"{number} {prompt}", answers, list(range(len(answers), 0, -1)))
        for number, (prompt, answers) in enumerate(added)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        path.write_bytes(content)
        store = RankingStore(path, path.with_name("log.jsonl"))
        pieces = [content]  # of the file, one for each ranking
        for ranking in ranked:
            store.add(*ranking)
            whole = path.read_bytes()
            assert whole.startswith(b"".join(pieces))
            pieces.append(whole[sum(map(len, pieces)) :])
        if not content.endswith(b"\n"):  # the first ranking came with the line end that was missing
            end = b"\r\n" if pieces[1].startswith(b"\r\n") else b"\n"
            pieces[:2] = content + end, pieces[1].removeprefix(end)
        if by_hand:
            end = "\r\n" if whole.endswith(b"\r\n") else "\n"
            pieces.append(format_rows([["by", "hand", "1", "1"]], line_end=end).encode())
            path.write_bytes(b"".join(pieces))
        number = removed % len(ranked)
        event = store.log.standing[number]
        assert store.undo(event)
        assert not store.undo(event)
        assert path.read_bytes() == b"".join(pieces[: number + 1] + pieces[number + 2 :])
        store.close()


@st.composite
def orders(draw) -> list[int]:
    """Ranks without gaps, at least two of them distinct."""
    ranks = draw(st.lists(st.integers(1, 5), min_size=2, max_size=12).filter(lambda ranks: len(set(ranks)) > 1))
    return [sorted(set(ranks)).index(rank) + 1 for rank in ranks]


@VALUES
@given(orders())
def test_an_order_reads_back_as_it_was_formatted(ranks):
    assert parse_order(format_order(ranks), len(ranks)) == ranks
    if len(ranks) < 10:
        assert parse_order(format_order(ranks).replace(" ", ""), len(ranks)) == ranks


@VALUES
@given(st.one_of(st.text(max_size=12), st.text("0123456789=,> ²³٣１½-+_\t", max_size=12)), st.integers(2, 12))
def test_any_line_gives_ranks_or_says_why_not(line, count):
    try:
        ranks = parse_order(line, count)
    except InputError as error:
        assert str(error)
        return
    assert len(ranks) == count and sorted(set(ranks)) == list(range(1, max(ranks) + 1))
    assert parse_order(format_order(ranks), count) == ranks


@VALUES
@given(st.lists(st.sampled_from("abcdefgh"), max_size=20), st.floats(0, 1, exclude_max=True), st.integers(-5, 5))
def test_a_split_has_every_position_once_and_no_prompt_on_both_sides(prompts, fraction, seed):
    made = [Ranking(prompt, ["x", "y"], [1, 2], str(i)) for i, prompt in enumerate(prompts)]
    training, validation = parts = split_by_prompt(made, fraction, seed)
    assert training == sorted(training) and validation == sorted(validation)
    assert sorted(training + validation) == list(range(len(prompts)))
    assert not {prompts[i] for i in training} & {prompts[i] for i in validation}
    assert training or not prompts
    assert parts == split_by_prompt(made, fraction, seed)
    held_out = len({prompts[i] for i in validation})
    assert abs(held_out - fraction * len(set(prompts))) <= 0.5 or held_out == len(set(prompts)) - 1


# convert_rankings.py


def comparisons(made: list[Ranking]) -> Counter:
    """Every pair of answers that were ranked against each other: (prompt, the better, the worse), or (prompt, both)
    where they tie."""
    found = Counter()
    for ranking in made:
        for (a, a_rank), (b, b_rank) in combinations(zip(ranking.answers, ranking.ranks), 2):
            found[
                ranking.prompt, *((a, b) if a_rank < b_rank else (b, a) if b_rank < a_rank else (frozenset([a, b]),))
            ] += 1
    return found


labels = st.sampled_from(["User: ", "\n\nUser: ", "Assistant: ", "\n\nAssistant: ", "System: ", "\\", "x"])
like_chats = st.lists(labels, max_size=6).map("".join).map(str.strip).filter(bool)


@st.composite
def rankings_like_chats(draw) -> list[Ranking]:
    """Rankings whose texts are odd, or read like chats."""
    made = draw(rankings())
    if draw(st.booleans()):
        made = [
            Ranking(
                f"{draw(like_chats)} {i}",
                draw(st.lists(like_chats, min_size=2, max_size=4, unique=True)),
                [1, 2, 1, 3],
                r.group,
            )
            for i, r in enumerate(made)
        ]
        made = [Ranking(r.prompt, r.answers, r.ranks[: len(r.answers)], r.group) for r in made]
    return made


TARGETS = [
    "trl.jsonl",
    "trl.csv",
    "trl-conversational.json",
    "trl-conversational.parquet",
    "lists.jsonl",
    "rewardbench.parquet",
    "csv.json",
]


@settings(FILES, max_examples=80)
@example(made=[Ranking("System: 2", ["User:", "User: User:"], [1, 2])], name="trl.jsonl")
@given(made=rankings_like_chats(), name=st.sampled_from(TARGETS))
def test_there_and_back_no_comparison_is_lost(made, name):
    with tempfile.TemporaryDirectory() as folder:
        path, there, back = Path(folder) / "data.csv", Path(folder) / name, Path(folder) / "back.csv"
        assume(
            not any("\n\n" in answer for ranking in made for answer in ranking.answers)
        )  # an answer that reads like several turns is escaped
        write_rankings(path, made)
        assert convert_rankings.main([str(path), str(there), "--to", there.stem]) == 0
        assert convert_rankings.main([str(there), str(back)]) == 0
        read = read_rankings(back).rankings
    assert comparisons(read) == comparisons(made)
    if there.stem != "lists":  # which hold no groups
        assert {(r.prompt, r.group): set(r.answers) for r in read} == {
            (r.prompt, r.group): set(r.answers) for r in made
        }


def is_refused_or_right(capsys, source: Path, *arguments: str) -> None:
    """Convert; whatever is wrong is said in plain lines, and then nothing is written."""
    target = source.with_name("target.csv")
    status = call(convert_rankings.main, [str(source), str(target), *arguments])
    printed = capsys.readouterr()
    if status == 0:
        assert " wrote " in " ".join(printed.out.split()) and read_rankings(target).rankings
        target.unlink()
    else:
        assert status == 2 and printed.err.startswith("error: ") and not target.exists()
        assert "Traceback" not in printed.err


ANY_JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-4, 4),
        st.floats(),
        st.sampled_from(["", "a", "b", "\0", "model_a", "\n\nHuman: a", "[", "[1]", "3"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["role", "content", "from", "value", "answer", "rank", "completion", "text"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=6,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["user", "assistant", "system", "?"]),
            "content": st.one_of(st.sampled_from(["a", "b"]), ANY_JSON),
        }
    ),
    max_size=3,
)
NAMES = ["prompt", "chosen", "rejected", "subset", "group", "system", "history", "input", "response"]


@st.composite
def records(draw) -> list[dict]:
    """Records that have the columns of some format, and anything in them."""
    columns = draw(st.sampled_from([list(records[0]) for records, _ in (KNOWN | NESTED).values()]))
    names = [*columns, *draw(st.lists(st.sampled_from(NAMES), max_size=2))]
    value = st.one_of(st.sampled_from(["a", "b", 1, 2]), MESSAGES, ANY_JSON)
    made = draw(st.lists(st.fixed_dictionaries({name: value for name in names}), min_size=1, max_size=4))
    return [{key: one[key] for key in one if draw(st.integers(0, 20))} for one in made]


@pytest.mark.faults
@settings(FILES, max_examples=120)
@given(made=records(), kind=st.sampled_from(["jsonl", "json"]), score=st.booleans())
def test_any_records_are_converted_or_refused_in_plain_words(tmp_path, capsys, made, kind, score):
    source = tmp_path / f"source.{kind}"
    source.write_text(
        json.dumps(made) if kind == "json" else "".join(json.dumps(record) + "\n" for record in made), encoding="utf-8"
    )
    is_refused_or_right(capsys, source, *(["--score", "rank"] if score else []))


@pytest.mark.faults
@settings(FILES, max_examples=60)
@given(
    content=st.one_of(file_contents, st.binary(max_size=60)),
    kind=st.sampled_from(["csv", "jsonl", "json", "parquet", "data"]),
)
def test_any_bytes_are_converted_or_refused_in_plain_words(tmp_path, capsys, content, kind):
    source = tmp_path / f"source.{kind}"
    source.write_bytes(content)
    is_refused_or_right(capsys, source)


@pytest.mark.faults
@settings(FILES, max_examples=60)
@given(
    kind=st.sampled_from(["jsonl", "json", "parquet", "csv"]),
    at=st.floats(0, 1),
    junk=st.binary(min_size=1, max_size=3),
    cut=st.booleans(),
)
def test_a_damaged_file_is_converted_or_refused_in_plain_words(tmp_path, capsys, kind, at, junk, cut):
    source = tmp_path / f"source.{kind}"
    names = ["prompt", "chosen", "rejected"]
    write_table(source, kind, names, [dict(zip(names, (f"p{i}", "a", "b\nc"), strict=True)) for i in range(3)])
    content = source.read_bytes()
    place = int(at * len(content))
    source.write_bytes(content[:place] + (b"" if cut else junk + content[place + len(junk) :]))
    is_refused_or_right(capsys, source)
