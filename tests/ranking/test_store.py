import pytest

from preference.errors import InputError
from preference.ranking.store import RankingFile, RankingLog


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data.csv"


def test_a_new_file_gets_the_header_and_the_answers_best_first(path):
    file = RankingFile(path)
    file.add("p, q", ["worst", "best", "middle\nline"], [3, 1, 2])
    assert path.read_text() == 'prompt,answer,rank\n"p, q",best,1\n"p, q","middle\nline",2\n"p, q",worst,3\n'
    assert file.prompts() == {"p, q"}


def test_other_rows_stay_byte_for_byte(path):
    before = b'\xef\xbb\xbfnote,rank,answer,prompt\r\n"my ""own"" note",1.0,"a\r\nb",hand\r\n,2,c,hand'
    path.write_bytes(before)
    file = RankingFile(path)
    file.add("p", ["x", "y"], [2, 1])
    assert path.read_bytes() == before + b"\r\n,1,y,p\r\n,2,x,p\r\n"
    file.add("r", ["x", "y"], [1, 2])
    assert file.remove("p", ["x", "y"], [2, 1])
    assert path.read_bytes() == before + b"\r\n,1,x,r\r\n,2,y,r\r\n"


def test_rows_added_by_hand_meanwhile_stay(path):
    file = RankingFile(path)
    file.add("p", ["x", "y"], [1, 2])
    with open(path, "a") as by_hand:
        by_hand.write("hand,a,1\nhand,b,2\n")
    file.add("q", ["x", "y"], [1, 2])
    assert file.remove("p", ["x", "y"], [1, 2])
    assert path.read_text() == "prompt,answer,rank\nhand,a,1\nhand,b,2\nq,x,1\nq,y,2\n"


def test_rows_changed_by_hand_are_not_removed(path):
    file = RankingFile(path)
    file.add("p", ["x", "y"], [1, 2])
    changed = path.read_text().replace("p,y,2", "p,y,3")
    path.write_text(changed)
    assert not file.remove("p", ["x", "y"], [1, 2])
    assert path.read_text() == changed


def test_a_second_ranker_is_refused_until_the_first_is_done(path):
    first = RankingFile(path)
    with pytest.raises(InputError) as caught:
        RankingFile(path)
    assert str(caught.value) == f"{path}: another ranker is working on this file; finish that one first, or choose another --data"
    first.close()
    RankingFile(path).close()


def test_the_lock_file_goes_before_the_lock_does(path, monkeypatch):
    first = RankingFile(path)
    release, at_release = first._lock.release, []

    def watched():
        at_release.append(path.with_name(path.name + ".lock").exists())
        release()
        at_release.append(RankingFile(path))  # the next ranker starts at once

    monkeypatch.setattr(first._lock, "release", watched)
    first.close()
    existed, second = at_release
    assert not existed
    with pytest.raises(InputError, match="another ranker"):  # closing the first leaves the second's lock alone
        RankingFile(path)
    second.close()


def test_a_wrong_csv_is_refused_before_anything_is_ranked(path):
    path.write_text("prompt;answer;rank\n")
    with pytest.raises(InputError, match="the columns are not separated by commas"):
        RankingFile(path)


def test_the_log_knows_what_stands(tmp_path):
    log = RankingLog(tmp_path / "log.jsonl", "data.csv")
    for prompt in "abc":
        log.add("ranked", prompt=prompt)
    log.add("undone", prompt="c")
    log.add("undone", prompt="b")
    log.add("ranked", prompt="d")
    with open(tmp_path / "log.jsonl", "a") as file:
        file.write('{"event": "ra')  # a crash
    again = RankingLog(tmp_path / "log.jsonl", "data.csv")
    again.add("ranked", prompt="e")
    assert [event["prompt"] for event in RankingLog(tmp_path / "log.jsonl", "data.csv").standing()] == ["a", "d", "e"]
    assert RankingLog(tmp_path / "log.jsonl", "other.csv").standing() == []  # another CSV's rankings are its own
