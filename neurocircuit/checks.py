"""Checks of arguments that many functions share."""

from __future__ import annotations

import math
from numbers import Integral, Real

__all__ = ["check_number", "check_whole"]


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
