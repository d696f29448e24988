import io
import json
import os
import subprocess
import sys
import threading
import tracemalloc

import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from preference.data.record_writers import open_writer
from preference.data.records import KINDS, STREAM, read_records
from preference.errors import InputError

ROWS = [
    {"prompt": "make good coffee", "answer": "two\nlines, and \"quotes\"", "likes": 3},
    {"prompt": "read", "answer": "N/A", "likes": None},
    {"prompt": " read ", "answer": "=1+1 🙂\u2028", "likes": 7},
]  # fmt: skip


def write(path, rows, kind, **options):
    with open_writer(path, kind, **options) as writer:
        for row in rows:
            writer.write(row)
    return path


def as_cells(row):
    return {key: "" if value is None else str(value) for key, value in row.items()}


@pytest.mark.parametrize("ending, kind", KINDS.items())
def test_what_is_written_is_read_back(tmp_path, ending, kind):
    path = write(tmp_path / f"table{ending}", ROWS, kind)
    records = read_records(path)
    assert records.kind == kind and records.rereadable
    assert records.columns == (None if kind in ("jsonl", "json") else ["prompt", "answer", "likes"])
    assert list(records) == ([as_cells(row) for row in ROWS] if kind == "csv" else ROWS)
    assert [path.name for path in tmp_path.iterdir()] == [f"table{ending}"]


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(st.fixed_dictionaries({"a": TEXTS.filter(str.strip), "b": TEXTS}), min_size=1))
def test_any_text_comes_back_to_the_letter(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("any")
    for ending, kind in KINDS.items():
        assert list(read_records(write(folder / f"t{ending}", rows, kind))) == rows


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=200), ending=st.sampled_from(sorted(KINDS)))
def test_no_bytes_give_a_traceback(tmp_path_factory, data, ending):
    path = tmp_path_factory.mktemp("bytes") / f"t{ending}"
    path.write_bytes(data)
    try:
        list(read_records(path))
    except InputError as error:
        assert str(error).startswith(str(path))


@pytest.mark.parametrize("kind", ["csv", "jsonl", "json", "parquet"])
def test_standard_input_is_recognised_by_its_first_bytes_and_standard_output_gets_the_same(tmp_path, kind):
    path = write(tmp_path / "table", ROWS, kind)
    copy = (
        "from preference.data.record_writers import *\nfrom preference.data.records import *\n"
        "r = read_records('-')\nwith open_writer('-', r.kind, r.columns, schema=r.schema) as w:\n"
        "    for record in r: w.write(record)\nassert not r.rereadable"
    )
    done = subprocess.run([sys.executable, "-c", copy], input=path.read_bytes(), capture_output=True, cwd=ROOT)
    assert done.stdout == path.read_bytes() and done.stderr == b""


def test_the_first_records_come_before_the_last_are_written(monkeypatch):
    reading, writing = os.pipe()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(os.fdopen(reading, "rb")))
    with os.fdopen(writing, "wb", buffering=0) as pipe:
        pipe.write(b'prompt,answer\np,one\np,"two\n')
        records = iter(read_records(STREAM))
        assert next(records) == {"prompt": "p", "answer": "one"}
        pipe.write(b'lines"\np,three\n')
        assert next(records) == {"prompt": "p", "answer": "two\nlines"}
    assert next(records) == {"prompt": "p", "answer": "three"}


def test_a_named_pipe_is_read_and_one_without_a_writer_is_refused(tmp_path, monkeypatch):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setattr("preference.data.text_files.PIPE_PATIENCE", 0.05)
    with pytest.raises(InputError, match="pipe: a pipe that no program has written to"):
        read_records(pipe)
    monkeypatch.setattr("preference.data.text_files.PIPE_PATIENCE", 10)
    writer = threading.Thread(target=pipe.write_bytes, args=[b'{"prompt": "p"}\n'])
    writer.start()
    records = read_records(pipe)
    assert (records.kind, records.rereadable, list(records)) == ("jsonl", False, [{"prompt": "p"}])
    writer.join()


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_memory_does_not_grow_with_the_number_of_records(tmp_path, kind):
    import pyarrow

    row = {"prompt": "p" * 5_000, "answer": "a" * 5_000}
    path = write(tmp_path / "table", (row for _ in range(2_500)), kind)  # 25 MB
    before = pyarrow.total_allocated_bytes()
    tracemalloc.start()
    most = 0
    for _ in read_records(path, kind):
        most = max(most, pyarrow.total_allocated_bytes() - before)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak + most < 10e6  # a Parquet file is read 256 rows at once


WRONG = [
    ("t.csv", b"", "t.csv:1: the file is empty; its first line must name the columns"),
    ("t.csv", b"a;b\n1;2\n", "t.csv:1: the columns are not separated by commas: 'a;b'; save the file as comma-separated CSV"),
    ("t.csv", b"a,b,a\n", "t.csv:1: two columns are named 'a'; rename or delete one"),
    ("t.csv", b'a,b\n"x\ny",1\n1,2,3\n\n1\n', "t.csv:4: 3 cells where the header has 2: '1,2,3'; put a cell that contains a comma in double quotes\n"
     "t.csv:6: 1 cell where the header has 2: '1'; give every column a cell"),
    ("t.csv", b'a,b\n1,"2\n', "t.csv:2: unbalanced quotes: '1,\"2'; write a cell that contains quotes \"like \"\"this\"\" one\""),
    ("t.csv", b"a,b\r\n1,\xe9\r\n", "t.csv:2: not UTF-8: byte 0xe9 after '1,'; save the file as UTF-8"),
    ("t.csv", b"a,b\n1,2\n\0,3\n", "t.csv:3: not text: a NUL byte at the start of the line; delete it, or save the file as UTF-8"),
    ("t.csv", "a,b\n".encode("utf-16"), "t.csv:1: UTF-16, not UTF-8: the file starts with the bytes ff fe; save the file as UTF-8"),
    ("t.jsonl", b'{"a": 1}\n[1]\n', "t.jsonl:2: not a JSON object: '[1]'; write one object per line"),
    ("t.jsonl", b'{"a": 1}\n{"a": \n{}', "t.jsonl:2: not JSON: '{\"a\":'; write one object per line"),
    ("t.jsonl", b"[" * 100_000 + b"\n", "t.jsonl:1: not JSON: '" + "[" * 57 + "...'; write one object per line"),
    ("t.json", b'[{"a": 1},\n 2]', "t.json, row 2: not a JSON object: '2'; write a list of objects"),
    ("t.json", b'[{"a": 1},\n', "t.json:2: not JSON: Expecting value; write a list of objects"),
    ("t.json", b"3", "t.json: not a list of objects: '3'; write [{...}, {...}]"),
    ("t.json", b"[" * 100_000, "t.json, row 1: nested too deeply; write a list of flat objects"),
    ("t.parquet", b"PAR1", "t.parquet: not a Parquet file, or a damaged one (Parquet file size is 4 bytes, smaller than"),
    (".", None, ".: cannot be read: Is a directory; name a file that you may read"),
    ("none.csv", None, "none.csv: no such file; check the name"),
]  # fmt: skip


@pytest.mark.parametrize("name, data, message", WRONG)
def test_what_is_wrong_is_said_with_its_place(tmp_path, monkeypatch, name, data, message):
    monkeypatch.chdir(tmp_path)
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        list(read_records(name))
    assert str(caught.value).startswith(message) and (message[-1] != "e" or str(caught.value) == message)


def test_a_row_of_a_pipe_is_refused_at_once(monkeypatch):
    reading, writing = os.pipe()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(os.fdopen(reading, "rb")))
    with os.fdopen(writing, "wb", buffering=0) as pipe:
        pipe.write(b"a,b\n1\n1\n")
        with pytest.raises(InputError, match="^standard input:2: 1 cell where the header has 2: '1'; give every column a cell$"):
            next(iter(read_records(STREAM)))


def test_json_lines_in_a_file_called_json_and_a_last_line_that_a_crash_cut_short(tmp_path):
    path = tmp_path / "t.json"
    path.write_text('{"a": 1}\n{"a": 2}\n{"a": ')
    records = read_records(path)
    assert (records.kind, list(records), records.cut_short) == ("jsonl", [{"a": 1}, {"a": 2}], f"{path}:3")


def test_line_ends_and_a_byte_order_mark(tmp_path):
    for end in ("\n", "\r\n", "\r"):
        (tmp_path / "t.csv").write_bytes(f'\ufeffa,b{end}"x{end}y",1{end}{end},{end}z,2'.encode())
        records = read_records(tmp_path / "t.csv")
        assert list(records.numbered()) == [(2, {"a": f"x{end}y", "b": "1"}), (6, {"a": "z", "b": "2"})]


def test_nothing_half_written_is_left_and_links_and_permissions_stay(tmp_path):
    target = tmp_path / "t.csv"
    target.write_text("old")
    target.chmod(0o640)
    (tmp_path / "link.csv").symlink_to(target)
    with pytest.raises(RuntimeError), open_writer(target, "csv") as writer:
        writer.write({"a": 1})
        raise RuntimeError
    assert target.read_text() == "old" and len(list(tmp_path.iterdir())) == 2
    write(tmp_path / "link.csv", [{"a": 1}], "csv")
    assert target.read_text() == "a\n1\n" and target.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_full_disk_is_one_line(tmp_path, small_files_only, kind):
    with pytest.raises(InputError, match="t: cannot be written: File too large$"), small_files_only(20_000):
        write(tmp_path / "t", [{"a": os.urandom(50).hex()} for _ in range(5_000)], kind)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "kind, rows, message",
    [
        ("csv", [{"a": 1}, {"b": 1}], "row 2: 'b' is not among the columns of the first row; write JSONL instead"),
        ("csv", [{"a": "x\0"}], r"row 1: a NUL character in 'x\\x00'; remove it"),
        ("csv", [{"a": "\ud83d"}], r"row 1: half of a surrogate pair in '\\ud83d'; remove it"),
        ("parquet", [{"a": 1}, {"a": "one"}], "rows 1 to 2: a value does not fit its column .*; write JSONL instead"),
        ("parquet", [{"a": "\ud83d"}], "rows 1 to 1: a value does not fit its column"),
    ],
)
def test_what_a_kind_cannot_hold(tmp_path, kind, rows, message):
    with pytest.raises(InputError, match=message):
        write(tmp_path / "t", rows, kind)
    assert not list(tmp_path.iterdir())


def test_parquet_keeps_its_types(tmp_path):
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.schema([("n", pyarrow.int8()), ("none", pyarrow.float32()), ("texts", pyarrow.list_(pyarrow.string()))])
    rows = [{"n": 1, "none": None, "texts": ["a"]}, {"n": 2, "none": None, "texts": []}]
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema), tmp_path / "a.parquet")
    records = read_records(tmp_path / "a.parquet")
    more = [row | {"reward": 0.5} for row in records]
    write(tmp_path / "b.parquet", more, "parquet", columns=[*records.columns, "reward"], schema=records.schema)
    assert parquet.read_schema(tmp_path / "b.parquet").remove_metadata() == schema.append(pyarrow.field("reward", pyarrow.float64()))
    assert list(read_records(tmp_path / "b.parquet")) == more


def test_other_kinds_hold_values_that_are_not_flat(tmp_path):
    row = {"list": ["é"], "flag": True, "none": None, "text": "x"}
    assert list(read_records(write(tmp_path / "t.csv", [row], "csv"))) == [{"list": '["é"]', "flag": "true", "none": "", "text": "x"}]
    lone = write(tmp_path / "t.jsonl", [{"a": "\ud83d"}], "jsonl")
    assert json.loads(lone.read_text()) == {"a": "\ud83d"}


def test_no_records(tmp_path):
    for kind in ("csv", "jsonl", "json", "parquet"):
        records = read_records(write(tmp_path / "t", [], kind, columns=["a", "b"]), kind)
        assert (records.columns, list(records)) == (None if kind.startswith("json") else ["a", "b"], [])
