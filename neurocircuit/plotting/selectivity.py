"""Figures of units and their connections: sorted weights, currents of either sign, and what lesions cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from neurocircuit.plotting.style import COLOURS
from neurocircuit.tables import Table

__all__ = ["plot_connectivity", "plot_currents", "plot_lesions"]


def plot_connectivity(weights: Any, order: Any, ax: Axes, *, n_excitatory: int | None = None) -> Axes:
    """Draw a weight matrix with its units sorted, on a colour scale whose middle is zero.

    Parameters
    ----------
    weights : (unit, unit) array
        ``weights[post, pre]``.
    order : (unit,) int array
        From `neurocircuit.analysis.sort_units`.
    ax : Axes
        Where to draw.
    n_excitatory : int, optional
        Where the line between the populations is drawn.
    """
    ordered = np.asarray(weights)[np.ix_(order, order)]
    bound = float(np.abs(ordered).max()) or 1.0
    image = ax.imshow(ordered, cmap="RdBu_r", vmin=-bound, vmax=bound, interpolation="nearest")
    if n_excitatory is not None:
        for line in (ax.axvline, ax.axhline):
            line(n_excitatory - 0.5, color="black", linewidth=0.5)
    assert ax.figure is not None
    ax.figure.colorbar(image, ax=ax, label="weight (dimensionless)", shrink=0.8)
    ax.set(xlabel="presynaptic unit", ylabel="postsynaptic unit")
    return ax


def plot_currents(currents: xr.Dataset, ax: Axes, *, step: float) -> Axes:
    """Draw the mean excitatory and inhibitory current over trials and units, and their sum.

    Parameters
    ----------
    currents : Dataset
        From `neurocircuit.analysis.ei_currents`.
    ax : Axes
        Where to draw.
    step : float
        Time between samples in ms.
    """
    mean = currents.mean(("trial", "unit"))
    time = step * np.arange(mean.sizes["time"])
    for name, colour in (("excitatory", COLOURS["h1"]), ("inhibitory", COLOURS["h2"])):
        ax.plot(time, mean[name].values, color=colour, label=name)
    ax.plot(time, (mean["excitatory"] + mean["inhibitory"]).values, color="black", label="sum")
    ax.set(xlabel="time (ms)", ylabel="mean current (dimensionless)")
    ax.legend()
    return ax


def plot_lesions(rows: Table, ax: Axes, *, name: str = "group", chance: float = 0.5) -> Axes:
    """Draw the accuracy under every lesion with its interval, and that of matched random lesions.

    Parameters
    ----------
    rows : list of rows
        From `neurocircuit.analysis.lesion_table` or `perturbation_table`.
    ax : Axes
        Where to draw.
    name : str
        Column that names the lesions.
    chance : float
        Accuracy of guessing, drawn as a line.
    """
    place = np.arange(len(rows))
    accuracy, low, high = (np.array([row[key] for row in rows]) for key in ("accuracy", "low", "high"))
    # The ends of an interval may miss an accuracy of 0 or 1 by rounding.
    errors = np.maximum(np.stack([accuracy - low, high - accuracy]), 0)
    ax.errorbar(accuracy, place, xerr=errors, fmt="o", markersize=3, label="lesion")
    if all("control" in row for row in rows):
        control, spread = (np.array([row[key] for row in rows]) for key in ("control", "control_sd"))
        ax.errorbar(control, place, xerr=spread, fmt="s", markersize=3, color=COLOURS["limit"], label="random units")
    ax.axvline(chance, color=COLOURS["limit"], linewidth=0.5, zorder=0)
    ax.set_yticks(place, [str(row[name]) for row in rows])
    ax.invert_yaxis()
    ax.set(xlabel="accuracy", xlim=(-0.03, 1.03))
    ax.legend()
    return ax
