"""Time of the lateral convolution in space and in the frequency domain.

Both methods run in one process on the same fields and kernels, and are checked to agree before they are timed. Times
are of a forward and a backward pass within a sequence, without the transform of the kernel, which is done once in it.

Tables written:

``kernel_size``, ``field_size``, ``batch``
    Both methods around the published size, and what the fixed rule of ``choose_method`` picks.
``small``
    The same with eight channels and kernels of 9 x 9, as in small networks.
``rule``
    How much time the rule loses over all these sizes against always picking the faster method.
``fit``
    The constants of the rule, fitted to all these times (relative errors, none negative).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import tyro
from harness import Row, check_equal, median_times, print_table, save_tables
from scipy.optimize import nnls

from neurocircuit import cli
from neurocircuit.cells import choose_method, lateral_conv2d
from neurocircuit.cells.lateral import lateral_work

SEED = 0
# Relative to the largest value, in float32.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    output: Path = Path("outputs/benchmarks")
    """Folder for the tables."""
    quick: bool = False
    """Small fields and few repeats, to see that everything runs; the times mean nothing."""
    repeats: int = 3
    """Timed calls of each side; the median counts."""


@dataclass(frozen=True)
class Case:
    """One size of the lateral convolution."""

    batch: int
    channels: int
    field: int
    kernel: int


def main(config: Config) -> None:
    """Run every comparison, print the tables and write them."""
    cli.check_output_folder(config.output)
    repeats = 1 if config.quick else config.repeats
    usual = Case(2, 4, 16, 5) if config.quick else Case(4, 25, 150, 15)
    kernels = (3, 5) if config.quick else (3, 5, 7, 9, 11, 15, 21, 31)
    fields = (8, 16) if config.quick else (16, 24, 32, 50, 75, 100, 150, 200)
    batches = (1, 2) if config.quick else (1, 2, 4, 8, 16, 32)
    tables = {
        "kernel_size": [lateral(Case(usual.batch, usual.channels, usual.field, k), repeats) for k in kernels],
        "field_size": [lateral(Case(usual.batch, usual.channels, n, usual.kernel), repeats) for n in fields],
        "batch": [lateral(Case(b, usual.channels, usual.field // 2, usual.kernel), repeats) for b in batches],
        "small": [lateral(Case(8 * usual.batch, 8, n, min(9, n - 1)), repeats) for n in fields[:3]],
    }
    curves = [row for rows in tables.values() for row in rows]
    tables |= {"rule": [rule(curves)], "fit": [fit(curves)]}
    for name, rows in tables.items():
        print_table(f"{name} ({torch.get_num_threads()} threads)", rows)
    save_tables(config.output, "lateral_conv", tables, seed=SEED, quick=config.quick, repeats=repeats)


def lateral(case: Case, repeats: int) -> Row:
    """Return the times of both methods for one convolution, forward and backward."""
    torch.manual_seed(SEED)
    kernel = case.kernel - 1 + case.kernel % 2
    field = torch.rand(case.batch, case.channels, case.field, case.field, requires_grad=True)
    weight = torch.randn(case.channels, case.channels, kernel, kernel, requires_grad=True)
    shape = (case.batch, case.field, case.field)
    prepared = {method: lateral_conv2d(weight, shape, method=method) for method in ("direct", "fft")}
    direct, fast = (prepared[method](field) for method in ("direct", "fft"))
    scale = float(direct.detach().abs().max())
    difference = check_equal(f"{case}", fast.detach() / scale, direct.detach() / scale, TOLERANCE)

    def once(method: str) -> None:
        out = prepared[method](field)
        torch.autograd.grad(out, (field, weight), out, retain_graph=True)

    seconds = median_times({method: partial(once, method) for method in prepared}, repeats)
    return {
        "batch": case.batch,
        "channels": case.channels,
        "field": case.field,
        "kernel": kernel,
        "direct_ms": 1e3 * seconds["direct"],
        "fft_ms": 1e3 * seconds["fft"],
        "times_faster": seconds["direct"] / seconds["fft"],
        "rule_picks": choose_method(weight, shape),
        "difference": difference,
    }


def rule(rows: list[Row]) -> Row:
    """Return what the fixed rule costs against the faster method at every size."""
    best = [min(row["direct_ms"], row["fft_ms"]) for row in rows]
    lost = [row[f"{row['rule_picks']}_ms"] / fastest for row, fastest in zip(rows, best, strict=True)]
    return {"sizes": len(rows), "picks_the_faster": sum(x == 1 for x in lost), "worst_loss": max(lost)}


def fit(rows: list[Row]) -> Row:
    """Return the constants that fit the measured times best."""
    direct, transforms, products = np.array([lateral_work(*sizes(row)) for row in rows]).T
    measured = {name: np.array([row[f"{name}_ms"] / 1e3 for row in rows]) for name in ("direct", "fft")}
    (direct_seconds,), _ = nnls((direct / measured["direct"])[:, None], np.ones(len(rows)))
    parts = np.stack([transforms, products, np.ones(len(rows))], axis=1) / measured["fft"][:, None]
    (transform_seconds, product_seconds, overhead), _ = nnls(parts, np.ones(len(rows)))
    return {
        "direct_seconds": float(direct_seconds),
        "transform_seconds": float(transform_seconds),
        "product_seconds": float(product_seconds),
        "overhead_seconds": float(overhead),
    }


def sizes(row: Row) -> tuple[tuple[int, int, int, int], tuple[int, int, int]]:
    """Return the shapes of the kernel and of the fields of a row."""
    return (row["channels"], row["channels"], row["kernel"], row["kernel"]), (row["batch"], row["field"], row["field"])


if __name__ == "__main__":
    with cli.one_line_errors():
        main(tyro.cli(Config, description=__doc__))
