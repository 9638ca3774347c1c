"""Figure of `neurocircuit.analysis.winners.ode_study`."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neurocircuit.analysis.winner_tables import winner_tables
from neurocircuit.plotting.style import COLOURS

__all__ = ["plot_winners"]

_W_INH = r"inhibition $w_{\mathrm{inh}}$"


def plot_winners(study: xr.Dataset) -> Figure:
    """Draw who wins, how long it takes, and what Eq. 9 assigns.

    Top left: share of images whose winner is the rank rule's, with its 95 % interval, by start. Top right: mean number
    of positive units over time, from rest. Bottom left: time until the set of positive units is final against the
    margin between the two largest currents, from rest, one point an image, at every inhibition above 1. Bottom right:
    share of images in which Eq. 9 gives the factor of the rank rule to the first unit, to the k-th and to all units.

    Parameters
    ----------
    study : Dataset
        From `neurocircuit.analysis.winners.ode_study`.
    """
    figure = Figure(figsize=(7.2, 5.4), layout="constrained")
    axes = figure.subplots(2, 2)
    _shares(study, axes[0, 0])
    _counts(study, axes[0, 1])
    _decisions(study, axes[1, 0])
    _assignment(study, axes[1, 1])
    return figure


def _colours(study: xr.Dataset) -> dict[float, tuple[float, float, float, float]]:
    strengths = study["inhibition"].values
    return dict(zip(strengths.tolist(), colormaps["viridis"](np.linspace(0, 0.9, len(strengths))), strict=True))


def _shares(study: xr.Dataset, ax: Axes) -> None:
    rows = winner_tables(study)["winners"]
    for place, start in enumerate(study["start"].values):
        some = [row for row in rows if row["start"] == start]
        w, same, low, high = (np.array([row[name] for row in some]) for name in ("w_inh", "same_winner", "low", "high"))
        # The ends of an interval may miss a share of 0 or 1 by rounding; the starts are drawn side by side.
        errors = np.maximum(np.stack([same - low, high - same]), 0)
        ax.errorbar(w * 1.02 ** (place - 1), same, yerr=errors, fmt="o-", markersize=3, label=str(start))
    ax.axvline(1, color=COLOURS["limit"], linewidth=0.5, zorder=0)
    ax.set(xscale="log", xlabel=_W_INH, ylabel="share with the rule's winner")
    _label_strengths(study, ax)
    ax.legend(title="start", loc="lower left")


def _counts(study: xr.Dataset, ax: Axes) -> None:
    rest = study.sel(start="rest")
    for strength, colour in _colours(study).items():
        counts = rest["positive_at"].sel(inhibition=strength).mean("image")
        ax.plot(study["time"].values, counts.values, "o-", markersize=3, color=colour, label=f"{strength:g}")
    ax.set(xscale="log", yscale="log", xlabel="time (ms)", ylabel="positive units, mean")
    ax.set_ylim(top=3 * ax.get_ylim()[1])  # room for the legend
    ax.legend(title=r"$w_{\mathrm{inh}}$", ncols=4, columnspacing=1, handlelength=1)


def _decisions(study: xr.Dataset, ax: Axes) -> None:
    rest = study.sel(start="rest")
    for strength, colour in _colours(study).items():
        if strength > 1:
            time = rest["decision_time"].sel(inhibition=strength)
            ax.plot(study["margin"].values, time.values, ".", markersize=3, color=colour, label=f"{strength:g}")
    ax.set(xscale="log", yscale="log", xlabel="margin of the largest current", ylabel="decision time (ms)")
    if ax.lines:
        ax.legend(title=r"$w_{\mathrm{inh}}$", markerscale=2)


def _assignment(study: xr.Dataset, ax: Axes) -> None:
    rows, k = winner_tables(study)["assignment"], study.attrs["k"]
    labels = {
        "winner_learns": "first unit has $g = 1$",
        "kth_unlearns": rf"unit {k} has $g = -\Delta$",
        "all_as_rule": "all units as in the rule",
    }
    for name, label in labels.items():
        ax.plot([row["w_inh"] for row in rows], [row[name] for row in rows], "o-", markersize=3, label=label)
    ax.axvline(1, color=COLOURS["limit"], linewidth=0.5, zorder=0)
    ax.set(xscale="log", xlabel=_W_INH, ylabel="share of images", ylim=(-0.03, 1.03))
    _label_strengths(study, ax)
    ax.legend()


def _label_strengths(study: xr.Dataset, ax: Axes) -> None:
    strengths = study["inhibition"].values
    ax.set_xticks(strengths, [f"{strength:g}" for strength in strengths])
    ax.minorticks_off()
