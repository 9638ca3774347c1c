"""Is one step of a circuit a usable map? Its fixed point, the spectral radius there, and the cycle it falls into.

A fixed point of Euler's step is one of the differential equation and does not depend on the step, so it is found at a
small one. Whether the iteration stays there does depend on the step: it does if all eigenvalues of the one-step
Jacobian lie within the unit circle. Far beyond it the rectification, not the eigenvalue, decides on the cycle.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from brian2 import ms
from scipy.sparse.linalg import LinearOperator, eigs, gmres

from neurocircuit.circuits import Circuit
from neurocircuit.equations import to_float
from neurocircuit.errors import ConvergenceError, NonFiniteError, SettlingWarning, StepSizeWarning
from neurocircuit.simulation import simulate, trajectory
from neurocircuit.simulation.problem import Update
from neurocircuit.versions import package_versions

__all__ = ["FixedPoint", "fixed_point", "leading_eigenvalue", "stability_map"]

EigenMethod = Literal["auto", "arnoldi", "dense"]
States = Mapping[str, torch.Tensor]
Vector = npt.NDArray[np.float64]

# Relaxation before Newton's method: its step in ms, far below any time constant in use, and the number of steps.
_RELAX_STEP, _RELAX_STEPS = 1.0, 400
_NEWTON_STEPS, _HALVINGS = 30, 12
# Unknowns up to which all eigenvalues are computed, and Arnoldi vectors beyond. Many eigenvalues of nearly the same
# modulus, as at small steps, need many vectors.
_DENSE, _ARNOLDI_VECTORS = 1500, 60
# A run has left the fixed point if it ends further from it than this share of the largest activity there.
_ESCAPED = 1e-2


@dataclass(frozen=True, eq=False)
class FixedPoint:
    """A fixed point of a circuit.

    Parameters
    ----------
    states : mapping from state to (1, channel, y, x) float64 tensor
        The activity.
    residual : float
        Largest rate of change there, per ms.
    """

    states: States
    residual: float


@torch.no_grad()
def fixed_point(circuit: Circuit, drive: Any, *, tolerance: float = 1e-10) -> FixedPoint:
    """Find the fixed point that a circuit comes to from its drive, or the one nearest to where it goes.

    Euler's method with a small step, then a damped Newton method on the rate of change: it also finds a fixed point
    that the differential equation itself leaves.

    Parameters
    ----------
    circuit : Circuit
        The circuit.
    drive : (channel, y, x) or (1, channel, y, x) array
        One stimulus.
    tolerance : float
        Largest rate of change allowed, per ms.

    Returns
    -------
    FixedPoint

    Raises
    ------
    ValueError
        If the drive is not one stimulus or the tolerance is not positive.
    ConvergenceError
        If none is found.
    """
    if not tolerance > 0:
        raise ValueError(f"`tolerance` is {tolerance!r}; it must be greater than 0, such as 1e-10 per ms.")
    field = _one_stimulus(drive)
    relaxed = next(islice(trajectory(circuit, field, step=_RELAX_STEP), _RELAX_STEPS, None))
    rate = circuit.rhs()

    def change(vector: torch.Tensor) -> torch.Tensor:
        return _join(rate(_split(circuit, vector, field), {"drive": field}))

    point = _newton(change, _join(relaxed), tolerance)
    residual = change(point).abs().max().item()
    if not residual <= tolerance:
        raise ConvergenceError(
            f"no fixed point of {circuit.name} was found: the largest rate of change came down to {residual:.2g} per "
            f"ms, not to the `tolerance` {tolerance:g}."
        )
    return FixedPoint(_split(circuit, point, field), residual)


def leading_eigenvalue(
    circuit: Circuit,
    drive: Any,
    states: States,
    *,
    step: float,
    update: Update = "simultaneous",
    method: EigenMethod = "auto",
) -> complex:
    """Return the eigenvalue of largest modulus of the Jacobian of one step of Euler's method.

    Its modulus is the spectral radius: below 1 the step returns to a fixed point from nearby.

    Parameters
    ----------
    circuit : Circuit
        The circuit.
    drive : (channel, y, x) or (1, channel, y, x) array
        One stimulus.
    states : mapping from state to (1, channel, y, x) tensor
        Where, usually ``fixed_point(circuit, drive).states``.
    step : float
        Step in ms.
    update : {"simultaneous", "staggered"}
        As for `neurocircuit.simulate`.
    method : {"auto", "arnoldi", "dense"}
        Arnoldi's method on products of the Jacobian with a vector, or all eigenvalues of the whole Jacobian; "auto" is
        the latter up to 1500 unknowns, where it is the faster by far.

    Raises
    ------
    ValueError
        If an argument is not as described.
    ConvergenceError
        If Arnoldi's method does not converge.
    """
    if method not in get_args(EigenMethod):
        raise ValueError(f"`method` is {method!r}; it must be one of {', '.join(get_args(EigenMethod))}.")
    field = _one_stimulus(drive)
    point = _join(states)

    def advance(vector: torch.Tensor) -> torch.Tensor:
        start = _split(circuit, vector, field)
        return _join(next(islice(trajectory(circuit, field, step=step, start=start, update=update), 1, None)))

    if method == "dense" or (method == "auto" and point.numel() <= _DENSE):
        with _forward_mode():
            jacobian = torch.func.jacfwd(advance)(point).numpy()
        eigenvalues = np.linalg.eigvals(jacobian)
        return complex(eigenvalues[np.abs(eigenvalues).argmax()])
    size = point.numel()
    # A start that is the same in every run; ARPACK would draw one.
    start = np.random.default_rng(0).standard_normal(size)
    operator, vectors = _jacobian(advance, point), min(size, _ARNOLDI_VECTORS)
    try:
        found = eigs(operator, k=min(2, size - 2), ncv=vectors, v0=start, tol=1e-9, return_eigenvectors=False)
    except RuntimeError as error:
        raise ConvergenceError(f"the spectral radius of {circuit.name} was not found: {error}") from error
    return complex(found[np.abs(found).argmax()])


def stability_map(
    circuit: Circuit,
    drive: Any,
    gains: Sequence[float],
    steps: Sequence[float],
    *,
    updates: Sequence[Update] = ("simultaneous", "staggered"),
    count: int = 400,
) -> xr.Dataset:
    """Map where Euler's step of a two-pool circuit is usable: over the gain of its inhibition and the step.

    The gain multiplies alpha and mu, as if W^I were so much larger. For each, a fixed point is found, and the step's
    leading eigenvalue there; and a run from the drive shows where it ends.

    Parameters
    ----------
    circuit : Circuit
        The two-pool circuit.
    drive : (channel, y, x) or (1, channel, y, x) array
        One stimulus.
    gains : sequence of float
        Factors of alpha and mu.
    steps : sequence of float
        Steps in ms.
    updates : sequence of {"simultaneous", "staggered"}
        Orders of update.
    count : int
        Steps of each run; at least ``count`` ms are simulated too, so that small steps come to rest.

    Returns
    -------
    xarray.Dataset
        Over ``update``, ``gain``, ``step``: ``radius`` and ``angle`` (radians) of the leading eigenvalue; ``period`` of
        the run's end in steps, 1 at a fixed point and 0 when it has not settled into a short cycle; ``escaped``, 1 if
        the run ended away from the fixed point. Where no fixed point was found, radius and angle are NaN and
        ``escaped`` is -1.

    Raises
    ------
    ValueError
        If the circuit has no alpha and mu, or a gain, step or count is not positive and finite.
    """
    for name, values in (("gains", gains), ("steps", steps), ("count", [count])):
        if not len(values) or not all(0 < value < math.inf for value in values):
            raise ValueError(f"`{name}` is {values!r}; it must hold positive finite numbers.")
    if not {"alpha", "mu"} <= set(circuit.system.names("parameter")):
        raise ValueError(f"`circuit` is {circuit.name}, which has no alpha and mu; use two_pool_circuit.")
    shape = (len(updates), len(gains), len(steps))
    radius, angle = np.full(shape, np.nan), np.full(shape, np.nan)
    period, escaped = np.zeros(shape, dtype=np.int64), np.full(shape, -1, dtype=np.int8)
    own = circuit.parameters.as_floats()
    for g, gain in enumerate(gains):
        changed = circuit.with_parameters(alpha=gain * own["alpha"], mu=gain * own["mu"])
        try:
            point = fixed_point(changed, drive).states
        except (ConvergenceError, NonFiniteError):
            continue
        for u, update in enumerate(updates):
            for k, step in enumerate(steps):
                leading = leading_eigenvalue(changed, drive, point, step=step, update=update)
                radius[u, g, k], angle[u, g, k] = abs(leading), abs(np.angle(leading))
                period[u, g, k], escaped[u, g, k] = _end(changed, drive, point, step, update, count)
    over = ("update", "gain", "step")
    limit = None if circuit.leak_cancelling_step is None else circuit.leak_cancelling_step(circuit.parameters)
    return xr.Dataset(
        {
            "radius": (over, radius, {"units": "1", "long_name": "spectral radius of the one-step Jacobian"}),
            "angle": (over, angle, {"units": "radian", "long_name": "angle of the leading eigenvalue"}),
            "period": (over, period, {"long_name": "steps until the state returns; 0 is not settled"}),
            "escaped": (over, escaped, {"long_name": "1 if the run ended away from the fixed point"}),
        },
        {
            "update": list(updates),
            "gain": ("gain", list(gains), {"units": "1", "long_name": "gain of the inhibition"}),
            "step": ("step", list(steps), {"units": "ms"}),
        },
        {
            "circuit": circuit.name,
            "count": count,
            "leak_cancelling_step_ms": math.nan if limit is None else to_float(limit),
            "versions": str(package_versions()),
        },
    )


def _end(circuit: Circuit, drive: Any, point: States, step: float, update: Update, count: int) -> tuple[int, int]:
    """Return the period at the end of a run from the drive, and whether the run ended away from the fixed point."""
    steps = max(count, math.ceil(count / step))
    with warnings.catch_warnings():
        # Both are what the map is there to show.
        warnings.simplefilter("ignore", StepSizeWarning)
        warnings.simplefilter("ignore", SettlingWarning)
        try:
            result = simulate(circuit, drive, step=step * ms, steps=steps, update=update)
        except NonFiniteError:
            return 0, 1
    away = max(np.abs(result[name].values[-1] - values.numpy()).max() for name, values in point.items())
    scale = max(values.abs().max().item() for values in point.values())
    return int(result["period"].item()), int(away > _ESCAPED * scale)


def _newton(change: Any, start: torch.Tensor, tolerance: float) -> torch.Tensor:
    """Return where a function is 0, or as near to it as a damped Newton method comes."""
    point, value = start, change(start)
    for _ in range(_NEWTON_STEPS):
        if value.abs().max() <= tolerance:
            break
        solution, _ = gmres(_jacobian(change, point), -value.numpy(), rtol=1e-8, restart=50, maxiter=10)
        direction, share = torch.from_numpy(solution), 1.0
        for _ in range(_HALVINGS):
            trial = change(point + share * direction)
            if trial.norm() < value.norm():
                break
            share /= 2
        else:
            break
        point, value = point + share * direction, trial
    return point


def _jacobian(function: Any, point: torch.Tensor) -> LinearOperator:
    """Return the Jacobian of a function at a point as an operator that multiplies vectors."""

    def times(vector: Vector) -> Vector:
        tangent = torch.from_numpy(np.ascontiguousarray(vector, dtype=np.float64).reshape(-1))
        with _forward_mode():
            product: Vector = torch.func.jvp(function, (point,), (tangent,))[1].numpy()
        return product

    return LinearOperator((point.numel(), point.numel()), matvec=times, dtype=np.float64)


@contextmanager
def _forward_mode() -> Iterator[None]:
    """Silence what torch says of itself when forward-mode differentiation is first used."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")
        yield


def _one_stimulus(drive: Any) -> torch.Tensor:
    field = torch.as_tensor(np.array(drive, dtype=np.float64))
    field = field[None] if field.ndim == 3 else field
    if field.ndim != 4 or field.shape[0] != 1 or not field.isfinite().all():
        raise ValueError(
            f"`drive` has the shape {tuple(np.shape(drive))}; it must be one finite stimulus, (channel, y, x) or (1, "
            "channel, y, x)."
        )
    return field


def _join(states: States) -> torch.Tensor:
    return torch.cat([field.reshape(-1) for field in states.values()])


def _split(circuit: Circuit, vector: torch.Tensor, like: torch.Tensor) -> dict[str, torch.Tensor]:
    names = circuit.system.states
    return {name: part.reshape(like.shape) for name, part in zip(names, vector.chunk(len(names)), strict=True)}
