import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preference.data.json_list import iterate_json_list
from preference.errors import InputError

VALUES = st.recursive(
    st.none() | st.integers() | st.booleans() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def read(data: bytes, block: int = 1 << 16) -> list[dict] | str:
    try:
        return [record for _, record in iterate_json_list("t.json", io.BytesIO(data), block)]
    except InputError as error:
        return str(error)


BLOCKS = st.sampled_from([1, 3, 64])  # bytes read at once


@given(
    BLOCKS, st.lists(st.dictionaries(st.text(max_size=3), VALUES, max_size=3), max_size=5), st.sampled_from([None, 1]), st.booleans(), st.booleans()
)
def test_a_list_is_read_as_json_reads_it_whatever_the_blocks(block, records, indent, ascii, mark):
    data = b"\xef\xbb\xbf" * mark + json.dumps(records, indent=indent, ensure_ascii=ascii).encode("utf-8", "surrogatepass")
    assert read(data, block) == records


SIGNS = [b"[", b"]", b"{", b"}", b",", b'"a"', b":", b"1", b" ", b"\n", b'{"a": 1}', b"\xff", b"nul"]


@given(BLOCKS, st.lists(st.sampled_from(SIGNS), max_size=9).map(b"".join))
def test_what_json_refuses_is_refused_and_nothing_else(block, data):
    try:
        expected = json.loads(data)
    except ValueError:
        expected = None
    right = isinstance(expected, list) and all(isinstance(record, dict) for record in expected)
    assert read(data, block) == expected if right else isinstance(read(data, block), str)


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "t.json: not a list of objects: ''; write [{...}, {...}]"),
        (b'[{"a": 1},\n{"b" 2}]', "t.json:2: not JSON: Expecting ':' delimiter; write a list of objects"),
        (b'[{"a": 1}\n{"b": 2}]', "t.json:2: not JSON: '{\"b\": 2}]' where , or ] should be; write a list of objects"),
        (b'[{"a": 1},\n\n', "t.json:3: not JSON: Expecting value; write a list of objects"),
        (b"[{}] 3", "t.json:1: not JSON: '3' after the end of the list; write a list of objects"),
        (b"[{}, 2]", "t.json, row 2: not a JSON object: '2'; write a list of objects"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(data, message):
    assert read(data) == message


def test_a_long_list_takes_the_memory_of_one_record():
    class Endless(io.RawIOBase):
        """A list without an end."""

        given = 0

        def read(self, size=-1):
            self.given += 1
            return b"[{}" if self.given == 1 else b', {"text": "' + b"x" * 1000 + b'"}'

    source = Endless()
    records = iterate_json_list("t.json", source)
    for _ in range(10):
        next(records)
    assert source.given < 500
