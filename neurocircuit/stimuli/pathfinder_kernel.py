"""The compiled loop of the Pathfinder generator; imported only when images are made, because numba is slow to load.

Masks are bytes: 255 is occupied. Everything is in drawn pixels (y, x).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neurocircuit.stimuli.pathfinder_random import below, compiled, seed_stream
from neurocircuit.stimuli.pathfinder_snakes import FREE, draw_pair, extend, place, separate, stamp, stamp_mask, start
from neurocircuit.stimuli.pathfinder_templates import DEGREES, Templates

__all__ = ["Plan", "draw_images"]

# Distractors stop when less than this share of the canvas is free.
LEAST_FREE = 0.01
# Layouts kept while two of equal marker distance are sought; a few dozen are enough for the named difficulties.
POOL = 4096


class Plan(NamedTuple):
    """The numbers of `PathfinderSettings` that the loop needs."""

    canvas: int
    padding: int
    border: int
    seed_distance: float
    contour_length: int
    distractors: int
    distractor_length: int
    paddle_tries: int
    distractor_tries: int
    layout_tries: int
    matched: bool
    tolerance: float
    separate: bool


@compiled
def _distance(snakes: Any, origin: int, terminal: int) -> float:
    first, last = snakes[origin, 0], snakes[terminal, snakes.shape[1] - 1]
    return float(np.hypot(float(first[0] - last[0]), float(first[1] - last[1])))


@compiled
def _draw_layout(state: Any, mask: Any, blank: Any, tables: Any, plan: Any, snakes: Any, pivots: Any) -> bool:
    """Draw one pair of target snakes; tell whether it is usable."""
    mask[:] = blank
    if not draw_pair(state, mask, tables, plan, snakes, pivots):
        return False
    return not plan.separate or separate(mask, blank, tables, snakes)


@compiled
def _redraw_layout(state: Any, mask: Any, blank: Any, tables: Any, plan: Any, snakes: Any, pivots: Any) -> Any:
    """Redraw pairs until one is usable; return the snake of the first marker (-1: none found) and the redraws."""
    for redraws in range(plan.layout_tries):
        if _draw_layout(state, mask, blank, tables, plan, snakes, pivots):
            return below(state, 2), redraws
    return -1, plan.layout_tries


@compiled
def _match(distances: Any, count: int, tolerance: float) -> Any:
    """Return the layout, its origin and the newest layout's origin that agree with the newest; -1 if none does."""
    # Layouts are in turn candidates for a negative and for a positive image.
    for other in range(1 - count % 2, count, 2):
        for origin in range(2):
            for newest in range(2):
                if abs(distances[other, origin] - distances[count, newest]) <= tolerance:
                    return other, origin, newest
    return -1, -1, -1


@compiled
def _match_layout(
    state: Any, mask: Any, blank: Any, tables: Any, plan: Any, snakes: Any, pivots: Any, pool: Any, label: int
) -> Any:
    """Draw candidates for both labels until two agree in marker distance, and keep that of the label.

    Returns as `_redraw_layout`.
    """
    distances, count = np.empty((pool.shape[0], 2)), 0
    for redraws in range(plan.layout_tries):
        if not _draw_layout(state, mask, blank, tables, plan, snakes, pivots):
            continue
        pool[count] = snakes
        for origin in range(2):
            distances[count, origin] = _distance(snakes, origin, origin if count % 2 == 1 else 1 - origin)
        other, origin, newest = _match(distances, count, plan.tolerance)
        if other >= 0:
            chosen = count
            if count % 2 != label:
                chosen, newest = other, origin
            snakes[:] = pool[chosen]
            mask[:] = blank
            for snake in snakes:
                for paddle in snake:
                    stamp_mask(mask, tables, paddle)
            return newest, redraws
        count += 1
        if count == pool.shape[0]:
            break
    return -1, plan.layout_tries


@compiled
def _draw_distractor(state: Any, mask: Any, tables: Any, plan: Any, snake: Any, pivot: Any) -> int:
    """Grow one distractor; return how many pixels it newly occupies, or -1 if it was not completed."""
    paddle = below(state, DEGREES)
    y, x = place(state, mask, tables, paddle, 1)
    if y < 0:
        return -1
    start(tables, snake, pivot, y, x, paddle)
    newly = 0
    for size in range(1, plan.distractor_length):
        if not extend(state, mask, tables, snake, size, pivot, plan.paddle_tries):
            return -1
        newly += stamp_mask(mask, tables, snake[size - 1])
    return newly + stamp_mask(mask, tables, snake[plan.distractor_length - 1])


@compiled
def _draw_distractors(state: Any, image: Any, mask: Any, saved: Any, tables: Any, plan: Any) -> int:
    """Draw the distractors and return how many there was room for."""
    snake, pivot = np.empty((plan.distractor_length, 3), np.int64), np.empty(2, np.int64)
    saved[:] = mask
    free, drawn = np.sum(mask <= FREE), 0
    for _ in range(plan.distractors):
        for _ in range(plan.distractor_tries):
            if free < LEAST_FREE * mask.size:
                return drawn
            newly = _draw_distractor(state, mask, tables, plan, snake, pivot)
            if newly >= 0:
                free -= newly
                drawn += 1
                for paddle in snake:
                    stamp_mask(saved, tables, paddle)
                    stamp(image, tables.lines[paddle[2]], paddle[0], paddle[1])
                break
            mask[:] = saved
    return drawn


@compiled
def _deliver(image: Any, out: Any) -> None:
    """Write the canvas at the delivered size, every pixel the mean brightness of the area it covers."""
    peak, canvas, side = float(np.max(image)), image.shape[0], out.shape[0]
    scale = canvas / side
    for i in range(side):
        top, bottom = i * scale, (i + 1) * scale
        for j in range(side):
            left, right = j * scale, (j + 1) * scale
            total = 0.0
            for y in range(int(top), min(canvas, int(np.ceil(bottom)))):
                height = min(bottom, y + 1.0) - max(top, float(y))
                for x in range(int(left), min(canvas, int(np.ceil(right)))):
                    total += height * (min(right, x + 1.0) - max(left, float(x))) * image[y, x]
            out[i, j] = int(total * 255 / (peak * scale * scale) + 0.5)


@compiled
def draw_images(
    seed: Any, indices: Any, tables: Templates, plan: Plan, images: npt.NDArray[np.uint8], facts: npt.NDArray[np.int64]
) -> int:
    """Draw images one by one, each from its own random stream.

    Parameters
    ----------
    seed : uint64
        Seed of the whole data set.
    indices : (image,) array of uint64
        Which images.
    tables, plan : Templates, Plan
        What is drawn.
    images : (image, y, x) array of uint8
        Where the images are written.
    facts : (image, 7) array
        Where label, origin y and x, terminal y and x, redraws and the number of distractors are written.

    Returns
    -------
    int
        -1, or the position of the first image for which no layout was found.
    """
    state = np.empty(4, np.uint64)
    blank = np.full((plan.canvas, plan.canvas), 255, np.uint8)
    blank[plan.padding : plan.canvas - plan.padding, plan.padding : plan.canvas - plan.padding] = 0
    mask, saved, image = np.empty_like(blank), np.empty_like(blank), np.empty_like(blank)
    snakes, pivots = np.empty((2, plan.contour_length, 3), np.int64), np.empty((2, 2), np.int64)
    pool = np.empty((POOL if plan.matched else 0, *snakes.shape), np.int64)
    for i in range(len(indices)):
        seed_stream(state, seed, indices[i])
        label = below(state, 2)
        if plan.matched:
            origin, redraws = _match_layout(state, mask, blank, tables, plan, snakes, pivots, pool, label)
        else:
            origin, redraws = _redraw_layout(state, mask, blank, tables, plan, snakes, pivots)
        if origin < 0:
            return i
        image[:] = 0
        for snake in snakes:
            for paddle in snake:
                stamp(image, tables.lines[paddle[2]], paddle[0], paddle[1])
        drawn = _draw_distractors(state, image, mask, saved, tables, plan)
        first, last = snakes[origin, 0], snakes[origin if label == 1 else 1 - origin, plan.contour_length - 1]
        stamp(image, tables.marker, first[0], first[1])
        stamp(image, tables.marker, last[0], last[1])
        _deliver(image, images[i])
        facts[i] = np.array([label, first[0], first[1], last[0], last[1], redraws, drawn])
    return -1
