"""What this machine offers: devices, and the faster precision."""

import contextlib
import time
from collections.abc import Iterator

import torch

from preference.errors import InputError

WORTHWHILE = 1.2  # bf16 must be this much faster than fp32 to be worth its rounding


def choose_precision(asked: str, device: str, width: int = 768) -> str:
    """Return `bf16` or `fp32`; `auto` measures on a CPU, and asks the driver on a GPU.

    Args:
        width: the model's hidden size; the rates differ with it.
    """
    if asked != "auto":
        return asked
    if device.startswith("cuda"):
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device != "cpu":
        return "fp32"
    # A processor without bf16 instructions is up to 100 times slower in it: this size takes it well under a second.
    with (
        one_thread()
    ):  # where another program keeps a core busy, waiting for a second one would be most of what is measured
        fp32 = matmul_rate(torch.float32, rows=128, width=width, seconds=0.05)
        bf16 = matmul_rate(torch.bfloat16, rows=128, width=width, seconds=0.05)
    return "bf16" if bf16 > WORTHWHILE * fp32 else "fp32"


def matmul_rate(dtype: torch.dtype, rows: int, width: int, seconds: float) -> float:
    """Measure matrix products (rows, width) x (width, 4 width), in floating-point operations per second."""
    left, right = torch.randn(rows, width).to(dtype), torch.randn(width, 4 * width).to(dtype)
    left @ right  # the first product also chooses and prepares a kernel
    products, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        left @ right
        products += 1
    return 2 * rows * width * 4 * width * products / elapsed


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch compute in one thread within this: many small steps, such as those of loading a model, only wait for a second one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def check_device(device: str) -> None:
    """Raise InputError unless `device` (`cpu`, `cuda`, `mps`) can be used here."""
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise InputError(f"--device {device}: no such device; use cpu, cuda or mps") from None
    if device != kind:
        raise InputError(f"--device {device}: name the kind alone; CUDA_VISIBLE_DEVICES chooses among several GPUs")
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"--device {device}: PyTorch sees no CUDA GPU here; use --device cpu, or install a CUDA build of torch"
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise InputError(f"--device {device}: PyTorch sees no Apple GPU here; use --device cpu")
    if kind not in ("cpu", "cuda", "mps"):
        raise InputError(f"--device {device}: not supported; use cpu, cuda or mps")
