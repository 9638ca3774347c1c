"""Checks of arguments that many functions share."""

from __future__ import annotations

from numbers import Integral

__all__ = ["check_whole"]


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
