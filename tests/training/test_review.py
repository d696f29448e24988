from dataclasses import replace

import numpy as np
import pytest

from preference.data.rankings import Rankings, read_rankings
from preference.data.splits import Parts
from preference.data.tables import Table
from preference.errors import InputError
from preference.jobs.material import Material
from preference.jobs.review import check_unseen
from preference.jobs.training import make_report
from preference.model.base_models import find_base_model
from preference.training.probe import review_states
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


def test_every_prompt_is_scored_by_a_probe_that_never_saw_it(rankings, trained):
    states = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
    start = trained.start
    review = review_states(start, states, rankings)
    assert (
        review.models == 5 and review.evaluation.part == "cross-validation" and review.evaluation.rankings == rankings
    )
    turned = [replace(rankings[0], ranks=rankings[0].ranks[::-1]), *rankings[1:]]
    other = review_states(start, states, turned).evaluation.rewards
    assert (other[:4] == review.evaluation.rewards[:4]).all() and (other[4:] != review.evaluation.rewards[4:]).any()
    assert review_states(start, states[:4], rankings[:1]) is None


@pytest.fixture
def material(rankings):
    """Return a function that makes the material of a training, whose base model had seen some prompts."""

    def make(known=()) -> Material:
        keys = {ranking.key for ranking in known}
        data = Rankings(Table("mine.csv", "csv", [], [], []), rankings)
        return Material(data, None, rankings, Parts([*range(5)], []), None, keys)

    return make


def test_a_training_is_reviewed_without_what_its_base_model_had_seen(rankings, trained, material):
    assert make_report(material(), trained).review.evaluation.metrics.prompts == 5
    kept = make_report(material(rankings[2:3]), trained).review.evaluation
    assert kept.rankings == [*rankings[:2], *rankings[3:]] and len(kept.rewards) == 16
    assert make_report(material(rankings), trained).review is None
    assert make_report(material(), replace(trained, states=None)).review is None  # layers were trained


def test_where_nothing_is_unseen_what_it_has_learned_from_is_scored(rankings, trained, material):
    [found] = make_report(material(rankings), trained).evaluations
    assert found.part == "training" and found.rankings == rankings
    np.testing.assert_allclose(found.rewards, trained.rewards, atol=1e-4)


def test_a_reward_model_is_no_base_for_a_review_of_what_it_has_seen(rankings, tiny_reward_model, sample_folder):
    base = find_base_model(str(tiny_reward_model))
    check_unseen(read_rankings(sample_folder / "test_data.csv").rankings, base)
    with pytest.raises(
        InputError, match="was trained on 5 of the 5 prompts of these rankings, so none of these prompts is unseen"
    ):
        check_unseen(rankings, base)
