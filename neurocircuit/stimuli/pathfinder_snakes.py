"""How Pathfinder snakes grow and are stamped, compiled. Masks are bytes: 255 is occupied. Places are (y, x)."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurocircuit.stimuli.pathfinder_random import below, compiled, uniform
from neurocircuit.stimuli.pathfinder_templates import DEGREES

__all__ = ["FREE", "draw_pair", "extend", "place", "separate", "stamp", "stamp_mask", "start"]

# A paddle is accepted if the sum of both masks stays below 1.8, and a pixel is free if its mask is at most 0.3.
OVERLAP = 459
FREE = 76
# A snake ends where no continuation has any weight to speak of.
LEAST_WEIGHT = 1e-4
# Random places tried before all places are listed; the choice is uniform over the free places either way.
RANDOM_PLACES = 64


@compiled
def stamp(field: Any, template: Any, y: int, x: int) -> int:
    """Stamp the larger value at every pixel, and return how many pixels became occupied."""
    reach, side = template.shape[0] // 2, field.shape[0]
    top, left = y - reach, x - reach
    newly = 0
    for i in range(max(0, -top), min(template.shape[0], side - top)):
        for j in range(max(0, -left), min(template.shape[0], side - left)):
            value, before = template[i, j], field[top + i, left + j]
            if value > before:
                field[top + i, left + j] = value
                newly += before <= FREE < value
    return newly


@compiled
def _overlaps(mask: Any, template: Any, y: int, x: int) -> bool:
    reach, side = template.shape[0] // 2, mask.shape[0]
    top, left = y - reach, x - reach
    for i in range(max(0, -top), min(template.shape[0], side - top)):
        for j in range(max(0, -left), min(template.shape[0], side - left)):
            if np.int64(mask[top + i, left + j]) + np.int64(template[i, j]) >= OVERLAP:
                return True
    return False


@compiled
def _fits(mask: Any, tables: Any, paddle: int, y: int, x: int, border: int) -> bool:
    """Tell whether a first paddle's core is free and inside the border."""
    last = mask.shape[0] - border
    for i in range(tables.core_sizes[paddle]):
        row, column = y + tables.core[paddle, i, 0], x + tables.core[paddle, i, 1]
        if row < border or row >= last or column < border or column >= last or mask[row, column] > FREE:
            return False
    return True


@compiled
def place(state: Any, mask: Any, tables: Any, paddle: int, border: int) -> tuple[int, int]:
    """Return a tip drawn uniformly from those where a first paddle fits; (-1, -1) if there is none."""
    side = mask.shape[0] - 2 * border
    for _ in range(RANDOM_PLACES):
        y, x = border + below(state, side), border + below(state, side)
        if _fits(mask, tables, paddle, y, x, border):
            return y, x
    count = 0
    for place in range(side * side):
        count += _fits(mask, tables, paddle, border + place // side, border + place % side, border)
    if count == 0:
        return -1, -1
    chosen = below(state, count)
    for place in range(side * side):
        if _fits(mask, tables, paddle, border + place // side, border + place % side, border):
            if chosen == 0:
                return border + place // side, border + place % side
            chosen -= 1
    return -1, -1


@compiled
def extend(state: Any, mask: Any, tables: Any, snake: Any, size: int, pivot: Any, tries: int) -> bool:
    """Add a paddle to a snake of `size` paddles (rows tip y, tip x, paddle); tell whether there was room for it."""
    side, count = mask.shape[0], tables.heads.shape[0]
    before = snake[size - 1, 2]
    base_y, base_x = pivot[0] + tables.advance[before, 0], pivot[1] + tables.advance[before, 1]
    cumulative = np.zeros(count)
    total = 0.0
    for j in range(count):
        weight = tables.weights[before, j]
        y, x = base_y + tables.heads[j, 0], base_x + tables.heads[j, 1]
        if weight > 0 and 0 <= y < side and 0 <= x < side:
            occupied = np.int64(0)
            for k in range(tables.disc.shape[0]):
                row, column = y + tables.disc[k, 0], x + tables.disc[k, 1]
                if 0 <= row < side and 0 <= column < side:
                    occupied = max(occupied, np.int64(mask[row, column]))
            total += weight * (255 - occupied) / 255
        cumulative[j] = total
    if total < LEAST_WEIGHT:
        return False
    for _ in range(tries):
        chosen = np.searchsorted(cumulative, uniform(state) * total, side="right")
        y, x = base_y + tables.heads[chosen, 0], base_x + tables.heads[chosen, 1]
        if not _overlaps(mask, tables.masks[DEGREES + chosen], y, x):
            snake[size, 0], snake[size, 1], snake[size, 2] = y, x, DEGREES + chosen
            pivot[0], pivot[1] = base_y, base_x
            return True
    return False


@compiled
def stamp_mask(mask: Any, tables: Any, paddle: Any) -> int:
    """Stamp the keep-out mask of a paddle (tip y, tip x, number); returns as `stamp`."""
    return stamp(mask, tables.masks[paddle[2]], paddle[0], paddle[1])


@compiled
def start(tables: Any, snake: Any, pivot: Any, y: int, x: int, paddle: int) -> None:
    """Write the first paddle of a snake and its pivot."""
    snake[0, 0], snake[0, 1], snake[0, 2] = y, x, paddle
    pivot[0], pivot[1] = y + tables.start[paddle, 0], x + tables.start[paddle, 1]


@compiled
def draw_pair(state: Any, mask: Any, tables: Any, plan: Any, snakes: Any, pivots: Any) -> bool:
    """Grow the two target snakes alternately on an empty mask; tell whether both were completed."""
    paddle = below(state, DEGREES)
    y, x = place(state, mask, tables, paddle, plan.border)
    if y < 0:
        return False
    start(tables, snakes[0], pivots[0], y, x, paddle)
    paddle, angle = below(state, DEGREES), np.radians(float(below(state, DEGREES)))
    y = int(np.rint(y + plan.seed_distance * np.sin(angle)))
    x = int(np.rint(x + plan.seed_distance * np.cos(angle)))
    if not _fits(mask, tables, paddle, y, x, 0):
        return False
    start(tables, snakes[1], pivots[1], y, x, paddle)
    for size in range(1, plan.contour_length):
        for which in range(2):
            # A snake may touch its own last paddle, which therefore enters the mask one paddle late.
            if not extend(state, mask, tables, snakes[which], size, pivots[which], plan.paddle_tries):
                return False
            stamp_mask(mask, tables, snakes[which, size - 1])
    for which in range(2):
        stamp_mask(mask, tables, snakes[which, plan.contour_length - 1])
    return True


@compiled
def separate(mask: Any, blank: Any, tables: Any, snakes: Any) -> bool:
    """Tell whether no paddle of one snake overlaps one of the other; the mask is scratch."""
    mask[:] = blank
    for paddle in snakes[0]:
        stamp_mask(mask, tables, paddle)
    for paddle in snakes[1]:
        if _overlaps(mask, tables.masks[paddle[2]], paddle[0], paddle[1]):
            return False
    for paddle in snakes[1]:
        stamp_mask(mask, tables, paddle)
    return True
