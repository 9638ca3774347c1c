"""What a contextual circuit makes of a photograph: its oriented energy before and after."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr

from neurocircuit.analysis.options import refuse_options
from neurocircuit.circuits import Circuit
from neurocircuit.simulation import simulate
from neurocircuit.stimuli import filter_orientations, oriented_energy

__all__ = ["dominant_orientation", "photograph_experiment"]


def dominant_orientation(energy: xr.DataArray) -> xr.DataArray:
    """Return the orientation of the channels' vector sum at every pixel, in degrees from 0 to 180.

    Parameters
    ----------
    energy : (..., channel, ...) array
        Responses, with the coordinate ``orientation`` (degrees) along ``channel``.
    """
    double = 2 * np.deg2rad(energy["orientation"])
    sine, cosine = (energy * np.sin(double)).sum("channel"), (energy * np.cos(double)).sum("channel")
    found: xr.DataArray = np.rad2deg(np.arctan2(sine, cosine)) / 2 % 180
    return found.assign_attrs(units="degrees", long_name="dominant orientation")


def photograph_experiment(circuit: Circuit, photograph: Any, *, channels: int = 16, **options: Any) -> xr.Dataset:
    """Run a circuit on the oriented energy of a photograph.

    Parameters
    ----------
    circuit : Circuit
        A circuit with the states `h1`, `h2`, the pool `pool_t` and as many channels as `channels`.
    photograph : (y, x) array
        Grey levels from 0 to 1.
    channels : int
        Number of orientation channels, spread evenly over 180 degrees.
    **options
        As for `neurocircuit.simulate`: step, steps, device, ...

    Returns
    -------
    xarray.Dataset
        ``photograph`` (y, x); ``energy_before`` (the drive), ``energy_after`` (final O) and ``tuned_suppression`` (the
        pool T of the final O), each (channel, y, x); the same three summed over channels (``..._total``) and the
        dominant orientation before and after (``orientation_before``, ``orientation_after``, degrees); ``converged``,
        ``period`` and ``residual`` as in `neurocircuit.simulation.to_dataset`.

    Raises
    ------
    ValueError
        As for `neurocircuit.stimuli.oriented_energy` and `neurocircuit.simulate`.
    """
    refuse_options(options, "record", "units", "parameter_sets")
    if "pool_t" not in {pool.name for pool in circuit.pools}:
        raise ValueError(f"`circuit` is {circuit.name}, which has no pool T (tuned suppression) to show.")
    drive = oriented_energy(photograph, channels)
    final = simulate(circuit, drive, record="last", **options).isel(time=0, batch=0)
    # The pools of the final state, by the circuit's own operators.
    states = {name: torch.from_numpy(final[name].values.astype(np.float64)[None]) for name in circuit.system.states}
    pool_t = circuit.pool_function()(states)["pool_t"][0].numpy()
    place = ("channel", "y", "x")
    attrs = final.attrs
    result = final.drop_vars(["h1", "h2"]).drop_vars(place, errors="ignore")
    result["photograph"] = (place[1:], np.asarray(photograph), {"units": "1", "long_name": "grey level"})
    result["energy_before"] = (place, drive, {"units": "1", "long_name": "oriented energy before the circuit"})
    result["energy_after"] = (place, final["h2"].values, {"units": "1", "long_name": "output of the circuit, O"})
    suppression = np.broadcast_to(pool_t, drive.shape)
    result["tuned_suppression"] = (place, suppression, {"units": "1", "long_name": "tuned suppression T of the output"})
    result = result.assign_coords(orientation=("channel", filter_orientations(channels), {"units": "degrees"}))
    for name in ("energy_before", "energy_after", "tuned_suppression"):
        long_name = f"{result[name].attrs['long_name']}, summed over channels"
        result[f"{name}_total"] = result[name].sum("channel").assign_attrs(units="1", long_name=long_name)
    for when in ("before", "after"):
        result[f"orientation_{when}"] = dominant_orientation(result[f"energy_{when}"])
    return result.assign_attrs(attrs)
