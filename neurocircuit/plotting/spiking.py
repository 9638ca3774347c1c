"""Figures of spiking networks; nothing is computed here but what an axis needs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes

__all__ = ["plot_population_rate", "plot_raster", "plot_rate_and_trace", "plot_spiking_output"]


def plot_raster(run: xr.Dataset, ax: Axes, *, trial: int | None = None, units: int | None = None) -> Axes:
    """Draw spikes, one row a unit: excitatory units blue and below, inhibitory ones red and above.

    Parameters
    ----------
    run : Dataset
        With ``spike_time`` and ``spike_unit``; see `neurocircuit.simulation.simulate_spiking`.
    ax : Axes
        Where to draw.
    trial : int, optional
        The trial, if the run has several.
    units : int, optional
        Draw only every so-manieth unit, such that there are about this many.
    """
    total = run.sizes["unit"]
    excitatory = run["excitatory"].values if "excitatory" in run.coords else np.ones(total, dtype=bool)
    row = np.argsort(np.argsort(~excitatory, kind="stable"), kind="stable")
    every = 1 if units is None else max(1, total // units)
    times, who = run["spike_time"].values, run["spike_unit"].values
    shown = row[who] % every == 0
    if trial is not None:
        shown &= run["spike_trial"].values == trial
    for kind, colour in ((excitatory, "C0"), (~excitatory, "C3")):
        chosen = shown & kind[who]
        ax.plot(times[chosen], row[who[chosen]], "|", color=colour, markersize=2)
    ax.set(xlabel="time (ms)", ylabel="unit", ylim=(-1, total))
    return ax


def plot_rate_and_trace(rates: npt.ArrayLike, run: xr.Dataset, ax: Axes, *, recorded: int = 0) -> Axes:
    """Draw the rate of every unit, averaged over a trial, against its filtered spikes.

    Parameters
    ----------
    rates : (time, unit) array
        Of the rate network in the recorded trial.
    run : Dataset
        With ``trace``.
    ax : Axes
        Where to draw.
    recorded : int
        Place of the trial among the recorded ones.
    """
    ax.plot([0, 1], [0, 1], color="0.7", zorder=0)
    ax.plot(np.mean(np.asarray(rates), axis=0), run["trace"][recorded].mean("time"), ".", color="C0")
    ax.set(xlabel="rate (dimensionless)", ylabel="filtered spikes (dimensionless)")
    return ax


def plot_spiking_output(
    rate_outputs: npt.ArrayLike, run: xr.Dataset, choice: npt.ArrayLike, ax: Axes, *, trials: int = 10
) -> Axes:
    """Draw the first output of some trials, spiking (solid) and of the rate network (dashed), by the right choice.

    Parameters
    ----------
    rate_outputs : (trial, time, output) array
        Of the rate network, sample k after step k + 1.
    run : Dataset
        The spiking run.
    choice : (trial,) array
        The right choice of every trial.
    ax : Axes
        Where to draw.
    trials : int
        How many trials.
    """
    given, right = np.asarray(rate_outputs), np.asarray(choice)
    time = run["time"].values
    for trial in range(min(trials, len(given))):
        colour = "C0" if right[trial] == right.max() else "C3"
        ax.plot(time, run["output"].values[trial, :, 0], color=colour, linewidth=0.8)
        ax.plot(time[1:], given[trial, :, 0], "--", color=colour, linewidth=0.8)
    ax.set(xlabel="time (ms)", ylabel="output (dimensionless)")
    return ax


def plot_population_rate(run: xr.Dataset, ax: Axes) -> Axes:
    """Draw the population rate against time; see `neurocircuit.simulation.simulate_brunel`."""
    ax.plot(run["time"], run["population_rate"], color="C0", linewidth=0.8)
    ax.set(xlabel="time (ms)", ylabel="population rate (Hz)")
    return ax
