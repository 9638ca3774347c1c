"""Figures of oriented energy, from the result of `neurocircuit.analysis.photograph_experiment`."""

from __future__ import annotations

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

__all__ = ["plot_map", "plot_orientation_map"]


def plot_map(values: xr.DataArray, ax: Axes, *, title: str, label: str, cmap: str = "magma") -> Axes:
    """Draw a non-negative (y, x) map with its colour scale.

    Parameters
    ----------
    values : (y, x) array
        What is drawn.
    ax : Axes
        Where to draw.
    title, label : str
        Title of the panel, and label of the colour scale with its unit.
    cmap : str
        Matplotlib colour map.
    """
    image = ax.imshow(values.values, cmap=cmap, vmin=0)
    assert ax.figure is not None
    ax.figure.colorbar(image, ax=ax, label=label, orientation="horizontal", shrink=0.9, pad=0.02)
    return _frame(ax, title)


def plot_orientation_map(orientation: xr.DataArray, energy: xr.DataArray, ax: Axes, *, title: str) -> Axes:
    """Draw the orientation at every pixel as a hue, on black where there is little energy.

    Parameters
    ----------
    orientation : (y, x) array
        Degrees from 0 to 180.
    energy : (y, x) array
        Energy, which gives the opacity.
    ax : Axes
        Where to draw.
    title : str
        Title of the panel.
    """
    ax.set_facecolor("black")
    norm = Normalize(0, 180)
    # Mid-range energies stay visible; the opacity only says where the hue means something.
    ax.imshow(orientation.values, alpha=(energy / energy.max()).values ** 0.5, cmap="hsv", norm=norm)
    assert ax.figure is not None
    scale = ScalarMappable(norm, "hsv")
    ticks = [0, 45, 90, 135, 180]
    label = "orientation (degrees)"
    ax.figure.colorbar(scale, ax=ax, label=label, ticks=ticks, orientation="horizontal", shrink=0.9, pad=0.02)
    return _frame(ax, title)


def _frame(ax: Axes, title: str) -> Axes:
    ax.set(title=title, xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax
