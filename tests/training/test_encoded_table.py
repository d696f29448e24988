from transformers import AutoTokenizer

from preference.data.rankings import Ranking
from preference.machine import cache_folder
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
