from dataclasses import replace

import numpy as np
import pytest

from preference.cache import cache_folder
from preference.data.rankings import read_rankings
from preference.model.base_models import find_base_model
from preference.training.review import keep_review, known_review, review_of
from preference.training.settings import TrainingSettings

TINY = TrainingSettings(max_length=64, max_steps=3, precision="fp32")
HELD_OUT = [[0, 3], [1], [2, 4]]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def rankings(sample_folder):
    return read_rankings(sample_folder / "training_data.csv").rankings


@pytest.fixture
def base(tiny_distilbert):
    return find_base_model(str(tiny_distilbert))


@pytest.fixture
def rewards(rankings):
    return np.random.default_rng(0).normal(size=20).astype(np.float32)


def test_a_review_is_known_for_the_very_same_rankings_and_settings_alone(rankings, base, rewards):
    never = "there was no review (review_rankings.py) of these rankings with these settings before the training"
    assert known_review(rankings, base, TINY) == (None, never)
    keep_review(rankings, base, TINY, rewards, HELD_OUT)
    expected = review_of(rankings, rewards, HELD_OUT, seed=TINY.seed)
    for same in (TINY, replace(TINY, validation_fraction=0.0), replace(TINY, device="cuda"), replace(TINY, precision="bf16")):
        found, why = known_review(rankings, base, same)
        assert (found.calibration, found.models, why) == (expected.calibration, 3, "")
        assert found.evaluation.metrics == expected.evaluation.metrics and found.evaluation.verdict == expected.evaluation.verdict
        assert (found.evaluation.rewards == rewards).all()
    for other, settings in ((rankings, replace(TINY, seed=1)), (rankings[1:], TINY), ([replace(rankings[0], group="ann"), *rankings[1:]], TINY)):
        assert known_review(other, base, settings) == (None, never)
    assert known_review(rankings, replace(base, used="another"), TINY) == (None, never)


def test_rows_in_another_order_keep_their_rewards(rankings, base, rewards):
    keep_review(rankings, base, TINY, rewards, HELD_OUT)
    turned = [replace(ranking, answers=ranking.answers[::-1], ranks=ranking.ranks[::-1]) for ranking in rankings[::-1]]  # as a spreadsheet sorts them
    found, _ = known_review(turned, base, TINY)
    assert (found.evaluation.rewards == rewards[::-1]).all()
    assert found.calibration.temperature == pytest.approx(review_of(rankings, rewards, HELD_OUT).calibration.temperature)


def test_ranks_that_were_changed_since_are_the_reason_that_is_given(rankings, base, rewards):
    keep_review(rankings, base, TINY, rewards, HELD_OUT)
    changed = [replace(rankings[0], ranks=rankings[0].ranks[::-1]), *rankings[1:]]
    assert known_review(changed, base, TINY) == (None, "the ranks were changed since their review (review_rankings.py)")


def test_a_damaged_record_counts_as_none(rankings, base, rewards):
    keep_review(rankings, base, TINY, rewards, HELD_OUT)
    (path,) = cache_folder("reviews").glob("*.json")
    whole = path.read_bytes()
    for damaged in (b"", whole[:-20], b"[1]", b"{}", b"\xff\xfe", b"[[1, 0.5, 0]]", whole.replace(b"0.", b'"x"', 1), b"[" * 100_000):
        path.write_bytes(damaged)
        assert known_review(rankings, base, TINY)[0] is None
