import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from conftest import ROOT

from preference.durable_files import (
    append_durably,
    back_up,
    locked,
    name_folder,
    write_atomically,
    writing_to,
)
from preference.errors import InputError


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


def test_a_file_that_cannot_be_written_is_named(tmp_path, small_files_only):
    (tmp_path / "a.csv").write_text("old")
    (tmp_path / "folder").mkdir()
    with small_files_only(1000), pytest.raises(OSError, match="File too large") as caught:
        write_atomically(tmp_path / "a.csv", "x" * 10_000)
    assert caught.value.filename == str(tmp_path / "a.csv") and (tmp_path / "a.csv").read_text() == "old"
    for path in (tmp_path / "none" / "b.csv", tmp_path / "folder"):
        with pytest.raises(OSError) as caught:
            write_atomically(path, "x")
        assert caught.value.filename == str(path)
    assert sorted(os.listdir(tmp_path)) == ["a.csv", "folder"]


def test_a_name_as_long_as_names_can_be(tmp_path):
    path = tmp_path / ("é" * 125 + ".csv")
    write_atomically(path, "text")
    assert path.read_text() == "text"


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


def test_a_folder_that_is_taken_is_refused_and_the_lock_leaves_nothing(tmp_path):
    program = (
        "import sys; from preference.durable_files import locked\n"
        "with locked(sys.argv[1], 'taken'): print('held', flush=True); input()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "model"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"held\n"
    (tmp_path / "link").symlink_to("model")
    for name in ("model", "link"):
        with pytest.raises(InputError, match=f"{name}: taken"), locked(tmp_path / name, "taken"):
            pass
    (tmp_path / "link").unlink()
    holder.communicate(b"\n")
    assert os.listdir(tmp_path) == []
    with locked(tmp_path / "model", "taken"):
        assert os.listdir(tmp_path) == [".model.preference-lock"]


def test_a_lock_file_of_the_users_own_stays_as_it_is(tmp_path):
    (tmp_path / "poetry.lock").write_text("precious")
    with locked(tmp_path / "poetry", "taken"):
        pass
    assert (tmp_path / "poetry.lock").read_text() == "precious" and os.listdir(tmp_path) == ["poetry.lock"]


def test_a_backup_on_a_full_disk_is_an_error_that_names_it_and_leaves_nothing(tmp_path, small_files_only):
    (tmp_path / "a.csv").write_text("x" * 10_000)
    with small_files_only(1000), pytest.raises(OSError, match="File too large") as caught:
        back_up(tmp_path / "a.csv")
    assert str(caught.value.filename).startswith(str(tmp_path / "a.csv.backup-")) and os.listdir(tmp_path) == ["a.csv"]


# Root may write everywhere, unless it gives up its capabilities.
AS_A_USER = ["setpriv", "--bounding-set", "-all"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []


@pytest.mark.skipif(os.name != "posix" or (AS_A_USER and not shutil.which("setpriv")), reason="needs permissions")
@pytest.mark.parametrize("file, folder, right", [(0o644, 0o755, True), (0o644, 0o555, False), (0o444, 0o755, False)])
def test_a_file_can_be_written_later_only_where_its_folder_can(tmp_path, file, folder, right):
    (tmp_path / "a.csv").touch(file)
    os.chmod(tmp_path, folder)
    program = "import sys; from preference.durable_files import prepare_file; prepare_file(sys.argv[1], '--output')"
    command = [*AS_A_USER, sys.executable, "-c", program, tmp_path / "a.csv"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    os.chmod(tmp_path, 0o755)
    why = "a.csv: cannot be written (it or its folder is read-only); choose another --output"
    assert done.returncode == (0 if right else 1) and (right or why in done.stderr)


@pytest.mark.parametrize("writer", ["plain", "safetensors", "torch"])
def test_a_full_disk_is_one_line_whoever_writes(tmp_path, small_files_only, writer):
    import torch
    from safetensors.torch import save_file

    content = torch.zeros(100_000)
    with pytest.raises(InputError) as caught, writing_to(tmp_path), small_files_only(10_000):
        if writer == "plain":
            (tmp_path / "file").write_bytes(content.numpy().tobytes())
        elif writer == "safetensors":
            save_file({"a": content}, tmp_path / "file")
        else:
            torch.save(content, tmp_path / "file")
    why = "a file could not be written whole" if writer == "torch" else "File too large"
    assert str(caught.value).startswith(f"{tmp_path}: cannot be written ({why}); ")


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(RuntimeError, match="a bug"), writing_to(tmp_path):
        raise RuntimeError("a bug")


def test_of_two_that_make_the_same_folder_the_first_counts(tmp_path):
    ready = threading.Barrier(2)

    def make(number: int) -> None:
        new = tmp_path / f"new{number}"
        new.mkdir()
        (new / "file").write_text(str(number))
        ready.wait()
        name_folder(new, tmp_path / "model")

    for attempt in range(20):
        makers = [threading.Thread(target=make, args=(number,)) for number in (2 * attempt, 2 * attempt + 1)]
        for maker in makers:
            maker.start()
        for maker in makers:
            maker.join()
        assert (tmp_path / "model" / "file").read_text() in (str(2 * attempt), str(2 * attempt + 1)) and os.listdir(
            tmp_path
        ) == ["model"]
        shutil.rmtree(tmp_path / "model")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", str(tmp_path / "pipe")], stdout=subprocess.PIPE) as reader:
        write_atomically(tmp_path / "pipe", "prompt,answer\n")
        assert reader.communicate(timeout=30)[0] == b"prompt,answer\n"
    assert (tmp_path / "pipe").is_fifo() and os.listdir(tmp_path) == ["pipe"]
