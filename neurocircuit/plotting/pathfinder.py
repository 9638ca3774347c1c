"""Figures of Pathfinder: what the images look like, and what the distance of the markers gives away."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from neurocircuit.stimuli.pathfinder import PathfinderBatch

__all__ = ["plot_contact_sheet", "plot_marker_distances"]

GAP = 2


def plot_contact_sheet(batch: PathfinderBatch, ax: Axes, *, columns: int = 6) -> Axes:
    """Draw the images of a batch side by side, each with its label: a plus for one path, a minus for two.

    Parameters
    ----------
    batch : PathfinderBatch
        What is drawn, row by row.
    ax : Axes
        Where to draw.
    columns : int
        Images in a row.
    """
    count, side, _ = batch.images.shape
    rows = -(-count // columns)
    step = side + GAP
    sheet: npt.NDArray[np.uint8] = np.full((rows * step - GAP, columns * step - GAP), 128, np.uint8)
    for number, (image, label) in enumerate(zip(batch.images, batch.labels, strict=True)):
        top, left = step * (number // columns), step * (number % columns)
        sheet[top : top + side, left : left + side] = image
        sign = "+" if label else "\N{MINUS SIGN}"
        ax.text(left + 0.05 * side, top + 0.05 * side, sign, color="orange", va="top", weight="bold")
    ax.imshow(sheet, cmap="gray", vmin=0, vmax=255)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def plot_marker_distances(batch: PathfinderBatch, ax: Axes, *, bins: int = 60) -> Axes:
    """Draw histograms of the distance of the markers, of positive and negative images.

    Parameters
    ----------
    batch : PathfinderBatch
        Whose distances.
    ax : Axes
        Where to draw.
    bins : int
        Bins over the range of all distances.
    """
    edges = np.histogram_bin_edges(batch.marker_distance, bins).tolist()
    for label, name in ((1, "one path"), (0, "two paths")):
        ax.hist(batch.marker_distance[batch.labels == label], edges, histtype="step", label=name)
    ax.set(xlabel="distance of the markers (delivered pixels)", ylabel="images")
    ax.legend()
    return ax
