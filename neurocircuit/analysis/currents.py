"""Excitation and inhibition in a rate network: their currents, how well they balance, and the paradoxical effect."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from neurocircuit.circuits.perturbation import Pulse
from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.networks import run_network

__all__ = ["ei_balance", "ei_currents", "paradoxical_effect"]

Array = npt.NDArray[np.float64]


def ei_currents(network: RateNetwork, rates: Any) -> xr.Dataset:
    """Split the recurrent current of every unit into what excitatory and inhibitory units send.

    Parameters
    ----------
    network : RateNetwork
        A network under Dale's law.
    rates : (trial, time, unit) array
        Its rates, such as ``run_network(...).rates``.

    Returns
    -------
    xarray.Dataset
        ``excitatory``, at least 0, and ``inhibitory``, at most 0 for rates of at least 0: (trial, time, unit).

    Raises
    ------
    ValueError
        If the network has no inhibitory and excitatory units, or the rates do not fit it.
    """
    excitatory = _populations(network)
    array = np.asarray(rates, dtype=np.float64)
    if array.ndim != 3 or array.shape[2] != network.n_units:
        raise ValueError(f"`rates` has the shape {array.shape}; it must be (trial, time, {network.n_units}).")
    dims = ("trial", "time", "unit")
    currents = {
        name: array[:, :, units] @ network.weights[:, units].T
        for name, units in (("excitatory", excitatory), ("inhibitory", ~excitatory))
    }
    return xr.Dataset({name: (dims, value, {"units": "1"}) for name, value in currents.items()})


def ei_balance(currents: xr.Dataset, start: int = 0) -> xr.Dataset:
    """Measure how well inhibition cancels and follows excitation in every unit.

    Parameters
    ----------
    currents : Dataset
        From `ei_currents`.
    start : int
        First sample that counts.

    Returns
    -------
    xarray.Dataset
        Over ``unit``: ``residual``, the mean net current as a share of the mean excitation, 0 in perfect balance and 1
        without inhibition; ``tracking``, the correlation over trials and time of excitation with the strength of
        inhibition, 1 where it follows exactly; and ``gain``, the slope of that strength on excitation. NaN where there
        is no excitation, or it does not vary.

    Raises
    ------
    ValueError
        If fewer than two samples are left.
    """
    excitation, inhibition = (
        currents[name].values[:, start:].reshape(-1, currents.sizes["unit"]) for name in ("excitatory", "inhibitory")
    )
    if len(excitation) < 2:
        raise ValueError(f"`start` is {start!r}, which leaves {len(excitation)} samples; at least 2 are needed.")
    strength = -inhibition
    mean_e, mean_i = excitation.mean(axis=0), strength.mean(axis=0)
    covariance = ((excitation - mean_e) * (strength - mean_i)).mean(axis=0)
    sd_e, sd_i = excitation.std(axis=0), strength.std(axis=0)
    return xr.Dataset(
        {
            "residual": ("unit", _ratio(mean_e - mean_i, mean_e), {"units": "1"}),
            "tracking": ("unit", _ratio(covariance, sd_e * sd_i), {"units": "1"}),
            "gain": ("unit", _ratio(covariance, sd_e**2), {"units": "1"}),
        },
        attrs={"first_sample": start},
    )


def paradoxical_effect(
    network: RateNetwork, inputs: Any = None, *, amplitude: float = 0.1, settle: float = 2000.0
) -> dict[str, float | bool]:
    """Excite all inhibitory units a little more, and see whether their rate falls.

    It does in a network whose excitatory units would run away without inhibition (an inhibition-stabilised network):
    the extra inhibition takes away more of its own excitation than it is given.

    Parameters
    ----------
    network : RateNetwork
        A network under Dale's law; it runs without noise.
    inputs : (input,) array, optional
        The input, held constant. Default: zeros.
    amplitude : float
        Current added to every inhibitory unit, in units of the drive.
    settle : float
        Time in ms that the network is given to settle, before the current and with it.

    Returns
    -------
    dict
        Mean rates ``excitatory_before``, ``excitatory_after``, ``inhibitory_before``, ``inhibitory_after``;
        ``paradoxical``, whether the inhibitory rate falls although its drive grows (or the reverse for a negative
        amplitude); and ``drift``, the largest change of a rate in the last tenth of either period, which should be far
        below the effect.

    Raises
    ------
    ValueError
        If the network has no inhibitory and excitatory units, the input does not fit it, or the amplitude is 0 or
        the time is shorter than ten steps.
    """
    excitatory = _populations(network)
    steps = round(settle / network.step) if np.isfinite(settle) else 0
    if amplitude == 0 or not np.isfinite(amplitude) or steps < 10:
        raise ValueError(
            f"`amplitude` is {amplitude!r} and `settle` {settle!r} ms; the amplitude must be finite and not 0, and the "
            f"time at least ten steps of {network.step:g} ms."
        )
    held = np.asarray(np.zeros(network.n_inputs) if inputs is None else inputs, dtype=np.float64)
    if held.shape != (network.n_inputs,):
        raise ValueError(f"`inputs` has the shape {held.shape}; it must be ({network.n_inputs},).")
    pulse = Pulse(~excitatory, amplitude, start=steps * network.step)
    inputs = np.tile(held, (1, 2 * steps, 1))
    rates = run_network(network, inputs, perturbations=(pulse,)).rates[0]
    tenth = steps // 10
    before, after = rates[steps], rates[2 * steps]
    drift = max(np.abs(rates[end] - rates[end - tenth]).max() for end in (steps, 2 * steps))
    change = after[~excitatory].mean() - before[~excitatory].mean()
    return {
        "excitatory_before": float(before[excitatory].mean()),
        "excitatory_after": float(after[excitatory].mean()),
        "inhibitory_before": float(before[~excitatory].mean()),
        "inhibitory_after": float(after[~excitatory].mean()),
        "paradoxical": bool(change * amplitude < 0),
        "drift": float(drift),
    }


def _populations(network: RateNetwork) -> npt.NDArray[np.bool_]:
    """Return which units are excitatory, or say that there are not both kinds."""
    if network.excitatory is None or network.excitatory.all() or not network.excitatory.any():
        raise ValueError("`network` has not both excitatory and inhibitory units; give one trained under Dale's law.")
    return network.excitatory


def _ratio(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
