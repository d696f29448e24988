import doctest
import importlib

import pytest
from conftest import ROOT

PACKAGE = ROOT / "preference"
MODULES = sorted(".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("[a-z]*.py"))


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_show(name, sample_folder, monkeypatch):
    monkeypatch.chdir(sample_folder)
    results = doctest.testmod(importlib.import_module(f"preference.{name}"))
    assert results.failed == 0


def test_many_modules_have_examples():
    finder = doctest.DocTestFinder()
    modules = [importlib.import_module(f"preference.{name}") for name in MODULES]
    assert sum(any(test.examples for test in finder.find(module)) for module in modules) > len(MODULES) / 4


@pytest.mark.parametrize("name", MODULES)
def test_public_functions_say_what_they_do(name):
    module = importlib.import_module(f"preference.{name}")
    assert module.__doc__
    for attribute, value in vars(module).items():
        if not attribute.startswith("_") and callable(value) and getattr(value, "__module__", "") == module.__name__:
            assert value.__doc__, f"{name}.{attribute}"
