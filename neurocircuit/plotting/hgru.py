"""Figures of what goes on inside a network, from the results of `neurocircuit.analysis`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from neurocircuit.plotting.style import COLOURS

__all__ = ["plot_activity", "plot_gradient_flow", "plot_parameter_gradients", "plot_signed_map", "plot_time_course"]


def plot_activity(activity: xr.DataArray, axes: Sequence[Axes], *, label: str) -> Sequence[Axes]:
    """Draw a population after every step, one panel each, all on the same scale around zero.

    Parameters
    ----------
    activity : (step, y, x) array
        One channel, or a sum over channels, from `neurocircuit.analysis.hgru_activity`.
    axes : sequence of Axes
        As many as there are steps.
    label : str
        Label of the colour scale, with its unit.
    """
    if len(axes) != activity.sizes["step"]:
        raise ValueError(f"`axes` has {len(axes)} panels; the activity has {activity.sizes['step']} steps.")
    bound = float(np.abs(activity).max()) or 1.0
    for ax, field in zip(axes, activity, strict=True):
        image = ax.imshow(field.values, cmap="RdBu_r", vmin=-bound, vmax=bound)
        ax.set(title=f"step {int(field['step'])}", xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    assert axes[0].figure is not None
    axes[0].figure.colorbar(image, ax=list(axes), label=label, shrink=0.8)
    return axes


def plot_time_course(course: xr.DataArray, ax: Axes, *, title: str, label: str, colour: str) -> Axes:
    """Draw a quantity over the steps, a thin line for every channel.

    Parameters
    ----------
    course : (step, channel) array
        For example a gate's mean over images and pixels.
    ax : Axes
        Where to draw.
    title, label : str
        Title of the panel, and label of its axis with the unit.
    colour : str
        A matplotlib colour.
    """
    ax.plot(course["step"].values, course.transpose("step", "channel").values, color=colour, linewidth=0.7, alpha=0.6)
    ax.set(title=title, xlabel="time step (number)", ylabel=label, xticks=course["step"].values)
    return ax


def plot_signed_map(values: xr.DataArray, ax: Axes, *, title: str, label: str) -> Axes:
    """Draw a (y, x) map of either sign, with a colour scale whose middle is zero.

    Parameters
    ----------
    values : (y, x) array
        For example a kernel, an input gradient or a fall of evidence; its coordinates, if any, are pixels.
    ax : Axes
        Where to draw.
    title, label : str
        Title of the panel, and label of the colour scale with its unit.
    """
    bound = float(np.nanmax(np.abs(values.values))) or 1.0
    y, x = (values[axis].values for axis in ("y", "x"))
    half_y, half_x = (np.diff(axis[:2]).sum() / 2 or 0.5 for axis in (y, x))
    extent = (x[0] - half_x, x[-1] + half_x, y[-1] + half_y, y[0] - half_y)
    image = ax.imshow(values.values, cmap="RdBu_r", vmin=-bound, vmax=bound, extent=extent)
    assert ax.figure is not None
    ax.figure.colorbar(image, ax=ax, label=label, shrink=0.8)
    ax.set(title=title, xlabel="x (pixels)", ylabel="y (pixels)")
    return ax


def plot_gradient_flow(flow: xr.Dataset, ax: Axes) -> Axes:
    """Draw the norm of the loss's gradient with respect to both states over the steps.

    Parameters
    ----------
    flow : Dataset
        From `neurocircuit.analysis.gradient_flow`.
    ax : Axes
        Where to draw.
    """
    for name in ("h1", "h2"):
        ax.semilogy(flow["step"].values, flow[name].values, "o-", color=COLOURS[name], label=name.upper())
    ax.set(xlabel="time step (number)", ylabel="norm (dimensionless)", title="Gradient at every step")
    ax.set_xticks(flow["step"].values)
    ax.legend()
    return ax


def plot_parameter_gradients(flow: xr.Dataset, ax: Axes, parameters: Sequence[str]) -> Axes:
    """Draw the norm of the loss's gradient with respect to some parameters.

    Parameters
    ----------
    flow : Dataset
        From `neurocircuit.analysis.gradient_flow`.
    ax : Axes
        Where to draw.
    parameters : sequence of str
        Names of parameters, from top to bottom.
    """
    row = np.arange(len(parameters))
    chosen = flow["parameter_gradient"].sel(parameter=list(parameters)).values
    ax.semilogx(chosen, row, "o", color=COLOURS["model"])
    ax.set_yticks(row, parameters)
    ax.invert_yaxis()
    ax.set(xlabel="norm (dimensionless)", title="Gradient by parameter")
    return ax
