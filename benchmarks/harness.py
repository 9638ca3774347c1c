"""What every benchmark shares: paired timings and peak memory; its tables are those of `neurocircuit.tables`."""

from __future__ import annotations

import ctypes
import gc
import re
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurocircuit.tables import Row, print_table, save_tables

__all__ = ["Row", "check_equal", "median_times", "paired_times", "peak_growth", "print_table", "save_tables"]

MIB = 2**20


def paired_times(sides: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Time several functions in turn, so that a disturbance of the machine falls on all of them alike.

    Parameters
    ----------
    sides : mapping from name to function
        What to time; each is called once beforehand without being timed.
    repeats : int
        Calls of each that are timed.

    Returns
    -------
    dict from name to list of float
        Seconds of every call.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for function in sides.values():
        function()
    for _ in range(repeats):
        for name, function in sides.items():
            started = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def median_times(sides: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the median of the times of `paired_times`, by name."""
    return {name: statistics.median(values) for name, values in paired_times(sides, repeats).items()}


def check_equal(what: str, found: Any, reference: Any, tolerance: float) -> float:
    """Return the largest difference of two arrays, and stop if it exceeds the tolerance.

    Raises
    ------
    SystemExit
        If the two sides of a comparison do not compute the same thing, which would make their times meaningless.
    """
    largest = float(np.max(np.abs(np.asarray(found) - np.asarray(reference))))
    if not largest <= tolerance:
        raise SystemExit(f"{what}: the two sides differ by {largest:.3g}, more than {tolerance:g}; nothing was timed.")
    return largest


def peak_growth(function: Callable[[], object]) -> float:
    """Return by how many MiB a call raises the resident memory of this process at its peak.

    Memory that earlier calls freed but the allocator kept is handed back to the system first, so that it counts again.

    Returns
    -------
    float
        MiB; NaN where the system does not tell (other than Linux with glibc).
    """
    forget_peak = Path("/proc/self/clear_refs")
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if not forget_peak.exists() or trim is None:
        return float("nan")
    gc.collect()
    trim(0)
    before = _memory_status("VmRSS")
    forget_peak.write_text("5")
    function()
    return _memory_status("VmHWM") - before


def _memory_status(field: str) -> float:
    """Return a field of this process's memory status, such as ``VmRSS``, in MiB."""
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024 / MIB
