"""Networks made by hand whose fixed points, eigenvalues and selection are known, for analyses to find.

`rank_one_network` has three fixed points that are known to the last digit.

`context_integrator` integrates the cued one of two stimuli. Pairs of gate units carry either sign of a stimulus; the
cue lifts them over their threshold, and without it they are silent. Two excitatory pools integrate the two signs: each
excites itself and, through its inhibitory partner, inhibits the other. Self-excitation and inhibition add up to 1,
which makes the difference of the pools a line attractor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.tasks import ContextIntegration

__all__ = ["GROUPS", "RankOne", "context_integrator", "rank_one_network"]

Array = npt.NDArray[np.float64]

#: Groups of units of `context_integrator`, in order; the last two are inhibitory.
GROUPS = (
    *("motion_plus", "motion_minus", "colour_plus", "colour_minus"),
    *("integrator_plus", "integrator_minus", "inhibitor_plus", "inhibitor_minus"),
)

# Threshold and lift of a gate: in the cued context it answers linearly to stimuli between -1 and 1.
_GATE = 1.0
# Share of a gate's rate that is integrated, and rates of the pools without evidence. Coherence 0.5 for 800 ms moves a
# pool by 1, well within what keeps both pools active.
_GAIN, _BASELINE = 0.1, 3.0
# Self-excitation of a pool; the inhibition of the other pool makes up the rest to 1.
_SELF = 0.5


def context_integrator(
    task: ContextIntegration, *, per_group: int = 4, tau: float = 20.0, step: float | None = None
) -> RateNetwork:
    """Return a rectified-linear Dale network that solves the context-dependent integration task.

    Parameters
    ----------
    task : ContextIntegration
        The task whose inputs it takes.
    per_group : int
        Units in each of the groups `GROUPS`.
    tau : float
        Time constant of all units in ms.
    step : float, optional
        Euler step in ms. Default: the task's.

    Returns
    -------
    RateNetwork
        With 8 `per_group` units, in the order of `GROUPS`.

    Raises
    ------
    ValueError
        If `per_group` is not at least 1, or `RateNetwork` refuses the times.
    """
    if per_group < 1:
        raise ValueError(f"`per_group` is {per_group!r}; it must be at least 1.")
    place = {name: k for k, name in enumerate(GROUPS)}
    weights, inputs = np.zeros((8, 8)), np.zeros((8, task.n_inputs))
    bias = np.zeros(8)
    for stimulus in ("motion", "colour"):
        for sign, value in (("plus", 1.0), ("minus", -1.0)):
            gate = place[f"{stimulus}_{sign}"]
            inputs[gate, task.input_names.index(stimulus)] = value
            inputs[gate, task.input_names.index(f"context_{stimulus}")] = 2 * _GATE
            bias[gate] = -_GATE
            weights[place[f"integrator_{sign}"], gate] = _GAIN
    for sign, other in (("plus", "minus"), ("minus", "plus")):
        pool = place[f"integrator_{sign}"]
        weights[pool, pool] = _SELF
        weights[pool, place[f"inhibitor_{other}"]] = -(1 - _SELF)
        weights[place[f"inhibitor_{sign}"], pool] = 1.0
        bias[pool] = _BASELINE
    output = np.zeros((1, 8))
    output[0, [place["integrator_plus"], place["integrator_minus"]]] = 1.0, -1.0
    start = np.maximum(bias, 0.0)
    start[[place["inhibitor_plus"], place["inhibitor_minus"]]] = _BASELINE
    return RateNetwork(
        weights=np.asarray(np.kron(weights, np.ones((per_group, per_group)) / per_group), dtype=np.float64),
        input_weights=np.repeat(inputs, per_group, axis=0),
        output_weights=np.repeat(output, per_group, axis=1) / per_group,
        bias=np.repeat(bias, per_group),
        start=np.repeat(start, per_group),
        excitatory=np.repeat(np.arange(8) < 6, per_group),
        tau=np.full(8 * per_group, tau),
        step=task.step if step is None else step,
        activation="relu",
        input_names=task.input_names,
        output_names=task.output_names,
    )


@dataclass(frozen=True, eq=False)
class RankOne:
    """A network of rank one, and what is exact about it.

    Parameters
    ----------
    network : RateNetwork
        The network.
    points : (3, unit) array
        All its fixed points: the origin, and two that are opposite.
    leading : (3,) array
        Largest eigenvalue of the Jacobian at each, per ms; all others are ``-1/tau``.
    """

    network: RateNetwork
    points: Array
    leading: Array


def rank_one_network(
    n_units: int = 200, strength: float = 1.5, *, tau: float = 1.0, seed: int | np.random.Generator = 0
) -> RankOne:
    """Return the network ``tau x' = -x + strength*m*(m.tanh(x))/n_units``, for a random m of length ``sqrt(n_units)``.

    Its fixed points are 0 and ``+-k*m``, with ``k = strength/n_units*sum(m*tanh(k*m))``.

    Parameters
    ----------
    n_units : int
        Number of units.
    strength : float
        Greater than 1, without which the origin is the only fixed point.
    tau : float
        Time constant in ms; the step is a tenth of it.
    seed : int or Generator
        Where m comes from.

    Raises
    ------
    ValueError
        If there are fewer than two units or the strength is not greater than 1.
    """
    if n_units < 2 or not 1 < strength < np.inf:
        raise ValueError(
            f"`n_units` is {n_units!r} and `strength` {strength!r}; they must be at least 2, and greater than 1."
        )
    m: Array = np.random.default_rng(seed).standard_normal(n_units)
    m = np.asarray(m * np.sqrt(n_units) / np.linalg.norm(m), dtype=np.float64)
    network = RateNetwork(
        weights=np.asarray(strength * np.outer(m, m) / n_units, dtype=np.float64),
        input_weights=np.zeros((n_units, 1)),
        output_weights=m[None] / n_units,
        tau=np.full(n_units, tau),
        step=tau / 10,
        activation="tanh",
    )
    # The sum grows less than linearly, so that there is one root between 0 and the largest sum possible.
    k = brentq(lambda k: strength * np.mean(m * np.tanh(k * m)) - k, 1e-9, strength * np.abs(m).mean() + 1, xtol=1e-15)
    points = np.array([0 * m, k * m, -k * m])
    slopes = 1 - np.tanh(points) ** 2
    return RankOne(network, points, (-1 + strength * (slopes * m**2).mean(axis=1)) / tau)
