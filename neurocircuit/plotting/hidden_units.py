"""Figures of hidden units: their weights as pictures, learning curves and confusion matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from neurocircuit.plotting.local_filters import plot_local_filters
from neurocircuit.plotting.training import draw_runs

__all__ = ["plot_comparison", "plot_confusion", "plot_training_curves", "plot_weight_mosaic", "plot_weight_mosaics"]

#: Lines of a run's log.
Log = Sequence[Mapping[str, Any]]


def plot_weight_mosaic(weights: npt.ArrayLike, ax: Axes, *, columns: int = 5) -> Axes:
    """Draw the weights of hidden units as small pictures, each scaled to its own largest weight.

    Weights of one channel are drawn red where they are positive and blue where they are negative. Those of three are
    drawn in their colours, grey being 0.

    Parameters
    ----------
    weights : (hidden, channel, y, x) array
        Weights of one or three channels; all units that are given are drawn.
    ax : Axes
        Where to draw.
    columns : int
        Pictures in a row.

    Raises
    ------
    ValueError
        If the weights are not such an array.
    """
    values = np.asarray(weights, dtype=np.float64)
    if values.ndim != 4 or not values.size or values.shape[1] not in (1, 3):
        raise ValueError(f"`weights` has the shape {values.shape}; it must be (hidden, channel, y, x), channel 1 or 3.")
    hidden, *picture = values.shape
    largest = np.abs(values).max(axis=(1, 2, 3), keepdims=True)
    rows = -(-hidden // columns)
    # Where there is no unit, nothing is drawn.
    places = np.full((rows * columns, *picture), np.nan)
    places[:hidden] = values / np.where(largest == 0, 1, largest)
    return plot_local_filters(places.reshape(rows, columns, *picture), ax, bound=1.0)


def plot_weight_mosaics(weights: Mapping[str, npt.ArrayLike], *, units: int = 25, columns: int = 5) -> Figure:
    """Draw the first units of several networks side by side.

    Parameters
    ----------
    weights : mapping from title to (hidden, channel, y, x) array
        Weights of each network.
    units : int
        Units of each network that are drawn.
    columns : int
        Pictures in a row.
    """
    figure = Figure(figsize=(3.3 * len(weights), 3.5))
    for ax, (title, values) in zip(figure.subplots(1, len(weights), squeeze=False)[0], weights.items(), strict=True):
        plot_weight_mosaic(np.asarray(values)[:units], ax, columns=columns)
        ax.set_title(title)
    return figure


def plot_confusion(confusion: npt.ArrayLike, names: Sequence[str], ax: Axes) -> Axes:
    """Draw a confusion matrix: colour is the share of a class, the number how many images.

    Parameters
    ----------
    confusion : (class, class) array
        Number of images by true class and answer.
    names : sequence of str
        Names of the classes.
    ax : Axes
        Where to draw.
    """
    counts = np.asarray(confusion)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            dark = shares[row, column] > 0.5
            colour = "white" if dark else "black"
            ax.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=5)
    places = np.arange(len(names))
    ax.set_xticks(places, names, rotation=90 if max(map(len, names)) > 1 else 0)
    ax.set_yticks(places, names)
    ax.set(xlabel="answer", ylabel="true class")
    return ax


def plot_training_curves(logs: Mapping[str, Log], axes: Sequence[Axes]) -> None:
    """Draw accuracy and loss of networks by epoch, on training images (dashed) and on validation images (solid).

    Parameters
    ----------
    logs : mapping from network to its log
        One line an epoch; see `neurocircuit.training.read_log`.
    axes : two Axes
        For accuracy and loss.
    """
    by_epoch = {
        name: [[{**line, "step": epoch} for epoch, line in enumerate(log, start=1)]] for name, log in logs.items()
    }
    for ax, quantity in zip(axes, ("accuracy", "loss"), strict=True):
        draw_runs(by_epoch, quantity, ax, linestyle="--", linewidth=0.8, label=None)
        draw_runs(by_epoch, f"validation_{quantity}", ax)
        ax.set(xlabel="epoch", ylabel=quantity, title="solid: validation, dashed: training")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.legend()


def plot_comparison(logs: Mapping[str, Log], confusion: npt.ArrayLike, names: Sequence[str], title: str) -> Figure:
    """Draw learning curves of all networks and the confusion matrix of one, on one figure.

    Parameters
    ----------
    logs : mapping from network to its log
        See `plot_training_curves`.
    confusion : (class, class) array
        See `plot_confusion`.
    names : sequence of str
        Names of the classes.
    title : str
        Of the confusion matrix.
    """
    figure = Figure(figsize=(9, 3.2))
    *curves, matrix = figure.subplots(1, 3, width_ratios=(1, 1, 1.2))
    plot_training_curves(logs, curves)
    plot_confusion(confusion, names, matrix)
    matrix.set_title(title)
    return figure
