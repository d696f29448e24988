import gzip
import os

import pytest
from pseudo_terminal import Terminal, shown_answers, write_candidates

from preference import durable_files
from preference.data.rankings import Ranking, read_rankings
from preference.data.table_writing import write_table
from preference.data.tables import GZIP, kind_of, read_table
from preference.errors import InputError
from preference.ranking.store import RankingStore
from ranking.spreadsheets import SPREADSHEETS


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data.csv"


def undo(store: RankingStore, prompt: str) -> bool:
    return store.undo([event for event in store.log.standing if event.prompt == prompt][-1])


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
    assert undo(store, "p")
    assert path.read_bytes() == before + b"\r\n,1,x,r\r\n,2,y,r\r\n"


UNUSUAL = (
    b'\xef\xbb\xbfsep=;\r\nMy rankings;;\r\n\r\n prompt ;"answer";rank;\r\n\r\nhand; a ;1,0;;\r\n\r\n'
    b'"hand";"b\r\n\r\nb";002\r\n;;\r\n', b' other;"c";"1"\nother;d;2\r\n'
)  # fmt: skip
UNUSUAL_LINES = (
    b'\xef\xbb\xbf{"prompt":"hand", "answer": "a","rank":1}\r\n\r\n{"prompt": "hand", "answer": "b", "rank": 2}\n',
    b'\n{"rank":1e0, "prompt":"other","answer":"\\u00e9","x":1e400,"y":0.10000000000000000555}\r\n',
)


@pytest.mark.parametrize("name, parts", [("d.csv", UNUSUAL), ("d.tsv", UNUSUAL), ("d.jsonl", UNUSUAL_LINES)])
@pytest.mark.parametrize("zipped", [False, True])
def test_undo_and_ranking_again_leave_other_rows_byte_for_byte(path, name, parts, zipped):
    """Line ends, blank lines, quotes, spaces, a title, numbers as they were typed."""
    path, before = path.with_name(name + ".gz" * zipped), b"".join(parts)
    path.write_bytes(gzip.compress(before) if zipped else before)

    def content() -> bytes:
        return gzip.decompress(path.read_bytes()) if zipped else path.read_bytes()

    store = open_store(path)
    store.add("p", ["x", "y"], [1, 2])
    store.add("q", ["x", "y"], [1, 2])
    assert undo(store, "p") and undo(store, "q")
    assert content() == before
    second = "b\r\n\r\nb" if parts is UNUSUAL else "b"
    store.change_ranks("reranked", ("hand", "", ""), ["a", second], [2, 1], [1, 2])
    assert store.ranks(("hand", "", "")) == {"a": 2, second: 1}
    assert content().endswith(parts[1]) and content().startswith(parts[0][: parts[0].index(b"hand") - 11])
    assert content().count(b"\r\n\r\n") == before.count(b"\r\n\r\n")
    store.change_ranks("restored", ("hand", "", ""), ["a", second], [1, 2], [2, 1])
    assert content().endswith(parts[1])


def test_rows_added_by_hand_meanwhile_stay(path):
    store = open_store(path)
    store.add("p", ["x", "y"], [1, 2])
    with open(path, "a") as by_hand:
        by_hand.write("hand,a,1\nhand,b,2\n")
    store.add("q", ["x", "y"], [1, 2])
    assert undo(store, "p")
    assert path.read_text() == "prompt,answer,rank\nhand,a,1\nhand,b,2\nq,x,1\nq,y,2\n"


def test_rows_changed_by_hand_are_not_removed(path):
    store = open_store(path)
    store.add("p", ["x", "y"], [1, 2])
    changed = path.read_text().replace("p,y,2", "p,y,3")
    path.write_text(changed)
    assert not undo(store, "p")
    assert path.read_text() == changed


def test_a_second_ranker_is_refused_until_the_first_is_done(path):
    first = open_store(path)
    with pytest.raises(InputError) as caught:
        open_store(path)
    assert (
        str(caught.value)
        == f"{path}: another ranker is working on this file; finish that one first, or choose another --data"
    )
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
    assert undo(store, "p")
    assert path.read_text() == "prompt,answer,rank\nhand,a,1"


def test_a_csv_broken_by_hand_meanwhile_takes_no_ranking(path):
    store = open_store(path)
    store.add("p", ["x", "y"], [1, 2])
    broken = path.read_text() + "q,x\n"
    path.write_text(broken)
    with pytest.raises(InputError, match=":4: 2 cells where the header has 3"):
        store.add("r", ["x", "y"], [1, 2])
    assert path.read_text() == broken and [event.prompt for event in store.log.standing] == ["p"]


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


def test_a_wrong_csv_is_refused_before_anything_is_ranked(path):
    path.write_text("prompt;answer;score\n")
    with pytest.raises(InputError, match="no column 'rank' in the header 'prompt,answer,score'"):
        open_store(path)
    path.write_text("prompt,answer,rank\np,a,1\np,b,first\nq,,2\n")
    with pytest.raises(InputError) as caught:
        open_store(path)
    assert str(caught.value) == (
        f"{path}:3: rank must be a number, not 'first'; write 1 for the best answer, 2 for the next\n"
        f"{path}:4: empty answer: ''; write the text or delete the row"
    )


@pytest.mark.parametrize("name", SPREADSHEETS)
def test_spreadsheets_are_continued_as_they_are(path, name):
    text, (a_before, a_after, b_before, b_after), added = SPREADSHEETS[name]
    path.write_bytes(text.encode())
    store, key = open_store(path), ("p", "", "")
    assert store.prompts() - {"q"} == {"p"} and store.ranks(key) == {"a": 1, "b;c": 2}
    store.add("new", ["x, w", "y;z"], [2, 1])
    assert path.read_bytes().decode() == text + added
    [new] = [ranking for ranking in read_rankings(path).rankings if ranking.prompt == "new"]
    assert new == Ranking("new", ["y;z", "x, w"], [1, 2])
    store.change_ranks("reranked", key, ["a", "b;c"], [2, 1], [1, 2])
    again = text.replace(a_before, a_after).replace(b_before, b_after)
    again += "\n" * (not again.endswith("\n"))
    assert path.read_bytes().decode() == again + added.lstrip("\n") and open_again(store).ranks(key) == {
        "a": 2,
        "b;c": 1,
    }
    assert Ranking("p", ["a", "b;c"], [2, 1]) in read_rankings(path).rankings
    store = open_again(store)
    assert undo(store, "new") and path.read_bytes().decode() == again
    store.close()


def test_a_spreadsheet_at_the_terminal(tmp_path):
    """What Excel saves as CSV UTF-8 where the decimal sign is a comma: continued, undone and continued, by a person at
    80 x 24."""
    text = '\ufeffsep=;\r\nPrompt;Answer;Rank;Rater;\r\nold;a;1,0;ann;\r\n;"b;c";2,0;ann;\r\nlater;x;;;\r\n'
    (tmp_path / "mine.csv").write_bytes(text.encode())
    write_candidates(tmp_path, ["old", "later", "last"], ["alpha", "beta; or two\nlines"])
    terminal = Terminal(tmp_path, "--data", "mine.csv", lines=24)
    terminal.rank("2 1")
    terminal.wait_for("done 2 · left 1")
    terminal.type("u")
    terminal.wait_for("done 1 · left 2")
    assert (tmp_path / "mine.csv").read_bytes().decode() == text
    best = shown_answers(tmp_path, "later")
    for _ in range(2):
        terminal.rank("1 2")
    terminal.wait_for("Press Enter to finish")
    terminal.type("")
    assert "3 done, 0 left" in terminal.summary() and terminal.child.exitstatus == 0
    written = (tmp_path / "mine.csv").read_bytes().decode()
    assert written.startswith(text) and written.count("\r\n") == text.count("\r\n") + 4 and "\r\nlast;" in written
    rankings = read_rankings(tmp_path / "mine.csv")
    assert [ranking.prompt for ranking in rankings.rankings] == ["old", "later", "last"] and rankings.unranked_rows == [
        5
    ]
    assert rankings.rankings[1] == Ranking("later", best, [1, 2])


def open_again(store: RankingStore) -> RankingStore:
    store.close()
    return open_store(store.path)


def test_a_row_that_has_its_prompt_from_the_rows_to_undo_keeps_it(path):
    path.write_text("prompt,answer,rank\nq,c,2\n,d,1\n")
    store = open_store(path)
    store.add("p", ["x", "y"], [1, 2])
    path.write_text(path.read_text() + ",by hand,3\n")
    assert undo(store, "p") and path.read_text() == "prompt,answer,rank\nq,c,2\n,d,1\np,by hand,3\n"


def test_a_new_tsv_has_tabs(path):
    store = open_store(path.with_name("data.tsv"))
    store.add("p", ["x", "y"], [2, 1])
    assert store.path.read_text() == "prompt\tanswer\trank\np\ty\t1\np\tx\t2\n"


NAMES = ["my.xlsx", "my.csv.gz", "my.jsonl", "my.json", "my.parquet", "my.xlsx.gz", "my.jsonl.gz"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("exists", [True, False])
def test_any_kind_of_table_is_ranked_into_and_keeps_its_form(path, name, exists):
    path = path.with_name(name)
    rows = [
        {"prompt": "p", "answer": "=a", "note": "n", "rank": 1},
        {"prompt": "p", "answer": "b", "note": "", "rank": 2},
    ]
    if exists:
        write_table(path, kind_of(name), list(rows[0]), rows)
    before = read_table(path) if exists else None
    store = open_store(path)
    store.add("new", ["x", "=1+1", "two\nlines"], [2, 1, 2])
    if exists:
        store.change_ranks("reranked", ("p", "", ""), ["=a", "b"], [2, 1], [1, 2])
    assert read_rankings(path).rankings == [
        *[Ranking("p", ["=a", "b"], [2, 1])] * exists,
        Ranking("new", ["=1+1", "two\nlines", "x"], [1, 2, 2]),
    ]
    store = open_again(store)
    assert store.prompts() == {"new", *["p"] * exists}
    if exists:
        store.change_ranks("restored", ("p", "", ""), ["=a", "b"], [1, 2], [2, 1])
    assert undo(store, "new") and not store.prompts() - {"p"}
    store.add("last", ["x", "y"], [1, 2])
    store.close()
    table = read_table(path)
    assert table.kind == kind_of(name) and path.read_bytes().startswith(GZIP) == name.endswith(".gz")
    if exists:
        assert table.columns == before.columns and table.records[:2] == before.records
    assert len(read_rankings(path)) == 1 + exists


def test_undo_in_a_file_that_was_new_leaves_what_was_added_by_hand(path):
    path = path.with_name("new.jsonl")
    store = open_store(path)
    store.add("q", ["a", "b"], [1, 2])
    mine = '{"prompt": "mine", "answer": "x", "rank": 1}\n'
    with open(path, "a") as file:
        file.write(mine)
    assert undo(store, "q") and path.read_text() == mine


def test_undo_in_a_file_that_came_back_leaves_its_other_rows(path):
    path.write_text("prompt,answer,rank,note\nz,a,1,k\nz,b,2,k\n")
    before = path.read_bytes()
    store = open_store(path)
    store.add("q", ["a", "b"], [1, 2])
    store.close()
    whole = path.read_bytes()
    path.unlink()
    store = open_store(path)
    path.write_bytes(whole)
    assert undo(store, "q") and path.read_bytes() == before


def test_undo_that_cannot_be_logged_leaves_the_ranking(path):
    path = path.with_name("new.jsonl")
    store = open_store(path)
    store.add("q", ["a", "b"], [1, 2])
    before = path.read_bytes()
    path.with_name("log.jsonl").rename(path.with_name("kept"))
    path.with_name("log.jsonl").mkdir()
    with pytest.raises(OSError):
        undo(store, "q")
    assert path.read_bytes() == before


def test_a_line_that_was_cut_short_is_an_error_and_stays(path):
    path = path.with_name("cut.jsonl")
    path.write_text('{"prompt": "p", "answer": "a", "rank": 1}\n{"prompt": "q", "ans')
    before = path.read_bytes()
    with pytest.raises(InputError, match="cut.jsonl:2"):
        open_store(path)
    assert path.read_bytes() == before


def test_a_tsv_keeps_its_title(path):
    path = path.with_name("mine.tsv")
    path.write_text("My title\nprompt\tanswer\trank\np\ta\t1\np\tb\t2\n")
    before = path.read_bytes()
    store = open_store(path)
    store.add("q", ["a", "b"], [1, 2])
    assert undo(store, "q") and path.read_bytes() == before


def test_a_workbook_keeps_bold_words_and_takes_rows_below_merged_cells(path):
    import openpyxl
    from openpyxl.cell.rich_text import CellRichText, TextBlock
    from openpyxl.cell.text import InlineFont

    book, path = openpyxl.Workbook(), path.with_name("mine.xlsx")
    bold = CellRichText("a ", TextBlock(InlineFont(b=True), "bold"))
    for row in (["prompt", "answer", "rank"], ["p", bold, 1], [None, "b", 2]):
        book.active.append(row)
    book.active.merge_cells("A2:A5")
    book.save(path)
    store = open_store(path)
    store.add("q", ["x", "y"], [2, 1])
    assert store.ranks(("p", "", "")) == {"a bold": 1, "b": 2} and store.ranks(("q", "", "")) == {"y": 1, "x": 2}
    assert openpyxl.load_workbook(path, rich_text=True).active["B2"].value == bold


def test_a_workbook_keeps_its_other_cells_sheets_and_formats(path):
    import openpyxl

    book = openpyxl.Workbook()
    sheet, notes = book.active, book.create_sheet("notes")
    for row in (
        ["My rankings"],
        [],
        ["Rank", "Prompt", "Answer", "Seen"],
        [1, "p", "a", 3.5],
        [None, "", ""],
        [2, None, "b"],
    ):
        sheet.append(row)
    sheet["C4"].font, sheet.column_dimensions["C"].width, notes["A1"] = openpyxl.styles.Font(bold=True), 50, "=1+1"
    path = path.with_name("mine.xlsx")
    book.save(path)
    store = open_store(path)
    assert store.ranks(("p", "", "")) == {"a": 1, "b": 2}
    store.add("q", ["x", "y"], [2, 1])
    store.add("r", ["x", "y"], [2, 1])
    assert undo(store, "r")
    store.change_ranks("reranked", ("p", "", ""), ["a", "b"], [2, 1], [1, 2])
    store.close()
    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    assert [row for row in sheet.iter_rows(values_only=True)] == [
        ("My rankings", None, None, None), (None,) * 4, ("Rank", "Prompt", "Answer", "Seen"), (2, "p", "a", 3.5),
        (None,) * 4, (1, None, "b", None), (1, "q", "y", None), (2, None, "x", None),
    ]  # fmt: skip
    assert sheet["C4"].font.bold and sheet.column_dimensions["C"].width == 50 and book["notes"]["A1"].value == "=1+1"
    sheet["A4"] = "=1+1"
    book.save(path)
    store = open_store(path)
    with pytest.raises(InputError, match="mine.xlsx: has formulas, whose results would be lost"):
        store.add("s", ["x", "y"], [2, 1])
    store.close()
    assert openpyxl.load_workbook(path).worksheets[0]["A4"].value == "=1+1"


@pytest.mark.parametrize("ended", ["close", "killed"])
def test_rows_that_were_deleted_by_hand_do_not_come_back(path, ended):
    store = open_store(path)
    store.add("p", ["x", "y"], [1, 2])
    before = path.read_bytes()
    store.add("q", ["x", "y"], [1, 2])
    store.close() if ended == "close" else store._lock.close()  # the latter as the system does when the process dies
    path.write_bytes(before)
    open_store(path).close()
    assert path.read_bytes() == before


def test_a_ranking_that_a_crash_kept_out_of_the_log_is_in_the_csv(path):
    """At every instant the CSV has all that was confirmed; the log may lack its last event."""
    store = open_store(path)
    store.add("p", ["x", "y"], [1, 2])
    log = store.log.path.read_bytes()
    store.add("q", ["x", "y"], [1, 2])
    store._lock.close()
    store.log.path.write_bytes(log)
    whole = path.read_bytes()
    store = open_store(path)
    assert store.prompts() == {"p", "q"} and path.read_bytes() == whole
    assert undo(store, "p") and store.prompts() == {"q"}


@pytest.mark.parametrize("log", ["log.jsonl", "other/log.jsonl"])
def test_a_log_for_two_csvs_of_the_same_name_keeps_them_apart(tmp_path, log):
    for folder in ("a", "b", "other"):
        (tmp_path / folder).mkdir()
    first = RankingStore(tmp_path / "a" / "data.csv", tmp_path / log)
    first.add("p", ["x", "y"], [1, 2])
    first.close()
    second = RankingStore(tmp_path / "b" / "data.csv", tmp_path / log)
    assert second.log.events == [] and not (tmp_path / "b" / "data.csv").exists()
    second.add("q", ["x", "y"], [1, 2])
    second.close()
    os.chdir(tmp_path / "a")  # the way to a file does not matter
    again = RankingStore("data.csv", tmp_path / log)
    assert [event.prompt for event in again.log.standing] == ["p"]
    again.close()


def test_undo_leaves_the_rows_of_another_person(path):
    """Their rows have the same texts and ranks, and a group or something else that `add` does not write."""
    theirs = "prompt,answer,rank,group,rater\np,x,1,ann,\np,y,2,ann,\np,x,1,,bob\np,y,2,,bob\n"
    path.write_text(theirs)
    store = open_store(path)
    store.add("p", ["x", "y"], [1, 2])
    assert undo(store, "p") and path.read_text() == theirs
    store.add("p", ["x", "y"], [1, 2])
    path.write_text(theirs)  # mine were deleted by hand
    assert not undo(store, "p") and path.read_text() == theirs
    assert store.log.standing == []  # so that the next `u` goes on to the one before


@pytest.mark.parametrize(
    "header, before, after",
    [
        ("prompt,answer,rank", "\np,a,1\np,b,2\n", "\np,a,2\np,b,1\n"),
        ("\ufeffrank,note,answer,prompt", '\r\n1.0,"a ""n"", 1",a,p\r\n2,,b,p', '\r\n2,"a ""n"", 1",a,p\r\n1,,b,p'),
        ("answer,rank,prompt", '\n\n"a",1,"p"\n\n"x",1.0,"q"\n,,\nb,2,p\n', '\n\na,2,p\n\n"x",1.0,"q"\n,,\nb,1,p\n'),
        ("prompt,answer,rank,group", "\np,a,1,x\np,b,2,x\np,a,1,\np,b,2,\n", "\np,a,1,x\np,b,2,x\np,a,2,\np,b,1,\n"),
    ],
)
def test_ranking_again_changes_only_the_ranks(path, header, before, after):
    path.write_bytes((header + before).encode())
    store = open_store(path)
    store.change_ranks("reranked", ("p", "", ""), ["a", "b"], [2, 1], [1, 2])
    assert path.read_bytes().decode() == header + after and store.ranks(("p", "", "")) == {"a": 2, "b": 1}


@pytest.mark.parametrize("name", ["data.csv", "data.csv.gz"])
def test_a_full_disk_leaves_both_files_as_they_were(path, small_files_only, name):
    path = path.with_name(name)
    (gzip.open if name.endswith(".gz") else open)(path, "wt").write("prompt,answer,rank\n" + "h,by hand,1\n" * 20)
    store = open_store(path)
    store.add("p", ["x", "y"], [1, 2])
    with open(store.log.path, "a") as log:
        log.write("\n" * 2000)  # the log is the larger file
    before = path.read_bytes(), store.log.path.read_bytes()
    with small_files_only(len(before[1]) + 5):  # the CSV has room, the log has not
        for step in (lambda: store.add("q", ["x", "y"], [1, 2]), lambda: undo(store, "p"),
                     lambda: store.change_ranks("reranked", ("p", "", ""), ["x", "y"], [2, 1], [1, 2])):  # fmt: skip
            with pytest.raises(OSError) as caught:
                step()
            assert caught.value.filename == str(store.log.path)
            assert (path.read_bytes(), store.log.path.read_bytes()) == before
    assert undo(store, "p") and store.prompts() == {"h"}
