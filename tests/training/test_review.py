from dataclasses import replace

import numpy as np
import pytest

from preference.data.rankings import read_rankings
from preference.data.splits import Parts
from preference.errors import InputError
from preference.model.base_models import find_base_model
from preference.training.review import check_unseen, evaluate_seen, review_of, review_states
from preference.training.settings import TrainingSettings
from preference.training.train import train

TINY = TrainingSettings(max_length=64, max_steps=1, precision="fp32")


@pytest.fixture
def rankings(sample_folder):
    return read_rankings(sample_folder / "training_data.csv").rankings


@pytest.fixture
def trained(rankings, tiny_distilbert, tmp_path):
    return train(
        rankings, Parts([*range(5)], []), find_base_model(str(tiny_distilbert)), TINY, checkpoints=tmp_path / "c"
    )


def test_every_prompt_is_scored_by_a_probe_that_never_saw_it(rankings):
    states = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
    review = review_states(states, rankings, "regression", seed=1)
    assert (
        review.models == 5 and review.evaluation.part == "cross-validation" and review.evaluation.rankings == rankings
    )
    turned = [replace(rankings[0], ranks=rankings[0].ranks[::-1]), *rankings[1:]]
    other = review_states(states, turned, "regression", seed=1).evaluation.rewards
    assert (other[:4] == review.evaluation.rewards[:4]).all() and (other[4:] != review.evaluation.rewards[4:]).any()
    assert review_states(states[:4], rankings[:1], "regression", seed=1) is None


def test_a_training_is_reviewed_without_what_its_base_model_had_seen(rankings, trained):
    assert review_of(trained, rankings, lambda ranking: True).evaluation.metrics.prompts == 5
    some = review_of(trained, rankings, lambda ranking: ranking is not rankings[2]).evaluation
    assert some.rankings == [*rankings[:2], *rankings[3:]] and len(some.rewards) == 16
    assert review_of(trained, rankings, lambda ranking: False) is None
    assert review_of(replace(trained, states=None), rankings, lambda ranking: True) is None  # layers were trained


def test_what_it_has_learned_from_is_known_already(rankings, trained):
    found = evaluate_seen(trained, rankings, [1, 3])
    assert found.part == "training" and found.rankings == [rankings[1], rankings[3]]
    np.testing.assert_allclose(found.rewards, trained.rewards[[4, 5, 6, 7, 12, 13, 14, 15]], atol=1e-4)


def test_a_reward_model_is_no_base_for_a_review_of_what_it_has_seen(rankings, tiny_reward_model, sample_folder):
    base = find_base_model(str(tiny_reward_model))
    check_unseen(read_rankings(sample_folder / "test_data.csv").rankings, base)
    with pytest.raises(
        InputError, match="was trained on 5 of the 5 prompts of these rankings, so no probe of it can be asked"
    ):
        check_unseen(rankings, base)
