import os
import time

import numpy as np
import pytest
from filelock import FileLock
from preference.training.cross_validation import cross_validate, estimate_seconds, fold_key, known_folds

from preference.cache import cache_folder
from preference.data.folds import folds_by_prompt
from preference.data.rankings import read_rankings
from preference.errors import InputError
from preference.model.base_models import find_base_model
from preference.training import cross_validation
from preference.training.settings import TrainingSettings

TINY = TrainingSettings(max_length=64, max_steps=3, precision="fp32")


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def rankings(sample_folder):
    return read_rankings(sample_folder / "training_data.csv").rankings


@pytest.fixture
def base(tiny_distilbert):
    return find_base_model(str(tiny_distilbert))


def test_folds_that_are_used_are_kept(rankings, base, monkeypatch):
    folds = folds_by_prompt(rankings, TINY.validation_fraction, TINY.seed)
    rewards = cross_validate(rankings, folds, base, TINY)
    monkeypatch.setattr(cross_validation, "train", lambda *arguments, **options: pytest.fail("a known fold was trained again"))
    for _ in range(2):
        for path in cache_folder("folds").glob("*.json"):
            os.utime(path, (time.time() - 20 * 86_400,) * 2)
        assert len(known_folds(rankings, folds, base, TINY)) == len(folds)
        assert min(path.stat().st_mtime for path in cache_folder("folds").glob("*.json")) > time.time() - 86_400
    assert (cross_validate(rankings, folds, base, TINY) == rewards).all()


def test_a_damaged_fold_is_trained_again(rankings, base):
    folds = folds_by_prompt(rankings, TINY.validation_fraction, TINY.seed)
    rewards = cross_validate(rankings, folds, base, TINY)
    first = min(cache_folder("folds").glob("*.json"))
    for damaged in (b"", b"[0.5, ", b"[0.5]", b"{}", b'["a"]', b"[NaN, NaN, NaN, NaN]", b"\xff"):
        first.write_bytes(damaged)
        assert len(known_folds(rankings, folds, base, TINY)) == len(folds) - 1
    assert np.array_equal(cross_validate(rankings, folds, base, TINY), rewards)
    assert known_folds(rankings, folds, base, TINY) == folds


def test_two_reviews_do_not_train_the_same_fold_at_once(rankings, base):
    folds = folds_by_prompt(rankings, TINY.validation_fraction, TINY.seed)
    kept = cache_folder("folds") / f"{fold_key(rankings, folds[0], base, TINY)}.json"
    with FileLock(f"{kept}.lock"), pytest.raises(InputError, match="another review is training on the same rankings; wait until it has ended"):
        cross_validate(rankings, folds, base, TINY)
    assert len(cross_validate(rankings, folds, base, TINY)) == sum(len(ranking.answers) for ranking in rankings)


def test_the_estimate_counts_what_a_fold_takes_besides_its_steps(rankings, base):
    folds = folds_by_prompt(rankings, TINY.validation_fraction, TINY.seed)
    estimate = estimate_seconds(rankings, folds, base, TINY)
    start = time.perf_counter()
    cross_validate(rankings, folds, base, TINY)
    seconds = time.perf_counter() - start
    assert seconds / 3 < estimate < 6 * seconds  # whatever else this machine does
    assert estimate_seconds(rankings, [], base, TINY) == 0
