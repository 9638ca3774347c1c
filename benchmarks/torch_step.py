"""Time and scratch memory of one torch step of the contextual circuit, against dense convolutions.

Both sides run in one process on the same random drive and are checked to agree before they are timed:

* the library: the steps that ``simulate(..., device="torch")`` takes, without what a run does once;
* the reference: the same equation on the whole batch at once, its two surround pools as dense depthwise ``conv2d``, Q
  as a 1 x 1 convolution and U as a mean over channels.

Tables written:

``published``
    The published size, 10 stimuli of 51 x 51 x 25 with pools 9 and 29: seconds a step of both sides and their ratio;
    scratch memory of both, which is the growth of the resident memory at its peak during one step (drive and states are
    there before, new states count); and the roofline: the library's step over the time to copy
    the bytes it must move. Those are every array that must be read or written at least once: drive, h1 and h2 read,
    h1 and h2 written, each pool written once and read once (U has one channel). Half of these bytes are copied from
    one array to another, as a copy reads and writes every byte.
``parts``
    Where a library step of one stimulus spends its time: each pool, and the rest, which is the pointwise equation.
``pool_size``, ``field_size``
    Time a step, time a step and pixel, and memory, against the far pool at a field of 101 x 101 and against the field
    at the published pools; one stimulus.
``box_sum``
    A 29 x 29 box sum alone, one stimulus: running sums (the library), a product with a banded matrix along each axis,
    and a dense depthwise convolution.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import tyro
from brian2 import ms
from harness import Row, check_equal, median_times, peak_growth, print_table, save_tables
from mely_case import MelyCase

from neurocircuit import PoolSizes, cli, simulate
from neurocircuit.circuits import Circuit
from neurocircuit.connectivity import ChannelMixing, LateralKernel, as_operator, box_sum
from neurocircuit.equations import compile_step
from neurocircuit.simulation import trajectory

States = dict[str, torch.Tensor]
Step = Callable[[States], States]

STEP = 1.0  # ms
SEED = 0
TOLERANCE = 1e-10


@dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    output: Path = Path("outputs/benchmarks")
    """Folder for the tables."""
    quick: bool = False
    """Small fields and few repeats, to see that everything runs; the times mean nothing."""


@dataclass(frozen=True)
class Case(MelyCase):
    """One size of the problem, for some stimuli at once."""

    stimuli: int = 1

    def drive(self) -> torch.Tensor:
        """Return a random drive."""
        return torch.from_numpy(np.random.default_rng(SEED).random((self.stimuli, *self.shape)))


def main(config: Config) -> None:
    """Run every comparison, print the tables and write them."""
    cli.check_output_folder(config.output)
    channels, repeats = (3, 1) if config.quick else (25, 5)
    published = Case(channels, 11, PoolSizes(1, 3, 9), 2) if config.quick else Case(channels, 51, PoolSizes(), 10)
    far_field, far = (21, (9, 21)) if config.quick else (101, (9, 15, 21, 29, 41, 51, 61))
    fields = (7, 15) if config.quick else (25, 51, 75, 101, 151, 201)
    box = 5 if config.quick else 29
    steps = 2 if config.quick else 20
    with torch.no_grad():
        tables = {
            "published": [compare(published, repeats, steps) | roofline(published, repeats, steps)],
            "parts": parts(published, repeats),
            "pool_size": [
                {"far_pool": size} | compare(Case(channels, far_field, PoolSizes(1, 3, size)), repeats, steps)
                for size in far
            ],
            "field_size": [compare(Case(channels, n, published.sizes), repeats, steps) for n in fields],
            "box_sum": [box_sums(channels, n, box, repeats) for n in fields],
        }
    for name, rows in tables.items():
        print_table(f"{name} ({torch.get_num_threads()} threads)", rows)
    save_tables(config.output, "torch_step", tables, seed=SEED, quick=config.quick, tolerance=TOLERANCE)


def compare(case: Case, repeats: int, steps: int) -> Row:
    """Return time a step and scratch memory of both sides at one size."""
    circuit, drive = case.circuit(), case.drive()
    states = dict.fromkeys(circuit.system.states, drive)
    dense, library = dense_step(circuit, drive), library_step(circuit, drive, steps)
    found = simulate(circuit, drive.numpy(), step=STEP * ms, steps=2)
    expected = dense(dense(states))
    difference = max(check_equal(name, found[name][0], expected[name], TOLERANCE) for name in expected)
    library()
    fast = statistics.median(library() for _ in range(repeats))
    slow = median_times({"dense": lambda: dense(states)}, min(repeats, 3))["dense"]
    fast_memory, dense_memory = peak_growth(library_step(circuit, drive, 1)), peak_growth(lambda: dense(states))
    return {
        "stimuli": case.stimuli,
        "field": case.field,
        "ms_step": 1e3 * fast,
        "ns_step_unit": 1e9 * fast / drive.numel(),
        "dense_ms_step": 1e3 * slow,
        "times_faster": slow / fast,
        "scratch_MiB": fast_memory,
        "dense_scratch_MiB": dense_memory,
        "times_less_memory": dense_memory / max(fast_memory, 1e-3),
        "difference": difference,
    }


def library_step(circuit: Circuit, drive: torch.Tensor, steps: int) -> Callable[[], float]:
    """Return a function that takes some steps and returns the seconds a step took, summed over the stimuli.

    The stimuli run one after the other, as in `simulate` at the published size.
    """

    def run() -> float:
        seconds = 0.0
        for one in torch.split(drive, 1):
            states = trajectory(circuit, one, step=STEP)
            next(states)
            started = time.perf_counter()
            for _ in range(steps):
                next(states)
            seconds += time.perf_counter() - started
        return seconds / steps

    return run


def dense_step(circuit: Circuit, drive: torch.Tensor) -> Step:
    """Return one step of the circuit with every surround pool as a dense depthwise convolution."""
    channels = drive.shape[1]
    pools = [(pool, dense_pool(pool.kernel, channels)) for pool in circuit.pools if pool.kernel is not None]
    pointwise = compile_step(circuit.system)
    fixed = {**circuit.parameter_tensors(), "drive": drive}
    dt = torch.tensor(STEP, dtype=drive.dtype)
    return lambda states: pointwise({**fixed, **states, **{p.name: op(states[p.source]) for p, op in pools}}, dt)


def dense_pool(kernel: LateralKernel, channels: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a pool as a convolution with all of its weights."""
    if isinstance(kernel, ChannelMixing):
        if kernel.is_uniform:
            return lambda field: field.mean(1, keepdim=True)
        mixing = torch.from_numpy(kernel.as_kernel(channels))
        return lambda field: F.conv2d(field, mixing)
    weights = torch.from_numpy(kernel.as_kernel(1)).expand(channels, -1, -1, -1).contiguous()
    return lambda field: F.conv2d(field, weights, padding=kernel.half_width, groups=channels)


def roofline(case: Case, repeats: int, steps: int) -> Row:
    """Return the time of a library step over the time to copy the bytes it must move."""
    circuit, drive = case.circuit(), case.drive()
    states, pools = len(circuit.system.states), circuit.pool_function()(dict.fromkeys(circuit.system.states, drive))
    read_once, written_once = 1 + states, states
    moved = (read_once + written_once) * drive.numel() + 2 * sum(pool.numel() for pool in pools.values())
    source, target = torch.rand(moved // 2, dtype=drive.dtype), torch.empty(moved // 2, dtype=drive.dtype)
    copy = median_times({"copy": lambda: target.copy_(source)}, 10 * repeats)["copy"]
    library = library_step(circuit, drive, steps)
    step = statistics.median(library() for _ in range(repeats))
    return {"moved_MB": 1e-6 * moved * drive.itemsize, "copy_ms": 1e3 * copy, "step_over_copy": step / copy}


def parts(case: Case, repeats: int) -> list[Row]:
    """Return the milliseconds of each pool of one stimulus and of everything else in its step."""
    circuit, drive = case.circuit(), case.drive()[:1]
    generator = trajectory(circuit, drive, step=STEP)
    next(generator)
    sides: dict[str, Callable[[], object]] = {"step": lambda: next(generator)}
    for pool in circuit.pools:
        if pool.kernel is not None:
            sides[pool.name] = partial(as_operator(pool.kernel, drive.dtype, drive.device), drive)
    seconds = median_times(sides, 10 * repeats)
    whole = seconds.pop("step")
    seconds["pointwise"] = whole - sum(seconds.values())
    rows = [{"part": name, "ms": 1e3 * value, "share": value / whole} for name, value in seconds.items()]
    return [*rows, {"part": "step", "ms": 1e3 * whole, "share": 1.0}]


def box_sums(channels: int, field: int, size: int, repeats: int) -> Row:
    """Return the milliseconds of a box sum done in three ways."""
    values = torch.from_numpy(np.random.default_rng(SEED).random((1, channels, field, field)))
    distance = (torch.arange(field)[:, None] - torch.arange(field)[None, :]).abs()
    band = (distance <= size // 2).to(values.dtype)
    ones = torch.ones((channels, 1, size, size), dtype=values.dtype)
    sides: dict[str, Callable[[], torch.Tensor]] = {
        "running_sums": lambda: box_sum(values, size, "zero"),
        "banded_matrix": lambda: band @ values @ band,
        "dense": lambda: F.conv2d(values, ones, padding=size // 2, groups=channels),
    }
    results = {name: side() for name, side in sides.items()}
    for name in ("banded_matrix", "dense"):
        check_equal(f"box sum, {name}", results[name], results["running_sums"], TOLERANCE)
    seconds = median_times(sides, 2 * repeats)
    times = {f"{name}_ms": 1e3 * value for name, value in seconds.items()}
    return {
        "field": field,
        "box": size,
        **times,
        "banded_over_running": seconds["banded_matrix"] / seconds["running_sums"],
        "dense_over_running": seconds["dense"] / seconds["running_sums"],
    }


if __name__ == "__main__":
    with cli.one_line_errors():
        main(tyro.cli(Config, description=__doc__))
