"""Hidden units that compete by inhibiting each other (Krotov and Hopfield 2019, Eq. 8 and 9).

The hidden units are the channels of a field of one pixel, ``(batch, hidden, 1, 1)``; the drive is their currents
``<W, v>``. Every unit is inhibited by the rates ``ReLU(h)`` of all others. That sum is written as the sum over all
units without the unit's own rate: one total serves all units, so a step costs as many operations as there are units.

From rest (every ``h`` at 0) the order of the currents is the order of ``h`` at all later times, since two units at the
same ``h`` differ by their currents alone. What inhibition decides is how many units stay positive: see `survivors`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2 import ms

from neurocircuit.circuits.circuit import Circuit, Pool
from neurocircuit.connectivity import summed_channels
from neurocircuit.equations import OdeSystem, ParameterSet, Symbol, parameter

__all__ = ["COMPETING_UNITS", "CompetingUnitsParameters", "competing_units_circuit", "learning_activation", "survivors"]

EQUATIONS = "dh/dt = (drive - w_inh*(pool_s - rectify(h)) - h)/tau : 1"

_OURS = "this library; the paper's value is not known to us"


@dataclass(frozen=True, kw_only=True)
class CompetingUnitsParameters(ParameterSet):
    """Parameters of the slow competition between hidden units.

    Raises
    ------
    TypeError, ValueError
        If a value is not one finite number with the right unit, the time constant is not positive, or the inhibition
        is negative.
    """

    w_inh: float = parameter(
        1.5, latex=r"w_{\mathrm{inh}}", meaning="strength of the inhibition between two units", source=_OURS, low=0.0
    )
    tau: Any = parameter(
        10 * ms, latex=r"\tau", meaning="time constant of a unit", source=_OURS, low=0.0, strictly_above=True
    )


#: Eq. 8.
COMPETING_UNITS = OdeSystem(
    "competing_units",
    EQUATIONS,
    (
        Symbol("h", "state", "h", "activity of a hidden unit; its rate is the positive part"),
        Symbol("drive", "input", "I", "current of a hidden unit, the inner product of its weights and the input"),
        Symbol("pool_s", "pool", "S", "rates of all hidden units"),
        *CompetingUnitsParameters.symbols(),
    ),
)


def competing_units_circuit(hidden: int, **changes: Any) -> Circuit:
    """Return the slow competition between hidden units.

    Parameters
    ----------
    hidden : int
        Number of hidden units, at least 1.
    **changes
        Values that replace the defaults of `CompetingUnitsParameters`, by name.

    Returns
    -------
    Circuit
        The circuit; run it with ``simulate(circuit, currents[:, :, None, None], start="zeros", ...)``. With n positive
        units the sum of their rates relaxes with the time constant ``tau / (1 + w_inh*(n - 1))``, so an Euler step must
        be shorter than that.

    Raises
    ------
    ValueError, TypeError
        If the number of units is not a whole number of at least 1, or a parameter is unknown or out of bounds.

    References
    ----------
    Krotov and Hopfield (2019), PNAS 116, 7723, Eq. 8. :cite:p:`krotov2019`

    Examples
    --------
    >>> import numpy as np
    >>> from brian2 import ms
    >>> from neurocircuit import simulate
    >>> currents = np.array([[1.0, 0.9, 0.2]])
    >>> result = simulate(competing_units_circuit(3), currents[:, :, None, None], start="zeros", step=1*ms, steps=600)
    >>> result.h.values.ravel().round(6).tolist()
    [1.0, -0.6, -1.3]
    """
    return Circuit(
        system=COMPETING_UNITS,
        parameters=CompetingUnitsParameters().replace(**changes),
        pools=(Pool("pool_s", "h", summed_channels(hidden), "rectify"),),
        citation="krotov2019",
    )


def learning_activation(activity: Any, *, threshold: float, delta: float) -> npt.NDArray[np.float64]:
    """Return the postsynaptic factor g of the learning rule (Eq. 9).

    Parameters
    ----------
    activity : array
        Activity h of hidden units, of any shape.
    threshold : float
        h*, the activity above which a unit learns the input; not negative.
    delta : float
        Strength Delta of the anti-Hebbian part; not negative.

    Returns
    -------
    array of float64
        0 where h < 0, ``-delta`` where 0 <= h <= h*, 1 where h > h*.

    Raises
    ------
    ValueError
        If an activity is not finite, or the threshold or delta is negative or not finite.

    References
    ----------
    Krotov and Hopfield (2019), PNAS 116, 7723, Eq. 9. :cite:p:`krotov2019`
    """
    for name, value in (("threshold", threshold), ("delta", delta)):
        if not 0 <= value < np.inf:
            raise ValueError(f"`{name}` is {value!r}; it must be a finite number, at least 0.")
    h = _finite("activity", activity)
    return np.where(h < 0, 0.0, np.where(h <= threshold, -delta, 1.0))


def survivors(currents: Any, w_inh: float) -> npt.NDArray[np.int64]:
    """Return how many units are positive at the fixed point that the competition comes to from rest.

    The units with the largest currents survive. Unit r of this order joins the r - 1 before it if its current exceeds
    the inhibition that these exert at their own fixed point, ``w_inh * (I_1 + ... + I_(r-1)) / (1 + w_inh*(r - 2))``.
    With ``w_inh >= 1`` that is the largest unit alone, for currents without ties.

    Parameters
    ----------
    currents : (..., hidden) array
        Currents I.
    w_inh : float
        Strength of the inhibition; not negative.

    Returns
    -------
    (...) array of int64
        The count, 0 where no current is positive.

    Raises
    ------
    ValueError
        If a current is not finite, or the strength is negative or not finite.
    """
    if not 0 <= w_inh < np.inf:
        raise ValueError(f"`w_inh` is {w_inh!r}; it must be a finite number, at least 0.")
    ranked = -np.sort(-_finite("currents", currents), axis=-1)
    if w_inh >= 1:
        return np.asarray(ranked[..., 0] > 0, dtype=np.int64)
    before = np.arange(ranked.shape[-1])
    inhibition = w_inh * (np.cumsum(ranked, axis=-1) - ranked) / (1 + w_inh * (before - 1))
    # A unit that does not join ends the row: whoever comes after it has a smaller current.
    joins = (ranked > np.where(before == 0, 0.0, inhibition)) & (ranked > 0)
    return np.asarray(np.logical_and.accumulate(joins, axis=-1).sum(-1), dtype=np.int64)


def _finite(name: str, values: Any) -> npt.NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if not np.all(np.isfinite(array)):
        raise ValueError(f"`{name}` has {int(np.sum(~np.isfinite(array)))} values that are NaN or infinite.")
    return array
