"""A simulation problem, checked at the door, and the raw trajectory every device answers with."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import brian2
import numpy as np
import numpy.typing as npt

from neurocircuit.circuits import Circuit
from neurocircuit.equations import METHODS, ParameterSet, to_float
from neurocircuit.errors import NonFiniteError, StepSizeWarning

__all__ = ["FloatArray", "Problem", "Record", "Trajectory", "Unit", "Update", "make_problem", "non_finite_error"]

FloatArray = npt.NDArray[np.floating[Any]]
Unit = tuple[int, int, int]
Record = Literal["all", "last"] | int
Update = Literal["simultaneous", "staggered"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """What to simulate, with every value checked. Built by `make_problem`.

    Parameters
    ----------
    circuit : Circuit
        The circuit.
    drive : (batch, channel, y, x) array
        The input, constant in time.
    start : mapping from state to (batch, channel, y, x) array
        The states before the first step.
    step : float
        Step in ms.
    steps : int
        Number of steps.
    method, update : str
        Integration scheme, and whether all states are updated from the old ones or one after the other.
    sample_steps : (time,) array
        After how many steps a sample is kept; 0 is the start.
    units : (unit, 3) array or None
        Channel, y and x of the units to keep; None keeps all.
    """

    circuit: Circuit
    drive: FloatArray
    start: Mapping[str, FloatArray]
    step: float
    steps: int
    method: str
    update: Update
    sample_steps: npt.NDArray[np.int64]
    units: npt.NDArray[np.int64] | None

    @property
    def field_shape(self) -> tuple[int, int, int]:
        """Shape of the field, (channel, y, x)."""
        channels, height, width = self.drive.shape[1:]
        return channels, height, width

    def keep(self, field: Any) -> Any:
        """Return the kept units of a ``[..., channel, y, x]`` array or tensor."""
        if self.units is None:
            return field
        channel, y, x = self.units.T
        return field[..., channel, y, x]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """What a device computed.

    Parameters
    ----------
    samples : mapping from state to array
        ``[time, batch, channel, y, x]``, or ``[time, batch, unit]`` for chosen units.
    final : mapping from state to (batch, channel, y, x) array
        The states after the last step.
    """

    samples: Mapping[str, FloatArray]
    final: Mapping[str, FloatArray]

    @staticmethod
    def join(parts: Sequence[Trajectory]) -> Trajectory:
        """Put the stimuli of several trajectories one after the other."""
        names = parts[0].samples
        return Trajectory(
            {name: np.concatenate([part.samples[name] for part in parts], axis=1) for name in names},
            {name: np.concatenate([part.final[name] for part in parts]) for name in names},
        )


def make_problem(
    circuit: Circuit,
    drive: Any,
    parameter_sets: Sequence[ParameterSet],
    *,
    step: Any,
    steps: int,
    method: str,
    update: Update,
    start: str | Mapping[str, Any],
    record: Record,
    units: Sequence[Unit] | None,
) -> Problem:
    """Check the arguments of `neurocircuit.simulate` and return the problem they describe."""
    if circuit.system.odes.stochastic_variables:
        raise ValueError(f"`circuit` {circuit.name} has a noise term; simulate is deterministic. Use compile_step.")
    field = _check_field("drive", drive)
    shape = (field.shape[1], field.shape[2], field.shape[3])
    circuit.check_field(shape)
    _check_choice("method", method, METHODS)
    _check_choice("update", update, get_args(Update))
    if method != "euler" and circuit.pools:
        warnings.warn(
            f"`method` is {method!r}, but pools are held constant within a step, so only 'euler' keeps its nominal "
            "order here.",
            StepSizeWarning,
            stacklevel=3,
        )
    h = _check_step(circuit, parameter_sets, step)
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 1:
        raise ValueError(f"`steps` is {steps!r}; it must be a whole number of steps, at least 1.")
    return Problem(
        circuit=circuit,
        drive=field,
        start=_starting_states(circuit, field, start),
        step=h,
        steps=int(steps),
        method=method,
        update=update,
        sample_steps=_sample_steps(record, int(steps)),
        units=_check_units(units, shape),
    )


def non_finite_error(problem: Problem, name: str, at_step: int) -> NonFiniteError:
    """Return the error that says which state left the finite numbers, and when."""
    return NonFiniteError(
        f"state `{name}` of {problem.circuit.name} is not finite after step {at_step}, at "
        f"{at_step * problem.step:g} ms (step size {problem.step:g} ms; checked at the recorded samples and at the "
        "end). Use a smaller `step`."
    )


def _check_choice(argument: str, value: Any, allowed: Any) -> None:
    if value not in allowed:
        raise ValueError(f"`{argument}` is {value!r}; it must be one of {', '.join(allowed)}.")


def _check_field(name: str, value: Any) -> FloatArray:
    try:
        given = np.asarray(value)
        field = given.astype(np.float64, casting="same_kind") if given.size else given
    except (TypeError, ValueError) as error:
        raise TypeError(f"`{name}` is not an array of real numbers: {error}.") from error
    if field.ndim == 3:
        field = field[None]
    if field.ndim != 4 or 0 in field.shape:
        raise ValueError(
            f"`{name}` has the shape {np.shape(value)}; expected (batch, channel, y, x), or (channel, y, x) for one "
            "stimulus."
        )
    if not np.all(np.isfinite(field)):
        raise ValueError(
            f"`{name}` has {int(np.sum(~np.isfinite(field)))} values that are NaN or infinite; it must be finite. NaN "
            "marks empty pixels in a display only: encode the display with a population code first."
        )
    return field


def _check_step(circuit: Circuit, parameter_sets: Sequence[ParameterSet], step: Any) -> float:
    if not isinstance(step, brian2.Quantity) or step.dim != brian2.second.dim or np.ndim(step) != 0:
        raise ValueError(f"`step` is {step!r}; it must be one time with its unit, such as 1*ms.")
    h = to_float(step)
    if not (np.isfinite(h) and h > 0):
        raise ValueError(f"`step` is {step!r}; it must be positive and finite, such as 1*ms.")
    if circuit.leak_cancelling_step is not None:
        limit = min(to_float(circuit.leak_cancelling_step(parameters)) for parameters in parameter_sets)
        if h >= limit * (1 - 1e-9):
            warnings.warn(
                f"`step` is {h:g} ms, at or above eta/eps**2 = {limit:g} ms. That step turns the equation into the "
                "recurrence of the hGRU, but it does not integrate the equation: at the published parameters the "
                "iteration cycles. Use 1 ms to follow the differential equation.",
                StepSizeWarning,
                stacklevel=4,
            )
    return h


def _starting_states(circuit: Circuit, drive: FloatArray, start: str | Mapping[str, Any]) -> dict[str, FloatArray]:
    states = circuit.system.states
    if start == "drive":
        return dict.fromkeys(states, drive)
    if start == "zeros":
        return {name: np.zeros_like(drive) for name in states}
    if not isinstance(start, Mapping) or set(start) != set(states):
        given = sorted(start) if isinstance(start, Mapping) else start
        raise ValueError(f"`start` is {given!r}; it must be 'drive', 'zeros' or a mapping with the states {states}.")
    found = {}
    for name in states:
        field = _check_field(f"start[{name!r}]", start[name])
        if field.shape[1:] != drive.shape[1:] or field.shape[0] not in (1, drive.shape[0]):
            raise ValueError(f"`start[{name!r}]` has the shape {field.shape}; the drive has {drive.shape}.")
        found[name] = np.broadcast_to(field, drive.shape)
    return found


def _sample_steps(record: Record, steps: int) -> npt.NDArray[np.int64]:
    if record == "last":
        return np.array([steps])
    every = 1 if record == "all" else record
    if isinstance(every, bool) or not isinstance(every, int | np.integer) or not 1 <= every <= steps:
        raise ValueError(
            f"`record` is {record!r}; it must be 'all', 'last' or a number n of steps from 1 to {steps}, to keep every "
            "n-th state."
        )
    return np.arange(0, steps + 1, every)


def _check_units(units: Sequence[Unit] | None, shape: tuple[int, int, int]) -> npt.NDArray[np.int64] | None:
    if units is None:
        return None
    index = np.asarray(units)
    if index.ndim != 2 or index.shape[1] != 3 or not len(index) or not np.issubdtype(index.dtype, np.integer):
        raise ValueError(f"`units` is {units!r}; it must be a list of (channel, y, x) whole numbers.")
    outside = index[((index < 0) | (index >= shape)).any(axis=1)]
    if len(outside):
        raise ValueError(f"`units` has {tuple(outside[0].tolist())}, outside the field {shape} (channel, y, x).")
    return index
