"""What every benchmark shares: paired timings and peak memory; its tables are those of `neurocircuit.tables`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from neurocircuit.memory import peak_growth
from neurocircuit.tables import Row, print_table, save_tables

__all__ = ["Row", "check_equal", "median_times", "paired_times", "peak_growth", "print_table", "save_tables"]


def paired_times(
    sides: Mapping[str, Callable[[], object]], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Time several functions in turn, so that a disturbance of the machine falls on all of them alike.

    Parameters
    ----------
    sides : mapping from name to function
        What to time; each is called once beforehand without being timed.
    repeats : int
        Calls of each that are timed.
    clock : callable
        Returns seconds; ``time.process_time`` does not count what other programs do, but adds up over threads.

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
            started = clock()
            function()
            seconds[name].append(clock() - started)
    return seconds


def median_times(
    sides: Mapping[str, Callable[[], object]], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Return the median of the times of `paired_times`, by name."""
    return {name: statistics.median(values) for name, values in paired_times(sides, repeats, clock).items()}


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
