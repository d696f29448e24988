import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT

from preference.durable_files import append_durably, back_up, write_atomically


def test_write_keeps_line_ends_and_permissions(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    path.chmod(0o640)
    write_atomically(path, "a\r\nü\n")
    assert path.read_bytes() == "a\r\nü\n".encode()
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["a.csv"]


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "lone surrogate \ud800")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.csv"]


def test_a_killed_writer_leaves_one_whole_content(tmp_path):
    path = tmp_path / "a.txt"
    program = (
        "import itertools, sys; from preference.durable_files import write_atomically\n"
        "for i in itertools.count(): write_atomically(sys.argv[1], str(i % 10) * 100_000)"
    )
    for _ in range(5):
        writer = subprocess.Popen([sys.executable, "-c", program, str(path)], cwd=ROOT)
        while not path.exists():
            time.sleep(0.01)
        time.sleep(0.05)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        text = path.read_text()
        assert len(text) == 100_000 and len(set(text)) == 1


def test_append_closes_a_line_that_a_crash_cut(tmp_path):
    path = tmp_path / "log.jsonl"
    append_durably(path, "one")
    path.write_bytes(path.read_bytes() + b"cut")
    append_durably(path, "two")
    assert path.read_text() == "one\ncut\ntwo\n"


def test_backups_do_not_overwrite_each_other(tmp_path):
    path = tmp_path / "a.csv"
    copies = []
    for text in ("1", "2", "3"):
        path.write_text(text)
        copies.append(back_up(path))
    assert [copy.read_text() for copy in copies] == ["1", "2", "3"]
