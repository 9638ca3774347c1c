"""Pathfinder: are the two marked ends those of one dashed path? A fast, repeatable generator.

The algorithm is that of the public generator (``snakes2.py`` of drewlinsley/pathfinder) behind the task of
:cite:t:`linsley2018`. `docs/explanation/pathfinder.rst` tells it step by step. Deliberate differences:

* The keep-out masks of the last paddles of *both* target snakes are kept; the public code forgets that of the first
  snake, so that a distractor may cross it.
* Whether a first paddle fits is tested at its own place, not one pixel beside it, and the second snake's first paddle
  is tested too (with the public sizes it always fits).
* Random numbers come from a stream of its own for every image (xoshiro256** started by splitmix64 from the seed and
  the index), so an image depends on nothing else; two equal calls give equal bytes.
* `negatives="distance_matched"` is ours.

The growth of a snake is a chain of random decisions that each depend on the last, so it cannot be vectorised over
pixels, and vectorising over images would wait for the unluckiest layout; it is therefore compiled (numba). All drawing
is done once per settings, in `pathfinder_templates`. Nothing here uses threads: callers run several processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neurocircuit.checks import check_indices, check_whole
from neurocircuit.stimuli.pathfinder_settings import DIFFICULTIES, Negatives, PathfinderSettings
from neurocircuit.stimuli.pathfinder_templates import templates

__all__ = [
    "DIFFICULTIES",
    "METADATA_COLUMNS",
    "Negatives",
    "PathfinderBatch",
    "PathfinderSettings",
    "metadata_rows",
    "pathfinder_batch",
]

#: Columns of the field's metadata array, one row an image.
METADATA_COLUMNS = (
    "subpath",
    "filename",
    "nimg",
    "label",
    "continuity",
    "contour_length",
    "distractor_length",
    "paddle_length",
    "paddle_thickness",
    "margin",
    "n_contrasts",
)

_WORD = 2**64


@dataclass(frozen=True, eq=False)
class PathfinderBatch:
    """Images with their labels, and what is known about their making.

    Parameters
    ----------
    images : (image, y, x) array of uint8
        White on black, 0 to 255.
    labels : (image,) array of int64
        1 if the markers are on the two ends of one snake, otherwise 0.
    marker_distance : (image,) array of float64
        Distance of the two markers in delivered pixels.
    origin, terminal : (image, 2) array of float64
        Places (y, x) of the marker on a first and on a last paddle, in delivered pixels.
    redraws : (image,) array of int64
        Pairs of target snakes that were thrown away before one was used.
    distractors : (image,) array of int64
        Distractor snakes that there was room for.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    marker_distance: npt.NDArray[np.float64]
    origin: npt.NDArray[np.float64]
    terminal: npt.NDArray[np.float64]
    redraws: npt.NDArray[np.int64]
    distractors: npt.NDArray[np.int64]


def pathfinder_batch(
    settings: PathfinderSettings, seed: int, indices: Sequence[int] | npt.ArrayLike
) -> PathfinderBatch:
    """Draw the images of a data set that have the given indices.

    Image ``i`` of a seed is the same bytes in whatever batch, order or process it is drawn.

    Parameters
    ----------
    settings : PathfinderSettings
        What is drawn, for example ``DIFFICULTIES["6"]``.
    seed : int
        Seed of the data set, 0 to 2**64 - 1.
    indices : (image,) array of int
        Which images, each 0 or more.

    Returns
    -------
    PathfinderBatch
        One entry an index, in their order.

    Raises
    ------
    TypeError, ValueError
        If the seed or an index is not a whole number in range, or an image finds no layout within
        ``settings.layout_tries``.
    """
    from neurocircuit.stimuli.pathfinder_kernel import draw_images

    check_whole("seed", seed, 0)
    if seed >= _WORD:
        raise ValueError(f"`seed` is {seed}; it must be less than 2**64.")
    chosen = check_indices(indices, "images")
    images = np.empty((len(chosen), settings.image_size, settings.image_size), np.uint8)
    facts = np.zeros((len(chosen), 7), np.int64)
    failed = draw_images(np.uint64(seed), chosen, templates(settings.geometry), _plan(settings), images, facts)
    if failed >= 0:
        raise ValueError(
            f"image {chosen[failed]} of seed {seed} found no layout for two snakes of `contour_length` = "
            f"{settings.contour_length} in {settings.layout_tries} tries (`layout_tries`). Use shorter snakes, less "
            "`padding` or `seed_border`, a larger `canvas_size`, or, with distance-matched negatives, a larger "
            "`match_tolerance`."
        )
    origin, terminal = facts[:, 1:3].astype(np.float64), facts[:, 3:5].astype(np.float64)
    return PathfinderBatch(
        images=images,
        labels=facts[:, 0].copy(),
        marker_distance=np.hypot(*(origin - terminal).T) * settings.scale,
        origin=(origin + 0.5) * settings.scale - 0.5,
        terminal=(terminal + 0.5) * settings.scale - 0.5,
        redraws=facts[:, 5].copy(),
        distractors=facts[:, 6].copy(),
    )


def metadata_rows(
    settings: PathfinderSettings, labels: npt.ArrayLike, *, subpath: str, first: int = 0
) -> npt.NDArray[np.str_]:
    """Return the rows that the public generator saves beside its images, as text.

    Parameters
    ----------
    settings : PathfinderSettings
        What was drawn.
    labels : (image,) array of int
        Labels of consecutive images.
    subpath : str
        Folder of the images in the data set, such as ``imgs/1``.
    first : int
        Number of the first image; image ``n`` is the file ``sample_n.png``.

    Returns
    -------
    (image, column) array of str
        Columns as in `METADATA_COLUMNS`; the label is column 3.
    """
    lengths = (settings.contour_length, settings.distractor_length, settings.paddle_length, settings.paddle_width)
    constant = [f"{value:g}" for value in (settings.continuity, *lengths, settings.margin)]
    rows = [
        [subpath, f"sample_{number}.png", str(number), str(int(label)), *constant, "1"]
        for number, label in enumerate(np.asarray(labels), first)
    ]
    return np.array(rows, dtype=np.str_).reshape(-1, len(METADATA_COLUMNS))


def _plan(settings: PathfinderSettings) -> Any:
    from neurocircuit.stimuli.pathfinder_kernel import Plan

    return Plan(
        canvas=settings.canvas_size,
        padding=settings.padding,
        border=settings.seed_border,
        seed_distance=float(settings.seed_distance),
        contour_length=settings.contour_length,
        distractors=settings.distractors,
        distractor_length=settings.distractor_length,
        paddle_tries=settings.paddle_tries,
        distractor_tries=settings.distractor_tries,
        layout_tries=settings.layout_tries,
        matched=settings.negatives == "distance_matched",
        # Equal distances may differ in the last bit.
        tolerance=settings.match_tolerance + 1e-9,
        separate=settings.separate_targets,
    )
