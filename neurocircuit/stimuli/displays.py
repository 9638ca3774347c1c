"""Displays of one feature: a value from 0 to 1 at every pixel, NaN where it is empty.

An orientation is ``value * 180`` degrees.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from neurocircuit.checks import check_whole

__all__ = ["CentreSurround", "centre_surround_display", "patch_display"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class CentreSurround:
    """Geometry of the centre-surround display, in pixels.

    The defaults are those of the tilt experiment in the authors' public code (contextual_model, experiment f3a), where
    a pixel is 0.25 degrees of visual angle.

    Parameters
    ----------
    field : int
        Side of the square field.
    centre, surround : int
        Sides of the centre and the surround square. An even square has one pixel more before the read-out pixel than
        after it, as in the published code.

    Raises
    ------
    TypeError, ValueError
        If a side is not a whole number, or the squares are not nested: ``1 <= centre < surround <= field``.
    """

    field: int = 51
    centre: int = 8
    surround: int = 32

    def __post_init__(self) -> None:
        for side in fields(self):
            check_whole(side.name, getattr(self, side.name))
        if not self.centre < self.surround <= self.field:
            raise ValueError(
                f"`geometry` has centre {self.centre}, surround {self.surround} and field {self.field} pixels; the "
                "centre must be smaller than the surround, and the surround must fit the field, as in 8, 32, 51."
            )

    @property
    def readout(self) -> tuple[int, int]:
        """Pixel (y, x) at which the populations are read out."""
        return self.field // 2, self.field // 2


def centre_surround_display(
    surround_value: float, centre_value: float = 0.5, geometry: CentreSurround | None = None
) -> FloatArray:
    """Return a square of one value on a larger square of another.

    Parameters
    ----------
    surround_value, centre_value : float
        Feature values, 0 to 1. The published centre is 0.5.
    geometry : CentreSurround, optional
        Sizes; by default the published ones.

    Returns
    -------
    (y, x) array
        Feature values; NaN outside the surround.

    Raises
    ------
    ValueError
        If a value is not between 0 and 1.
    """
    geometry = CentreSurround() if geometry is None else geometry
    _check_value("surround_value", surround_value)
    _check_value("centre_value", centre_value)
    display = np.full((geometry.field, geometry.field), np.nan)
    for side, value in ((geometry.surround, surround_value), (geometry.centre, centre_value)):
        window = _window(geometry.field, side)
        display[window, window] = value
    return display


def patch_display(size: int, value: float = 0.5, field: int | None = None) -> FloatArray:
    """Return one square of one value on an empty field, for size tuning.

    Parameters
    ----------
    size : int
        Side of the square in pixels.
    value : float
        Feature value, 0 to 1.
    field : int, optional
        Side of the field in pixels; by default that of `CentreSurround`.

    Returns
    -------
    (y, x) array
        Feature values; NaN outside the square.

    Raises
    ------
    TypeError, ValueError
        If a side is not a whole number, the patch does not fit the field, or the value is not between 0 and 1.
    """
    side = CentreSurround().field if field is None else field
    check_whole("size", size)
    check_whole("field", side)
    _check_value("value", value)
    if size > side:
        raise ValueError(f"`size` is {size} pixels, but the field is only {side}; use a size from 1 to {side}.")
    display = np.full((side, side), np.nan)
    window = _window(side, size)
    display[window, window] = value
    return display


def _window(field: int, side: int) -> slice:
    """Return the published half-open window of a square about the read-out pixel."""
    first = field // 2 - side // 2
    return slice(first, first + side)


def _check_value(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"`{name}` is {value!r}; it must lie between 0 and 1 (an orientation divided by 180 degrees).")
