"""A plain generator of cluttered scenes with scipy, written from a description of the public one: for comparison only.

It works as the public code does: object by object, from one random stream of numpy's and one of Python's, with ``zoom``
and then ``rotate`` by cubic splines in the type of the images. Images of float32 give the published scenes, images of
uint8 those of the later code.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import rotate, zoom

from neurocircuit.stimuli import SceneDraws

__all__ = ["Thing", "as_levels", "draw_things", "paint_things", "scramble", "things_of"]

CANVAS, OBJECTS, GRID = 100, 8, 3
Array = npt.NDArray[np.float64]


class Thing(NamedTuple):
    """An object before it is painted."""

    image: npt.NDArray[np.generic]
    zooms: tuple[float, ...]
    """Applied one after another; the public generator has one."""
    angles: tuple[float, ...]
    """Applied one after another, degrees."""
    order: Sequence[int] | None
    """Which cell is put where, columns first; None for the target."""
    row: int
    column: int


def draw_things(
    sets: Sequence[npt.NDArray[np.generic]], numbers: np.random.RandomState, shuffler: random.Random
) -> list[Thing]:
    """Draw the objects of a scene, bottom to top; `sets` are the images of the two domains."""
    target = OBJECTS // 2 + numbers.randint(OBJECTS // 2)
    second = numbers.random_sample(OBJECTS) < 0.5
    things = []
    for i in range(OBJECTS):
        images = sets[int(second[i])]
        image = images[numbers.randint(len(images))]
        middle = 1.5 if numbers.random_sample() > 0.5 else 0.9
        factor = middle + (numbers.random_sample() - 0.5) / 5
        middle = -30.0 if numbers.random_sample() > 0.5 else 30.0
        angle = middle + (numbers.random_sample() - 0.5) * 10
        order = None
        if i != target:
            order = list(range(GRID * GRID))
            while order == sorted(order):
                shuffler.shuffle(order)
        row, column = (25 + 50 * bit + (numbers.random_sample() - 0.5) * 5 for bit in (i % 2, i % 4 // 2))
        things.append(Thing(image, (factor,), (angle,), order, int(np.round(row)), int(np.round(column))))
    return things


def paint_things(things: Sequence[Thing], canvas: int = CANVAS) -> tuple[Array, Array]:
    """Paint a scene, and its target alone.

    Raises
    ------
    ValueError
        If an object is of one value throughout.
    """
    scene, alone = np.zeros((canvas, canvas)), np.zeros((canvas, canvas))
    for thing in things:
        item = thing.image
        for factor in thing.zooms:
            item = zoom(item, factor)
        for angle in thing.angles:
            item = rotate(item, angle, reshape=False)
        if thing.order is not None:
            item = scramble(item, thing.order)
        item = _stretched(item)
        n = len(item)
        place = tuple(slice(at - n // 2, at + (n + 1) // 2) for at in (thing.row, thing.column))
        scene[place] = (1 - item) * scene[place] + item * item
        if thing.order is None:
            alone[place] = (1 - item) * alone[place] + item * item
    return _stretched(scene), _stretched(alone)


def scramble(item: npt.NDArray[np.generic], order: Sequence[int]) -> Array:
    """Move the cells of an image; rows and columns that are left over become 0."""
    grid = round(len(order) ** 0.5)
    cell = len(item) // grid
    moved = np.zeros(item.shape)
    for put, taken in enumerate(order):
        to, source = (
            tuple(slice(cell * at, cell * at + cell) for at in (number % grid, number // grid))
            for number in (put, taken)
        )
        moved[to] = item[source]
    return moved


def _stretched(item: npt.NDArray[np.generic]) -> Array:
    low, high = np.min(item), np.max(item)
    if low == high:
        raise ValueError(f"An object or scene is {low} throughout.")
    return (item - low) / (high - low)


def things_of(draws: SceneDraws, scene: int, *, levels: bool) -> list[Thing]:
    """Return the objects of one of the library's scenes, as float32 or as bytes."""
    images = draws.source.images[draws.image[scene]]
    second_scale, (first_angle, second_angle) = draws.second_scale[scene], draws.angles[scene].T
    return [
        Thing(
            image=image,
            zooms=tuple(factor for factor in (draws.scales[scene, item], second_scale[item]) if factor != 1),
            angles=tuple(angle for angle in (first_angle[item], second_angle[item]) if angle != 0),
            order=None if item == draws.target[scene] else draws.scramble[scene, item].tolist(),
            row=int(draws.centres[scene, item, 0]),
            column=int(draws.centres[scene, item, 1]),
        )
        for item, image in enumerate(as_levels(images) if levels else images)
    ]


def as_levels(images: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return images as bytes."""
    return np.rint(images * 255).astype(np.uint8)
