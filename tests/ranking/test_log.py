import json

import pytest

from preference.errors import InputError
from preference.ranking.store import RankingLog


def test_the_log_knows_what_stands(tmp_path):
    log = RankingLog(tmp_path / "log.jsonl", tmp_path / "data.csv")
    for prompt in "abc":
        log.add("ranked", (prompt, "", ""), answers=["x"], ranks=[1])
    log.add("undone", ("c", "", ""))
    log.add("discarded", ("e", "", ""))
    log.add("undone", ("b", "", ""))
    log.add("ranked", ("d", "", ""), answers=["x"], ranks=[1])
    again = RankingLog(tmp_path / "log.jsonl", tmp_path / "data.csv")
    assert [event.prompt for event in again.standing] == ["a", "d"]
    assert [event.prompt for event in again.undoable] == ["a", "e", "d"]
    assert RankingLog(tmp_path / "log.jsonl", tmp_path / "other.csv").events == []  # another CSV's rankings are its own


RANKED = {"event": "ranked", "data": "data.csv", "prompt": "p", "answers": ["x", "y"], "ranks": [1, 2]}


@pytest.mark.parametrize(
    "line, problem",
    [
        ("Remember the milk", "not JSON: 'Remember the milk'; write one object per line, or delete the line"),
        (json.dumps(RANKED)[:-9], "not JSON: "),
        ({"data": "data.csv", "prompt": "p"}, 'no "event"; this is not a ranking log: choose another --log'),
        ({**RANKED, "event": 3}, 'no "event"; this is not a ranking log'),
        (
            {**RANKED, "prompt": None},
            'a "ranked" event needs prompt, answers, ranks, lists of one length; delete the line, or choose',
        ),
        ({**RANKED, "answers": "xy"}, 'a "ranked" event needs '),
        ({**RANKED, "ranks": [1]}, 'a "ranked" event needs '),
        ({"event": "undone", "data": "data.csv"}, 'an "undone" event needs prompt'),
        ({**RANKED, "event": "reranked", "group": ""}, 'a "reranked" event needs prompt, answers, ranks, old_ranks'),
    ],
)
@pytest.mark.parametrize("end", ["\n", ""])
def test_a_line_that_is_no_event_is_refused_and_stays(tmp_path, line, problem, end):
    path = tmp_path / "notes.txt"
    path.write_text(json.dumps(RANKED) + "\n" + (line if isinstance(line, str) else json.dumps(line)) + end)
    before = path.read_bytes()
    with pytest.raises(InputError) as caught:
        RankingLog(path, tmp_path / "data.csv")
    assert str(caught.value).startswith(f"{path}:2: {problem}") and path.read_bytes() == before


def test_events_of_other_versions_are_read(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"event": "ended", "data": "data.csv"}) + "\n\n" + json.dumps(RANKED | {"new": 1}))
    assert [event.kind for event in RankingLog(path, tmp_path / "data.csv").events] == ["ranked"]
    assert RankingLog(tmp_path / "none", tmp_path / "data.csv").events == []
