import gzip
import os
import subprocess
import sys
import threading

import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from preference.data.table_writing import Form, format_rows, save_table, write_table
from preference.data.tables import KINDS, TableError, kind_of, read_table
from preference.errors import InputError

ROWS = [
    {"prompt": "make good coffee", "answer": "two\nlines, and \"quotes\"", "likes": 3},
    {"prompt": "read", "answer": "N/A", "likes": None},
    {"prompt": " read ", "answer": "=1+1 🙂\u2028", "likes": 7},
]  # fmt: skip
COLUMNS = ["prompt", "answer", "likes"]


def as_cells(row):
    return {key: "" if value is None else str(value) for key, value in row.items()}


@pytest.mark.parametrize("ending", [*KINDS, *(f"{ending}.gz" for ending in KINDS)])
def test_what_is_written_is_read_back(tmp_path, ending):
    path, kind = tmp_path / f"table{ending}", kind_of(f"x{ending}")
    write_table(path, kind, COLUMNS, ROWS)
    table = read_table(path)
    assert (table.kind, table.columns) == (kind, COLUMNS)
    assert table.records == ([as_cells(row) for row in ROWS] if kind in ("csv", "xlsx") else ROWS)
    assert [path.name for path in tmp_path.iterdir()] == [f"table{ending}"]


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(st.fixed_dictionaries({"a": TEXTS.filter(str.strip), "b": TEXTS}), min_size=1))
def test_any_text_comes_back_to_the_letter(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("any")
    for ending in (".csv", ".tsv", ".jsonl", ".json", ".parquet"):
        write_table(folder / f"t{ending}", kind_of(f"t{ending}"), ["a", "b"], rows)
        assert read_table(folder / f"t{ending}").records == rows


@settings(max_examples=100, deadline=None)
@given(
    data=st.binary(max_size=200),
    start=st.sampled_from([b"", b"PAR1", b"PK\x03\x04", b"\x1f\x8b\x08\0"]),
    ending=st.sampled_from(sorted(KINDS)),
)
def test_no_bytes_give_a_traceback(tmp_path_factory, data, start, ending):
    path = tmp_path_factory.mktemp("bytes") / f"t{ending}"
    path.write_bytes(start + data)
    try:
        read_table(path)
    except InputError as error:
        assert str(error).startswith(str(path))


@pytest.mark.parametrize("kind", ["csv", "jsonl", "json", "parquet", "xlsx"])
def test_standard_input_is_known_by_its_first_bytes_and_standard_output_gets_the_same(tmp_path, kind):
    write_table(tmp_path / "table", kind, COLUMNS, ROWS)
    copy = (
        "from preference.data.table_writing import write_table\nfrom preference.data.tables import read_table\n"
        "t = read_table('-')\n"
        "write_table('-', t.kind, t.columns, t.records, form=t.form, schema=t.schema)"
    )  # fmt: skip
    given = (tmp_path / "table").read_bytes()
    done = subprocess.run([sys.executable, "-c", copy], input=given, capture_output=True, cwd=ROOT)
    assert done.stderr == b""
    if kind == "xlsx":  # a zip file knows when it was made
        (tmp_path / "copy").write_bytes(done.stdout)
        assert read_table(tmp_path / "copy").records == read_table(tmp_path / "table").records
    else:
        assert done.stdout == given


# Spreadsheets as they are

PAIR = [{"prompt": "A?", "answer": "b, c", "rank": "1"}, {"prompt": "A?", "answer": "d", "rank": "2"}]


@pytest.mark.parametrize(
    "text, lines",
    [
        ('prompt,answer,rank\nA?,"b, c",1\nA?,d,2\n', [2, 3]),
        ("prompt;answer;rank\r\nA?;b, c;1\r\nA?;d;2\r\n", [2, 3]),
        ("\ufeffprompt;answer;rank\r\nA?;b, c;1\r\nA?;d;2\r\n", [2, 3]),
        ("prompt\tanswer\trank\nA?\tb, c\t1\nA?\td\t2\n", [2, 3]),
        ('"prompt";"answer";"rank"\n"A?";"b, c";"1"\n"A?";"d";"2"\n', [2, 3]),
        ("sep=;\nprompt;answer;rank\nA?;b, c;1\nA?;d;2\n", [3, 4]),
        ("sep=|\nprompt|answer|rank\nA?|b, c|1\nA?|d|2\n", [3, 4]),
        ('Table 1\nprompt,answer,rank\nA?,"b, c",1\nA?,d,2\n', [3, 4]),
        ('"My rankings, of March",,\n,,\nprompt,answer,rank\nA?,"b, c",1\nA?,d,2\n', [4, 5]),
        ('prompt,answer,rank,,\nA?,"b, c",1,,\nA?,d,2\n', [2, 3]),
        ('prompt,answer,rank\nA?,"b, c",1,,\nA?,d,2,\n', [2, 3]),
    ],
)
def test_a_csv_is_read_as_spreadsheets_save_it_and_written_in_the_same_form(tmp_path, text, lines):
    (tmp_path / "t.csv").write_bytes(text.encode())
    table = read_table(tmp_path / "t.csv")
    assert (table.columns, table.records, table.numbers) == (["prompt", "answer", "rank"], PAIR, lines)
    write_table(
        tmp_path / "u.csv", "csv", [*table.columns, "new"], [row | {"new": 1} for row in table.records], form=table.form
    )
    again = read_table(tmp_path / "u.csv")
    assert again.form == table.form and again.records == [row | {"new": "1"} for row in PAIR]
    if '"A?"' not in text and ",\n" not in text and ",," not in text:
        write_table(tmp_path / "same.csv", "csv", table.columns, table.records, form=table.form)
        assert (tmp_path / "same.csv").read_bytes() == text.encode()


def test_a_title_above_columns_of_unknown_names(tmp_path):
    (tmp_path / "t.csv").write_text("Umfrage;;\nFrage;Antwort;Rang\nA?;b;1\n")
    assert read_table(tmp_path / "t.csv").records == [{"Frage": "A?", "Antwort": "b", "Rang": "1"}]
    (tmp_path / "t.csv").write_text("Frage,Antwort\nprompt,answer\n")  # cells that read like names below others
    assert read_table(tmp_path / "t.csv").records == [{"Frage": "prompt", "Antwort": "answer"}]


def test_columns_are_found_in_any_case_and_keep_their_names(tmp_path):
    (tmp_path / "t.csv").write_text("Prompt,ANSWER,note,note,\nA?,b,x,y,0\n")
    table = read_table(tmp_path / "t.csv")
    assert table.need("prompt", "answer") == ["Prompt", "ANSWER"] and table.find("rank") is None
    with pytest.raises(TableError, match=":1: two columns are named 'note'; rename one"):
        table.find("note")
    write_table(tmp_path / "u.csv", "csv", table.columns, table.records, form=table.form)
    assert (tmp_path / "u.csv").read_text() == "Prompt,ANSWER,note,note,\nA?,b,x,y,0\n"


def test_a_prompt_in_the_first_of_its_rows_goes_for_the_rows_below(tmp_path):
    """As merged cells are saved. Where a prompt is repeated elsewhere, an empty one is a mistake."""
    (tmp_path / "merged.csv").write_text("prompt,answer,rank,annotator\nA?,b,1,ann\n,c,2,\nD?,e,1,bob\n , f,2,\n")
    table = read_table(tmp_path / "merged.csv")
    assert [(row["prompt"], row["annotator"]) for row in table.records] == [
        ("A?", "ann"),
        ("A?", "ann"),
        ("D?", "bob"),
        ("D?", "bob"),
    ]
    assert table.notes == [
        f"{tmp_path}/merged.csv: 2 lines without a prompt belong to the prompt above them, from line 3 on"
    ]
    for text in ("prompt,answer\nA?,b\nA?,c\n,d\n", "prompt,chosen,rejected\nA?,b,c\n,d,e\n"):
        (tmp_path / "t.csv").write_text(text)
        table = read_table(tmp_path / "t.csv")
        assert table.records[-1]["prompt"] == "" and not table.notes


def test_the_row_and_the_prompt_stand_beside_the_line_where_a_spreadsheet_counts_otherwise(tmp_path):
    (tmp_path / "t.csv").write_bytes(b'prompt,answer,rank\nA?,b,1\n\nA?,"two\nlines",2\nA?,c,3\n')
    table = read_table(tmp_path / "t.csv")
    assert [table.at(i).removeprefix(f"{tmp_path}/") for i in range(3)] == [
        "t.csv:2",
        "t.csv:4",
        "t.csv:6 (row 5, prompt 'A?')",
    ]
    write_table(tmp_path / "t.xlsx", "xlsx", table.columns, table.records)
    assert read_table(tmp_path / "t.xlsx").at(1) == f"{tmp_path}/t.xlsx, row 3 (prompt 'A?')"


def test_a_workbook(tmp_path):
    import datetime

    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(["About this file"])
    sheet = book.create_sheet("Rankings")
    rows = [["A?", "=1+1", 1.0], [None, True, 1.5], ["B?", datetime.date(2026, 3, 1), "007"]]
    for row in (["My rankings"], [], ["Prompt", "Answer", "Rank", None], *rows):
        sheet.append(row)
    sheet["B4"].data_type = "s"
    sheet.merge_cells("A4:A5")
    book.save(tmp_path / "book.xlsx")
    table = read_table(tmp_path / "book.xlsx")
    assert [tuple(row.values()) for row in table.records] == [
        ("A?", "=1+1", "1"),
        ("A?", "TRUE", "1.5"),
        ("B?", "2026-03-01", "007"),
    ]
    assert (table.columns, table.numbers) == (["Prompt", "Answer", "Rank"], [4, 5, 6])
    book.create_sheet("More").append(["prompt", "answer"])
    book.save(tmp_path / "two.xlsx")
    with pytest.raises(
        InputError, match="two.xlsx: 2 sheets hold such a table: 'Rankings', 'More'; keep only the sheet you mean"
    ):
        read_table(tmp_path / "two.xlsx")
    write_table(tmp_path / "f.xlsx", "xlsx", ["a"], [{"a": "=1+1"}])
    assert openpyxl.load_workbook(tmp_path / "f.xlsx").active["A2"].data_type == "s"  # no formula


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize(
    "text", ["a\rb", "a\nb", "a\r\nb", "\r", "a,b", 'say "hi"', '"', "", " a ", "'", ";", "\t", "\x1c", "\u2028"]
)
def test_a_cell_is_written_to_the_letter(tmp_path, text, line_end, separator):
    rows = [["prompt", "x"], [text, "y"], ["z", text]]
    (tmp_path / "t.csv").write_bytes(format_rows(rows, line_end=line_end, separator=separator).encode())
    assert [list(record.values()) for record in read_table(tmp_path / "t.csv").records] == rows[1:]


def test_only_cells_that_need_quotes_get_them():
    assert format_rows([["a b", "=1", "it's", 1], ["a\rb", 'a"b']]) == 'a b,=1,it\'s,1\n"a\rb","a""b"\n'
    assert format_rows([["a;b", "c,d"]], separator=";") == '"a;b";c,d\n'


# What is wrong

ONE_PER_LINE = "write one object per line, or delete the line"
AS_UTF8 = "save the file as UTF-8, which spreadsheets call 'CSV UTF-8'"
WRONG = [
    ("t.csv", b'a,b\n"x\ny",1\n1,2,3\n\n1\n',
     "t.csv:4: 3 cells where the header has 2: '1,2,3'; put a cell that contains a comma in double quotes\n"
     "t.csv:6: 1 cell where the header has 2: '1'; give every column a cell"),
    ("t.csv", b"a;b\n1;2;3\n",
     "t.csv:2: 3 cells where the header has 2: '1;2;3'; put a cell that contains a semicolon in double quotes"),
    ("t.csv", b'a,b\n1,"2\n',
     "t.csv:2: unbalanced quotes: '1,\"2'; write a cell that contains quotes \"like \"\"this\"\" one\""),
    ("t.csv", b"a,b\r\n1,\xe9\r\n", f"t.csv:2: not UTF-8: byte 0xe9 after '1,'; {AS_UTF8}"),
    ("t.jsonl", "{}\n".encode("utf-16"),
     f"t.jsonl:1: not UTF-8: byte 0xff at the start of the line; {AS_UTF8}"),
    ("t.jsonl", b'{"a": 1}\n[1]\n', f"t.jsonl:2: not a JSON object: '[1]'; {ONE_PER_LINE}"),
    ("t.jsonl", b'{"a": 1}\n{"a": \n{}', f"t.jsonl:2: not JSON: '{{\"a\":'; {ONE_PER_LINE}"),
    ("t.jsonl", b'{"a": 1}\n{"a": 2}\n{"a"', f"t.jsonl:3: not JSON: '{{\"a\"'; {ONE_PER_LINE}"),
    ("t.jsonl", b"[" * 100_000 + b"\n", "t.jsonl:1: not JSON: '" + "[" * 57 + f"...'; {ONE_PER_LINE}"),
    ("t.jsonl", b'{"a":' + b"1" * 5_000 + b"}", "t.jsonl:1: not JSON: '{\"a\":" + "1" * 52 + f"...'; {ONE_PER_LINE}"),
    ("t.json", b'{\n "a": "p"\n}\n',
     "t.json:1: not JSON: '{'; an object over several lines; write each on one line, or all as a list"),
    ("t.json", b'[{"a": 1},\n 2]', "t.json, row 2: not a JSON object: '2'; write a list of objects"),
    ("t.json", b'[{"a": 1},\n', "t.json: not JSON: Expecting value: line 2 column 1 (char 11); write [{...}, {...}]"),
    ("t.json", b"3", "t.json: not a list of objects: '3'; write [{...}, {...}]"),
    ("t.json", b"[" * 100_000,
     "t.json: not JSON: maximum recursion depth exceeded while decoding a JSON array from a unicode string;"
     " write [{...}, {...}]"),
    ("t.jsonl.gz", gzip.compress(b'{"a": 1}\n', mtime=0)[:-9],
     "t.jsonl.gz: a damaged gzip file (Compressed file ended before the end-of-stream marker was"
     " reached); download or create it again"),
    ("t.parquet", b"PAR1",
     "t.parquet: cannot be read as Parquet (Parquet file size is 4 bytes, smaller than the minimum file"
     " footer (8 bytes)); download or create it again"),
    ("t.xlsx", b"PK\x03\x04",
     "t.xlsx: not a workbook that can be read (File is not a zip file); save it as .xlsx or as 'CSV UTF-8'"),
    (".", None, ".: cannot be read: Is a directory; check its name and permissions"),
    ("none.csv", None, "none.csv: no such file; check the name"),
]  # fmt: skip


@pytest.mark.parametrize("name, data, message", WRONG)
def test_what_is_wrong_is_said_with_its_place(tmp_path, monkeypatch, name, data, message):
    monkeypatch.chdir(tmp_path)
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_table(name)
    assert str(caught.value) == message


def test_two_columns_of_one_name_and_a_time_that_no_one_can_read_in_parquet(tmp_path):
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table([["a"], ["b"]], names=["x", "x"]), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="t.parquet: two columns are named 'x'; rename or delete one"):
        read_table(tmp_path / "t.parquet")
    parquet.write_table(
        pyarrow.table({"when": pyarrow.array([2**61], pyarrow.timestamp("us"))}), tmp_path / "t.parquet"
    )
    with pytest.raises(InputError, match="t.parquet: cannot be read as Parquet"):
        read_table(tmp_path / "t.parquet")


def test_json_lines_in_a_file_called_json_or_csv(tmp_path):
    for name in ("t.json", "t.csv"):
        (tmp_path / name).write_text('{"a": 1}\n{"b": 2}')
        table = read_table(tmp_path / name)
        assert (table.kind, table.records) == ("jsonl", [{"a": 1}, {"b": 2}])
        assert table.columns == ["a", "b"]


def test_a_json_list_of_texts_is_a_list_of_prompts(tmp_path):
    (tmp_path / "t.json").write_text('["one", "two"]')
    assert read_table(tmp_path / "t.json").records == [{"prompt": "one"}, {"prompt": "two"}]


def test_line_ends_and_a_byte_order_mark(tmp_path):
    for end in ("\n", "\r\n", "\r"):
        (tmp_path / "t.csv").write_bytes(f'\ufeffa,b{end}"x{end}y",1{end}{end},{end}z,2'.encode())
        table = read_table(tmp_path / "t.csv")
        assert (table.records, table.numbers) == ([{"a": f"x{end}y", "b": "1"}, {"a": "z", "b": "2"}], [2, 6])


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_a_named_pipe_is_read_to_its_end(pipe):
    writer = threading.Thread(target=pipe.write_bytes, args=[b"prompt\n" + b"p\n" * 100_000])  # more than a pipe holds
    writer.start()
    assert len(read_table(pipe).records) == 100_000
    writer.join()


# Writing


def test_a_file_is_replaced_whole_and_links_and_permissions_stay(tmp_path):
    target = tmp_path / "t.csv"
    target.write_text("old")
    target.chmod(0o640)
    (tmp_path / "link.csv").symlink_to(target)
    write_table(tmp_path / "link.csv", "csv", ["a"], [{"a": 1}])
    assert target.read_text() == "a\n1\n" and target.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_full_disk_is_one_line(tmp_path, small_files_only, kind):
    with pytest.raises(InputError, match="t: cannot be written: File too large$"), small_files_only(20_000):
        write_table(tmp_path / "t", kind, ["a"], [{"a": os.urandom(50).hex()} for _ in range(5_000)])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "kind, rows, message",
    [
        ("csv", [{"a": "x\0"}], r"row 1: a NUL character in 'x\\x00'; remove it"),
        ("csv", [{"a": "\ud83d"}], r"row 1: half of a surrogate pair in '\\ud83d'; remove it"),
        ("parquet", [{"a": 1}, {"a": "one"}], "the column 'a' holds what Parquet cannot .*; write JSONL instead"),
        ("parquet", [{"a": 10**100}], "the column 'a' holds what Parquet cannot .*; write JSONL instead"),
        ("parquet", [{"a": "\ud83d"}], "the column 'a' holds what Parquet cannot"),
        ("xlsx", [{"a": "x" * 40_000}], "row 2: a cell of a sheet holds 32,767 characters; write CSV instead"),
        ("xlsx", [{"a": "\x07"}], r"row 2: a sheet cannot hold '\\x07'; write CSV instead"),
    ],
)
def test_what_a_kind_cannot_hold(tmp_path, kind, rows, message):
    with pytest.raises(InputError, match=message):
        write_table(tmp_path / "t", kind, ["a"], rows)
    assert not list(tmp_path.iterdir())


def test_parquet_keeps_its_types(tmp_path):
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.schema(
        [("n", pyarrow.int8()), ("none", pyarrow.float32()), ("texts", pyarrow.list_(pyarrow.string()))]
    )
    rows = [{"n": 1, "none": None, "texts": ["a"]}, {"n": 2, "none": None, "texts": []}]
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema), tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    more = [row | {"reward": 0.5} for row in table.records]
    write_table(tmp_path / "b.parquet", "parquet", [*table.columns, "reward"], more, schema=table.schema)
    assert parquet.read_schema(tmp_path / "b.parquet").remove_metadata() == schema.append(
        pyarrow.field("reward", pyarrow.float64())
    )
    assert read_table(tmp_path / "b.parquet").records == more


def test_other_kinds_hold_values_that_are_not_flat(tmp_path):
    row = {"list": ["é"], "flag": True, "none": None, "text": "x"}
    for kind in ("csv", "xlsx"):
        write_table(tmp_path / "t", kind, list(row), [row])
        assert read_table(tmp_path / "t").records == [{"list": '["é"]', "flag": "true", "none": "", "text": "x"}]
    write_table(tmp_path / "t.jsonl", "jsonl", ["a"], [{"a": "\ud83d"}])
    assert read_table(tmp_path / "t.jsonl").records == [{"a": "\ud83d"}]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "json", "parquet", "xlsx"])
def test_no_records(tmp_path, kind):
    write_table(tmp_path / "t", kind, ["a", "b"], [])
    table = read_table(tmp_path / "t", kind)
    assert (table.columns, table.records) == ([] if kind.startswith("json") else ["a", "b"], [])
    assert str(table.none_found("write one")) == f"{tmp_path}/t: has no records; write one"


def test_a_file_of_tabs_by_its_name(tmp_path):
    write_table(tmp_path / "t.tsv", "csv", ["a", "b"], [{"a": "1", "b": "2"}], form=Form(above="sep=,\n"))
    assert (tmp_path / "t.tsv").read_text() == "a\tb\n1\t2\n"


# Writing back


@pytest.mark.parametrize("ending", [*KINDS, *(f"{ending}.gz" for ending in KINDS)])
def test_a_table_is_saved_in_its_form_with_what_was_changed(tmp_path, ending):
    path, rows = tmp_path / f"t{ending}", [{"prompt": "p", "answer": a, "rank": str(i)} for i, a in enumerate("abc", 1)]
    write_table(path, kind_of(path), list(rows[0]), rows)
    table = read_table(path)
    added = [{"prompt": "q", "answer": "d", "rank": "1"}]
    save_table(path, table, changed={2: {"rank": "7"}}, removed=[0], added=added)
    again = read_table(path)
    assert again.records == [rows[1], rows[2] | {"rank": "7"}, {"prompt": "q", "answer": "d", "rank": "1"}]
    assert (again.kind, again.columns, again.form) == (table.kind, table.columns, table.form)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_titles_separators_and_prompts_in_the_first_of_their_rows_are_saved_as_they_were(tmp_path, line_end):
    text = "My rankings;;;\nPrompt;Answer;Rank;By\nA?;b, c;1;ann\n;d;2;\nB?;e;1;\n;f;2;\n".replace("\n", line_end)
    (tmp_path / "t.csv").write_bytes(text.encode())
    table = read_table(tmp_path / "t.csv")
    save_table(tmp_path / "t.csv", table)
    assert (tmp_path / "t.csv").read_bytes() == text.encode()
    save_table(tmp_path / "t.csv", table, removed=[2])
    assert read_table(tmp_path / "t.csv").records == [table.records[i] for i in (0, 1, 3)]


def test_more_rows_than_a_sheet_holds_are_refused(tmp_path):
    with pytest.raises(InputError, match="many.xlsx: a sheet holds 1,048,576 rows with its header; write CSV instead"):
        write_table(tmp_path / "many.xlsx", "xlsx", ["prompt"], [{}] * 1_048_576)
    assert not (tmp_path / "many.xlsx").exists()


def test_a_workbook_keeps_all_that_was_not_changed(tmp_path):
    import openpyxl
    from openpyxl.styles import Font

    book = openpyxl.Workbook()
    book.active.title, book.active["A1"], book.active["A2"] = "Sums", "=1+1", "kept"
    sheet = book.create_sheet("Rankings")
    for row in (
        ["My rankings"],
        ["Prompt", "Answer", "Rank", "Note"],
        ["A?", "b", 1, "x"],
        [None, "c", 2.5],
        ["B?", "d", 1],
    ):
        sheet.append(row)
    sheet["B3"].font = Font(bold=True)
    sheet.merge_cells("A3:A4")
    book.save(tmp_path / "t.xlsx")
    table = read_table(tmp_path / "t.xlsx")
    added = [{"Prompt": "C?", "Answer": "=e", "Rank": 1}]
    save_table(tmp_path / "t.xlsx", table, changed={0: {"Rank": 3}}, added=added)
    book = openpyxl.load_workbook(tmp_path / "t.xlsx")
    sheet = book["Rankings"]
    assert book.sheetnames == ["Sums", "Rankings"] and book["Sums"]["A1"].value == "=1+1" and sheet["B3"].font.bold
    assert [str(cells) for cells in sheet.merged_cells.ranges] == ["A3:A4"]
    assert [[cell.value for cell in row] for row in sheet["A3:D6"]] == [
        ["A?", "b", 3, "x"], [None, "c", 2.5, None], ["B?", "d", 1, None], ["C?", "=e", 1, None],
    ]  # fmt: skip
    assert sheet["B6"].data_type == "s"
    save_table(tmp_path / "t.xlsx", table := read_table(tmp_path / "t.xlsx"), removed=[0])
    kept = [tuple(record.values())[:3] for record in read_table(tmp_path / "t.xlsx").records]
    assert kept == [("A?", "c", "2.5"), ("B?", "d", "1"), ("C?", "=e", "1")]
    book["Rankings"]["D3"] = "=1+2"
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(
        InputError, match="t.xlsx: has formulas, whose results would be lost; paste the column as values"
    ):
        save_table(tmp_path / "t.xlsx", read_table(tmp_path / "t.xlsx"))
