"""Running a circuit in torch: a differentiable generator of states, and the recorder on top of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import get_args

import brian2
import numpy as np
import torch
from tqdm import tqdm

from neurocircuit.circuits import Circuit
from neurocircuit.equations import ParameterSet, compile_step
from neurocircuit.simulation.problem import Problem, Trajectory, Update, non_finite_error

__all__ = ["run", "trajectory"]

States = dict[str, torch.Tensor]
Advance = Callable[[States, Mapping[str, torch.Tensor], torch.Tensor], States]

# Elements worked on at once on a CPU, so that they stay in its caches: whole stimuli, and tiles of a larger one.
_CHUNK = 1 << 16
_TILE = 1 << 16


def trajectory(
    circuit: Circuit,
    drive: torch.Tensor,
    *,
    step: float,
    start: Mapping[str, torch.Tensor] | None = None,
    parameters: Mapping[str, torch.Tensor] | None = None,
    method: str = "euler",
    update: Update = "simultaneous",
) -> Iterator[States]:
    """Return an endless iterator over the states of a circuit after 0, 1, 2, ... steps.

    Differentiable with respect to the drive, the start and the parameters.

    Parameters
    ----------
    circuit : Circuit
        The circuit.
    drive : (batch, channel, y, x) tensor
        Input, constant in time; its dtype and device are used throughout.
    step : float
        Step in ms.
    start : mapping from state to tensor, optional
        States before the first step; by default every state starts at the drive.
    parameters : mapping from name to 0-dimensional tensor, optional
        Replaces the circuit's own values (times in ms), for instance by tensors that require a gradient.
    method : str
        Integration scheme, a key of `neurocircuit.equations.METHODS`.
    update : {"simultaneous", "staggered"}
        Whether every state is updated from the old states, or each from the states already updated, in the order of
        the equations.

    Returns
    -------
    iterator of dict from state to (batch, channel, y, x) tensor

    Raises
    ------
    TypeError, ValueError
        If the drive does not fit the circuit, the step is not a positive float, or a method, update, parameter or state
        is unknown.

    Notes
    -----
    Without a gradient, a large field on a CPU is evaluated in tiles that are written in place, which
    ``torch.func.vmap`` refuses.
    """
    if isinstance(step, brian2.Quantity) or not np.isfinite(step) or not step > 0:
        raise TypeError(f"`step` is {step!r}; it must be a positive number of ms without a unit, such as 1.0.")
    if drive.ndim != 4:
        raise ValueError(f"`drive` has the shape {tuple(drive.shape)}; expected (batch, channel, y, x).")
    circuit.check_field((drive.shape[1], drive.shape[2], drive.shape[3]))
    if update not in get_args(Update):
        raise ValueError(f"`update` is {update!r}; it must be one of {', '.join(get_args(Update))}.")
    known = {"parameters": circuit.system.names("parameter"), "start": circuit.system.states}
    for argument, given in (("parameters", parameters), ("start", start)):
        unknown = set(given or ()) - set(known[argument])
        if unknown:
            raise ValueError(f"`{argument}` has {sorted(unknown)}; {circuit.name} has {', '.join(known[argument])}.")
    if start is not None and set(start) != set(circuit.system.states):
        raise ValueError(f"`start` has {sorted(start)}; it must have every state: {', '.join(circuit.system.states)}.")
    advance = _tiled(compile_step(circuit.system, method))
    return _states(circuit, drive, step, start, parameters, advance, update)


def _states(
    circuit: Circuit,
    drive: torch.Tensor,
    step: float,
    start: Mapping[str, torch.Tensor] | None,
    parameters: Mapping[str, torch.Tensor] | None,
    advance: Advance,
    update: Update,
) -> Iterator[States]:
    constants = {**circuit.parameter_tensors(drive.dtype, drive.device), **(parameters or {})}
    pools = circuit.pool_function(drive.dtype, drive.device)
    h = torch.tensor(step, dtype=drive.dtype, device=drive.device)
    states: States = dict(start) if start is not None else dict.fromkeys(circuit.system.states, drive)
    while True:
        yield dict(states)
        if update == "simultaneous":
            states = advance({**states, **pools(states)}, {**constants, "drive": drive}, h)
        else:
            for name in circuit.system.states:
                states[name] = advance({**states, **pools(states)}, {**constants, "drive": drive}, h)[name]


def run(
    problem: Problem,
    parameter_sets: Sequence[ParameterSet],
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float64,
) -> list[Trajectory]:
    """Run a problem for each parameter set and return the trajectories."""
    batch = problem.drive.shape[0]
    per_chunk = max(1, _CHUNK // int(np.prod(problem.field_shape))) if torch.device(device).type == "cpu" else batch
    chunks = [slice(first, first + per_chunk) for first in range(0, batch, per_chunk)]
    _keep_freed_memory()
    found = []
    total = len(parameter_sets) * len(chunks) * problem.steps
    with torch.no_grad(), tqdm(total=total, unit="step", desc="torch", disable=None) as progress:
        for parameters in parameter_sets:
            parts = [_run_chunk(problem, parameters, chunk, device, dtype, progress) for chunk in chunks]
            found.append(Trajectory.join(parts))
    return found


def _keep_freed_memory() -> None:
    """Keep the C library from returning every freed field to the system.

    Mapping its pages anew costs more than the arithmetic on a field. Freeing one block just below the largest size that
    glibc adapts to (32 MiB) makes it reuse memory up to that size; elsewhere this does nothing.
    """
    torch.empty((1 << 25) - (1 << 16), dtype=torch.uint8)


def _run_chunk(
    problem: Problem,
    parameters: ParameterSet,
    chunk: slice,
    device: torch.device | str,
    dtype: torch.dtype,
    progress: tqdm[None],
) -> Trajectory:
    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.tensor(values[chunk], dtype=dtype, device=device)

    states_at = trajectory(
        problem.circuit,
        tensor(problem.drive),
        step=problem.step,
        start={name: tensor(values) for name, values in problem.start.items()},
        parameters={
            name: torch.tensor(value, dtype=dtype, device=device) for name, value in parameters.as_floats().items()
        },
        method=problem.method,
        update=problem.update,
    )
    names, wanted = problem.circuit.system.states, set(problem.sample_steps.tolist())
    samples: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for count, states in enumerate(states_at):
        if count in wanted or count == problem.steps:
            for name in names:
                if not states[name].isfinite().all():
                    raise non_finite_error(problem, name, count)
        if count in wanted:
            for name in names:
                samples[name].append(problem.keep(states[name]).cpu().numpy())
        if count == problem.steps:
            break
        progress.update()
    return Trajectory(
        {name: np.stack(parts) for name, parts in samples.items()},
        {name: values.cpu().numpy() for name, values in states.items()},
    )


def _tiled(step: Callable[..., States]) -> Advance:
    """Evaluate a pointwise step tile by tile, so that its many small operations stay in the cache.

    Off the CPU, and when a gradient is wanted, the whole field is evaluated at once.
    """

    def advance(fields: States, constants: Mapping[str, torch.Tensor], h: torch.Tensor) -> States:
        drive = constants["drive"]
        values = {**constants, **fields}
        wants_gradient = torch.is_grad_enabled() and any(value.requires_grad for value in values.values())
        batch, channels, height, width = np.broadcast_shapes(*(tuple(field.shape) for field in fields.values()))
        if drive.device.type != "cpu" or batch * channels * height * width <= _TILE or wants_gradient:
            return step(values, h)
        per_tile = max(1, _TILE // (height * width))
        scalars = {name: value for name, value in values.items() if value.ndim == 0}
        arrays = {name: value for name, value in values.items() if value.ndim != 0}
        result: States = {}
        for item in range(batch):
            for channel in range(0, channels, per_tile):
                tile = {
                    name: value[
                        slice(item, item + 1) if value.shape[0] > 1 else slice(None),
                        slice(channel, channel + per_tile) if value.shape[1] > 1 else slice(None),
                    ]
                    for name, value in arrays.items()
                }
                for name, value in step({**scalars, **tile}, h).items():
                    if name not in result:
                        result[name] = drive.new_empty((batch, channels, height, width))
                    result[name][item : item + 1, channel : channel + per_tile] = value
        return result

    return advance
