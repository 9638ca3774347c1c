"""What defines cluttered scenes but the objects and the seed: sizes, checked so that no object leaves its quadrant."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurocircuit.checks import check_number, check_whole

__all__ = ["KEYS", "QUADRANTS", "ClutterSettings"]

#: Parameter of the cubic convolution (Keys 1981) of fast scenes: as ``torch``'s, and as sharp as cubic splines.
KEYS = -0.75

#: Quadrants of the canvas; object ``i`` lies in quadrant ``i % 4``, whose row is its last bit, whose column its first.
QUADRANTS = 4


@dataclass(frozen=True, kw_only=True)
class ClutterSettings:
    """Everything that defines cluttered scenes but their objects and their seed.

    The defaults are those of the public generator of :cite:t:`thorat2021`.

    Parameters
    ----------
    canvas : int
        Side of a scene in pixels.
    objects : int
        Objects of a scene, at least 4; the last four lie on top, one in each quadrant, and one of them is the target.
    source_size : int
        Side of the source's images in pixels.
    scramble_grid : int
        Objects other than the target are cut into so many by so many cells, which change places; at least 2.
    scale_small, scale_large : (float, float)
        Ranges of the factor by which small and large objects are enlarged.
    rotation : (float, float)
        Range of the angle in degrees by which objects are turned, one way (label 0) or the other (1). A positive angle
        turns counter-clockwise on the screen.
    jitter : float
        Objects lie in the middle of their quadrant, moved along both axes by a uniform number of up to so many pixels,
        rounded, but no farther than `jitter`.

    Raises
    ------
    TypeError, ValueError
        If a setting is not a number of its kind or out of range, or objects do not stay in their quadrants.
    """

    canvas: int = 100
    objects: int = 8
    source_size: int = 28
    scramble_grid: int = 3
    scale_small: tuple[float, float] = (0.8, 1.0)
    scale_large: tuple[float, float] = (1.4, 1.6)
    rotation: tuple[float, float] = (25.0, 35.0)
    jitter: float = 2.5

    def __post_init__(self) -> None:
        for name, least in (("canvas", 4), ("objects", QUADRANTS), ("source_size", 2), ("scramble_grid", 2)):
            check_whole(name, getattr(self, name), least)
        for name in ("scale_small", "scale_large", "rotation"):
            _check_range(name, getattr(self, name))
        if self.scale_small[0] == 0:
            raise ValueError(f"`scale_small` is {self.scale_small}; a scale must be more than 0.")
        if self.scale_small[1] >= self.scale_large[0]:
            raise ValueError(
                f"`scale_small` is {self.scale_small} and `scale_large` {self.scale_large}; the first range must lie "
                "below the second."
            )
        if self.rotation[1] > 180:
            raise ValueError(f"`rotation` is {self.rotation}; it must be within 0 and 180 degrees.")
        check_number("jitter", self.jitter, at_least=0)
        self._check_room()

    def _check_room(self) -> None:
        smallest, largest = (int(self.sizes(scale)) for scale in (self.scale_small[0], self.scale_large[1]))
        if smallest < 2 * self.scramble_grid:
            raise ValueError(
                f"`scramble_grid` is {self.scramble_grid}, but objects are as small as {smallest} pixels "
                f"(`source_size` {self.source_size}, `scale_small` {self.scale_small}); cells need 2 or more."
            )
        reach = self.reach
        low, high = int(self.centres[0]) - reach - largest // 2, int(self.centres[0]) + reach + (largest + 1) // 2
        if low < 0 or high > self.canvas // 2:
            raise ValueError(
                f"`canvas` is {self.canvas}, too small for the objects: they have up to {largest} pixels "
                f"(`source_size` {self.source_size}, `scale_large` {self.scale_large}), are moved by up to {reach} "
                f"(`jitter` {self.jitter:g}), and would leave quadrants of {self.canvas // 2}. Use a larger canvas, or "
                "smaller scales and jitter, as `ClutterSettings().resized(canvas)` does."
            )

    @property
    def centres(self) -> npt.NDArray[np.int64]:
        """Centres of the first and of the second row of quadrants, and of the columns alike."""
        return np.array([self.canvas // 4, self.canvas // 2 + self.canvas // 4])

    @property
    def reach(self) -> int:
        """Largest whole distance by which the jitter can move an object."""
        return math.floor(self.jitter)

    def sizes(self, scale: float | npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Return the side in pixels of objects enlarged by a factor."""
        sizes: npt.NDArray[np.int64] = np.rint(self.source_size * np.asarray(scale)).astype(np.int64)
        return sizes

    def resized(self, canvas: int) -> ClutterSettings:
        """Return the settings for another canvas: scales and jitter grow or shrink with it."""
        check_whole("canvas", canvas, 4)
        factor = canvas / self.canvas
        small, large = ((low * factor, high * factor) for low, high in (self.scale_small, self.scale_large))
        return replace(self, canvas=canvas, scale_small=small, scale_large=large, jitter=self.jitter * factor)

    def unjittered(self) -> ClutterSettings:
        """Return the settings with the smallest, the largest scale, the widest rotation, and no jitter only."""
        (small, _), (_, large), (_, turn) = self.scale_small, self.scale_large, self.rotation
        return replace(self, scale_small=(small, small), scale_large=(large, large), rotation=(turn, turn), jitter=0.0)


def _check_range(name: str, value: Any) -> None:
    if not isinstance(value, tuple) or len(value) != 2:
        raise TypeError(f"`{name}` is {value!r}; it must be a pair, the least and the greatest.")
    for number in value:
        check_number(name, number, at_least=0)
    if value[0] > value[1]:
        raise ValueError(f"`{name}` is {value}; the least must come first.")
