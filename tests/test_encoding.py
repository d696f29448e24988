from transformers import AutoTokenizer

from preference.base_models import cache_folder
from preference.encoding import encode_rankings
from preference.rankings import Ranking

RANKINGS = [Ranking("make coffee", ["grind beans", "water", "wait"], [1, 2, 2]), Ranking("read books", ["reading " * 90, "no"], [2, 1])]


def tables() -> set:
    return set((cache_folder() / "encoded").glob("*"))


def test_rows_are_what_the_tokenizer_gives(tiny_distilbert):
    tokenizer = AutoTokenizer.from_pretrained(tiny_distilbert)
    table = encode_rankings(RANKINGS, tokenizer, 32, digest="rows")
    assert table["ranks"][:] == [[1, 2, 2], [2, 1]]
    assert table["truncated"][:] == [0, 1]
    assert table[0]["input_ids"][1] == tokenizer("make coffee", "water")["input_ids"]
    assert len(table[1]["input_ids"][0]) == 32


def test_the_table_is_memory_mapped_and_made_once(tiny_distilbert):
    tokenizer = AutoTokenizer.from_pretrained(tiny_distilbert)
    encode_rankings(RANKINGS, tokenizer, 32, digest="once")
    before = tables()
    table = encode_rankings([], tokenizer, 32, digest="once")  # found under its key: the rankings are not looked at
    assert len(table) == 2 and table.cache_files
    assert tables() == before


def test_another_csv_length_or_tokenizer_gets_a_table_of_its_own(tiny_distilbert):
    tokenizer = AutoTokenizer.from_pretrained(tiny_distilbert)
    encode_rankings(RANKINGS, tokenizer, 32, digest="a")
    before = len(tables())
    encode_rankings(RANKINGS, tokenizer, 32, digest="b")
    encode_rankings(RANKINGS, tokenizer, 16, digest="a")
    tokenizer.add_tokens(["grind beans"])
    encode_rankings(RANKINGS, tokenizer, 32, digest="a")
    assert len(tables()) == before + 3
