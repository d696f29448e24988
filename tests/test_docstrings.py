import doctest
import importlib

import pytest
from conftest import ROOT

MODULES = sorted(path.stem for path in (ROOT / "preference").glob("[a-z]*.py"))
WITH_EXAMPLES = {"batching", "candidates", "metrics", "objectives", "ranking_input", "rankings", "resuming", "terminal"}


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
