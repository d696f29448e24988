import re

import pytest

from preference import durable_files
from preference.errors import InputError
from preference.ranking.log import RankingLog
from preference.ranking.store import RankingStore


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data.csv"


def open_store(path) -> RankingStore:
    return RankingStore(path, path.with_name("log.jsonl"))


def test_a_new_file_gets_the_header_and_the_answers_best_first(path):
    store = open_store(path)
    store.add("p, q", ["worst", "best", "middle\nline"], [3, 1, 2])
    assert path.read_text() == 'prompt,answer,rank\n"p, q",best,1\n"p, q","middle\nline",2\n"p, q",worst,3\n'
    assert store.prompts() == {"p, q"}


def test_other_rows_stay_byte_for_byte(path):
    before = b'\xef\xbb\xbfnote,rank,answer,prompt\r\n"my ""own"" note",1.0,"a\r\nb",hand\r\n,2,c,hand'
    path.write_bytes(before)
    store = open_store(path)
    store.add("p", ["x", "y"], [2, 1])
    assert path.read_bytes() == before + b"\r\n,1,y,p\r\n,2,x,p\r\n"
    store.add("r", ["x", "y"], [1, 2])
    assert store.remove("p", ["x", "y"], [2, 1])
    assert path.read_bytes() == before + b"\r\n,1,x,r\r\n,2,y,r\r\n"


def test_rows_added_by_hand_meanwhile_stay(path):
    store = open_store(path)
    store.add("p", ["x", "y"], [1, 2])
    with open(path, "a") as by_hand:
        by_hand.write("hand,a,1\nhand,b,2\n")
    store.add("q", ["x", "y"], [1, 2])
    assert store.remove("p", ["x", "y"], [1, 2])
    assert path.read_text() == "prompt,answer,rank\nhand,a,1\nhand,b,2\nq,x,1\nq,y,2\n"


def test_rows_changed_by_hand_are_not_removed(path):
    store = open_store(path)
    store.add("p", ["x", "y"], [1, 2])
    changed = path.read_text().replace("p,y,2", "p,y,3")
    path.write_text(changed)
    assert not store.remove("p", ["x", "y"], [1, 2])
    assert path.read_text() == changed


def test_a_second_ranker_is_refused_until_the_first_is_done(path):
    first = open_store(path)
    with pytest.raises(InputError) as caught:
        open_store(path)
    assert str(caught.value) == f"{path}: another ranker is working on this file; finish that one first, or choose another --data"
    first.close()
    open_store(path).close()


def test_the_lock_file_goes_before_the_lock_does(path, monkeypatch):
    first = open_store(path)
    release, at_release = durable_files.FileLock.release, []

    def watched(lock, **options):
        monkeypatch.undo()
        at_release.append(path.with_name(path.name + ".lock").exists())
        release(lock, **options)
        at_release.append(open_store(path))  # the next ranker starts at once

    monkeypatch.setattr(durable_files.FileLock, "release", watched)
    first.close()
    existed, second = at_release
    assert not existed
    with pytest.raises(InputError, match="another ranker"):  # closing the first leaves the second's lock alone
        open_store(path)
    second.close()


def test_rows_edited_by_hand_meanwhile_stay(path):
    """Also where the file keeps its size, loses rows, gets another column, or is replaced by a copy."""
    store = open_store(path)
    store.add("p", ["x", "y"], [1, 2])
    path.write_text(path.read_text().replace("p,x,1", "p,z,1"))
    store.add("q", ["x", "y"], [1, 2])
    assert path.read_text() == "prompt,answer,rank\np,z,1\np,y,2\nq,x,1\nq,y,2\n"
    path.write_text("rank,note,prompt,answer\r\n1,by hand,h,a")
    store.add("r", ["x", "y"], [1, 2])
    assert path.read_bytes() == b"rank,note,prompt,answer\r\n1,by hand,h,a\r\n1,,r,x\r\n2,,r,y\r\n"
    assert store.prompts() == {"h", "r"}
    copy = path.with_name("copy.csv")
    copy.write_text("prompt,answer,rank\nh,b,1\n")
    copy.replace(path)
    store.add("s", ["x"], [1])
    assert path.read_text() == "prompt,answer,rank\nh,b,1\ns,x,1\n"
    path.unlink()
    store.add("t", ["x"], [1])
    assert path.read_text() == "prompt,answer,rank\nt,x,1\n"


def test_rows_that_follow_the_last_ranking_stay_when_it_is_undone(path):
    store = open_store(path)
    store.add("p", ["x", "two\nlines"], [1, 2])
    with open(path, "a") as by_hand:
        by_hand.write("hand,a,1")
    assert store.remove("p", ["x", "two\nlines"], [1, 2])
    assert path.read_text() == "prompt,answer,rank\nhand,a,1"


def test_a_csv_broken_by_hand_meanwhile_takes_no_ranking(path):
    store = open_store(path)
    store.add("p", ["x", "y"], [1, 2])
    broken = path.read_text() + "q,x\n"
    path.write_text(broken)
    with pytest.raises(InputError, match=":4: 2 cells where the header has 3"):
        store.add("r", ["x", "y"], [1, 2])
    assert path.read_text() == broken and [event["prompt"] for event in store.log.standing] == ["p"]


@pytest.mark.parametrize("before", [None, b"prompt,answer,rank\nh,a,1\n", b'prompt,rank,answer\r\nh,1,"a\r\nb"', b"\xef\xbb\xbfprompt,answer,rank"])
def test_rows_that_a_crash_cut_are_completed_from_the_log(path, before):
    """The file may end anywhere in the last ranking: the log has been written by then."""
    if before:
        path.write_bytes(before)
    store = open_store(path)
    store.add("p", ["x", "y"], [2, 1])
    store.add("q, r", ["ü", "two\nlines"], [1, 2])
    size, whole, log = store.log.events[-1]["csv_size"], path.read_bytes(), store.log.path.read_bytes()
    store._lock.close()  # as the system does when the process dies
    assert size < len(whole)
    for end in range(size, len(whole) + 1):
        for zeros in (b"", b"\0" * (len(whole) - end)):
            path.write_bytes(whole[:end] + zeros)
            store.log.path.write_bytes(log)
            open_store(path).close()
            assert path.read_bytes() == whole


def test_the_first_ranking_of_all_is_completed_too(path):
    store = open_store(path)
    store.add("p", ["x", "y"], [2, 1])
    whole = path.read_bytes()
    store._lock.close()
    path.unlink()
    open_store(path).close()
    assert path.read_bytes() == whole


def test_rows_that_were_deleted_by_hand_do_not_come_back(path):
    store = open_store(path)
    store.add("p", ["x", "y"], [1, 2])
    before = path.read_bytes()
    store.add("q", ["x", "y"], [1, 2])
    store.close()
    path.write_bytes(before)
    open_store(path).close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"\n", b"\n" * 500, b"\xef\xbb\xbf"])
def test_a_csv_that_was_emptied_after_the_last_ranking(path, content):
    """A start looks whether the rows of the last ranking are there: also in a file without a header, whatever its size."""
    store = open_store(path)
    store.add("p", ["x", "y"], [1, 2])
    store.add("q", ["x", "y"], [1, 2])
    store._lock.close()
    path.write_bytes(content)
    with pytest.raises(InputError, match=":1: the file is empty; its first line must be prompt,answer,rank$"):
        open_store(path)
    assert path.read_bytes() == content


def test_another_file_of_the_same_size_is_left_alone(path):
    store = open_store(path)
    store.add("p", ["x", "y"], [1, 2])
    size = path.stat().st_size
    store.add("q", ["x", "y"], [1, 2])
    store._lock.close()
    path.write_text("a;b;c\n".ljust(size - 1, "x") + "\n")
    before = path.read_bytes()
    assert len(before) == size
    with pytest.raises(InputError, match="no column 'prompt'"):
        open_store(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("text, what", [("a\0", "a NUL character"), ("\ud800", "half of a surrogate pair")])
def test_what_no_csv_can_hold_is_not_added(path, text, what):
    store = open_store(path)
    store.add("p", ["x", "y"], [1, 2])
    before = path.read_bytes(), store.log.path.read_bytes()
    for prompt, answers in ((text, ["x", "y"]), ("q", ["x", text])):
        with pytest.raises(InputError) as caught:
            store.add(prompt, answers, [1, 2])
        assert str(caught.value) == f"{path}: {what} in {text!r}; remove it"
    assert (path.read_bytes(), store.log.path.read_bytes()) == before


def test_a_link_to_a_file_that_does_not_exist_yet_is_followed(path):
    path.symlink_to("linked.csv")
    store = open_store(path)
    store.add("p", ["x", "y"], [1, 2])
    store.close()
    assert path.is_symlink() and path.with_name("linked.csv").read_text() == "prompt,answer,rank\np,x,1\np,y,2\n"


def test_a_log_without_sizes_still_works(path):
    store = open_store(path)
    store.add("p", ["x", "y"], [1, 2])
    store.close()
    before = path.read_bytes()
    log = store.log.path
    log.write_text("".join(re.sub(r', "csv_size": \d+', "", line) + "\n" for line in log.read_text().splitlines() if '"ended"' not in line))
    store = open_store(path)
    assert path.read_bytes() == before and [event["prompt"] for event in store.log.standing] == ["p"]
    assert store.remove("p", ["x", "y"], [1, 2])


def test_a_wrong_csv_is_refused_before_anything_is_ranked(path):
    path.write_text("prompt;answer;rank\n")
    with pytest.raises(InputError, match="the columns are not separated by commas"):
        open_store(path)


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
    assert [event["prompt"] for event in RankingLog(tmp_path / "log.jsonl", "data.csv").standing] == ["a", "d", "e"]
    assert RankingLog(tmp_path / "log.jsonl", "other.csv").standing == []  # another CSV's rankings are its own


def test_an_undoing_that_a_crash_cut_is_completed_from_the_log(path):
    store = open_store(path)
    store.add("p", ["x", "y"], [1, 2], recheck=False)
    kept = path.read_bytes()
    store.add("q", ["x", "y"], [1, 2], recheck=False)
    both = path.read_bytes()
    assert store.undo(store.log.standing[-1])
    store._lock.close()
    for content in (both, kept, both + b"r,by hand,1\n"):
        path.write_bytes(content)
        log = store.log.path.read_bytes()
        open_store(path).close()
        assert path.read_bytes() == content.replace(both, kept)
        store.log.path.write_bytes(log)
    open_store(path).close()  # ends well
    path.write_bytes(both)  # brought back by hand
    open_store(path).close()
    assert path.read_bytes() == both


def test_what_a_killed_writer_left_is_removed_at_the_next_start(path):
    (path.parent / ".data.csv.abc123.tmp").write_text("half a")
    (path.parent / ".other.csv.abc123.tmp").write_text("half a")
    open_store(path).close()
    assert [left.name for left in path.parent.glob("*.tmp")] == [".other.csv.abc123.tmp"]
