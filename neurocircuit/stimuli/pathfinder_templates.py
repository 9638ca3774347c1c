"""What a Pathfinder image is stamped from: paddles, their keep-out masks and markers, drawn once for some settings.

Every paddle has one of few orientations: whole degrees for the first of a snake, and for the others the directions from
a pixel to the pixels of a circle about it. So all of them are drawn beforehand, with the steps of the public generator:
a Pillow line at `antialias` times the size, dilation by a disc, Lanczos reduction.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy import ndimage

__all__ = ["DEGREES", "Geometry", "Templates", "templates"]

#: Orientations of the first paddle of a snake: every whole degree.
DEGREES = 360

ByteArray = npt.NDArray[np.uint8]
IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


class Geometry(NamedTuple):
    """The settings that templates depend on, in drawn pixels; see `PathfinderSettings`."""

    paddle_length: float
    paddle_width: float
    margin: float
    continuity: float
    marker_radius: float
    antialias: int

    @property
    def reach(self) -> int:
        """Half the side of a paddle's template."""
        return math.ceil(self.paddle_length) + math.ceil(self.paddle_width) + math.ceil(self.margin)


class Templates(NamedTuple):
    """Arrays that the compiled generator reads.

    Paddle ``i`` is one of ``DEGREES`` first paddles, held at the tip that is the snake's end, or one of the
    continuations, held at the far end.

    Parameters
    ----------
    lines, masks : (paddle, y, x) array of uint8
        Brightness of a paddle, and the region it keeps free of others.
    core : (paddle, offset, 2) array
        Offsets (y, x) of the fully covered pixels of a first paddle's mask.
    core_sizes : (paddle,) array
        How many of them there are.
    start : (paddle, 2) array
        From the tip of a first paddle to its pivot.
    advance : (paddle, 2) array
        From the pivot of a paddle to the next one.
    heads : (continuation, 2) array
        From a pivot to the far end of each continuation.
    weights : (paddle, continuation) array
        How readily a continuation follows a paddle: ``max(cos(min(continuity * turn, pi/2)), 0)**2``.
    disc : (offset, 2) array
        Pixels of the disc that the mask is dilated by where a continuation may end.
    marker : (y, x) array of uint8
        Brightness of a marker.
    """

    lines: ByteArray
    masks: ByteArray
    core: IntArray
    core_sizes: IntArray
    start: IntArray
    advance: IntArray
    heads: IntArray
    weights: FloatArray
    disc: IntArray
    marker: ByteArray


@lru_cache(maxsize=8)
def templates(geometry: Geometry) -> Templates:
    """Draw everything that images of these settings are stamped from."""
    length, margin = geometry.paddle_length, geometry.margin
    first = np.radians(np.arange(DEGREES) - 180.0)
    heads = _circle(length + margin)
    following = np.arctan2(heads[:, 0], heads[:, 1])
    orientations = np.concatenate([first, following])
    # A continuation is held at its far end, so it is drawn backwards.
    drawn = [_paddle(geometry, angle) for angle in (*first, *(following + np.pi))]
    lines, masks = (np.stack(parts) for parts in zip(*drawn, strict=True))
    core, core_sizes = _cores(masks[:DEGREES])
    turn = np.abs(orientations[:, None] - following)
    turn = np.minimum(turn, 2 * np.pi - turn)
    weights = np.maximum(np.cos(np.minimum(geometry.continuity * turn, np.pi / 2)), 0) ** 2
    return Templates(
        lines=lines,
        masks=masks,
        core=core,
        core_sizes=core_sizes,
        start=_displacement(first, length) + _displacement(first + np.pi, length + margin),
        advance=_displacement(orientations, length + 2 * margin),
        heads=heads,
        # The tail of the weight is zero only up to rounding.
        weights=np.where(weights < 1e-12, 0.0, weights),
        disc=np.argwhere(_disc(margin)) - math.floor(margin),
        marker=_marker(geometry),
    )


def _displacement(angle: npt.ArrayLike, distance: float) -> IntArray:
    """Return (y, x) displacements in whole pixels, rounded up as in the public generator."""
    exact = distance * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    # sin(pi) is not quite zero; the rounding keeps it from becoming a whole pixel.
    return np.ceil(exact.round(9)).astype(np.int64)


def _circle(radius: float) -> IntArray:
    """Return the distinct pixels (y, x) on a circle, sampled every pixel of arc and rounded down."""
    angle = np.arange(0, 2 * np.pi, 1 / radius)
    exact = radius * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    return np.unique(np.floor(exact.round(9)).astype(np.int64), axis=0)


def _paddle(geometry: Geometry, angle: float) -> tuple[ByteArray, ByteArray]:
    """Draw a paddle that starts at the centre of its template, and its keep-out mask."""
    scale, reach = geometry.antialias, geometry.reach
    centre = reach * scale
    blown = Image.new("L", (2 * centre + 1, 2 * centre + 1), 0)
    y, x = (centre + _displacement(angle, geometry.paddle_length * scale)).tolist()
    ImageDraw.Draw(blown).line([(centre, centre), (x, y)], fill=255, width=round(geometry.paddle_width * scale))
    distance = ndimage.distance_transform_edt(np.asarray(blown) == 0)
    covered = np.where(distance <= geometry.margin * scale, 255, 0).astype(np.uint8)
    side = 2 * reach + 1
    return _reduce(np.asarray(blown), side), _reduce(covered, side)


def _marker(geometry: Geometry) -> ByteArray:
    # One pixel around the disc leaves room for what the reduction spreads.
    half, scale = math.ceil(geometry.marker_radius) + 1, geometry.antialias
    place = np.arange(scale * (2 * half + 1)) - scale * half
    inside = place[:, None] ** 2 + place**2 <= (geometry.marker_radius * scale) ** 2
    return _reduce(np.where(inside, 255, 0).astype(np.uint8), 2 * half + 1)


def _reduce(blown: ByteArray, side: int) -> ByteArray:
    return np.asarray(Image.fromarray(blown).resize((side, side), Image.Resampling.LANCZOS))


def _disc(radius: float) -> npt.NDArray[np.bool_]:
    place = np.arange(-math.floor(radius), math.floor(radius) + 1)
    return np.asarray(place[:, None] ** 2 + place**2 <= radius**2)


def _cores(masks: ByteArray) -> tuple[IntArray, IntArray]:
    """Return the offsets of the pixels that a mask covers fully, padded to equal number, and how many there are."""
    reach = masks.shape[1] // 2
    offsets = [np.argwhere(mask == 255) - reach for mask in masks]
    core = np.zeros((len(masks), max(map(len, offsets)), 2), np.int64)
    for row, found in zip(core, offsets, strict=True):
        row[: len(found)] = found
    return core, np.array([len(found) for found in offsets])
