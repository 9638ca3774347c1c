"""What every benchmark shares: paired timings, peak memory, tables on screen and in files."""

from __future__ import annotations

import csv
import ctypes
import gc
import io
import json
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neurocircuit.files import atomic
from neurocircuit.simulation import package_versions

__all__ = ["check_equal", "median_times", "paired_times", "peak_growth", "print_table", "save_tables"]

Row = dict[str, Any]
Table = Sequence[Row]
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


def print_table(title: str, rows: Table) -> None:
    """Print rows of equal keys as an aligned table."""
    names = list(rows[0])
    cells = [names, *([_cell(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    print(f"\n{title}")
    for line in cells:
        print("  " + "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)))


def save_tables(output: Path, name: str, tables: Mapping[str, Table], *, seed: int | None, **settings: object) -> None:
    """Write one CSV file a table and one JSON file that says how they were made; each appears whole or not at all.

    Parameters
    ----------
    output : Path
        Folder; made if missing.
    name : str
        First part of the file names.
    tables : mapping from name to rows
        Rows of equal keys.
    seed : int or None
        Seed of the inputs; None if they are not random.
    **settings
        Anything else that defines the run.
    """
    header = {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "threads": torch.get_num_threads(),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "seed": seed,
        "versions": package_versions(),
        "settings": settings,
        "tables": {table: f"{name}_{table}.csv" for table in tables},
    }
    for table, rows in tables.items():
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
        _write(output / f"{name}_{table}.csv", text.getvalue())
    _write(output / f"{name}.json", json.dumps(header, indent=2) + "\n")
    print(f"\nwritten to {output}/{name}*.csv and {name}.json")


def _memory_status(field: str) -> float:
    """Return a field of this process's memory status, such as ``VmRSS``, in MiB."""
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024 / MIB


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    return found[1].strip() if found else platform.processor()


def _write(path: Path, text: str) -> None:
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")
