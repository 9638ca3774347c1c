"""Figures of the tilt experiment, from the result of `neurocircuit.analysis.tilt_experiment`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from neurocircuit.plotting.style import COLOURS

__all__ = ["plot_convergence", "plot_display", "plot_tilt_curve", "plot_trajectories"]

_LINES = ("-", "--", ":", "-.")

#: Pixels between the bars of a display.
_BAR_SPACING = 3


def plot_display(display: npt.NDArray[np.float64], ax: Axes) -> Axes:
    """Draw a display of orientations (0 to 1 for 0 to 180 degrees; NaN is empty): colours, and bars that point along.

    Parameters
    ----------
    display : (y, x) array
        Orientation divided by 180 degrees.
    ax : Axes
        Where to draw.
    """
    ax.set_facecolor("0.93")
    image = ax.imshow(180 * display, cmap="hsv", vmin=0, vmax=180, alpha=0.6)
    y, x = (place[::_BAR_SPACING, ::_BAR_SPACING] for place in np.indices(display.shape))
    angle = np.pi * display[y, x]
    bars: dict[str, Any] = {
        "pivot": "mid",
        "headwidth": 0,
        "headlength": 0,
        "headaxislength": 0,
        "units": "xy",
        "width": 0.5,
    }
    ax.quiver(x, y, np.cos(angle), np.sin(angle), scale=1 / (0.7 * _BAR_SPACING), **bars)
    assert ax.figure is not None
    ax.figure.colorbar(image, ax=ax, ticks=[0, 45, 90, 135, 180], label="orientation (degrees)", shrink=0.8)
    ax.set(xlabel="x (pixels)", ylabel="y (pixels)", title="Display")
    return ax


def plot_tilt_curve(result: xr.Dataset, ax: Axes) -> Axes:
    """Draw the model's tilt shift and the human one against the angle of the surround."""
    angle = result["surround_angle"].values
    ax.axhline(0, color=COLOURS["limit"], linewidth=0.6)
    ax.plot(angle, result["human_shift"].values, "o--", color=COLOURS["human"], label="human observers")
    ax.plot(angle, result["tilt_shift"].values, "s-", color=COLOURS["model"], label="circuit")
    ax.set(xlabel="surround angle (degrees)", ylabel="shift of perceived orientation (degrees)")
    ax.set_title(f"Tilt illusion: r = {result.attrs['pearson_r']:.3f}, RMSE = {result.attrs['rms_error']:.2f}°")
    ax.set_xticks(np.arange(0, 91, 15))
    ax.legend()
    return ax


def plot_trajectories(result: xr.Dataset, ax: Axes, angle: float, orientations: Sequence[float] = (60, 90)) -> Axes:
    """Draw the activities I and O at the centre over time, of the channels nearest to some orientations.

    Parameters
    ----------
    result : Dataset
        From `neurocircuit.analysis.tilt_experiment`.
    ax : Axes
        Where to draw.
    angle : float
        Which surround angle, in degrees.
    orientations : sequence of float
        Preferred orientations in degrees; the centre has 90.
    """
    chosen = result.sel(surround_angle=angle)
    preferred = result["preferred_orientation"].values
    for name, letter in (("h1", "I"), ("h2", "O")):
        for orientation, line in zip(orientations, _LINES, strict=False):
            channel = int(np.abs(preferred - orientation).argmin())
            label = f"{letter}, prefers {preferred[channel]:g}°"
            values: Any = chosen[name].isel(channel=channel)
            ax.plot(result["time"].values, values.values, line, color=COLOURS[name], label=label)
    ax.set(
        xlabel="time (ms)", ylabel="activity (dimensionless)", title=f"Centre units, surround angle {angle:g} degrees"
    )
    ax.set_ylim(bottom=0)
    ax.legend()
    return ax


def plot_convergence(result: xr.Dataset, ax: Axes) -> Axes:
    """Draw the largest change of the centre's units per ms over time, a line for every surround angle."""
    angles = result["surround_angle"].values
    norm = Normalize(min(0, angles.min()), max(90, angles.max()))
    scale = ScalarMappable(norm, "viridis")
    for position, angle in enumerate(angles):
        change = result["change"].values[:, position]
        moving = change > 0
        ax.semilogy(result["time"].values[moving], change[moving], color=scale.to_rgba(angle), linewidth=1)
    tolerance = result["converged"].attrs["tolerance"]
    ax.axhline(tolerance, color=COLOURS["limit"], linestyle="--", linewidth=0.8, label="settled below this")
    assert ax.figure is not None
    ax.figure.colorbar(scale, ax=ax, label="surround angle (degrees)", ticks=[0, 30, 60, 90])
    ax.set(xlabel="time (ms)", ylabel="largest change (1/ms)", title="Convergence at the centre")
    ax.legend()
    return ax
