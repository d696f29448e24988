import os
import time
from dataclasses import replace

import numpy as np
import pytest
from filelock import FileLock

from preference.cache import cache_folder
from preference.data.folds import folds_by_prompt
from preference.data.rankings import read_rankings
from preference.errors import InputError
from preference.model.base_models import find_base_model
from preference.training import cross_validation
from preference.training.cross_validation import cross_validate, estimate_seconds, fold_key, known_folds, known_outcome, save_outcome
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


def test_an_outcome_is_known_for_the_very_same_rankings_and_settings_alone(rankings, base):
    assert known_outcome(rankings, base, TINY) is None
    save_outcome(rankings, base, TINY, {"temperature": 0.5, "error_after": None})
    for same in (TINY, replace(TINY, validation_fraction=0.0), replace(TINY, device="cuda"), replace(TINY, precision="bf16")):
        assert known_outcome(rankings, base, same) == {"temperature": 0.5, "error_after": None}
    in_another_order = [replace(ranking, answers=ranking.answers[::-1], ranks=ranking.ranks[::-1]) for ranking in rankings[::-1]]
    assert known_outcome(in_another_order, base, TINY) is not None  # as a spreadsheet sorts them
    assert known_outcome(rankings, base, replace(TINY, seed=1)) is None
    assert known_outcome(rankings[1:], base, TINY) is None
    assert known_outcome([replace(rankings[0], group="ann"), *rankings[1:]], base, TINY) is None
    assert known_outcome([replace(rankings[0], ranks=rankings[0].ranks[::-1]), *rankings[1:]], base, TINY) is None
    assert known_outcome(rankings, replace(base, used="another"), TINY) is None


def test_a_damaged_outcome_counts_as_none(rankings, base):
    save_outcome(rankings, base, TINY, {"temperature": 0.5})
    (path,) = cache_folder("reviews").glob("*.json")
    for damaged in (b"", b'{"temperature": 0', b"[1]", b"\xff\xfe"):
        path.write_bytes(damaged)
        assert known_outcome(rankings, base, TINY) is None


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
