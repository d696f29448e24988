import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import ROOT

from preference import durable_files
from preference.durable_files import (
    append_durably,
    back_up,
    exchange_folders,
    locked,
    name_folder,
    recover_folder,
    replace_folder,
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
    program = "import sys; from preference.durable_files import locked\nwith locked(sys.argv[1], 'taken'): print('held', flush=True); input()"
    holder = subprocess.Popen([sys.executable, "-c", program, tmp_path / "model"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    (tmp_path / "link").symlink_to("model")
    for name in ("model", "link"):
        with pytest.raises(InputError, match=f"{name}: taken"), locked(tmp_path / name, "taken"):
            pass
    (tmp_path / "link").unlink()
    holder.communicate(b"\n")
    assert os.listdir(tmp_path) == []
    with locked(tmp_path / "model", "taken"):
        assert os.listdir(tmp_path) == ["model.lock"]


@pytest.mark.parametrize("writer", ["plain", "safetensors", "torch"])
def test_a_full_disk_is_one_line_whoever_writes(tmp_path, small_files_only, writer):
    import torch
    from safetensors.torch import save_file

    content = torch.zeros(100_000)
    with pytest.raises(InputError) as caught, writing_to(tmp_path, 1_500_000), small_files_only(10_000):
        if writer == "plain":
            (tmp_path / "file").write_bytes(content.numpy().tobytes())
        elif writer == "safetensors":
            save_file({"a": content}, tmp_path / "file")
        else:
            torch.save(content, tmp_path / "file")
    why = "a file could not be written whole" if writer == "torch" else "File too large"
    assert str(caught.value).startswith(f"{tmp_path}: cannot be written ({why}); it takes about 1.5 MB, and ")


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(RuntimeError, match="a bug"), writing_to(tmp_path, 0):
        raise RuntimeError("a bug")


def write_folder(folder: Path, number: int) -> Path:
    (folder / "inner").mkdir(parents=True)
    for name in ("a", "b", "inner/c"):
        (folder / name).write_text(str(number) * 1000)
    return folder


def number_in(folder: Path) -> int:
    """The number that `write_folder` wrote, all files of it."""
    texts = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert set(texts) == {"a", "b", "inner/c"} and len(set(texts.values())) == 1 and len(texts["a"]) >= 1000
    return int(texts["a"][: len(texts["a"]) // 1000])


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_folder_is_replaced_by_another(tmp_path, monkeypatch, exchanges):
    if not exchanges:
        monkeypatch.setattr(durable_files, "exchange_folders", lambda one, other: False)
    for number in (1, 2, 3):
        replace_folder(write_folder(tmp_path / "new", number), tmp_path / "model")
        assert number_in(tmp_path / "model") == number and os.listdir(tmp_path) == ["model"]


def test_of_two_that_make_the_same_folder_the_first_counts(tmp_path):
    ready = threading.Barrier(2)

    def make(number: int) -> None:
        new = write_folder(tmp_path / f"new{number}", number)
        ready.wait()
        name_folder(new, tmp_path / "model")

    for attempt in range(20):
        makers = [threading.Thread(target=make, args=(number,)) for number in (2 * attempt, 2 * attempt + 1)]
        for maker in makers:
            maker.start()
        for maker in makers:
            maker.join()
        assert number_in(tmp_path / "model") in (2 * attempt, 2 * attempt + 1) and os.listdir(tmp_path) == ["model"]
        shutil.rmtree(tmp_path / "model")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges folders")
def test_two_folders_trade_names_in_one_step(tmp_path):
    one, other = write_folder(tmp_path / "one", 1), write_folder(tmp_path / "other", 2)
    assert exchange_folders(one, other) and (number_in(one), number_in(other)) == (2, 1)
    assert not exchange_folders(one, tmp_path / "none") and number_in(one) == 2


def test_what_a_crash_between_two_renames_left_is_mended(tmp_path):
    write_folder(tmp_path / "model.old", 1)
    assert recover_folder(tmp_path / "model") == tmp_path / "model.old"
    assert number_in(tmp_path / "model") == 1 and os.listdir(tmp_path) == ["model"]
    write_folder(tmp_path / "model.old", 0)
    recover_folder(tmp_path / "model")
    assert number_in(tmp_path / "model") == 1 and os.listdir(tmp_path) == ["model"]
    recover_folder(tmp_path / "none")
    assert os.listdir(tmp_path) == ["model"]


# Saves folders until it is killed: 100 children, one after the other, each at a random moment.
KILLS = """
import os, random, shutil, signal, sys, time
from pathlib import Path
from preference import durable_files
from test_durable_files import number_in, write_folder

folder, exchanges, seed = Path(sys.argv[1]), sys.argv[2] == "True", int(sys.argv[3])
if not exchanges:
    durable_files.exchange_folders = lambda one, other: False
os.fsync = lambda descriptor: None  # a kill loses nothing that the system holds, and this way there are many saves
random.seed(seed)
seen, missing = [], 0
durable_files.replace_folder(write_folder(folder.with_name("new"), 1), folder)
for kill in range(100):
    child = os.fork()
    if child == 0:
        for number in range(1, 1_000_000):
            shutil.rmtree(folder.with_name("new"), ignore_errors=True)
            durable_files.replace_folder(write_folder(folder.with_name("new"), number), folder)
    time.sleep(random.uniform(0.005, 0.02))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    missing += not folder.exists()
    durable_files.recover_folder(folder)
    seen.append(number_in(folder))
print(missing, len(set(seen)))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("exchanges", [True, False])
def test_a_folder_is_whole_after_each_of_100_kills(tmp_path, exchanges):
    command = [sys.executable, "-c", KILLS, str(tmp_path / "model"), str(exchanges), "0"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": "tests"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    missing, different = map(int, done.stdout.split())
    assert different > 5
    if exchanges and sys.platform == "linux":
        assert missing == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", str(tmp_path / "pipe")], stdout=subprocess.PIPE) as reader:
        write_atomically(tmp_path / "pipe", "prompt,answer\n")
        assert reader.communicate(timeout=30)[0] == b"prompt,answer\n"
    assert (tmp_path / "pipe").is_fifo() and os.listdir(tmp_path) == ["pipe"]
