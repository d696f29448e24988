"""bf16 where the processor is faster in it, fp32 where not."""

import time

import torch

PRECISIONS = ["auto", "bf16", "fp32"]
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
