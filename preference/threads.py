"""How PyTorch's threads wait for each other, which has to be settled before PyTorch is imported."""

import os
import sys

import psutil

BUSY_CORES = 0.4  # used by other programs, above which waiting threads should sleep
_SECONDS = 0.15


def settle_waiting() -> None:
    """Let waiting threads sleep where another program keeps a core busy; leave everything as it is where none does.

    The threads of a matrix product wait for the slowest. By default they spin, which is fastest as long as each has a core
    to itself. With one of two cores taken by another program, spinning threads hold up the one that they wait for, and
    training takes about three times as long; sleeping threads lose a third on an idle machine. So what other programs use
    is measured, for `_SECONDS`. The user's own OMP_WAIT_POLICY, GOMP_SPINCOUNT or KMP_BLOCKTIME counts.
    """
    if "torch" in sys.modules or {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & set(os.environ):
        return
    if busy_cores(_SECONDS) >= BUSY_CORES:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def busy_cores(seconds: float) -> float:
    """Measure for `seconds`, in which this process sleeps, how many cores are in use."""
    return psutil.cpu_percent(interval=seconds) / 100 * (psutil.cpu_count() or 1)
