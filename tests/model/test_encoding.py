import random

from transformers import AutoTokenizer

from preference.model.encoding import encode_pairs, longest_first, pad_chunk
from preference.model.loading import PLAIN_TEMPLATE


def test_a_chat_loses_as_many_tokens_of_either_side_as_a_pair_does(tiny_distilbert):
    tokenizer = AutoTokenizer.from_pretrained(tiny_distilbert)
    coffee, water = tokenizer.convert_tokens_to_ids(["coffee", "water"])
    rng = random.Random(0)
    for _ in range(200):
        first, second, room = rng.randint(1, 40), rng.randint(1, 40), rng.randint(2, 60)
        [pair], [cut] = encode_pairs(
            tokenizer, ["coffee " * first], ["water " * second], room + 3
        )  # [CLS], [SEP], [SEP]
        kept = pair["input_ids"].count(coffee), pair["input_ids"].count(water)
        assert kept == longest_first(first, second, room), (first, second, room)
        assert cut == (first + second > room)


def test_a_chat_is_padded_on_the_right_whatever_the_tokenizer_says(tiny_distilbert):
    tokenizer = AutoTokenizer.from_pretrained(tiny_distilbert, padding_side="left", eos_token="[SEP]")
    assert pad_chunk(tokenizer, [{"input_ids": [5]}, {"input_ids": [5, 6]}])["input_ids"][0, 0] == 0
    tokenizer.chat_template = PLAIN_TEMPLATE.format(bos="")
    pairs, _ = encode_pairs(tokenizer, ["coffee", "coffee"], ["water", "water water"], 20)
    padded = pad_chunk(tokenizer, pairs)
    assert padded["input_ids"][0, -1] == tokenizer.pad_token_id and padded["attention_mask"].tolist() == [
        [1, 1, 1, 0],
        [1, 1, 1, 1],
    ]
