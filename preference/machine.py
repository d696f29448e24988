"""What this machine offers: processes, cores, devices, the faster precision, a folder for what can be made again."""

import atexit
import contextlib
import functools
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from preference.errors import InputError

if TYPE_CHECKING:
    import torch

# As torchrun and accelerate launch say; process 0 speaks and writes.
PROCESS, PROCESSES = int(os.environ.get("RANK") or 0), int(os.environ.get("WORLD_SIZE") or 1)
BUSY_CORES = 0.4  # used by other programs, above which waiting threads should sleep
WORTHWHILE = 1.2  # bf16 must be this much faster than fp32 to be worth its rounding


def avoid_busy_waiting() -> None:
    """Let PyTorch's waiting threads sleep where another program keeps a core busy; call this before torch is imported.

    They spin by default. With one of two cores taken, spinning threads hold up the one that they wait for, and training
    takes three times as long; on an idle machine sleeping threads lose a third. The user's own settings count.
    """
    if "torch" in sys.modules or {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & set(os.environ):
        return
    if busy_cores(0.15) >= BUSY_CORES:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def busy_cores(seconds: float) -> float:
    """Measure for `seconds`, in which this process sleeps, how many cores are in use."""
    import psutil

    return psutil.cpu_percent(interval=seconds) / 100 * (psutil.cpu_count() or 1)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch compute in one thread within this: many small steps only wait for a second one."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def check_device(device: str) -> None:
    """Raise InputError unless `device` (`cpu`, `cuda`, `mps`) can be used here."""
    import torch

    usable = {"cpu": lambda: True, "cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    if device.partition(":")[0] not in usable:
        raise InputError(f"--device {device}: no such device; use cpu, cuda or mps")
    if device not in usable:
        raise InputError(f"--device {device}: name the kind alone; CUDA_VISIBLE_DEVICES chooses among several GPUs")
    if not usable[device]():
        raise InputError(f"--device {device}: PyTorch sees no {device.upper()} GPU here; use --device cpu")


def choose_precision(asked: str, device: str, width: int = 768) -> str:
    """Return `bf16` or `fp32`; `auto` measures a CPU, at the model's hidden size `width`, and asks a GPU's driver."""
    import torch

    if asked != "auto":
        return asked
    if device.startswith("cuda"):
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device != "cpu":
        return "fp32"
    with one_thread():  # with a core taken by another program, waiting for a second one would be what is measured
        fp32, bf16 = (matmul_rate(dtype, width=width) for dtype in (torch.float32, torch.bfloat16))
    return "bf16" if bf16 > WORTHWHILE * fp32 else "fp32"


def matmul_rate(dtype: "torch.dtype", *, width: int, rows: int = 128, seconds: float = 0.05) -> float:
    """Measure how many matrix products (rows, width) x (width, 4 width) are done in a second."""
    import torch

    left, right = torch.randn(rows, width).to(dtype), torch.randn(width, 4 * width).to(dtype)
    left @ right  # the first product also chooses and prepares a kernel
    products, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        left @ right
        products += 1
    return products / elapsed


def free_memory(device: str) -> int:
    """Return how many bytes are free for what is computed on `device`."""
    import psutil
    import torch

    return torch.cuda.mem_get_info(device)[0] if device.startswith("cuda") else psutil.virtual_memory().available


def cache_folder(part: str) -> Path:
    """Return the folder `part` of `$XDG_CACHE_HOME/preference`, or a temporary one where that cannot be written."""
    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: there is no home folder
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "preference" / part
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    folder = _temporary_folder() / part
    folder.mkdir(exist_ok=True)
    return folder


@functools.cache
def _temporary_folder() -> Path:
    """Return a folder that is removed when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="preference-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
