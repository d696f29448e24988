import os
import subprocess
import sys

import pytest
import torch
from conftest import ROOT

from preference import machine
from preference.machine import BUSY_CORES, busy_cores, choose_precision, free_memory


def test_what_is_asked_for_is_used():
    assert choose_precision("bf16", "cpu") == "bf16"
    assert choose_precision("fp32", "cpu") == "fp32"


@pytest.mark.parametrize("bf16_rate, expected", [(0.01, "fp32"), (1.1, "fp32"), (3.0, "bf16")])
def test_auto_follows_the_rates_that_it_measures(monkeypatch, bf16_rate, expected):
    monkeypatch.setattr(machine, "matmul_rate", lambda dtype, **options: bf16_rate if dtype == torch.bfloat16 else 1.0)
    assert choose_precision("auto", "cpu") == expected


def test_where_the_cache_cannot_be_written_one_temporary_folder_serves_and_is_removed(tmp_path):
    (tmp_path / "cache").write_text("a file")
    program = (
        "from preference.machine import cache_folder as f; print(f('states'), f('states'), f('gguf')); "
        "print(*f('states').parent.parent.iterdir())"
    )
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    folders, beside = (line.split() for line in done.stdout.splitlines())
    assert folders[0] == folders[1] != folders[2] and len(beside) == 2  # one folder, and the file
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_the_free_memory_is_that_of_the_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (123, 456))  # there need not be a GPU
    assert free_memory("cuda:0") == 123 and free_memory("cpu") > 10**6


AVOID = (
    "import os; from preference.machine import avoid_busy_waiting; avoid_busy_waiting(); "
    "print(os.environ.get('OMP_WAIT_POLICY'))"
)


def policy(**environment) -> str:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
    }
    done = subprocess.run(
        [sys.executable, "-c", AVOID], cwd=ROOT, env=kept | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_threads_sleep_where_another_program_keeps_a_core_busy_unless_the_user_says_otherwise():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as burner:
        try:
            assert busy_cores(0.3) > BUSY_CORES
            assert policy() == "PASSIVE"
            assert policy(GOMP_SPINCOUNT="1000") == "None"
            assert policy(OMP_WAIT_POLICY="ACTIVE") == "ACTIVE"
        finally:
            burner.kill()


def test_what_this_process_imported_already_is_left_alone():
    program = "import sys, os; sys.modules['torch'] = sys; " + AVOID
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as burner:
        try:
            done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
            assert done.stdout.strip() == str(os.environ.get("OMP_WAIT_POLICY"))
        finally:
            burner.kill()
