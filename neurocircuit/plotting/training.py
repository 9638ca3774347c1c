"""Figures of training runs: learning curves, and accuracy against one property of the images or the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

__all__ = ["plot_accuracy", "plot_learning_curves"]


def plot_learning_curves(logs: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]], ax: Axes) -> Axes:
    """Draw the validation accuracy of every run against its steps, one colour a model.

    Parameters
    ----------
    logs : mapping from model to its runs
        Each run as the lines of its log; see `neurocircuit.training.read_log`.
    ax : Axes
        Where to draw.
    """
    draw_runs(logs, "validation_accuracy", ax)
    ax.axhline(0.5, color="0.7", zorder=0)
    ax.set(xlabel="training step", ylabel="validation accuracy", ylim=(0.45, 1))
    ax.legend()
    return ax


def draw_runs(logs: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]], quantity: str, ax: Axes, **look: Any) -> None:
    """Draw one quantity of the logs of runs against their steps, one colour a label; `look` is for `Axes.plot`."""
    for number, (label, runs) in enumerate(logs.items()):
        for run, lines in enumerate(runs):
            found = [(line["step"], line[quantity]) for line in lines if quantity in line]
            steps, values = zip(*found, strict=True) if found else ((), ())
            ax.plot(steps, values, **{"color": f"C{number}", "label": None if run else label, **look})


def plot_accuracy(curves: Mapping[str, xr.Dataset], ax: Axes, *, chance: float = 0.5) -> Axes:
    """Draw accuracies with their 95 % intervals against the one coordinate that the curves share.

    Parameters
    ----------
    curves : mapping from label to Dataset
        Each with ``accuracy``, ``low`` and ``high`` over one dimension.
    ax : Axes
        Where to draw.
    chance : float
        Accuracy of guessing, drawn as a line.
    """
    for label, curve in curves.items():
        (axis,) = curve["accuracy"].dims
        values = curve["accuracy"].values
        errors = np.stack([values - curve["low"].values, curve["high"].values - values])
        ax.errorbar(curve[axis].values, values, errors, marker="o", markersize=3, capsize=2, label=label)
        ax.set(xlabel=curve[axis].attrs["long_name"], ylabel="accuracy")
    ax.axhline(chance, color="0.7", zorder=0)
    ax.set_ylim(0.45, 1)
    ax.legend()
    return ax
