"""Fixed and slow points of a rate network whose input is held constant (Sussillo and Barak 2013).

From every start, Adam lowers the speed, then Newton's method with the exact Jacobian finishes. Adam alone stops far
short of zero, and Newton's method alone is lost where the Jacobian is nearly singular. What every start led to is
reported, found or not. The right-hand side is that of the circuit's own equations, in double precision, without noise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr

from neurocircuit.circuits.ei import activation_function
from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.equations import FUNCTIONS, compile_rhs

__all__ = ["distinct_points", "find_fixed_points", "rate_of_change", "sample_starts"]

Array = npt.NDArray[np.float64]
Velocity = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

# Newton's steps, and halvings of one that does not lower the speed.
_NEWTON_STEPS, _HALVINGS = 60, 30
# Points whose Jacobians are held at once, so that many starts of a large network fit into memory.
_CHUNK = 64


def rate_of_change(network: RateNetwork) -> Velocity:
    """Return the right-hand side of a rate network, compiled from its equations.

    Parameters
    ----------
    network : RateNetwork
        The network.

    Returns
    -------
    callable
        ``velocity(state, inputs)``: one state (unit,) and one constant input (input,), both float64 tensors, to the
        derivative (unit,) per ms. Differentiable, and usable under `torch.func`.
    """
    system = network.system()
    rhs, activation = compile_rhs(system), FUNCTIONS[activation_function(network.activation)].torch
    weights, input_weights, bias, tau = (
        torch.as_tensor(np.array(value, dtype=np.float64))
        for value in (network.weights, network.input_weights, network.bias, network.tau)
    )

    def velocity(state: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        rates = activation(state) if network.form == "current" else state
        values = {network.state: state, "rec": weights @ rates, "drive": input_weights @ inputs + bias, "tau": tau}
        return rhs(values)[network.state]

    return velocity


def sample_starts(states: Any, n: int, *, spread: float = 0.0, seed: int | np.random.Generator = 0) -> Array:
    """Draw states from trajectories, to start the search for fixed points where the network works.

    Parameters
    ----------
    states : (trial, time, unit) array
        Trajectories of the state.
    n : int
        Number of starts.
    spread : float
        Standard deviation of normal noise added to every unit, as a share of the standard deviation of all states.
    seed : int or Generator
        Where the randomness comes from.

    Returns
    -------
    (start, unit) array

    Raises
    ------
    ValueError
        If the states are not finite trajectories, or `n` or `spread` is out of range.
    """
    values = np.asarray(states, dtype=np.float64)
    if values.ndim != 3 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"`states` has the shape {values.shape}; it must be finite trajectories, (trial, time, unit).")
    if n < 1 or not 0 <= spread < np.inf:
        raise ValueError(f"`n` is {n!r} and `spread` {spread!r}; they must be at least 1, and finite and at least 0.")
    rng = np.random.default_rng(seed)
    flat = values.reshape(-1, values.shape[2])
    chosen = flat[rng.choice(len(flat), n, replace=n > len(flat))]
    noise: Array = rng.standard_normal(chosen.shape)
    return np.asarray(chosen + spread * values.std() * noise)


def find_fixed_points(
    network: RateNetwork,
    starts: Any,
    inputs: Any = None,
    *,
    iterations: int = 2000,
    learning_rate: float = 0.05,
    fixed: float = 1e-20,
    slow: float = 1e-8,
) -> xr.Dataset:
    """Search for fixed points from every start: Adam in double precision, then Newton's method.

    Parameters
    ----------
    network : RateNetwork
        The network; its noise is ignored.
    starts : (start, unit) array
        Where to start; states, not rates. See `sample_starts`.
    inputs : (input,) array, optional
        The input, held constant. Default: zeros.
    iterations : int
        Steps of Adam; 0 leaves all to Newton's method.
    learning_rate : float
        Adam's rate at the first step, in units of the state; it falls to 0 along a half cosine.
    fixed, slow : float
        Largest q, per ms squared, of what is called a fixed point and a slow point.

    Returns
    -------
    xarray.Dataset
        Over ``start``, in the order given: ``state`` (start, unit), where the search ended; ``q``, half the squared
        speed there, per ms squared; ``q_adam``, the same before Newton's method; ``residual``, the largest rate of
        change of a unit per ms; ``kind``, "fixed", "slow" or "none"; ``distance`` from the start; and ``iterations`` of
        Newton's method. No start is left out.

    Raises
    ------
    ValueError
        If shapes do not agree, a value is not finite, or a setting is out of range.

    Notes
    -----
    The joint loss is the sum over starts, not the mean, so that no start's gradient depends on how many there are.
    """
    points = _checked(starts, network.n_units, "starts", 2)
    held = _checked(np.zeros(network.n_inputs) if inputs is None else inputs, network.n_inputs, "inputs", 1)
    if iterations < 0 or not 0 < learning_rate < np.inf or not 0 < fixed <= slow < np.inf:
        raise ValueError(
            f"`iterations` is {iterations!r}, `learning_rate` {learning_rate!r}, `fixed` {fixed!r}, `slow` {slow!r}; "
            "iterations must be at least 0, the rate greater than 0, and 0 < fixed <= slow."
        )
    velocity = rate_of_change(network)

    def one(state: torch.Tensor) -> torch.Tensor:
        return velocity(state, held)

    lowered = _adam(one, points, torch.as_tensor(np.array(network.tau, dtype=np.float64)), iterations, learning_rate)
    finished = [_newton(one, chunk) for chunk in torch.split(lowered, _CHUNK)]
    ends, steps = (torch.cat(parts) for parts in zip(*finished, strict=True))
    with torch.no_grad():
        speed_before, change = torch.func.vmap(one)(lowered), torch.func.vmap(one)(ends)
    q = _q(change).numpy()
    kind = np.where(q <= fixed, "fixed", np.where(q <= slow, "slow", "none"))
    return xr.Dataset(
        {
            "state": (("start", "unit"), ends.numpy(), {"units": "1"}),
            "q": ("start", q, {"units": "1/ms^2", "long_name": "half the squared speed"}),
            "q_adam": ("start", _q(speed_before).numpy(), {"units": "1/ms^2", "long_name": "q before Newton's method"}),
            "residual": ("start", change.abs().amax(1).numpy(), {"units": "1/ms"}),
            "kind": ("start", kind),
            "distance": ("start", (ends - points).norm(dim=1).numpy(), {"units": "1"}),
            "iterations": ("start", steps.numpy(), {"long_name": "steps of Newton's method"}),
        },
        attrs={"inputs": held.numpy(), "fixed": fixed, "slow": slow, "adam_iterations": iterations},
    )


def distinct_points(found: xr.Dataset, *, distance: float = 1e-3, kinds: tuple[str, ...] = ("fixed",)) -> xr.Dataset:
    """Group the starts that led to the same point; the report they come from stays as it is.

    Parameters
    ----------
    found : Dataset
        From `find_fixed_points`.
    distance : float
        Root-mean-square difference per unit up to which two ends are the same point.
    kinds : tuple of str
        Which kinds of ends count: any of "fixed", "slow" and "none".

    Returns
    -------
    xarray.Dataset
        Over ``point``, slowest speed first: ``state`` (point, unit), ``q``, ``kind``, ``n_starts``; and over ``start``:
        ``point_of_start``, the number of the point, or -1 for an end of another kind.

    Raises
    ------
    ValueError
        If the distance is not positive, or a kind is unknown.
    """
    if not distance > 0 or not set(kinds) <= {"fixed", "slow", "none"}:
        raise ValueError(
            f"`distance` is {distance!r} and `kinds` {kinds!r}; the distance must be greater than 0, and the kinds any "
            "of fixed, slow and none."
        )
    states, q, kind = found["state"].values, found["q"].values, found["kind"].values
    belongs, leaders = np.full(len(q), -1), list[int]()
    for start in np.argsort(q, kind="stable"):
        if kind[start] not in kinds:
            continue
        away = [np.sqrt(np.mean((states[start] - states[leader]) ** 2)) for leader in leaders]
        if away and min(away) <= distance:
            belongs[start] = int(np.argmin(away))
        else:
            belongs[start] = len(leaders)
            leaders.append(int(start))
    counts = np.array([np.sum(belongs == point) for point in range(len(leaders))], dtype=np.int64)
    return xr.Dataset(
        {
            "state": (("point", "unit"), states[leaders], {"units": "1"}),
            "q": ("point", q[leaders], {"units": "1/ms^2", "long_name": "half the squared speed"}),
            "kind": ("point", kind[leaders]),
            "n_starts": ("point", counts),
            "point_of_start": ("start", belongs),
        },
        attrs={**found.attrs, "distance": distance},
    )


def _adam(
    one: Callable[[torch.Tensor], torch.Tensor], points: torch.Tensor, tau: torch.Tensor, iterations: int, rate: float
) -> torch.Tensor:
    """Lower the speed of all points together; each is returned where it was slowest."""
    if not iterations:
        return points
    position = points.clone().requires_grad_()
    # Adam's small constant must not hide the small gradients near a fixed point.
    optimiser = torch.optim.Adam([position], lr=rate, eps=1e-30)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, iterations)
    best, lowest = points.clone(), torch.full((len(points),), torch.inf, dtype=torch.float64)
    for _ in range(iterations):
        # In units of the state rather than per ms, so that units with another time constant weigh the same.
        q = _q(tau * torch.func.vmap(one)(position))
        slower = q.detach() < lowest
        best[slower], lowest[slower] = position.detach()[slower], q.detach()[slower]
        (position.grad,) = torch.autograd.grad(q.sum(), position)
        optimiser.step()
        schedule.step()
    return best


@torch.no_grad()
def _newton(one: Callable[[torch.Tensor], torch.Tensor], points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return where a damped Newton method takes every point, and how many of its steps lowered the speed."""
    velocity, jacobian = torch.func.vmap(one), torch.func.vmap(torch.func.jacrev(one))
    shares = 0.5 ** torch.arange(_HALVINGS, dtype=torch.float64)[:, None, None]
    points, steps = points.clone(), torch.zeros(len(points), dtype=torch.int64)
    active = torch.arange(len(points))
    for _ in range(_NEWTON_STEPS):
        here, change = points[active], velocity(points[active])
        # The least-squares step also exists along a line of fixed points, where the Jacobian is singular.
        direction = -torch.linalg.lstsq(jacobian(here), change[:, :, None], driver="gelsd").solution[:, :, 0]
        trials = here + shares * direction
        q = torch.func.vmap(lambda trial: _q(velocity(trial)))(trials)
        lower = q < _q(change)
        first = lower.to(torch.int8).argmax(0)
        improved = lower.any(0)
        points[active[improved]] = trials[first[improved], improved.nonzero()[:, 0]]
        steps[active[improved]] += 1
        active = active[improved]
        if not len(active):
            break
    return points, steps


def _q(change: torch.Tensor) -> torch.Tensor:
    return 0.5 * change.square().sum(-1)


def _checked(values: Any, last: int, name: str, dims: int) -> torch.Tensor:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != dims or array.shape[-1] != last or not array.size * np.isfinite(array).all():
        wanted = f"(start, {last})" if dims == 2 else f"({last},)"
        raise ValueError(f"`{name}` has the shape {array.shape}; it must be finite and of the shape {wanted}.")
    return torch.as_tensor(array.copy())
