"""The tilt illusion: how far a surround turns the orientation that the circuit reads at the centre."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from neurocircuit.analysis.options import refuse_options
from neurocircuit.analysis.tilt_curves import HUMAN_TILT, SURROUND_ANGLES, pearson_r, rms_error
from neurocircuit.circuits import Circuit
from neurocircuit.simulation import simulate
from neurocircuit.stimuli import (
    CentreSurround,
    centre_surround_display,
    decode,
    encode,
    patch_display,
    preferred_values,
)

__all__ = [
    "TILT_CHANNELS",
    "size_tuning",
    "tilt_displays",
    "tilt_drive",
    "tilt_experiment",
    "tilt_shift",
]

FloatArray = npt.NDArray[np.float64]

#: Channels of the tilt experiment in the authors' public code (contextual_model, experiment f3a).
TILT_CHANNELS = 25


def tilt_displays(angles: Sequence[float] = SURROUND_ANGLES, geometry: CentreSurround | None = None) -> FloatArray:
    """Return the displays of the tilt experiment.

    Parameters
    ----------
    angles : sequence of float
        Angles of the surround from the centre in degrees, -90 to 90.
    geometry : CentreSurround, optional
        Sizes; by default the published ones.

    Returns
    -------
    (surround_angle, y, x) array
        Orientation divided by 180 degrees: 0.5 in the centre and ``0.5 - angle / 180`` around it.

    Raises
    ------
    ValueError
        If there is no angle, or one is not between -90 and 90.
    """
    degrees = np.asarray(angles, dtype=np.float64)
    if degrees.ndim != 1 or not degrees.size or not np.all(np.abs(degrees) <= 90):
        raise ValueError(f"`angles` is {angles!r}; it must hold one or more angles from -90 to 90 degrees.")
    return np.stack([centre_surround_display(0.5 - angle / 180, 0.5, geometry) for angle in degrees])


def tilt_drive(
    angles: Sequence[float] = SURROUND_ANGLES, geometry: CentreSurround | None = None, channels: int = TILT_CHANNELS
) -> FloatArray:
    """Return the drive of the tilt experiment, (surround_angle, channel, y, x), in the published circular code."""
    return encode(tilt_displays(angles, geometry), channels)


def tilt_shift(output: Any, drive: Any, axis: int = -1) -> FloatArray:
    """Return how far the circuit turned the perceived orientation, in degrees.

    Parameters
    ----------
    output, drive : array
        Responses of O, and the drive L, at the centre; the channels lie along `axis`.
    axis : int
        Axis of the channels.

    Returns
    -------
    array
        Orientation decoded from O minus that decoded from L, wrapped to (-90, 90] degrees. Positive values point
        away from the surround (repulsion) for surround angles from 0 to 90 degrees.

    Raises
    ------
    ValueError
        As for `neurocircuit.stimuli.decode`: a population without any response signals no orientation.
    """
    turned = 180 * (decode(output, axis=axis) - decode(drive, axis=axis))
    return np.asarray(90 - (90 - turned) % 180)


def tilt_experiment(
    circuit: Circuit,
    angles: Sequence[float] = SURROUND_ANGLES,
    *,
    geometry: CentreSurround | None = None,
    channels: int = TILT_CHANNELS,
    steps: int = 400,
    every: int = 4,
    **options: Any,
) -> xr.Dataset:
    """Run the tilt experiment on a circuit.

    Only the units at the read-out pixel are kept.

    Parameters
    ----------
    circuit : Circuit
        A circuit with the output `h2` and as many channels as `channels`.
    angles : sequence of float
        Surround angles in degrees, -90 to 90; by default those of the published figure.
    geometry : CentreSurround, optional
        Sizes of the display; by default the published ones.
    channels : int
        Number of orientation channels; the published code has 25.
    steps : int
        Number of steps.
    every : int
        Keep at most every so many steps; the largest divisor of `steps` up to this number is used, so that the
        final state is among the samples.
    **options
        As for `neurocircuit.simulate`: step, device, ...

    Returns
    -------
    xarray.Dataset
        ``tilt_shift`` and ``human_shift`` (degrees; NaN at angles not measured) over ``surround_angle``; ``drive``,
        ``h1``, ``h2`` at the read-out pixel; ``change``, the largest change per ms of a read-out unit between samples;
        ``converged``, ``period`` and ``residual`` as in `neurocircuit.simulation.to_dataset`. The attributes
        ``pearson_r`` and ``rms_error`` (degrees) compare the curves.

    Raises
    ------
    ValueError
        If the output at the centre ends silent, and as for `tilt_displays` and `neurocircuit.simulate`.
    """
    refuse_options(options, "record", "units", "parameter_sets")
    geometry = CentreSurround() if geometry is None else geometry
    y, x = geometry.readout
    drive = tilt_drive(angles, geometry, channels)
    found = simulate(
        circuit,
        drive,
        steps=steps,
        record=_divisor(steps, every),
        units=[(k, y, x) for k in range(channels)],
        **options,
    )
    result = found.drop_vars(["channel", "y", "x"]).rename(batch="surround_angle", unit="channel")
    at_centre, output = drive[:, :, y, x], result["h2"].values[-1]
    silent = [f"{angle:g}" for angle, responses in zip(angles, output, strict=True) if not responses.any()]
    if silent:
        raise ValueError(
            f"the circuit's output is silent at the centre after the last step, at surround angles {', '.join(silent)} "
            "degrees, so it signals no orientation. Use a smaller `step`, or change the parameters or lesions."
        )
    model, human = tilt_shift(output, at_centre), HUMAN_TILT.at(angles)
    degrees = {"units": "degrees"}
    result["drive"] = (("surround_angle", "channel"), at_centre, {"units": "1", "long_name": "afferent drive"})
    result["tilt_shift"] = ("surround_angle", model, {**degrees, "long_name": "shift of the perceived orientation"})
    result["human_shift"] = ("surround_angle", human, {**degrees, "source": HUMAN_TILT.source})
    result["change"] = (("time", "surround_angle"), _change(result), {"units": "1/ms"})
    result = result.assign_coords(
        surround_angle=("surround_angle", np.asarray(angles, dtype=np.float64), degrees),
        preferred_orientation=("channel", 180 * preferred_values(channels), degrees),
    )
    return result.assign_attrs(pearson_r=pearson_r(model, human), rms_error=rms_error(model, human))


def size_tuning(
    circuit: Circuit,
    sizes: Sequence[int] = tuple(range(1, 34, 2)),
    *,
    value: float = 0.5,
    field: int | None = None,
    channels: int = TILT_CHANNELS,
    **options: Any,
) -> xr.Dataset:
    """Run a circuit on patches of growing size.

    Parameters
    ----------
    circuit : Circuit
        A circuit with as many channels as `channels`.
    sizes : sequence of int
        Sides of the square patch in pixels.
    value : float
        Orientation of the patch divided by 180 degrees.
    field : int, optional
        Side of the field in pixels; by default that of `neurocircuit.stimuli.CentreSurround`.
    channels : int
        Number of orientation channels.
    **options
        As for `neurocircuit.simulate`: step, steps, device, ...

    Returns
    -------
    xarray.Dataset
        Final ``h1`` and ``h2`` over ``patch_size`` (pixels) of the channel that prefers the patch's orientation, at
        the centre of the field; ``converged``, ``period`` and ``residual``.

    Raises
    ------
    ValueError
        As for `neurocircuit.stimuli.patch_display` and `neurocircuit.simulate`.
    """
    refuse_options(options, "record", "units", "parameter_sets")
    if not len(sizes):
        raise ValueError("`sizes` is empty; it must hold one or more patch sizes in pixels.")
    displays = np.stack([patch_display(size, value, field) for size in sizes])
    drive = encode(displays, channels)
    centre = displays.shape[-1] // 2
    preferred = int(np.abs(preferred_values(channels) - value).argmin())
    found = simulate(circuit, drive, units=[(preferred, centre, centre)], **options)
    result = found.isel(time=-1, unit=0, drop=True).drop_vars(["channel", "y", "x"], errors="ignore")
    result = result.rename(batch="patch_size")
    return result.assign_coords(patch_size=("patch_size", np.asarray(sizes), {"units": "pixels"}))


def _divisor(steps: int, largest: int) -> int:
    """Return the largest divisor of `steps` that is at most `largest`."""
    if isinstance(largest, bool) or not isinstance(largest, int | np.integer) or largest < 1:
        raise ValueError(f"`every` is {largest!r}; it must be a whole number of steps, at least 1.")
    return max(n for n in range(1, largest + 1) if steps % n == 0)


def _change(result: xr.Dataset) -> FloatArray:
    """Return the largest change per ms of any read-out unit since the sample before; NaN for the first sample."""
    gaps = [np.abs(np.diff(result[name].values, axis=0)).max(-1) for name in ("h1", "h2")]
    change = np.maximum(*gaps) / np.diff(result["time"].values)[:, None]
    return np.concatenate([np.full_like(change[:1], np.nan), change])
