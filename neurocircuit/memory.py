"""How much memory a computation takes."""

from __future__ import annotations

import ctypes
import gc
import re
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["peak_growth"]

_MIB = 2**20


def peak_growth(function: Callable[[], object]) -> float:
    """Return by how many MiB a call raises the resident memory of this process at its peak.

    Memory that earlier calls freed but the allocator kept is handed back to the system first, so that it counts again.

    Parameters
    ----------
    function : callable
        What is called, once.

    Returns
    -------
    float
        MiB; NaN where the system does not tell (other than Linux with glibc, or where /proc may not be written).
    """
    before = _resident_after_forgetting_the_peak()
    function()
    return _memory_status("VmHWM") - before


def _resident_after_forgetting_the_peak() -> float:
    """Return the resident memory in MiB, as low as can be, from which on the peak counts; NaN if it cannot be."""
    # On other systems ctypes raises, and on Linux without glibc there is no malloc_trim.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is None:
        return float("nan")
    gc.collect()
    trim(0)
    before = _memory_status("VmRSS")
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return float("nan")
    return before


def _memory_status(field: str) -> float:
    """Return a field of this process's memory status, such as ``VmRSS``, in MiB; NaN if the system has none."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return float("nan")
    found = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
    return float("nan") if found is None else int(found[1]) * 1024 / _MIB
