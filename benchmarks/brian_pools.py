"""Time and memory of one step of the contextual circuit in Brian2's C++, by how its pools are computed.

Every program is built in a temporary folder with the library's compiler options and then run, one program after the
other; the states of all that are compared must agree at the end. Seconds a step are those of the program's own
simulation loop, so neither the build nor the loading of arrays counts. Memory is the peak resident memory of the
running program.

Tables written:

``published``
    The published size, 51 x 51 x 25 with pools 9 and 29: the fast form against explicit synapses.
``one_pool``
    The far pool alone (29 x 29 without its central 9 x 9), done four ways: explicit synapses; rows and then columns as
    two chained groups of summed synapses, the rows with ``order=-1`` (summed variables are otherwise updated in the
    order of their names, and the columns may silently read rows that are a step old); and the library's passes over
    linked variables, reading 5 neighbours at a time (the library's choice in C++) or all at once.
``pool_size``, ``field_size``
    The fast form alone, against the far pool at a field of 101 x 101 and against the field at the published pools.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import brian2
import numpy as np
import tyro
from brian2 import ms
from brian2.devices.device import get_device
from harness import Row, check_equal, print_table, save_tables
from mely_case import MelyCase

from neurocircuit import PoolSizes, cli
from neurocircuit.circuits import Circuit
from neurocircuit.connectivity import Annulus
from neurocircuit.connectivity.kernels import axis_sources
from neurocircuit.simulation.brian import LINKS_PER_PASS, brian_device
from neurocircuit.simulation.brian_pools import build_network
from neurocircuit.tables import Table

STEP = 1 * ms
SEED = 0
TOLERANCE = 1e-10

Build = Callable[[Any], tuple[Any, list[Any]]]


@dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    output: Path = Path("outputs/benchmarks")
    """Folder for the tables."""
    quick: bool = False
    """One small comparison, compiled without optimisation, to see that it runs; the times mean nothing."""


class Case(MelyCase):
    """One size of the problem, and the builders of its networks."""

    def fast(self, circuit: Circuit | None = None, links: int = LINKS_PER_PASS["cpp"]) -> Build:
        """Return the builder of the library's fast form."""
        return self._builder(circuit or self.circuit(), explicit=False, links=links)

    def explicit(self, circuit: Circuit | None = None) -> Build:
        """Return the builder of the form with one synapse per connection."""
        return self._builder(circuit or self.circuit(), explicit=True, links=1)

    def _builder(self, circuit: Circuit, *, explicit: bool, links: int) -> Build:
        def build(clock: Any) -> tuple[Any, list[Any]]:
            return build_network(
                circuit, self.shape, clock, method="euler", staggered=False, explicit=explicit, links_per_pass=links
            )

        return build


@dataclass
class Run:
    """What the runs of one program showed."""

    states: Mapping[str, np.ndarray]
    seconds: list[float]
    mib: float

    @property
    def ms_step(self) -> float:
        """Median milliseconds of a step."""
        return 1e3 * statistics.median(self.seconds)


def main(config: Config) -> None:
    """Run every comparison, print the tables and write them."""
    cli.check_output_folder(config.output)
    steps, repeats = (3, 1) if config.quick else (20, 3)
    if config.quick:
        # Compiling takes most of the time of a small run.
        brian2.prefs["codegen.cpp.extra_compile_args_gcc"] = ["-w", "-O0", "-std=c++11"]
    published = Case(3, 9, PoolSizes(1, 3, 9)) if config.quick else Case(25, 51, PoolSizes())
    tables: dict[str, Table] = {"one_pool": one_pool(published, steps, repeats)}
    if not config.quick:
        tables["published"] = forms(published, steps, repeats)
        tables["pool_size"] = [
            {"far_pool": size} | fast_only(Case(25, 101, PoolSizes(1, 3, size)), steps, repeats)
            for size in (9, 15, 21, 29, 41, 51, 61)
        ]
        tables["field_size"] = [fast_only(Case(25, n, PoolSizes()), steps, repeats) for n in (25, 51, 75, 101)]
    for name, rows in tables.items():
        print_table(f"{name} (one thread)", rows)
    save_tables(config.output, "brian_pools", tables, seed=SEED, quick=config.quick, steps=steps, tolerance=TOLERANCE)


def forms(case: Case, steps: int, repeats: int) -> Table:
    """Compare the fast form of the whole circuit with explicit synapses."""
    circuit = case.circuit()
    return _rows(case, {"explicit": case.explicit(circuit), "fast": case.fast(circuit)}, circuit, steps, repeats)


def one_pool(case: Case, steps: int, repeats: int) -> Table:
    """Compare four ways to compute the far pool alone."""
    circuit = case.circuit().lesioned("U", "P", "Q")
    width = case.sizes.far
    builders = {
        "explicit": case.explicit(circuit),
        "chained_synapses": chained(case),
        f"linked_{LINKS_PER_PASS['cpp']}_at_once": case.fast(circuit),
        f"linked_{width}_at_once": case.fast(circuit, links=width),
    }
    return _rows(case, builders, circuit, steps, repeats)


def fast_only(case: Case, steps: int, repeats: int) -> Row:
    """Return time and memory of the fast form."""
    run = run_programs(case, {"fast": case.fast()}, case.circuit(), steps, repeats)["fast"]
    units = int(np.prod(case.shape))
    return {"field": case.field, "ms_step": run.ms_step, "ns_step_unit": 1e6 * run.ms_step / units, "peak_MiB": run.mib}


def chained(case: Case) -> Build:
    """Return the builder of the far pool as sums over rows and then columns, both by summed synapses."""
    whole = case.circuit()
    kernel = next(pool.kernel for pool in whole.pools if pool.name == "pool_t")
    assert isinstance(kernel, Annulus)
    without_pools = whole.lesioned(*(pool.name for pool in whole.pools))

    def build(clock: Any) -> tuple[Any, list[Any]]:
        neurons, objects = case.fast(without_pools)(clock)
        rows = brian2.NeuronGroup(len(neurons), "outer : 1\ninner : 1", clock=clock, name="rows")
        made = [rows]
        for name, size in (("outer", kernel.outer), ("inner", kernel.inner)):
            along_x = brian2.Synapses(
                neurons, rows, f"{name}_post = h2_pre : 1 (summed)", clock=clock, order=-1, name=f"along_x_{name}"
            )
            pre, post, _ = _line_synapses(case.shape, -1, size)
            along_x.connect(i=pre, j=post)
            made.append(along_x)
        model = "inside : 1 (constant)\npool_t_post = (outer_pre - inside*inner_pre)/area : 1 (summed)"
        along_y = brian2.Synapses(
            rows, neurons, model, clock=clock, name="along_y", namespace={"area": float(kernel.area)}
        )
        pre, post, distance = _line_synapses(case.shape, -2, kernel.outer)
        along_y.connect(i=pre, j=post)
        along_y.inside = np.abs(distance) <= kernel.inner // 2
        return neurons, [*objects, *made, along_y]

    return build


def run_programs(
    case: Case, builders: Mapping[str, Build], circuit: Circuit, steps: int, repeats: int
) -> dict[str, Run]:
    """Build and run programs one after the other, and stop if their states differ at the end."""
    drive = np.random.default_rng(SEED).random(int(np.prod(case.shape)))
    found: dict[str, Run] = {}
    for name, build in builders.items():
        with tempfile.TemporaryDirectory(prefix="neurocircuit_") as directory, brian_device("cpp", directory):
            neurons, objects = build(brian2.Clock(STEP, name="circuit_clock*"))
            values = {**circuit.parameters.quantities(), "drive": drive}
            for variable, value in (values | dict.fromkeys(circuit.system.states, drive)).items():
                setattr(neurons, variable, value)
            brian2.Network(*objects).run(steps * STEP, namespace={})
            get_device().build(directory=directory, compile=True, run=False, clean=False)
            mib, seconds = program_peak(directory), []
            for _ in range(repeats):
                get_device().run()
                seconds.append(float(get_device()._last_run_time) / steps)
            states = {state: np.array(getattr(neurons, state)[:]) for state in circuit.system.states}
        found[name] = Run(states, seconds, mib)
    first = next(iter(found.values()))
    for name, run in found.items():
        for state, result in run.states.items():
            check_equal(f"{name}, {state}", result, first.states[state], TOLERANCE)
    return found


def program_peak(directory: str) -> float:
    """Return the peak resident memory of a built program in MiB, at least that of the small process that starts it."""
    launch = "import resource, subprocess; subprocess.run('./main', check=True, stdout=subprocess.DEVNULL); "
    tell = "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-c", launch + tell], cwd=directory, capture_output=True, check=True
    )
    return int(told.stdout) / 1024


def _line_synapses(shape: tuple[int, int, int], axis: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return source, target and distance of synapses along one axis, ordered by distance."""
    unit = np.arange(int(np.prod(shape))).reshape(shape)
    source = axis_sources(shape[axis], size // 2, "zero")
    found = []
    for column, distance in enumerate(range(-(size // 2), size // 2 + 1)):
        inside = np.flatnonzero(source[:, column] >= 0)
        post = np.take(unit, inside, axis=axis).ravel()
        pre = np.take(unit, source[inside, column], axis=axis).ravel()
        found.append((pre, post, np.full(len(pre), distance)))
    pre, post, distances = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return pre, post, distances


def _rows(case: Case, builders: Mapping[str, Build], circuit: Circuit, steps: int, repeats: int) -> list[Row]:
    runs = run_programs(case, builders, circuit, steps, repeats)
    explicit = runs["explicit"]
    return [
        {
            "form": name,
            "field": case.field,
            "ms_step": run.ms_step,
            "peak_MiB": run.mib,
            "times_faster": explicit.ms_step / run.ms_step,
            "times_less_memory": explicit.mib / run.mib,
        }
        for name, run in runs.items()
    ]


if __name__ == "__main__":
    with cli.one_line_errors():
        main(tyro.cli(Config, description=__doc__))
