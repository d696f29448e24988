import pytest

from preference.data.rankings import Ranking
from preference.data.splits import split_by_prompt

HUNDRED = [Ranking(f"prompt {i}", ["x", "y"], [1, 2]) for i in range(100)]


def held_out(rankings: list[Ranking], seed: int = 42) -> set[str]:
    return {rankings[i].prompt for i in split_by_prompt(rankings, 0.2, seed).validation}


@pytest.mark.parametrize(
    "prompts, fraction, expected", [(100, 0.2, 20), (5, 0.2, 1), (2, 0.2, 0), (3, 0.9, 2), (1, 0.9, 0), (4, 0.0, 0)]
)
def test_the_rounded_share_is_held_out_and_one_prompt_is_left(prompts, fraction, expected):
    some = [ranking for ranking in HUNDRED[:prompts] for _ in range(2)]
    parts = split_by_prompt(some, fraction, seed=1)
    assert len({some[i].prompt for i in parts.validation}) == expected
    assert sorted([*parts.training, *parts.validation]) == list(range(2 * prompts))
    assert not {some[i].prompt for i in parts.training} & {some[i].prompt for i in parts.validation}


def test_an_edited_file_holds_out_mostly_the_same_prompts():
    before = held_out(HUNDRED)
    assert held_out(HUNDRED[::-1]) == before
    without_one = [ranking for ranking in HUNDRED if ranking.prompt != min(before)]
    assert before - held_out(without_one) == {min(before)}
    grown = held_out(HUNDRED + [Ranking(f"new {i}", ["x", "y"], [1, 2]) for i in range(50)])
    assert len(grown) == 30 and len(grown & before) >= 15


def test_the_seed_draws_others():
    assert len(held_out(HUNDRED, seed=1) & held_out(HUNDRED, seed=2)) < 10
    assert {prompt for seed in range(60) for prompt in held_out(HUNDRED, seed)} == {
        ranking.prompt for ranking in HUNDRED
    }
