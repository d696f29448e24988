"""Who may import whom: the house has no circle, and no arrow that runs back up."""

import ast

import pytest
from conftest import ROOT

BELOW = {
    "data": set(),
    "ranking": {"data"},
    "evaluation": {"data"},
    "model": {"data"},
    "training": {"data", "model", "evaluation"},
    "jobs": {"data", "ranking", "model", "evaluation", "training"},
}


def imported_rooms(path) -> set[str]:
    modules = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            modules.append(node.module or "")
        elif isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
    return {
        module.split(".")[1] for module in modules if module.startswith("preference.") and module.split(".")[1] in BELOW
    }


@pytest.mark.parametrize("room", BELOW)
def test_a_room_imports_only_what_lies_below(room):
    for path in (ROOT / "preference" / room).glob("*.py"):
        assert imported_rooms(path) <= BELOW[room] | {room}, path.name


def test_the_ground_floor_imports_no_room():
    for path in (ROOT / "preference").glob("*.py"):
        assert not imported_rooms(path), path.name
