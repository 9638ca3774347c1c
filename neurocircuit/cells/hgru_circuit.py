"""What the two-pool circuit gives the hGRU cell that is its ungated limit: kernels and coefficients."""

from __future__ import annotations

import math

import torch

from neurocircuit.cells.lateral import LateralConv2d, Method
from neurocircuit.circuits import Circuit
from neurocircuit.circuits.mely import TWO_POOL
from neurocircuit.connectivity import LateralKernel

__all__ = ["circuit_coefficients", "circuit_laterals"]


def circuit_laterals(circuit: Circuit, channels: int, method: Method) -> tuple[LateralConv2d, LateralConv2d]:
    """Return the convolutions of inhibition and excitation, in float64.

    Raises
    ------
    ValueError
        If the circuit is not the two-pool circuit, or a pool is lesioned.
    """
    if circuit.system != TWO_POOL:
        raise ValueError(f"`circuit` is {circuit.name}; only the two-pool reduction has a gated form.")
    kernels = {pool.name: pool.kernel for pool in circuit.pools}
    inhibition, excitation = kernels["pool_c1"], kernels["pool_c2"]
    if inhibition is None or excitation is None:
        raise ValueError("`circuit` has a lesioned pool; give it a kernel, or lesion the cell.")
    return _lateral(inhibition, channels, method), _lateral(excitation, channels, method)


def _lateral(kernel: LateralKernel, channels: int, method: Method) -> LateralConv2d:
    weights = torch.from_numpy(kernel.as_kernel(channels))
    lateral = LateralConv2d(channels, weights.shape[-1], boundary=kernel.boundary, method=method).double()
    lateral.load_state_dict({"weight": weights})
    return lateral


def circuit_coefficients(circuit: Circuit) -> dict[str, float]:
    """Return the coefficients of the recurrence at the step ``eta / epsilon**2``, by the names of the cell.

    Raises
    ------
    ValueError
        If no step cancels both leaks.
    """
    p = circuit.parameters.as_floats()
    leaks = {"epsilon**2/eta": p["epsilon"] ** 2 / p["eta"], "sigma**2/tau": p["sigma"] ** 2 / p["tau"]}
    if not math.isclose(*leaks.values(), rel_tol=1e-12) or not p["epsilon"]:
        raise ValueError(
            f"`circuit` has the leaks {leaks} per ms; they must be equal and positive, so that one step cancels both."
        )
    # The leak divides what drives each population; sigma**2/tau equal to epsilon**2/eta, but not sigma to epsilon.
    return {
        "drive_gain": p["drive_gain"] / p["epsilon"] ** 2,
        "alpha": p["alpha"] / p["epsilon"] ** 2,
        "mu": p["mu"] / p["epsilon"] ** 2,
        "gamma": p["gamma"] / p["sigma"] ** 2,
    }
