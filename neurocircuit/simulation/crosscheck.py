"""Do two devices compute the same trajectory? A table of differences, and a loud failure."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from neurocircuit.circuits import Circuit
from neurocircuit.simulation.simulate import simulate

__all__ = ["CrosscheckError", "crosscheck"]


class CrosscheckError(AssertionError):
    """Two devices disagree by more than the tolerance; `report` holds the table."""

    def __init__(self, message: str, report: xr.Dataset) -> None:
        super().__init__(message)
        self.report = report


def crosscheck(
    circuit: Circuit,
    drive: Any,
    devices: Sequence[str],
    *,
    tolerance: float = 1e-10,
    record: Any = "all",
    **options: Any,
) -> xr.Dataset:
    """Run the same problem on several devices and compare them with the first.

    Parameters
    ----------
    circuit : Circuit
        The circuit.
    drive : array
        As for `neurocircuit.simulate`.
    devices : sequence of str
        Two or more devices; the first is the reference.
    tolerance : float
        Largest absolute difference allowed (not the tolerance of `simulate`, which keeps its default).
    record : {"all", "last"} or int
        Which samples are compared.
    **options
        As for `neurocircuit.simulate`: step, steps, units, ..., but not ``parameter_sets``.

    Returns
    -------
    xarray.Dataset
        Over ``device`` and ``state``: ``max_difference``, ``rms_difference``, and ``first_step_out``, the first
        compared step beyond the tolerance (-1 if none); ``seconds`` per device.

    Raises
    ------
    CrosscheckError
        If a difference exceeds the tolerance; its `report` attribute is the same table.
    ValueError
        If fewer than two devices are named, the tolerance is not positive, and as for `simulate`.
    """
    if "parameter_sets" in options:
        raise ValueError("`parameter_sets` cannot be cross-checked at once; call crosscheck for each circuit.")
    if not tolerance > 0:
        raise ValueError(f"`tolerance` is {tolerance!r}; it must be greater than 0, such as 1e-10.")
    if len(devices) < 2:
        raise ValueError(f"`devices` is {list(devices)}; a comparison needs at least two, such as 'torch' and 'cpp'.")
    states = circuit.system.states
    results, seconds = [], []
    for device in devices:
        started = time.perf_counter()
        results.append(simulate(circuit, drive, device=device, record=record, **options))
        seconds.append(time.perf_counter() - started)
    reference, shape = results[0], (len(devices) - 1, len(states))
    largest, rms = np.zeros(shape), np.zeros(shape)
    first_out = np.full(shape, -1)
    for row, result in enumerate(results[1:]):
        for column, state in enumerate(states):
            gap = np.abs(result[state].values - reference[state].values)
            largest[row, column], rms[row, column] = gap.max(), np.sqrt(np.mean(gap**2))
            out = gap.reshape(len(gap), -1).max(1) > tolerance
            if out.any():
                first_out[row, column] = int(reference["step_count"].values[out.argmax()])
    pair = ("device", "state")
    report = xr.Dataset(
        {
            "max_difference": (pair, largest, {"units": "1"}),
            "rms_difference": (pair, rms, {"units": "1"}),
            "first_step_out": (pair, first_out),
            "seconds": ("every_device", seconds, {"units": "s", "long_name": "wall time, builds included"}),
        },
        {"device": list(devices[1:]), "state": list(states), "every_device": list(devices)},
        {**reference.attrs, "reference": devices[0], "tolerance": tolerance},
    )
    if (first_out >= 0).any():
        row, column = np.argwhere(first_out >= 0)[0]
        raise CrosscheckError(
            f"`{states[column]}` on {devices[row + 1]!r} differs from {devices[0]!r} by up to "
            f"{largest[row, column]:.3g}, more than the tolerance {tolerance:g}; first at "
            f"step {first_out[row, column]}.",
            report,
        )
    return report
