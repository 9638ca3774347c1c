"""Tables of results: on screen, and as small CSV files with a JSON file that says how they were made."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from neurocircuit.files import atomic
from neurocircuit.versions import package_versions

__all__ = ["Row", "Table", "print_table", "save_tables"]

Row = dict[str, Any]
Table = Sequence[Row]


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


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    return found[1].strip() if found else platform.processor()


def _write(path: Path, text: str) -> None:
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")
