"""Figures of the derivation: one stimulus under every scheme, and what each does to the differential equation."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes

from neurocircuit.plotting.style import COLOURS

__all__ = ["plot_cycles", "plot_scheme_residuals", "plot_schemes"]


def plot_schemes(traces: xr.DataArray, ax: Axes, *, title: str) -> Axes:
    """Draw one unit's activity over time, a line for every scheme; the first scheme is the reference.

    Parameters
    ----------
    traces : (scheme, sample) array
        Activity; with the coordinate ``time`` (ms) over both dimensions, NaN where a scheme has no sample.
    ax : Axes
        Where to draw.
    title : str
        Title of the panel.
    """
    for scheme, style in zip(traces["scheme"].values, _styles(traces), strict=True):
        chosen = traces.sel(scheme=scheme)
        ax.plot(chosen["time"].values, chosen.values, label=str(scheme), **style)
    ax.set(ylabel="activity of H2 (dimensionless)", title=title)
    return ax


def plot_scheme_residuals(residuals: xr.DataArray, ax: Axes) -> Axes:
    """Draw every scheme's difference from the reference, as `plot_schemes`; the reference itself is left out."""
    for scheme, style in list(zip(residuals["scheme"].values, _styles(residuals), strict=True))[1:]:
        chosen = residuals.sel(scheme=scheme)
        ax.plot(chosen["time"].values, chosen.values, **style)
    ax.axhline(0, color=COLOURS["limit"], linewidth=0.6)
    largest = np.nanmax(np.abs(residuals.values))
    ax.set(xlabel="time (ms)", ylabel="minus the ODE")
    ax.set_yscale("symlog", linthresh=float(10 ** np.floor(np.log10(max(largest, 1e-12)) - 3)))
    return ax


def plot_cycles(cycles: xr.DataArray, ax: Axes, *, title: str) -> Axes:
    """Draw the field maximum over the last steps, a line for every order of update.

    Parameters
    ----------
    cycles : (update, step_count) array
        Field maximum, with the coordinate ``period_of_cycle`` over update.
    ax : Axes
        Where to draw.
    title : str
        Title of the panel.
    """
    colours = (COLOURS["h1"], COLOURS["h2"])
    for update, colour, marker in zip(cycles["update"].values, colours, "os", strict=False):
        values = cycles.sel(update=update)
        label = f"{update}, period {int(values['period_of_cycle'])}"
        ax.plot(values["step_count"].values, values.values, f"{marker}-", color=colour, label=label)
    ax.set(xlabel="number of steps", ylabel="field maximum of H2", title=title)
    ax.set_ylim(top=1.35 * float(cycles.max()))
    ax.legend(loc="upper center")
    return ax


def _styles(traces: xr.DataArray) -> list[dict[str, Any]]:
    """Return the look of every scheme: the reference thick and grey, the others on one scale of colour."""
    others = traces.sizes["scheme"] - 1
    found: list[dict[str, Any]] = [{"color": COLOURS["limit"], "linewidth": 3.0, "alpha": 0.6}]
    for rank in range(others):
        colour = colormaps["viridis"](0.9 * rank / max(1, others - 1))
        found.append({"color": colour, "linewidth": 1.0, "marker": "o", "markersize": 1.8})
    return found
