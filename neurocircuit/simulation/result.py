"""From raw trajectories to labelled, self-describing data sets, and safely onto disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from neurocircuit.circuits import Circuit
from neurocircuit.equations import ParameterSet, to_float, unit_name
from neurocircuit.files import atomic
from neurocircuit.simulation.problem import Problem, Trajectory
from neurocircuit.simulation.settling import settling
from neurocircuit.versions import package_versions

__all__ = ["concatenate", "to_dataset", "write_netcdf"]


def to_dataset(
    problem: Problem, parameters: ParameterSet, trajectory: Trajectory, tolerance: float, **attributes: str
) -> xr.Dataset:
    """Label a trajectory.

    Returns
    -------
    xarray.Dataset
        One variable per state over ``time`` (ms), ``batch`` and either ``channel``, ``y``, ``x`` or ``unit``;
        ``step_count`` per sample; ``residual`` (largest rate of change at the end, per ms) per state and
        stimulus; ``converged`` per stimulus; ``period`` per stimulus: 1 at a fixed point, p in a cycle of p steps, 0
        when not settled. Parameters, numerics and package versions are attributes.
    """
    place = ("channel", "y", "x") if problem.units is None else ("unit",)
    states = problem.circuit.system.states
    data: dict[str, Any] = {}
    for name in states:
        symbol = problem.circuit.system.symbol(name)
        attrs = {"units": "1", "long_name": symbol.meaning}
        data[name] = (("time", "batch", *place), trajectory.samples[name], attrs)
    end = settling(problem, parameters, trajectory.final, tolerance)
    data["residual"] = (("state", "batch"), end.residual, {"units": "1/ms", "long_name": "largest rate of change"})
    converged_attrs = {"long_name": "whether the largest rate of change is below the tolerance", "tolerance": tolerance}
    data["converged"] = (("batch",), (end.period == 1).astype("int8"), converged_attrs)
    data["period"] = (("batch",), end.period, {"long_name": "steps until the state returns; 0 is not settled"})
    coords: dict[str, Any] = {
        "time": ("time", problem.sample_steps * problem.step, {"units": "ms"}),
        "step_count": ("time", problem.sample_steps),
        "state": list(states),
    }
    if problem.units is not None:
        coords |= {name: ("unit", problem.units[:, axis]) for axis, name in enumerate(("channel", "y", "x"))}
    return xr.Dataset(data, coords, {**describe(problem.circuit, parameters), **_numerics(problem), **attributes})


def describe(circuit: Circuit, parameters: ParameterSet) -> dict[str, str]:
    """Return what identifies a circuit as NetCDF attributes."""
    values = {
        name: {"value": to_float(value), "unit": unit_name(value) or "1"}
        for name, value in parameters.quantities().items()
    }
    pools = {
        pool.name: f"{pool.kernel!r} of {pool.summand(pool.source)}" if pool.kernel else "lesioned"
        for pool in circuit.pools
    }
    return {
        "circuit": circuit.name,
        "citation": circuit.citation,
        "equations": circuit.system.text.strip(),
        "parameters": json.dumps(values),
        "pools": json.dumps(pools),
        "versions": json.dumps(package_versions()),
    }


def _numerics(problem: Problem) -> dict[str, Any]:
    return {
        "method": problem.method,
        "update": problem.update,
        "step_ms": problem.step,
        "steps": problem.steps,
    }


def concatenate(results: Sequence[xr.Dataset], parameter_sets: Sequence[ParameterSet]) -> xr.Dataset:
    """Join the results of a parameter sweep along ``parameter_set``, with the changed parameters as coordinates."""
    joined = xr.concat(
        results,
        "parameter_set",
        data_vars="all",
        coords="minimal",
        compat="override",
        join="override",
        combine_attrs="override",
    )
    floats = [p.as_floats() for p in parameter_sets]
    changed = [name for name in floats[0] if len({values[name] for values in floats}) > 1]
    joined = joined.assign_coords({name: ("parameter_set", [values[name] for values in floats]) for name in changed})
    del joined.attrs["parameters"]
    joined.attrs["parameter_sets"] = json.dumps(floats)
    return joined


def write_netcdf(dataset: xr.Dataset, path: str | Path) -> Path:
    """Write a data set to a NetCDF file atomically: the file appears whole or not at all.

    Raises
    ------
    OSError
        If the folder cannot be made or written to.
    """
    with atomic(path) as partial:
        dataset.to_netcdf(partial, engine="h5netcdf")
    return Path(path)
