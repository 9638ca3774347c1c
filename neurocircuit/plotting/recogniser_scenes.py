"""Figures of cluttered scenes, and of what a recogniser does with one step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

__all__ = ["plot_answer", "plot_scene", "plot_scene_activity"]

#: Most probable classes that are drawn.
SHOWN = 5


def plot_scene(image: ArrayLike, ax: Axes, *, title: str | None = None, box: ArrayLike | None = None) -> Axes:
    """Draw a scene, black to white from 0 to 1.

    Parameters
    ----------
    image : (y, x) or (1, y, x) array
        The scene.
    ax : Axes
        Where to draw.
    title : str, optional
        Text above it.
    box : (4,) array, optional
        First and last-plus-one row, first and last-plus-one column of a frame, as in a batch's ``boxes``.
    """
    shown = np.asarray(image)
    ax.imshow(shown.reshape(shown.shape[-2:]), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set(xticks=[], yticks=[], title=title or "")
    if box is not None:
        top, bottom, left, right = (float(side) for side in np.asarray(box))
        ax.add_patch(Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, color="C1"))
    return ax


def plot_answer(probabilities: ArrayLike, category: int, class_names: Sequence[str], ax: Axes) -> Axes:
    """Draw the most probable classes of one scene as bars, the target's own in another colour.

    Parameters
    ----------
    probabilities : (class,) array
        What the network gives each class.
    category : int
        The target's class.
    class_names : sequence of str
        Names of the classes.
    ax : Axes
        Where to draw.
    """
    values = np.asarray(probabilities)
    order = np.argsort(-values)[:SHOWN]
    colours = ["C2" if number == category else "0.6" for number in order]
    ax.barh(range(len(order)), values[order], color=colours)
    ax.set_yticks(range(len(order)), [class_names[number] for number in order])
    ax.invert_yaxis()
    ax.set(xlim=(0, 1), xlabel="probability")
    return ax


def plot_scene_activity(run: Any, figure: Figure, *, scene: int = 0) -> Figure:
    """Draw the activity of every layer at every step for one scene: a row a layer, a column a step.

    The image is drawn as the network modulates it. Of a convolutional layer the mean over its channels is drawn, of the
    last layer its units in rows. Each layer has a scale of its own, the same at all steps, from 0 (black): a gain
    below 0 can make activity negative, which is black too.

    Parameters
    ----------
    run : RecogniserRun
        With its activations.
    figure : Figure
        Where to draw.
    scene : int
        Number of the scene in the run.

    Raises
    ------
    ValueError
        If the run has no activations.
    """
    if not run.activations:
        raise ValueError('`run` has no activations; make it with record=("activations",).')
    layers = {
        name: [_as_image(one[scene].detach().cpu().numpy()) for one in steps.values()]
        for name, steps in run.activations.items()
    }
    axes = figure.subplots(len(layers), len(next(iter(layers.values()))), squeeze=False)
    for step, ax in enumerate(axes[0], 1):
        ax.set_title(f"step {step}")
    for row, (name, images) in zip(axes, layers.items(), strict=True):
        top = 1.0 if name == "input" else max(float(image.max()) for image in images)
        for image, ax in zip(images, row, strict=True):
            ax.imshow(image, cmap="gray", vmin=0, vmax=top or 1.0, interpolation="nearest")
            ax.set(xticks=[], yticks=[])
        row[0].set_ylabel(name)
    return figure


def _as_image(activity: Any) -> Any:
    """Return one layer's activity as an image: (y, x)."""
    if activity.ndim == 3:
        return activity.mean(0)
    # The widest shape of equal rows that is not wider than twice its height.
    count = len(activity)
    rows = next(rows for rows in range(1, count + 1) if count % rows == 0 and count / rows <= 2 * rows)
    return activity.reshape(rows, count // rows)
