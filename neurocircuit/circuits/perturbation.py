"""What can be done to a network while it runs: connections cut, units silenced, currents injected."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Lesion", "Perturbation", "Pulse", "active_steps", "chosen_units"]


@dataclass(frozen=True, eq=False)
class Lesion:
    """Recurrent connections that are cut during a window of time.

    Parameters
    ----------
    post, pre : array of bool or int, or None
        Postsynaptic and presynaptic units of the connections: a mask, or their numbers; None is all.
    start, stop : float
        The window in ms, without its end.
    readout : bool
        Whether the readout of the presynaptic units is cut too.

    Raises
    ------
    ValueError
        If the window is empty.
    """

    post: Any = None
    pre: Any = None
    start: float = 0.0
    stop: float = math.inf
    readout: bool = False

    def __post_init__(self) -> None:
        _check_window(self.start, self.stop)

    @classmethod
    def of_units(cls, units: Any, start: float = 0.0, stop: float = math.inf) -> Lesion:
        """Return the lesion that silences units: everything they send, to the network and to the readout."""
        return cls(None, units, start, stop, readout=True)

    def keep(self, n_units: int) -> npt.NDArray[np.bool_]:
        """Return which connections, (post, pre), are left."""
        return ~np.outer(chosen_units("post", self.post, n_units), chosen_units("pre", self.pre, n_units))


@dataclass(frozen=True, eq=False)
class Pulse:
    """A current injected into units during a window of time.

    Parameters
    ----------
    units : array of bool or int, or None
        The units: a mask, or their numbers; None is all.
    amplitude : float
        Current, in units of the drive.
    start, stop : float
        The window in ms, without its end.

    Raises
    ------
    ValueError
        If the window is empty or the amplitude is not finite.
    """

    units: Any
    amplitude: float
    start: float = 0.0
    stop: float = math.inf

    def __post_init__(self) -> None:
        _check_window(self.start, self.stop)
        if not math.isfinite(self.amplitude):
            raise ValueError(f"`amplitude` is {self.amplitude!r}; it must be finite.")


Perturbation = Lesion | Pulse


def chosen_units(argument: str, units: Any, n_units: int) -> npt.NDArray[np.bool_]:
    """Return a mask of units from a mask, their numbers, or None (all).

    Raises
    ------
    ValueError
        If a mask is of another size, or there is no unit of a number.
    """
    if units is None:
        return np.ones(n_units, dtype=bool)
    given = np.atleast_1d(np.asarray(units))
    if given.dtype == bool:
        if given.shape != (n_units,):
            raise ValueError(f"`{argument}` is a mask of the shape {given.shape}; it must be ({n_units},).")
        return given
    if given.size and (given.dtype.kind not in "iu" or given.min() < 0 or given.max() >= n_units):
        raise ValueError(f"`{argument}` is {units!r}; it must hold whole numbers from 0 to {n_units - 1}.")
    mask = np.zeros(n_units, dtype=bool)
    mask[given.astype(int)] = True
    return mask


def active_steps(window: Perturbation, n_steps: int, step: float) -> npt.NDArray[np.bool_]:
    """Return which steps, each named by its beginning, lie in a perturbation's window."""
    # A step that begins at a window's edge but for rounding begins at it.
    begins = np.arange(n_steps) * step + 1e-9 * step
    return np.asarray((window.start <= begins) & (begins < window.stop))


def _check_window(start: float, stop: float) -> None:
    if not (math.isfinite(start) and stop > start):
        raise ValueError(f"`start` is {start!r} and `stop` is {stop!r} ms; stop must come after start.")
