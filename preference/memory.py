"""Memory that is freed and wanted again in the next step stays with the process."""

import ctypes
import sys

# glibc's malloc.h
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_MIB = 1 << 20


def keep_freed_memory() -> bool:
    """Tell glibc to keep freed memory instead of handing it back to the system; return whether it could be told.

    A training step frees and allocates the same tensors again and again. glibc returns large ones to the system at
    once, and the system then has to clear every page anew: an eighth of a step on a CPU. Peak memory stays the same.
    Elsewhere than on Linux with glibc nothing is done.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    # 32 MiB is the most that glibc takes for the size from which on it maps, and returns, each block by itself.
    settings = {_M_MMAP_THRESHOLD: 32 * _MIB, _M_TRIM_THRESHOLD: 2**31 - 1, _M_TOP_PAD: 64 * _MIB}
    return all(mallopt(name, value) for name, value in settings.items())
