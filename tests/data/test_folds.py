import pytest

from preference.data.folds import LEAST_FOR_CURVE, folds_by_prompt, shrink_fold, smaller_folds, trained_prompts
from preference.data.rankings import Ranking


def synthetic_rankings(prompts: int, each: int = 1) -> list[Ranking]:
    return [Ranking(f"p{i}", ["x", f"y{k}"], [1, 2]) for i in range(prompts) for k in range(each)]


@pytest.mark.parametrize("prompts, folds", [(2, 2), (9, 9), (10, 5), (53, 5)])
def test_every_prompt_is_held_out_once_and_never_trained_on_there(prompts, folds):
    some = synthetic_rankings(prompts, each=2)
    found = folds_by_prompt(some, 0.2, seed=1)
    assert len(found) == folds
    assert sorted(i for fold in found for i in fold.held_out) == list(range(2 * prompts))
    for fold in found:
        assert sorted([*fold.parts.training, *fold.parts.validation, *fold.held_out]) == list(range(2 * prompts))
        parts = [{some[i].prompt for i in part} for part in (fold.parts.training, fold.parts.validation, fold.held_out)]
        assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    sizes = [len({some[i].prompt for i in fold.held_out}) for fold in found]
    assert max(sizes) - min(sizes) <= 1


def test_folds_do_not_depend_on_the_order_of_the_file():
    some = synthetic_rankings(30)
    prompts = [{some[i].prompt for i in fold.held_out} for fold in folds_by_prompt(some, 0.2, seed=3)]
    backwards = some[::-1]
    assert [{backwards[i].prompt for i in fold.held_out} for fold in folds_by_prompt(backwards, 0.2, seed=3)] == prompts
    assert [{some[i].prompt for i in fold.held_out} for fold in folds_by_prompt(some, 0.2, seed=4)] != prompts


def test_one_prompt_is_refused():
    with pytest.raises(ValueError, match="at least two prompts"):
        folds_by_prompt(synthetic_rankings(1, each=5), 0.2, seed=0)


def prompts_of(some, fold):
    return {some[i].prompt for part in fold.parts for i in part}


def test_smaller_folds_are_nested_and_hold_out_the_same():
    some = synthetic_rankings(50, each=2)
    folds = folds_by_prompt(some, 0.2, seed=1)
    shares = [*smaller_folds(some, folds, 0.2, seed=1), folds]
    assert [[trained_prompts(some, fold) for fold in share] for share in shares] == [[5] * 5, [10] * 5, [20] * 5, [40] * 5]
    for fewer, more in zip(shares, shares[1:], strict=False):
        for small, large in zip(fewer, more, strict=True):
            assert prompts_of(some, small) < prompts_of(some, large) and small.held_out == large.held_out
            parts = [{some[i].prompt for i in part} for part in small.parts]
            assert not parts[0] & parts[1] and len(parts[1]) == round(0.2 * trained_prompts(some, small))


@pytest.mark.parametrize("prompts, shares", [(2, []), (3, []), (4, [2]), (8, [2, 4]), (10, [2, 4])])
def test_shares_that_are_alike_are_trained_once(prompts, shares):
    some = synthetic_rankings(prompts)
    folds = folds_by_prompt(some, 0.2, seed=1)
    assert [trained_prompts(some, smaller[0]) for smaller in smaller_folds(some, folds, 0.2, seed=1)] == shares
    assert bool(shares) == (prompts >= LEAST_FOR_CURVE)


def test_a_whole_share_is_the_fold_itself():
    some = synthetic_rankings(23, each=2)
    for fold in folds_by_prompt(some, 0.2, seed=4):
        assert shrink_fold(some, fold, 1.0, 0.2, seed=4) == fold
