import csv
import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from preference.ranking.rank_cells import RankCells

TYPED_BY_HAND = b'\n\n"a",1,"p"\n\nx,1,q\n,,\nb, 02 ,p\n"a",+1,"p"\n'
CHANGED_THEN = b'\n\n"a",2,"p"\n\nx,1,q\n,,\nb, 1 ,p\n"a",+2,"p"\n'


@pytest.mark.parametrize(
    "header, before, after",
    [
        (b"prompt,answer,rank", b"\np,a,1\np,b,2\n", b"\np,a,2\np,b,1\n"),
        (b'\xef\xbb\xbfrank,note,"answer",prompt', b'\r\n1.0,"a ""n"", 1","a",p\r\n"2",,b,"p"', b'\r\n2.0,"a ""n"", 1","a",p\r\n"1",,b,"p"'),
        (b"answer,rank,prompt", TYPED_BY_HAND, CHANGED_THEN),
        (b"prompt,answer,rank,group", b"\np,a,1,x\np,b,2,x\np,a,1,\np,b,2,\n", b"\np,a,1,x\np,b,2,x\np,a,2,\np,b,1,\n"),
        (b"prompt,answer,rank", b"\rp,a,1\rp,b,2\r", b"\rp,a,2\rp,b,1\r"),
    ],
)
def test_only_the_rank_cells_change(write_csv, header, before, after):
    path = write_csv(header + before)
    cells = RankCells(path)
    assert cells.ranks("p", "") == {"a": 1, "b": 2}
    path.write_bytes(cells.change("p", "", {"a": 2, "b": 1}))
    assert path.read_bytes() == header + after
    assert RankCells(path).sha256 == cells.sha256 and RankCells(path).ranks("p", "") == cells.ranks("p", "") == {"a": 2, "b": 1}
    assert cells.change("p", "", {"a": 1, "b": 2}) == header + before.replace(b"02", b"2")


TEXT = st.text(st.sampled_from('ab ,"\n\r1é'), min_size=1, max_size=8).filter(lambda text: text.strip())


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=2, max_size=5, unique_by=lambda row: row[1].strip()),
    quoting=st.booleans(), last=st.booleans(),
)  # fmt: skip
@example(rows=[('"', '""', ","), ("\r", "a\r\n", '"\n"')], quoting=False, last=True)
def test_any_texts_around_the_ranks_stay(tmp_path_factory, rows, quoting, last):
    columns = ["answer", "note", "prompt", "rank", "other"]
    written = [[answer, note, "p", str(number), other] for number, (note, answer, other) in enumerate(rows, 1)]
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL if quoting else csv.QUOTE_MINIMAL, lineterminator="\r\n").writerows([columns, *written])
    path = tmp_path_factory.mktemp("cells") / "data.csv"
    path.write_bytes(text.getvalue().encode().removesuffix(b"\r\n" if last else b""))
    before = path.read_bytes()
    cells = RankCells(path)
    new = {answer.strip(): len(rows) - i for i, (_, answer, _) in enumerate(rows)}
    path.write_bytes(cells.change("p", "", new))
    read = list(csv.reader(io.StringIO(path.read_bytes().decode(), newline=""), strict=True))
    assert read == [columns, *[[*row[:3], str(new[row[0].strip()]), row[4]] for row in written]]
    assert cells.change("p", "", {answer: len(rows) + 1 - rank for answer, rank in new.items()}) == before
