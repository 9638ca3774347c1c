"""Figures of device comparisons, from the report of `neurocircuit.crosscheck`."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from neurocircuit.plotting.style import COLOURS

__all__ = ["plot_device_differences", "plot_device_times"]


def plot_device_differences(report: xr.Dataset, ax: Axes) -> Axes:
    """Draw the largest (filled) and the RMS (open) difference of every device from the reference, state by state."""
    row = np.arange(report.sizes["device"])
    for offset, name in zip((-0.12, 0.12), report["state"].values, strict=False):
        colour, chosen = COLOURS.get(str(name), COLOURS["model"]), report.sel(state=name)
        ax.plot(chosen["max_difference"].values, row + offset, "o", color=colour, label=f"{name}, largest")
        ax.plot(chosen["rms_difference"].values, row + offset, "o", color=colour, mfc="none", label=f"{name}, RMS")
    tolerance = report.attrs["tolerance"]
    ax.axvline(tolerance, color=COLOURS["limit"], linestyle="--", linewidth=0.8, label=f"tolerance {tolerance:g}")
    # Devices may agree to the last bit, so the axis must reach zero.
    ax.set_xscale("symlog", linthresh=1e-17)
    ax.set_xlim(0, 10 * max(tolerance, report["max_difference"].values.max()))
    ax.set_xticks([0, *(10.0**power for power in range(-16, 3, 3) if 10.0**power <= ax.get_xlim()[1])])
    ax.set_yticks(row, report["device"].values)
    ax.set_ylim(row[-1] + 0.5, -0.5)
    ax.set(xlabel=f"difference from {report.attrs['reference']} (dimensionless)", title="Agreement")
    ax.legend(loc="upper left", bbox_to_anchor=(0, -0.25), ncols=3)
    return ax


def plot_device_times(report: xr.Dataset, ax: Axes) -> Axes:
    """Draw the wall time of every device, builds included."""
    row = np.arange(report.sizes["every_device"])
    bars = ax.barh(row, report["seconds"].values, height=0.5, color=COLOURS["model"])
    ax.bar_label(bars, fmt="%.1f", padding=2, fontsize=7)
    ax.set_yticks(row, report["every_device"].values)
    ax.invert_yaxis()
    ax.margins(x=0.2)
    ax.set(xlabel="wall time, builds included (s)", title="Time")
    return ax
