"""Figures of `neurocircuit.analysis.stability_map`."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm

from neurocircuit.plotting.style import COLOURS

__all__ = ["plot_stability_map"]


def plot_stability_map(result: xr.Dataset, update: str, ax: Axes) -> Axes:
    """Draw the spectral radius over the gain of the inhibition and the step, with the period of every run's end.

    Blue is stable and red is not; a number is the period in steps, a dash a run that has not settled, a cross a map
    without a fixed point. The dashed line is the step ``eta/epsilon**2``.

    Parameters
    ----------
    result : Dataset
        From `neurocircuit.analysis.stability_map`.
    update : str
        Which order of update.
    ax : Axes
        Where to draw.
    """
    chosen = result.sel(update=update)
    exponent = np.log10(chosen["radius"].values)
    reach = max(0.1, float(np.nanmax(np.abs(np.log10(result["radius"].values)))))
    image = ax.imshow(exponent, origin="lower", cmap="RdBu_r", norm=TwoSlopeNorm(0, -reach, reach), aspect="auto")
    for row in range(result.sizes["gain"]):
        for column in range(result.sizes["step"]):
            period = int(chosen["period"].values[row, column])
            text = "×" if np.isnan(exponent[row, column]) else str(period) if period else "–"
            dark = abs(exponent[row, column]) > 0.6 * reach
            ax.text(column, row, text, ha="center", va="center", fontsize=7, color="white" if dark else "black")
    limit = result.attrs["leak_cancelling_step_ms"]
    place = np.interp(limit, chosen["step"].values, np.arange(result.sizes["step"]), left=np.nan, right=np.nan)
    ax.axvline(place, color=COLOURS["limit"], linestyle="--", linewidth=1)
    ax.set_xticks(range(result.sizes["step"]), [f"{step:g}" for step in chosen["step"].values])
    ax.set_yticks(range(result.sizes["gain"]), [f"{gain:.3g}" for gain in chosen["gain"].values])
    ax.set(
        xlabel="step h (ms)",
        ylabel="gain of inhibition (dimensionless)",
        title=f"{update.capitalize()} update, period in steps",
    )
    assert ax.figure is not None
    ax.figure.colorbar(image, ax=ax, label=r"$\log_{10}$ spectral radius")
    return ax
