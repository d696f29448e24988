import doctest
import importlib

import pytest
from conftest import ROOT

PACKAGE = ROOT / "preference"
MODULES = sorted(".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("[a-z]*.py"))
WITH_EXAMPLES = {
    "data.answers", "data.candidates", "data.dialogues", "data.folds", "data.gathering", "data.rankings", "data.records",
    "data.source_values", "data.splits", "data.target_formats", "evaluation.calibration", "evaluation.disputes", "evaluation.metrics",
    "evaluation.reversed_ranks", "evaluation.scale", "model.attention", "model.encoding", "model.unpadding_modernbert",
    "ranking.again_loop", "ranking.loop", "ranking.order", "ranking.self_agreement", "ranking.terminal",
    "training.batching", "training.earlier_model", "training.model_card", "training.objectives", "training.record", "training.resuming",
    "training.saving", "training.settings", "training.train", "wording",
}  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_show(name, sample_folder, monkeypatch):
    monkeypatch.chdir(sample_folder)
    results = doctest.testmod(importlib.import_module(f"preference.{name}"))
    assert results.failed == 0
    assert results.attempted > 0 or name not in WITH_EXAMPLES


@pytest.mark.parametrize("name", MODULES)
def test_public_functions_say_what_they_do(name):
    module = importlib.import_module(f"preference.{name}")
    assert module.__doc__
    for attribute, value in vars(module).items():
        if not attribute.startswith("_") and callable(value) and getattr(value, "__module__", "") == module.__name__:
            assert value.__doc__, f"{name}.{attribute}"
