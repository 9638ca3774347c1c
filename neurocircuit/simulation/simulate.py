"""The one way to run a circuit, whatever executes it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import torch
import xarray as xr
from brian2 import ms

from neurocircuit.circuits import Circuit
from neurocircuit.equations import ParameterSet
from neurocircuit.errors import BackendUnavailableError, SettlingWarning
from neurocircuit.simulation import brian
from neurocircuit.simulation import torch as torch_backend
from neurocircuit.simulation.cuda import cuda_problem
from neurocircuit.simulation.problem import Problem, Record, Trajectory, Unit, Update, make_problem
from neurocircuit.simulation.result import concatenate, to_dataset
from neurocircuit.simulation.settling import describe_settling

__all__ = ["BRIAN_DEVICES", "DTYPES", "PoolForm", "available_devices", "generate_program", "simulate"]

PoolForm = Literal["fast", "explicit"]
BRIAN_DEVICES = ("numpy", "cython", "cpp", "cuda")
DTYPES = {"float64": torch.float64, "float32": torch.float32}

#: Largest change of any state per ms below which a run has settled.
TOLERANCE = 1e-5


def simulate(
    circuit: Circuit,
    drive: Any,
    *,
    step: Any = 1 * ms,
    steps: int = 400,
    method: str = "euler",
    device: str = "torch",
    dtype: str = "float64",
    start: str | Mapping[str, Any] = "drive",
    update: Update = "simultaneous",
    record: Record = "last",
    units: Sequence[Unit] | None = None,
    pools: PoolForm = "fast",
    parameter_sets: Sequence[ParameterSet] | None = None,
    tolerance: float = TOLERANCE,
) -> xr.Dataset:
    """Run a circuit on one or more stimuli and return its states, labelled.

    Parameters
    ----------
    circuit : Circuit
        What to run, such as ``mely_circuit(25)``.
    drive : (batch, channel, y, x) or (channel, y, x) array
        Input, constant in time, dimensionless and finite.
    step : Quantity
        Integration step, such as ``1*ms``.
    steps : int
        Number of steps.
    method : str
        Integration scheme, by Brian2's name; pools are held constant within a step, so only ``"euler"`` keeps its
        nominal order.
    device : str
        ``"numpy"``, ``"cython"``, ``"cpp"`` or ``"cuda"`` (Brian2), or ``"torch"``, ``"torch:cuda:0"``, ...
    dtype : {"float64", "float32"}
        Precision; Brian2 devices compute in float64.
    start : {"drive", "zeros"} or mapping from state to array
        States before the first step.
    update : {"simultaneous", "staggered"}
        From which states each state is updated: all from the old ones, or each from those already updated, in the
        order of the equations, pools included.
    record : {"all", "last"} or int
        Which states to keep: all, only the last, or every n-th. Sample 0 is then the start.
    units : sequence of (channel, y, x), optional
        Keep only these units.
    pools : {"fast", "explicit"}
        On Brian2: sums over the width of a pool along each axis, or one synapse per connection (small fields).
    parameter_sets : sequence of ParameterSet, optional
        Run once for each of these instead of the circuit's own parameters, such as
        ``[circuit.parameters.replace(beta=b) for b in (1, 2, 3)]``; on C++ and CUDA all runs share one build.
    tolerance : float
        Largest change per ms at which a run counts as settled.

    Returns
    -------
    xarray.Dataset
        See `neurocircuit.simulation.to_dataset`. Sample k is the state after ``step_count[k]`` steps. With
        `parameter_sets` it has the leading dimension ``parameter_set``.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described; the message names it.
    NonFiniteError
        If a state leaves the finite numbers.
    BackendUnavailableError
        If the device cannot run here; the message says what to install.

    Examples
    --------
    >>> import numpy as np
    >>> from brian2 import ms
    >>> from neurocircuit import PoolSizes, mely_circuit, simulate
    >>> circuit = mely_circuit(4, sizes=PoolSizes(1, 3, 5))
    >>> result = simulate(circuit, np.ones((4, 8, 8)), step=1*ms, steps=400)
    >>> result.h2.dims
    ('time', 'batch', 'channel', 'y', 'x')
    """
    if not tolerance > 0:
        raise ValueError(f"`tolerance` is {tolerance!r}; it must be greater than 0, such as {TOLERANCE:g} per ms.")
    sets = [circuit.parameters] if parameter_sets is None else _check_parameter_sets(circuit, parameter_sets)
    problem = make_problem(
        circuit,
        drive,
        sets,
        step=step,
        steps=steps,
        method=method,
        update=update,
        start=start,
        record=record,
        units=units,
    )
    trajectories = _run(problem, sets, device, dtype, pools)
    results = [
        to_dataset(problem, parameters, trajectory, tolerance, device=device, dtype=dtype)
        for parameters, trajectory in zip(sets, trajectories, strict=True)
    ]
    cycling = [result for result in results if (result["period"] > 1).any()]
    if cycling:
        warnings.warn(
            f"the run ended in a cycle: {describe_settling(cycling[0])}. A cycle of few steps is a product of the step "
            "size, not of the equation; use a smaller `step`.",
            SettlingWarning,
            stacklevel=2,
        )
    return results[0] if parameter_sets is None else concatenate(results, sets)


def _check_parameter_sets(circuit: Circuit, parameter_sets: Sequence[ParameterSet]) -> Sequence[ParameterSet]:
    wanted = type(circuit.parameters)
    if not parameter_sets or any(type(p) is not wanted for p in parameter_sets):
        raise ValueError(f"`parameter_sets` is {parameter_sets!r}; it must hold one or more {wanted.__name__}.")
    return parameter_sets


def generate_program(
    circuit: Circuit,
    drive: Any,
    directory: str,
    *,
    device: str = "cuda",
    step: Any = 1 * ms,
    steps: int = 400,
    update: Update = "simultaneous",
    pools: PoolForm = "fast",
    compile: bool = False,
) -> None:
    """Write the C++ or CUDA program that simulates a circuit into a directory; no GPU is needed.

    Parameters
    ----------
    circuit, drive, step, steps, update, pools
        As for `simulate`; the first stimulus of `drive` gives the field its shape.
    directory : str
        Where the program goes; it is made if missing.
    device : {"cuda", "cpp"}
        The language.
    compile : bool
        Whether to compile and link it too, which takes minutes for CUDA.

    Raises
    ------
    ValueError
        If the device is not one that is generated.
    BackendUnavailableError
        If brian2cuda is missing or does not match, or there is no toolkit to compile with.
    """
    if device not in ("cuda", "cpp"):
        raise ValueError(f"`device` is {device!r}; it must be 'cuda' or 'cpp'.")
    problem = make_problem(
        circuit,
        drive,
        [circuit.parameters],
        step=step,
        steps=steps,
        method="euler",
        update=update,
        start="drive",
        record="last",
        units=None,
    )
    brian.generate(problem, directory, device, pools, compile)


def available_devices() -> dict[str, str]:
    """Return every device by name with the empty string if it can run here, and otherwise the reason why not."""
    found = {
        "numpy": "",
        "cython": brian.compiler_problem(),
        "cpp": brian.compiler_problem(),
        "cuda": cuda_problem(),
        "torch": "",
    }
    found["torch:cuda"] = "" if torch.cuda.is_available() else "torch finds no CUDA GPU"
    return found


def _run(
    problem: Problem, parameter_sets: Sequence[ParameterSet], device: str, dtype: str, pools: PoolForm
) -> list[Trajectory]:
    if dtype not in DTYPES:
        raise ValueError(f"`dtype` is {dtype!r}; it must be one of {', '.join(DTYPES)}.")
    if pools not in get_args(PoolForm):
        raise ValueError(f"`pools` is {pools!r}; it must be one of {', '.join(get_args(PoolForm))}.")
    if device in BRIAN_DEVICES:
        if dtype != "float64":
            raise ValueError(f"`dtype` is {dtype!r}; on the device {device!r} it must be 'float64'.")
        return brian.run(problem, parameter_sets, device, pools)
    kind, _, place = device.partition(":")
    if kind != "torch":
        names = ", ".join((*BRIAN_DEVICES, "torch", "torch:cuda:0"))
        raise ValueError(f"`device` is {device!r}; it must be one of {names}.")
    return torch_backend.run(problem, parameter_sets, _torch_device(place), DTYPES[dtype])


def _torch_device(place: str) -> torch.device:
    try:
        device = torch.device(place or "cpu")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise BackendUnavailableError(
            f"`device` is 'torch:{place}', which torch cannot use here: {reason} Use 'torch' for the CPU."
        ) from error
    return device
