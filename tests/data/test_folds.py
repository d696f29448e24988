import pytest

from preference.data.rankings import Ranking
from preference.data.splits import folds_by_prompt


def synthetic_rankings(prompts: int, each: int = 1) -> list[Ranking]:
    return [Ranking(f"p{i}", ["x", f"y{k}"], [1, 2]) for i in range(prompts) for k in range(each)]


@pytest.mark.parametrize("prompts, folds", [(2, 2), (9, 9), (10, 5), (53, 5)])
def test_every_prompt_is_held_out_once_and_never_trained_on_there(prompts, folds):
    some = synthetic_rankings(prompts, each=2)
    found = folds_by_prompt(some, seed=1)
    assert len(found) == folds
    assert sorted(i for fold in found for i in fold.validation) == list(range(2 * prompts))
    for fold in found:
        assert sorted([*fold.training, *fold.validation]) == list(range(2 * prompts))
        assert not {some[i].prompt for i in fold.training} & {some[i].prompt for i in fold.validation}
    sizes = [len({some[i].prompt for i in fold.validation}) for fold in found]
    assert max(sizes) - min(sizes) <= 1


def test_folds_do_not_depend_on_the_order_of_the_file():
    some = synthetic_rankings(30)
    prompts = [{some[i].prompt for i in fold.validation} for fold in folds_by_prompt(some, seed=3)]
    backwards = some[::-1]
    assert [{backwards[i].prompt for i in fold.validation} for fold in folds_by_prompt(backwards, seed=3)] == prompts
    assert [{some[i].prompt for i in fold.validation} for fold in folds_by_prompt(some, seed=4)] != prompts


def test_one_prompt_is_refused():
    with pytest.raises(ValueError, match="at least two prompts"):
        folds_by_prompt(synthetic_rankings(1, each=5), seed=0)
