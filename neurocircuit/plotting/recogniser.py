"""Figures of recurrent recognisers: what is decoded over time and depth, and what altered flows cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

__all__ = ["plot_decoding", "plot_importance"]

#: Curves of networks by their name, each ``mean`` and ``half_width`` over a variable, layer and step.
Curves = Mapping[str, xr.Dataset]

_GHOST = "0.72"
#: Width of a legend's entry in inches.
_ENTRY = 0.95
#: One a layer, from the image up; there may be more layers than markers.
_MARKERS = ("o", "s", "^", "D", "v", "P")
_TITLES = {
    "rotation": "orientation",
    "category_within": "category, within domain",
    "category_between": "category, between domains",
}


def plot_decoding(
    curves: Curves,
    *,
    nulls: Curves | None = None,
    ghosts: Curves | None = None,
    chance: Mapping[str, float] | None = None,
    variables: Sequence[str] | None = None,
) -> Figure:
    """Draw decoding accuracies over time steps: one row a kind of network, one column a variable, one colour a layer.

    Of activations it is figure 3A of Thorat, Aldegheri and Kietzmann (2021), of recurrent flows figure 3B.

    Parameters
    ----------
    curves : mapping from name to Dataset
        As `neurocircuit.analysis.over_networks` summarises accuracies over ``variable``, ``layer`` and ``step``.
    nulls : mapping from name to Dataset, optional
        The same from untrained networks or connections, drawn dashed.
    ghosts : mapping from name to Dataset, optional
        Published curves, such as those of `neurocircuit.analysis.published_summary`, drawn grey behind those of the
        same name.
    chance : mapping from variable to float, optional
        Accuracy of guessing, drawn as a dotted line.
    variables : sequence of str, optional
        Which are drawn. Default: all of the first curves.

    Raises
    ------
    ValueError
        If there is nothing to draw, or ghosts or nulls are of networks that are not drawn.
    """
    figure = _grid(curves, "variable", variables, {"untrained": nulls, "published": ghosts})
    names = _chosen(curves, "variable", variables)
    for axes, _ in zip(_rows(figure, len(curves)), curves, strict=True):
        for ax, name in zip(axes, names, strict=True):
            if chance is not None and name in chance:
                ax.axhline(chance[name], color="0.4", linewidth=0.8, linestyle=":", zorder=0)
            # Below one half lie guesses, whose curves and intervals must not be cut off.
            ax.set_ylim(0 if name == "category" else min(0.45, ax.dataLim.ymin - 0.02), 1.02)
        axes[0].set_ylabel("decoding accuracy")
    return figure


def plot_importance(
    curves: Curves, *, ghosts: Curves | None = None, perturbations: Sequence[str] | None = None
) -> Figure:
    """Draw functional importance over time steps: one row a kind of network, one column a property, one colour a layer.

    It is figure 4D of Thorat, Aldegheri and Kietzmann (2021).

    Parameters
    ----------
    curves : mapping from name to Dataset
        As `neurocircuit.analysis.over_networks` summarises importances over ``perturbation``, ``layer`` and ``step``.
    ghosts : mapping from name to Dataset, optional
        Published curves, drawn grey behind those of the same name.
    perturbations : sequence of str, optional
        Which are drawn. Default: all of the first curves.

    Raises
    ------
    ValueError
        If there is nothing to draw, or ghosts are of networks that are not drawn.
    """
    figure = _grid(curves, "perturbation", perturbations, {"published": ghosts}, share=True)
    for axes in _rows(figure, len(curves)):
        for ax in axes:
            ax.axhline(0, color="0.4", linewidth=0.8, linestyle=":", zorder=0)
        axes[0].set_ylabel("functional importance")
    return figure


def _grid(
    curves: Curves,
    dim: str,
    chosen: Sequence[str] | None,
    beside: Mapping[str, Curves | None],
    *,
    share: bool = False,
) -> Figure:
    """Draw all curves, what is beside them, and one legend."""
    names = _chosen(curves, dim, chosen)
    for what, others in beside.items():
        strangers = [name for name in others or {} if name not in curves]
        if strangers:
            raise ValueError(f"{what} curves of {strangers[0]!r} are given, but `curves` has {', '.join(curves)}.")
    steps = _measured_steps(curves)
    layers = [str(layer) for layer in next(iter(curves.values()))["layer"].values]
    figure = Figure(figsize=(1.55 * len(names) + 0.6, 1.75 * len(curves) + 0.5))
    grid = figure.subplots(len(curves), len(names), squeeze=False, sharex=True, sharey=share)
    for axes, (label, own) in zip(grid, curves.items(), strict=True):
        for ax, name in zip(axes, names, strict=True):
            for what, others in beside.items():
                if others is not None and label in others:
                    _draw(others[label], dim, name, layers, ax, what)
            _draw(own, dim, name, layers, ax, "ours")
            ax.set_xticks(steps)
            ax.set_xlim(steps[0] - 0.3, steps[-1] + 0.3)
        # Left of the axis's label.
        place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
        axes[0].annotate(label, (0, 0.5), (-44, 0), **place, rotation=90, weight="bold", ha="right", va="center")
    for ax, name in zip(grid[0], names, strict=True):
        ax.set_title(_TITLES.get(name, name))
    for ax in grid[-1]:
        ax.set_xlabel("time step")
    _legend(figure, layers, [what for what, others in beside.items() if others])
    return figure


def _draw(summary: xr.Dataset, dim: str, name: str, layers: Sequence[str], ax: Axes, what: str) -> None:
    """Draw one variable of one kind of networks; what was not measured is left out."""
    if name not in summary[dim].values:
        return
    for number, layer in enumerate(layers):
        if layer not in summary["layer"].values:
            continue
        own = summary.sel({dim: name, "layer": layer})
        known = own.isel(step=np.flatnonzero(own["mean"].notnull().values))
        look = _look(what, number, len(layers))
        # One network has no interval.
        spread = known["half_width"].fillna(0).values
        ax.errorbar(known["step"].values, known["mean"].values, spread if what != "untrained" else None, **look)


def _look(what: str, number: int, count: int) -> dict[str, Any]:
    look: dict[str, Any] = {"marker": _MARKERS[number % len(_MARKERS)], "markersize": 3, "capsize": 1.5}
    if what == "published":
        return {**look, "color": _GHOST, "linewidth": 1, "elinewidth": 0.8, "zorder": 1}
    if what == "untrained":
        bare = {"marker": "", "linewidth": 0.9, "linestyle": "--", "zorder": 2}
        return {**bare, "color": _colour(number, count)}
    return {**look, "color": _colour(number, count), "linewidth": 1.3, "zorder": 3}


def _colour(number: int, count: int) -> Any:
    # Dark at the image, light at the last layer, and told apart by colour-blind readers.
    return plt.get_cmap("viridis")(np.linspace(0.05, 0.85, count)[number])


def _legend(figure: Figure, layers: Sequence[str], beside: Sequence[str]) -> None:
    handles = []
    for number, layer in enumerate(layers):
        look = {"color": _colour(number, len(layers)), "marker": _MARKERS[number % len(_MARKERS)], "markersize": 3}
        handles.append(Line2D([], [], label=layer, **look))
    if "untrained" in beside:
        handles.append(Line2D([], [], color="0.2", linestyle="--", linewidth=0.9, label="untrained"))
    if "published" in beside:
        handles.append(Line2D([], [], color=_GHOST, marker="o", markersize=3, linewidth=1, label="published"))
    columns = min(len(handles), max(1, int(figure.get_figwidth() / _ENTRY)))
    rows = -(-len(handles) // columns)
    figure.set_figheight(figure.get_figheight() + 0.2 * (rows - 1))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)


def _measured_steps(curves: Curves) -> list[int]:
    """Return the steps at which anything was measured: of flows, those from the second."""
    steps = {int(step) for own in curves.values() for step in own["mean"].dropna("step", how="all")["step"].values}
    if not steps:
        raise ValueError("`curves` hold NaN only; give the curves of networks in which what is drawn was measured.")
    return sorted(steps)


def _chosen(curves: Curves, dim: str, chosen: Sequence[str] | None) -> list[str]:
    if not curves:
        raise ValueError("`curves` is empty; give the curves of one kind of network or more.")
    first = next(iter(curves.values()))
    known = [str(name) for name in first[dim].values]
    names = known if chosen is None else list(chosen)
    wrong = [name for name in names if name not in known]
    if wrong or not names:
        raise ValueError(f"`{dim}s` has {wrong[0] if wrong else 'nothing'!r}; the curves have {', '.join(known)}.")
    return names


def _rows(figure: Figure, rows: int) -> list[list[Axes]]:
    axes = figure.axes
    columns = len(axes) // rows
    return [axes[at : at + columns] for at in range(0, len(axes), columns)]
