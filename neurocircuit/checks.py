"""Checks of arguments that many functions share."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["check_indices", "check_number", "check_whole"]


def check_indices(indices: Any, what: str) -> npt.NDArray[np.uint64]:
    """Return the numbers of things that are drawn from a seed, such as scenes, as an array.

    Parameters
    ----------
    indices : (n,) array of int
        The numbers.
    what : str
        What is numbered, in the plural: for the message.

    Raises
    ------
    TypeError
        If they are no whole numbers.
    ValueError
        If they are no list, or one is negative.
    """
    chosen = np.asarray(indices)
    if chosen.ndim != 1:
        raise ValueError(f"`indices` has shape {chosen.shape}; it must be a list of whole numbers, as in range(32).")
    if chosen.size and chosen.dtype.kind not in "iu":
        raise TypeError(f"`indices` holds {chosen.dtype}; it must hold whole numbers, as in range(32).")
    if np.any(chosen < 0):
        raise ValueError(f"`indices` holds {chosen.min()}; {what} are numbered from 0.")
    return chosen.astype(np.uint64)


def check_number(name: str, value: object, *, at_least: float = -math.inf, above: float = -math.inf) -> float:
    """Return a finite number, of Python or numpy, as a float.

    Parameters
    ----------
    name : str
        Name of the argument.
    value : object
        Its value.
    at_least, above : float
        Smallest number that is allowed, or number that must be exceeded.

    Raises
    ------
    TypeError
        If it is no number; True is none.
    ValueError
        If it is NaN, infinite or too small.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"`{name}` is {value!r}; it must be a number.")
    if not (at_least <= float(value) < math.inf and float(value) > above):
        allowed = f"above {above}" if above > -math.inf else f"at least {at_least}"
        raise ValueError(f"`{name}` is {value}; it must be finite and {allowed}.")
    return float(value)


def check_whole(name: str, value: object, least: int = 1) -> int:
    """Return a whole number, of Python or numpy, as an int.

    Parameters
    ----------
    name : str
        Name of the argument.
    value : object
        Its value.
    least : int
        Smallest number that is allowed.

    Raises
    ------
    TypeError
        If it is no whole number; True and 2.0 are none.
    ValueError
        If it is too small.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"`{name}` is {value!r}; it must be an integer of at least {least}.")
    if value < least:
        raise ValueError(f"`{name}` is {value}; it must be at least {least}.")
    return int(value)
