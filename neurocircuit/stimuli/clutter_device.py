"""Fast scenes on a graphics processor: the arithmetic of `clutter_kernel.paint_fast`, many objects at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neurocircuit.stimuli.clutter_draws import SceneDraws
from neurocircuit.stimuli.clutter_settings import KEYS

__all__ = ["paint_on"]

#: Scenes that are painted at a time, to bound the memory: of the default settings they need about 1 GB.
CHUNK = 1024


@dataclass(frozen=True)
class _Objects:
    """What is needed of the objects of some scenes, on the device; (object,) but for images, boxes and scramble."""

    images: Tensor
    size: Tensor
    radians: Tensor
    boxes: Tensor
    scramble: Tensor
    is_target: Tensor


def paint_on(draws: SceneDraws, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return scenes and their targets alone, (scene, y, x), computed in float32 on a device."""
    side = draws.settings.canvas
    scenes, alone = (torch.empty(len(draws), side, side, device=device) for _ in range(2))
    widest = int(draws.sizes.max()) if len(draws) else 0
    for first in range(0, len(draws), CHUNK):
        part = slice(first, first + CHUNK)
        objects = _objects(draws, part, device)
        inside, values = _squares(objects, widest, draws.settings.scramble_grid)
        scenes[part], alone[part] = _painted(objects, inside, values, draws.settings.objects, side)
    return scenes, alone


def _objects(draws: SceneDraws, part: slice, device: torch.device) -> _Objects:
    def flat(values: npt.NDArray[Any], dtype: torch.dtype) -> Tensor:
        return torch.from_numpy(values[part].reshape(-1, *values.shape[2:])).to(device, dtype)

    is_target = np.arange(draws.settings.objects) == draws.target[:, np.newaxis]
    return _Objects(
        images=torch.from_numpy(draws.source.images[draws.image[part].ravel()]).to(device),
        size=flat(draws.sizes[..., 1], torch.int64),
        radians=flat(np.deg2rad(draws.angles.sum(-1)), torch.float32),
        boxes=flat(draws.boxes, torch.int64),
        scramble=flat(draws.scramble, torch.int64),
        is_target=flat(is_target, torch.bool),
    )


def _squares(objects: _Objects, widest: int, grid: int) -> tuple[Tensor, Tensor]:
    """Return which pixels of (object, y, x) arrays are those of the object, and their values, 0 to 1."""
    size = objects.size[:, None, None]
    at = torch.arange(widest, device=size.device)
    r, c = at[:, None].expand(widest, widest), at.expand(widest, widest)
    inside = (r < size) & (c < size)
    # Where in the intact object each pixel of the scrambled one is from.
    cell = size // grid
    row, column = r // cell, c // cell
    covered = (row < grid) & (column < grid)
    place = (row + grid * column).where(covered, 0)
    order = objects.scramble.gather(1, place.flatten(1)).view_as(place)
    intact = objects.is_target[:, None, None]
    from_row = torch.where(intact, r, order % grid * cell + r % cell)
    from_column = torch.where(intact, c, order // grid * cell + c % cell)
    values = _sampled(objects, from_row, from_column).where(inside & (covered | intact), 0.0)
    lowest = values.where(inside, torch.inf).amin((1, 2), keepdim=True)
    span = values.where(inside, -torch.inf).amax((1, 2), keepdim=True) - lowest
    return inside, ((values - lowest) / span).where(inside & (span > 0), 0.0)


def _sampled(objects: _Objects, row: Tensor, column: Tensor) -> Tensor:
    """Return values of enlarged and turned objects at some of their pixels, zero outside of the image."""
    n = objects.images.shape[1]
    size, radians = objects.size[:, None, None], objects.radians[:, None, None]
    middle, step = (size - 1) / 2, (n - 1) / (size - 1)
    cosine, sine, down, right = radians.cos() * step, radians.sin() * step, row - middle, column - middle
    y, x = cosine * down + sine * right + (n - 1) / 2, cosine * right - sine * down + (n - 1) / 2
    inside = (y >= 0) & (x >= 0) & (y <= n - 1) & (x <= n - 1)
    flat, total = objects.images.flatten(1), torch.zeros_like(y)
    (rows, row_weights), (columns, column_weights) = _taps(y, n), _taps(x, n)
    for i in range(4):
        line = torch.zeros_like(y)
        for j in range(4):
            line += column_weights[j] * flat.gather(1, (rows[i] * n + columns[j]).flatten(1)).view_as(y)
        total += row_weights[i] * line
    return total.where(inside, 0.0)


def _taps(at: Tensor, n: int) -> tuple[list[Tensor], list[Tensor]]:
    """Return the four neighbours of positions, within the image, and their weights in cubic convolution."""
    first = at.floor()
    t = at - first
    s = 1 - t
    weights = [
        KEYS * t * s * s,
        ((KEYS + 2) * t - (KEYS + 3)) * t * t + 1,
        ((KEYS + 2) * s - (KEYS + 3)) * s * s + 1,
        KEYS * t * t * s,
    ]
    return [(first.long() + k).clamp(0, n - 1) for k in range(-1, 3)], weights


def _painted(objects: _Objects, inside: Tensor, values: Tensor, count: int, side: int) -> tuple[Tensor, Tensor]:
    """Lay the objects of every scene one over another."""
    at = torch.arange(values.shape[1], device=values.device)
    start = objects.boxes[:, None, None]
    # Pixels that are not the object's go to one more place beyond the canvas.
    place = ((start[..., 0] + at[:, None]) * side + start[..., 2] + at).where(inside, side * side)
    place, values = (field.view(-1, count, len(at) ** 2) for field in (place, values))
    is_target = objects.is_target.view(-1, count)
    canvas, alone = (values.new_zeros(len(place), side * side + 1) for _ in range(2))
    for item in range(count):
        where, value = place[:, item], values[:, item]
        canvas.scatter_(1, where, (1 - value) * canvas.gather(1, where) + value * value)
        chosen = is_target[:, item, None]
        alone.scatter_(1, where, torch.where(chosen, value * value, alone.gather(1, where)))
    return _stretched(canvas[:, :-1], side), _stretched(alone[:, :-1], side)


def _stretched(canvas: Tensor, side: int) -> Tensor:
    lowest, highest = canvas.amin(1, keepdim=True), canvas.amax(1, keepdim=True)
    return ((canvas - lowest) / (highest - lowest)).where(highest > lowest, 0.0).view(-1, side, side)
