"""Figures of choices and reaction times."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from neurocircuit.analysis.psychometric import PsychometricFit
from neurocircuit.plotting.style import COLOURS

__all__ = ["plot_chronometric", "plot_psychometric"]


def plot_psychometric(fits: Mapping[str, PsychometricFit], ax: Axes, *, label: str = "coherence") -> Axes:
    """Draw the share of positive choices, the fitted curves and their intervals.

    Parameters
    ----------
    fits : mapping from name to PsychometricFit
        One colour each.
    ax : Axes
        Where to draw.
    label : str
        What the evidence is.
    """
    for number, (name, fit) in enumerate(fits.items()):
        colour, fine = f"C{number}", np.linspace(fit.level[0], fit.level[-1], 201)
        ax.plot(fit.level, fit.positive / fit.trials, "o", color=colour, markersize=3, label=name)
        ax.plot(fine, fit.curve(fine), color=colour, linewidth=1)
        ax.fill_between(fine, *fit.band(fine), color=colour, alpha=0.2, linewidth=0)
    ax.axhline(0.5, color=COLOURS["limit"], linewidth=0.5, zorder=0)
    ax.set(xlabel=f"{label} (dimensionless)", ylabel="share of positive choices", ylim=(-0.03, 1.03))
    ax.legend()
    return ax


def plot_chronometric(times: xr.Dataset, ax: Axes) -> Axes:
    """Draw mean reaction times with their intervals, of right and wrong answers.

    Parameters
    ----------
    times : Dataset
        From `neurocircuit.analysis.chronometric`.
    ax : Axes
        Where to draw.
    """
    for number, answer in enumerate(times["answer"].values.tolist()):
        one = times.sel(answer=answer)
        mean = one["reaction_time"].values
        # The interval of a single time may miss it by rounding.
        errors = np.maximum(np.stack([mean - one["low"].values, one["high"].values - mean]), 0)
        ax.errorbar(times["level"].values, mean, errors, marker="o", markersize=3, color=f"C{number}", label=answer)
    ax.set(xlabel="strength of the evidence (dimensionless)", ylabel="reaction time (ms)")
    ax.legend()
    return ax
