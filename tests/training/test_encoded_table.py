import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import ROOT
from transformers import AutoTokenizer

from preference.cache import cache_folder
from preference.data.rankings import Ranking
from preference.training.encoded_table import encode_rankings

RANKINGS = [Ranking("make coffee", ["grind beans", "water", "wait"], [1, 2, 2]), Ranking("read books", ["reading " * 90, "no"], [2, 1])]


def tables() -> set:
    return set((cache_folder() / "encoded").glob("*"))


def test_rows_are_what_the_tokenizer_gives(tiny_distilbert):
    tokenizer = AutoTokenizer.from_pretrained(tiny_distilbert)
    table = encode_rankings(RANKINGS, tokenizer, 32)
    assert table["ranks"][:] == [[1, 2, 2], [2, 1]]
    assert table["truncated"][:] == [0, 1]
    assert table[0]["input_ids"][1] == tokenizer("make coffee", "water")["input_ids"]
    assert len(table[1]["input_ids"][0]) == 32


def test_the_table_is_memory_mapped_and_made_once(tiny_distilbert):
    tokenizer = AutoTokenizer.from_pretrained(tiny_distilbert)
    encode_rankings(RANKINGS, tokenizer, 31)
    before = {path: path.stat().st_ino for path in tables()}
    table = encode_rankings(RANKINGS, tokenizer, 31)
    assert len(table) == 2 and table.cache_files
    assert {path: path.stat().st_ino for path in tables()} == before


@pytest.mark.parametrize("damage", ["empty", "cut", "nonsense", "others"])
def test_a_damaged_table_is_made_again(tiny_distilbert, damage):
    tokenizer = AutoTokenizer.from_pretrained(tiny_distilbert)
    expected = encode_rankings(RANKINGS, tokenizer, 29)[:]
    path = Path(encode_rankings(RANKINGS, tokenizer, 29).cache_files[0]["filename"])
    if damage == "others":
        path.write_bytes(Path(encode_rankings(RANKINGS[:1], tokenizer, 29).cache_files[0]["filename"]).read_bytes())
    else:
        path.write_bytes({"empty": b"", "cut": path.read_bytes()[:600], "nonsense": b"\xff" * 5000}[damage])
    assert encode_rankings(RANKINGS, tokenizer, 29)[:] == expected
    assert encode_rankings(RANKINGS, tokenizer, 29)[:] == expected


def test_a_cache_that_cannot_be_written_is_a_temporary_folder(tiny_distilbert, tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file, not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tokenizer = AutoTokenizer.from_pretrained(tiny_distilbert)
    table = encode_rankings(RANKINGS, tokenizer, 32)
    assert table["ranks"][:] == [[1, 2, 2], [2, 1]]
    assert Path(table.cache_files[0]["filename"]).is_relative_to(tempfile.gettempdir())
    assert encode_rankings(RANKINGS, tokenizer, 32).cache_files == table.cache_files


# Two processes ask for 30 tables at the same moment.
TWO = """
import os, sys
os.environ["TOKENIZERS_PARALLELISM"] = "false"
from transformers import AutoTokenizer
from preference.training.encoded_table import encode_rankings
from test_encoded_table import RANKINGS

tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
read, write = os.pipe()
children = []
for _ in range(2):
    if (child := os.fork()) == 0:
        os.close(write)
        os.read(read, 1)
        for length in range(10, 40):
            assert encode_rankings(RANKINGS, tokenizer, length)["ranks"][:] == [[1, 2, 2], [2, 1]]
        os._exit(0)
    children.append(child)
os.close(write)
print([os.waitpid(child, 0)[1] for child in children])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_two_processes_may_ask_for_the_same_tables_at_once(tiny_distilbert, tmp_path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(["tests", "tests/training"])}
    done = subprocess.run([sys.executable, "-c", TWO, tiny_distilbert], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout == "[0, 0]\n", done.stderr
    assert len(list(tmp_path.glob("preference/encoded/*.arrow"))) == len(list(tmp_path.glob("preference/encoded/*"))) == 30


def test_other_rankings_or_another_length_or_tokenizer_get_a_table_of_their_own(tiny_distilbert):
    tokenizer = AutoTokenizer.from_pretrained(tiny_distilbert)
    prompt, answers, ranks = "make coffee", ["grind beans", "water"], [1, 2]
    tables_made = [
        encode_rankings([Ranking(prompt, answers, ranks)], tokenizer, 30),
        encode_rankings([Ranking(prompt, answers, [2, 1])], tokenizer, 30),
        encode_rankings([Ranking(prompt, answers[::-1], ranks)], tokenizer, 30),
        encode_rankings([Ranking(prompt + " water", answers, ranks)], tokenizer, 30),
        encode_rankings([Ranking(prompt, answers, ranks)], tokenizer, 16),
    ]
    tokenizer.add_tokens(["grind beans"])
    tables_made.append(encode_rankings([Ranking(prompt, answers, ranks)], tokenizer, 30))
    assert len({table.cache_files[0]["filename"] for table in tables_made}) == 6
    assert [table["ranks"][:] for table in tables_made[:3]] == [[[1, 2]], [[2, 1]], [[1, 2]]]


def test_another_chat_template_or_end_token_gets_a_table_of_its_own(tiny_distilbert):
    tables_made = []
    for template, end in (("{{ messages[0].content }} {{ messages[1].content }} {{ eos_token }}", "[SEP]"), ("{{ messages[1].content }}", "[SEP]")):
        tokenizer = AutoTokenizer.from_pretrained(tiny_distilbert, chat_template=template, eos_token=end)
        tables_made.append(encode_rankings(RANKINGS[:1], tokenizer, 30))
    tokenizer.chat_template, tokenizer.eos_token = "{{ messages[1].content }}", "[CLS]"
    tables_made.append(encode_rankings(RANKINGS[:1], tokenizer, 30))
    assert len({table.cache_files[0]["filename"] for table in tables_made}) == 3
    words = [tokenizer.convert_ids_to_tokens(table[0]["input_ids"][1]) for table in tables_made]
    assert words == [["make", "coffee", "water", "[SEP]"], ["water"], ["water"]] and tables_made[0].column_names == [
        "input_ids",
        "ranks",
        "truncated",
    ]
