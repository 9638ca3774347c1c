"""Figures of population activity: trajectories in few dimensions, fixed points on them, and their eigenvalues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes

from neurocircuit.plotting.style import COLOURS

__all__ = ["plot_eigenvalues", "plot_fixed_points", "plot_state_space"]

_KINDS = {"fixed": ("o", COLOURS["h1"]), "slow": ("x", COLOURS["limit"]), "none": (".", "0.85")}


def plot_state_space(
    coordinates: xr.DataArray, ax: Axes, *, colour_by: str, labels: Sequence[str] = ("PC 1", "PC 2")
) -> Axes:
    """Draw the trajectory of every condition along the first two coordinates; a dot marks its start.

    Parameters
    ----------
    coordinates : (condition, time, component) array
        Projected condition averages, with `colour_by` a coordinate of ``condition``.
    ax : Axes
        Where to draw.
    colour_by : str
        The condition that the colour stands for.
    labels : sequence of str
        Names of both coordinates.
    """
    values = coordinates[colour_by].values
    levels = np.unique(values)
    colours = dict(zip(levels.tolist(), _gradient(len(levels)), strict=True))
    named = set()
    for trajectory, value in zip(coordinates.values, values.tolist(), strict=True):
        label = None if value in named else f"{value:g}"
        named.add(value)
        ax.plot(trajectory[:, 0], trajectory[:, 1], color=colours[value], linewidth=0.8, label=label)
        ax.plot(*trajectory[0, :2], "o", color=colours[value], markersize=2)
    ax.set(xlabel=f"{labels[0]} (dimensionless)", ylabel=f"{labels[1]} (dimensionless)")
    ax.legend(title=colour_by.replace("_", " "))
    return ax


def plot_fixed_points(coordinates: Any, kinds: Any, ax: Axes, *, direction: Any = None) -> Axes:
    """Draw fixed and slow points, and the direction of a line attractor.

    Parameters
    ----------
    coordinates : (point, component) array
        Projected points.
    kinds : (point,) array of str
        "fixed", "slow" or "none" of each.
    ax : Axes
        Where to draw.
    direction : (component,) array, optional
        Projected line attractor, drawn through the mean of the points.
    """
    points, kinds = np.asarray(coordinates), np.asarray(kinds)
    for kind, (marker, colour) in _KINDS.items():
        chosen = points[kinds == kind]
        if len(chosen):
            ax.plot(chosen[:, 0], chosen[:, 1], marker, color=colour, markersize=4, linestyle="none", label=kind)
    if direction is not None and len(points) and np.isfinite(direction).all():
        middle, unit = points[:, :2].mean(axis=0), np.asarray(direction)[:2]
        length = np.linalg.norm(unit)
        reach = np.ptp(points[:, :2], axis=0).max() / 2 or 1.0
        ends = middle + np.outer([-reach, reach], unit / length if length else unit)
        ax.plot(ends[:, 0], ends[:, 1], "--", color=COLOURS["limit"], linewidth=1, label="slowest mode")
    return ax


def plot_eigenvalues(spectra: Mapping[str, xr.Dataset], ax: Axes) -> Axes:
    """Draw the eigenvalues of linearisations in the complex plane; to the right of the line they grow.

    Parameters
    ----------
    spectra : mapping from label to Dataset
        Each from `neurocircuit.analysis.Linearisation.to_dataset`.
    ax : Axes
        Where to draw.
    """
    for number, (label, spectrum) in enumerate(spectra.items()):
        real, imaginary = (spectrum[f"eigenvalue_{part}"].values.ravel() for part in ("real", "imaginary"))
        ax.plot(1000 * real, 1000 * imaginary, ".", markersize=3, color=f"C{number}", alpha=0.6, label=label)
    ax.axvline(0, color=COLOURS["limit"], linestyle="--", linewidth=1)
    ax.set(xlabel="real part (1/s)", ylabel="imaginary part (1/s)")
    ax.legend()
    return ax


def _gradient(count: int) -> list[Any]:
    return [colormaps["viridis"](0.5 if count == 1 else 0.9 * k / (count - 1)) for k in range(count)]
