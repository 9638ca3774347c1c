"""The compiled loops that paint cluttered scenes; imported only when scenes are made, because numba is slow to load.

A scene is painted object by object. Either mode writes the square of an intact object into an array (``turned``);
scrambling, stretching to 0 to 1 and painting are then the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurocircuit.stimuli.clutter_resampling import EDGE, compiled, one_step, two_steps

__all__ = ["paint_exact", "paint_fast"]


@compiled
def _lay(canvas: Any, value: float, row: Any, column: Any) -> None:
    """Lay a value over the canvas: it is its own opacity, and its square what it adds."""
    canvas[row, column] = (1.0 - value) * canvas[row, column] + value * value


@compiled
def _range(field: Any, height: int, width: int) -> Any:
    """Return the lowest value, and the factor that stretches the range to 1, or 0 if all are equal."""
    lowest, highest = field[0, 0], field[0, 0]
    for r in range(height):
        for c in range(width):
            lowest, highest = min(lowest, field[r, c]), max(highest, field[r, c])
    return lowest, 1.0 / (highest - lowest) if highest > lowest else 0.0


@compiled
def _paint_target(canvas: Any, alone: Any, turned: Any, n: int, top: int, left: int) -> None:
    lowest, factor = _range(turned, n, n)
    alone[:] = 0.0
    for r in range(n):
        for c in range(n):
            value = (turned[r, c] - lowest) * factor
            _lay(canvas, value, np.uint32(top + r), np.uint32(left + c))
            # The square of what goes from 0 to 1 needs no stretching.
            alone[np.uint32(top + r), np.uint32(left + c)] = value * value


@compiled
def _paint_scrambled(canvas: Any, turned: Any, n: int, top: int, left: int, grid: int, order: Any) -> None:
    """Paint with cells moved; the strips that no cell covers have the value 0 before all is stretched."""
    cell = n // grid
    covered = cell * grid
    if covered < n:
        for k in range(n):
            # These strips of the intact object are not shown.
            for i in range(covered, n):
                turned[i, k] = 0.0
                turned[k, i] = 0.0
    lowest, factor = _range(turned, n, n)
    for place in range(grid * grid):
        row, column = top + place % grid * cell, left + place // grid * cell
        from_row, from_column = order[place] % grid * cell, order[place] // grid * cell
        for r in range(cell):
            for c in range(cell):
                value = (turned[np.uint32(from_row + r), np.uint32(from_column + c)] - lowest) * factor
                _lay(canvas, value, np.uint32(row + r), np.uint32(column + c))
    for r in range(n):
        for c in range(covered if r < covered else 0, n):
            _lay(canvas, -lowest * factor, np.uint32(top + r), np.uint32(left + c))


@compiled
def _finish(canvas: Any, out: Any) -> None:
    """Write the canvas, stretched, and clear it."""
    lowest, factor = _range(canvas, canvas.shape[0], canvas.shape[1])
    for r in range(canvas.shape[0]):
        for c in range(canvas.shape[1]):
            out[r, c] = (canvas[r, c] - lowest) * factor
            canvas[r, c] = 0.0


@compiled
def _paint(canvas: Any, alone: Any, turned: Any, n: int, box: Any, grid: int, order: Any, is_target: bool) -> None:
    if is_target:
        _paint_target(canvas, alone, turned, n, box[0], box[2])
    else:
        _paint_scrambled(canvas, turned, n, box[0], box[2], grid, order)


@compiled
def paint_fast(
    images: Any,
    chosen: Any,
    sizes: Any,
    angles: Any,
    boxes: Any,
    target: Any,
    scramble: Any,
    grid: int,
    out: Any,
    alone: Any,
) -> None:
    """Paint scenes, every object by one affine map.

    Parameters
    ----------
    images : (image, y, x) array of float32
        The source's.
    chosen, sizes, angles, boxes, target, scramble
        As in `SceneDraws`.
    grid : int
        Cells along a side of a scrambled object.
    out, alone : (scene, y, x) array of float32
        Where scenes are written, and their targets alone.
    """
    side, widest = images.shape[1] + 2 * EDGE, int(sizes.max())
    edged, turned, canvas = np.empty((side, side)), np.empty((widest, widest)), np.zeros(out.shape[1:])
    for scene in range(chosen.shape[0]):
        for item in range(chosen.shape[1]):
            n, degrees = sizes[scene, item, 1], angles[scene, item, 0] + angles[scene, item, 1]
            one_step(images[chosen[scene, item]], edged, turned, n, degrees)
            is_target = item == target[scene]
            _paint(canvas, alone[scene], turned, n, boxes[scene, item], grid, scramble[scene, item], is_target)
        _finish(canvas, out[scene])


@compiled
def paint_exact(
    images: Any,
    chosen: Any,
    sizes: Any,
    angles: Any,
    boxes: Any,
    target: Any,
    scramble: Any,
    grid: int,
    out: Any,
    alone: Any,
    levels: bool,
) -> None:
    """Paint scenes as the published generator does, every object enlarged and then turned by cubic splines.

    Parameters are those of `paint_fast`, and ``levels``: whether all is rounded to 256 levels after each step.
    """
    widest = max(int(sizes.max()), images.shape[1]) + 2 * EDGE
    field, spare, turned = np.zeros((widest, widest)), np.zeros((widest, widest)), np.empty((widest, widest))
    canvas = np.zeros(out.shape[1:])
    for scene in range(chosen.shape[0]):
        for item in range(chosen.shape[1]):
            image = images[chosen[scene, item]]
            n = two_steps(image, field, spare, turned, sizes[scene, item], angles[scene, item], levels)
            is_target = item == target[scene]
            _paint(canvas, alone[scene], turned, n, boxes[scene, item], grid, scramble[scene, item], is_target)
        _finish(canvas, out[scene])
