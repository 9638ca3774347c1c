"""The random numbers of cluttered scenes: scene ``i`` of a seed is the same in whatever batch it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from neurocircuit.checks import check_indices, check_whole
from neurocircuit.stimuli.clutter_random import WORD, permutations, uniform
from neurocircuit.stimuli.clutter_settings import QUADRANTS, ClutterSettings
from neurocircuit.stimuli.clutter_sources import ObjectSource

__all__ = ["LABELS", "SceneDraws", "draw_scenes"]

#: Names of a scene's labels; rows and columns are those of quadrants on the screen, row 0 on top, column 0 on the left.
LABELS = ("category", "domain", "row", "column", "scale", "rotation")

#: Random numbers of an object other than those of its scrambling.
_OWN = ("domain", "image", "scale", "scale_place", "rotation", "rotation_place", "jitter_y", "jitter_x")
#: Random numbers of a scene that belong to no object.
_SHARED = 3


@dataclass(frozen=True, eq=False, kw_only=True)
class SceneDraws:
    """What scenes consist of, before they are rendered; arrays are (scene,) or (scene, object).

    Objects lie one on another in their order. Places within ranges are 0 to 1, from the range's low end.
    """

    source: ObjectSource
    """Where images are from."""
    settings: ClutterSettings
    """Ranges and sizes."""
    target: npt.NDArray[np.int64]
    """(scene,), which object is not scrambled."""
    image: npt.NDArray[np.int64]
    """(scene, object), index into the source's images."""
    quadrant: npt.NDArray[np.int64]
    """(scene, object), 0 to 3: row of the quadrant plus twice its column."""
    scale: npt.NDArray[np.int64]
    """(scene, object), 0 small, 1 large."""
    scale_place: npt.NDArray[np.float64]
    """(scene, object), place within the range of scales."""
    rotation: npt.NDArray[np.int64]
    """(scene, object), 0 counter-clockwise, 1 clockwise."""
    rotation_place: npt.NDArray[np.float64]
    """(scene, object), place within the range of angles."""
    jitter_place: npt.NDArray[np.float64]
    """(scene, object, 2), place within the range of jitters, of y and x."""
    scramble: npt.NDArray[np.int64]
    """(scene, object, cell), which cell is put where: cell ``row + grid * column`` shows cell ``scramble[...]``."""
    alternative: npt.NDArray[np.float64]
    """(scene, 2), 0 to 1, decide the target's image in scenes with another category, within and between domains."""
    second_scale: npt.NDArray[np.float64]
    """(scene, object), factor of another enlargement after the first; 1 but in published altered scenes."""
    second_angle: npt.NDArray[np.float64]
    """(scene, object), degrees of another rotation after the first; 0 but in published altered scenes."""

    def __len__(self) -> int:
        return len(self.target)

    @cached_property
    def scales(self) -> npt.NDArray[np.float64]:
        """(scene, object), factor of the first enlargement."""
        ranges = np.array([self.settings.scale_small, self.settings.scale_large])
        low, high = np.moveaxis(ranges[self.scale], -1, 0)
        scales: npt.NDArray[np.float64] = low + (high - low) * self.scale_place
        return scales

    @cached_property
    def sizes(self) -> npt.NDArray[np.int64]:
        """(scene, object, 2), sides in pixels after the first and after the second enlargement."""
        first = self.settings.sizes(self.scales)
        return np.stack([first, np.rint(first * self.second_scale).astype(np.int64)], -1)

    @cached_property
    def angles(self) -> npt.NDArray[np.float64]:
        """(scene, object, 2), first and second rotation in degrees, counter-clockwise."""
        low, high = self.settings.rotation
        turn = low + (high - low) * self.rotation_place
        return np.stack([np.where(self.rotation == 0, turn, -turn), self.second_angle], -1)

    @cached_property
    def jitter(self) -> npt.NDArray[np.int64]:
        """(scene, object, 2), by how many pixels centres are moved, y and x."""
        settings = self.settings
        moved = np.rint((2 * self.jitter_place - 1) * settings.jitter).astype(np.int64)
        # Some numbers would round to more than the jitter; of the published 2.5, the place 0 alone.
        return np.clip(moved, -settings.reach, settings.reach)

    @cached_property
    def centres(self) -> npt.NDArray[np.int64]:
        """(scene, object, 2), y and x; an object of n pixels starts ``n // 2`` before its centre."""
        quadrant = np.stack([self.quadrant % 2, self.quadrant // 2], -1)
        return self.settings.centres[quadrant] + self.jitter

    @cached_property
    def boxes(self) -> npt.NDArray[np.int64]:
        """(scene, object, 4), first and last-plus-one row, first and last-plus-one column of every object."""
        size = self.sizes[..., 1:]
        start = self.centres - size // 2
        return np.stack([start, start + size], -1).reshape(*self.image.shape, 4)

    def of_target(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the target's part of values of all objects."""
        chosen: npt.NDArray[Any] = values[np.arange(len(self)), self.target]
        return chosen

    def labels(self) -> dict[str, npt.NDArray[np.int64]]:
        """Return the labels of the target, by name as in `LABELS`."""
        image, quadrant = self.of_target(self.image), self.of_target(self.quadrant)
        return {
            "category": self.source.labels[image],
            "domain": self.source.domains[image],
            "row": quadrant % 2,
            "column": quadrant // 2,
            "scale": self.of_target(self.scale),
            "rotation": self.of_target(self.rotation),
        }

    def geometry(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return the target's side (size_px), angle in degrees, and jitter (jitter_y, jitter_x) in pixels."""
        jitter = self.of_target(self.jitter).astype(np.float64)
        return {
            "size_px": self.of_target(self.sizes)[:, 1].astype(np.float64),
            "angle": self.of_target(self.angles).sum(-1),
            "jitter_y": jitter[:, 0],
            "jitter_x": jitter[:, 1],
        }


def draw_scenes(
    source: ObjectSource,
    settings: ClutterSettings,
    seed: int,
    indices: Sequence[int] | npt.ArrayLike,
    **chosen: int | npt.ArrayLike,
) -> SceneDraws:
    """Draw everything random about the scenes that have the given indices.

    Every object has a domain (all alike), an image (uniform over the domain's), a scale, a rotation and a jitter of its
    own; the target is one of the four that lie on top. What is chosen replaces what was drawn: all else stays as it is.

    Parameters
    ----------
    source : ObjectSource
        Where the images are from.
    settings : ClutterSettings
        Ranges and sizes.
    seed : int
        0 to 2**64 - 1.
    indices : (scene,) array of int
        Which scenes, each 0 or more.
    **chosen : int or (scene,) array of int
        Labels of the target, by name as in `LABELS`. A category alone decides the domain.

    Returns
    -------
    SceneDraws
        One entry an index, in their order.

    Raises
    ------
    TypeError, ValueError
        If the seed or an index is not a whole number in range, a label is unknown or out of range, no image has the
        labels that are asked for, or the source's images are not of the settings' size.
    """
    numbers = check_whole("seed", seed, 0)
    if numbers >= WORD:
        raise ValueError(f"`seed` is {seed}; it must be less than 2**64.")
    which = check_indices(indices, "scenes")
    if source.side != settings.source_size:
        raise ValueError(
            f"`source` has images of {source.side} pixels, but `settings.source_size` is {settings.source_size}; make "
            f"the settings with `source_size={source.side}`."
        )
    labels = _checked_labels(chosen, source, len(which))
    objects = settings.objects
    drawn = uniform(numbers, which, range(_SHARED + objects * len(_OWN)))
    own = dict(zip(_OWN, np.moveaxis(drawn[:, _SHARED:].reshape(-1, objects, len(_OWN)), -1, 0), strict=True))
    target = _target(drawn[:, 0], labels, objects)
    row = np.arange(len(which))
    coins = {name: (own[name] >= 0.5).astype(np.int64) for name in ("scale", "rotation")}
    for name, values in coins.items():
        if name in labels:
            values[row, target] = labels[name]
    return SceneDraws(
        source=source,
        settings=settings,
        target=target,
        image=_images(source, own["domain"], own["image"], target, labels),
        quadrant=np.tile(np.arange(objects) % QUADRANTS, (len(which), 1)),
        **coins,
        scale_place=own["scale_place"],
        rotation_place=own["rotation_place"],
        jitter_place=np.stack([own["jitter_y"], own["jitter_x"]], -1),
        scramble=permutations(numbers, which, objects, settings.scramble_grid**2, drawn.shape[1]),
        alternative=drawn[:, 1:_SHARED],
        second_scale=np.ones((len(which), objects)),
        second_angle=np.zeros((len(which), objects)),
    )


def _target(
    number: npt.NDArray[np.float64], labels: dict[str, npt.NDArray[np.int64]], objects: int
) -> npt.NDArray[np.int64]:
    """Return which object is the target: the topmost of a quadrant."""
    first = objects - QUADRANTS
    quadrant = (first + (number * QUADRANTS).astype(np.int64)) % QUADRANTS
    row, column = labels.get("row", quadrant % 2), labels.get("column", quadrant // 2)
    return first + (row + 2 * column - first) % QUADRANTS


def _images(
    source: ObjectSource,
    domain_number: npt.NDArray[np.float64],
    image_number: npt.NDArray[np.float64],
    target: npt.NDArray[np.int64],
    labels: dict[str, npt.NDArray[np.int64]],
) -> npt.NDArray[np.int64]:
    """Return which image every object shows."""
    domains = len(source.domain_names)
    domain = (domain_number * domains).astype(np.int64)
    image = np.empty(domain.shape, np.int64)
    for number in range(domains):
        fits = domain == number
        image[fits] = _pick(source.find(domain=number), image_number[fits])
    row = np.arange(len(target))
    wanted = np.stack(
        [labels.get("category", np.full(len(target), -1)), labels.get("domain", domain[row, target])], axis=-1
    )
    if "category" in labels and "domain" not in labels:
        wanted[:, 1] = -1
    if "category" in labels or "domain" in labels:
        for pair in np.unique(wanted, axis=0):
            category, place = (None if value < 0 else int(value) for value in pair)
            found = source.find(category=category, domain=place)
            if found.size == 0:
                raise ValueError(_nothing(source, category, place))
            fits = (wanted == pair).all(-1)
            image[row[fits], target[fits]] = _pick(found, image_number[row[fits], target[fits]])
    return image


def _pick(found: npt.NDArray[np.int64], number: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    picked: npt.NDArray[np.int64] = found[(number * len(found)).astype(np.int64)]
    return picked


def _nothing(source: ObjectSource, category: int | None, domain: int | None) -> str:
    asked = [
        f"`{name}` is {value} ({names[value]})"
        for name, value, names in (
            ("category", category, source.class_names),
            ("domain", domain, source.domain_names),
        )
        if value is not None
    ]
    have = ", ".join(map(str, np.unique(source.labels)))
    return f"{' and '.join(asked)}, but {source.label} has no such image; it has images of the categories {have}."


def _checked_labels(chosen: dict[str, Any], source: ObjectSource, count: int) -> dict[str, npt.NDArray[np.int64]]:
    """Return the chosen labels, one an image."""
    limits = dict.fromkeys(LABELS, 2) | {"category": len(source.class_names), "domain": len(source.domain_names)}
    checked = {}
    for name, given in chosen.items():
        if name not in limits:
            raise ValueError(f"`{name}` is no label of a scene; choose from {', '.join(LABELS)}.")
        values = np.asarray(given)
        if values.dtype.kind not in "iu":
            raise TypeError(f"`{name}` is {given!r}; it must be a whole number, or one for each scene.")
        if values.shape not in ((), (count,)):
            raise ValueError(
                f"`{name}` has the shape {values.shape}; it must be one number, or one for each of {count}."
            )
        if values.size and (values.min() < 0 or values.max() >= limits[name]):
            wrong = values.min() if values.min() < 0 else values.max()
            raise ValueError(f"`{name}` is {wrong}; it must be 0 to {limits[name] - 1}.")
        checked[name] = np.broadcast_to(values.astype(np.int64), (count,))
    return checked
