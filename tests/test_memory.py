import subprocess
import sys

import pytest
from conftest import ROOT

from preference import memory
from preference.memory import keep_freed_memory

RESIDENT_AFTER_FREEING = """
import torch
from preference.memory import keep_freed_memory
if {keep}:
    assert keep_freed_memory()
blocks = [torch.ones(250_000) for _ in range(300)]  # 1 MB each
del blocks
print(int(open("/proc/self/statm").read().split()[1]) * 4096)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc")
def test_freed_memory_stays_with_the_process():
    def resident_after_freeing(keep: bool) -> int:
        command = [sys.executable, "-c", RESIDENT_AFTER_FREEING.format(keep=keep)]
        return int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)

    assert resident_after_freeing(keep=True) - resident_after_freeing(keep=False) > 200e6


def test_elsewhere_nothing_is_done(monkeypatch):
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    assert keep_freed_memory() is False
