import random

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from preference.errors import InputError
from preference.model.encoding import encode_pairs, encode_rankings, plan_chunks, rewards_of_chunks
from preference.training.ranking_trainer import RankingBatchSampler, RankingCollator, cut_evenly


def test_chunks_are_a_partition_whose_padding_stays_within_the_cost_of_a_pass():
    rng = random.Random(0)
    for _ in range(50):
        lengths = [rng.randint(1, 100) for _ in range(rng.randint(1, 60))]
        chunks = plan_chunks(lengths, 30)
        assert sorted(i for chunk in chunks for i in chunk) == list(range(len(lengths)))
        assert all(sum(max(lengths[j] for j in chunk) - lengths[i] for i in chunk) <= 30 for chunk in chunks)
    assert plan_chunks([7, 5, 7, 5, 7], chunk_cost=0) == [[1, 3], [0, 2, 4]]


def test_chunks_stay_within_the_token_budget():
    chunks = plan_chunks([100] * 10 + [5000], chunk_cost=10**6, max_tokens=300)
    assert sorted(map(len, chunks)) == [1, 1, 3, 3, 3]


def test_cut_evenly():
    assert cut_evenly([4] * 8, 4) == [range(0, 2), range(2, 4), range(4, 6), range(6, 8)]
    assert cut_evenly([100, 1, 1], 3) == [range(0, 1), range(1, 2), range(2, 3)]


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_every_epoch_holds_every_ranking_once_whole_and_in_a_new_order(processes):
    sizes = [random.Random(1).randint(2, 9) for _ in range(50)]
    samplers = [RankingBatchSampler(sizes, 12, seed=3, processes=processes, process=p) for p in range(processes)]
    orders = []
    for epoch in (0, 1):
        for sampler in samplers:
            sampler.set_epoch(epoch)
        shares = [list(sampler) for sampler in samplers]
        assert {len(share) for share in shares} == {len(samplers[0])}  # all processes take the same number of steps
        orders.append([i for step in zip(*shares, strict=True) for share in step for i in share])
        assert all(share for step in zip(*shares, strict=True) for share in step)
        assert sorted(orders[-1]) == list(range(50))
    assert orders[0] != orders[1]
    assert len(samplers[0]) == min(round(sum(sizes) / 12), 50 // processes)


def test_several_processes_see_the_steps_of_one():
    one = list(RankingBatchSampler([4] * 40, 16, seed=0))
    two = [list(RankingBatchSampler([4] * 40, 16, seed=0, processes=2, process=p)) for p in (0, 1)]
    assert [a + b for a, b in zip(*two, strict=True)] == one


def test_more_processes_than_prompts_is_refused():
    with pytest.raises(InputError, match="there is only 1 ranking for 2 processes; start at most 1"):
        RankingBatchSampler([4], 8, seed=0, processes=2)


def test_the_collator_gives_the_documented_tensors(tiny_distilbert):
    tokenizer = AutoTokenizer.from_pretrained(tiny_distilbert)
    short, long = [5] * 9, [6] * 50
    rankings = [
        {"pairs": [{"input_ids": short}, {"input_ids": long}], "ranks": [1, 2]},
        {"pairs": [{"input_ids": short[:8]}], "ranks": [1]},
    ]
    batch = RankingCollator(tokenizer, chunk_cost=8)(rankings)
    assert [tuple(chunk["input_ids"].shape) for chunk in batch["chunks"]] == [(2, 9), (1, 50)]
    assert batch["chunks"][0]["attention_mask"].sum().item() == 17
    assert batch["positions"].tolist() == [[1, 2], [0, 0]]
    assert batch["ranks"].tolist() == [[1, 2], [1, 0]]


def test_rewards_do_not_depend_on_what_shares_a_chunk(tiny_distilbert, sample_folder):
    from preference.data.rankings import read_rankings

    tokenizer = AutoTokenizer.from_pretrained(tiny_distilbert)
    model = AutoModelForSequenceClassification.from_pretrained(tiny_distilbert, num_labels=1).eval()
    rows = encode_rankings(read_rankings(sample_folder / "training_data.csv").rankings, tokenizer, 64)
    with torch.no_grad():
        each_way = []
        for chunk_cost in (0, 20, 10**6):
            batch = RankingCollator(tokenizer, chunk_cost)(rows)
            each_way.append((len(batch["chunks"]), rewards_of_chunks(model, batch["chunks"])[batch["positions"]]))
    assert each_way[0][0] > each_way[1][0] > each_way[2][0] == 1
    for _, rewards in each_way[1:]:
        torch.testing.assert_close(rewards, each_way[0][1], atol=1e-5, rtol=0)


def test_truncation_cuts_the_longer_side_and_tells(tiny_distilbert):
    tokenizer = AutoTokenizer.from_pretrained(tiny_distilbert)
    pairs, cut = encode_pairs(tokenizer, ["coffee " * 5, "coffee " * 40], ["water " * 40, "water"], 20)
    coffee, water = tokenizer.convert_tokens_to_ids(["coffee", "water"])
    assert [pair["input_ids"].count(coffee) for pair in pairs] == [5, 16]
    assert [pair["input_ids"].count(water) for pair in pairs] == [12, 1]
    assert cut == [True, True]
    assert encode_pairs(tokenizer, ["coffee"], ["water"], 20)[1] == [False]
