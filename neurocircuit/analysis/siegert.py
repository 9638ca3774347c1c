"""Firing rates of leaky integrate-and-fire neurons from theory: Siegert's formula and its self-consistent solutions."""

from __future__ import annotations

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import erfcx

from neurocircuit.circuits.brunel import BrunelParameters

__all__ = ["brunel_rates", "siegert_rate"]

#: Beyond this distance, in units of the spread, erfcx overflows and the rate is below any number of interest.
_FAR = 26.0

#: Rates tried when roots are bracketed, per decade.
_PER_DECADE = 60


def siegert_rate(mean: float, sd: float, *, tau_m: float, refractory: float, threshold: float, reset: float) -> float:
    r"""Return the firing rate of a leaky integrate-and-fire neuron driven by white noise.

    .. math::

        1/\nu = \tau_{rp} + \tau\sqrt{\pi} \int_{(V_r-\mu)/\sigma}^{(\theta-\mu)/\sigma} e^{x^2}
        (1+\mathrm{erf}\,x)\,dx

    Parameters
    ----------
    mean, sd : float
        Mean and amplitude of the input in mV: ``tau_m*dv/dt = -v + mean + sd*sqrt(tau_m)*xi``.
    tau_m, refractory : float
        Membrane time constant and refractory period in ms.
    threshold, reset : float
        In mV.

    Returns
    -------
    float
        Hz. Zero if the threshold is more than 26 times `sd` above the mean.

    Raises
    ------
    ValueError
        If a value is not finite, `sd` or `tau_m` is not positive, `refractory` is negative or `reset` is not below
        `threshold`.

    References
    ----------
    Siegert (1951); Brunel (2000), eq. 21.

    Examples
    --------
    >>> from neurocircuit.analysis import siegert_rate
    >>> round(siegert_rate(20.0, 5.0, tau_m=20.0, refractory=2.0, threshold=20.0, reset=10.0), 2)
    27.34
    """
    given = {"mean": mean, "sd": sd, "tau_m": tau_m, "refractory": refractory, "threshold": threshold, "reset": reset}
    for name, value in given.items():
        if not np.isfinite(value):
            raise ValueError(f"`{name}` is {value!r}; it must be finite.")
    for name in ("sd", "tau_m"):
        if given[name] <= 0:
            raise ValueError(f"`{name}` is {given[name]!r}; it must be positive.")
    if refractory < 0:
        raise ValueError(f"`refractory` is {refractory!r}; it must not be negative.")
    if not reset < threshold:
        raise ValueError(f"`reset` is {reset!r}; it must be below `threshold`, {threshold!r}.")
    low, high = (reset - mean) / sd, (threshold - mean) / sd
    if high > _FAR:
        return 0.0
    # erfcx(-x) = exp(x**2) * (1 + erf(x)), without the overflow of either factor.
    area, _ = quad(lambda x: float(erfcx(-x)), low, high, epsrel=1e-10, limit=200)
    return float(1e3 / (refractory + tau_m * np.sqrt(np.pi) * area))


def brunel_rates(parameters: BrunelParameters, lowest: float = 1e-3) -> tuple[float, ...]:
    """Return every self-consistent rate of Brunel's network: those at which the input makes neurons fire at that rate.

    Parameters
    ----------
    parameters : BrunelParameters
        The network.
    lowest : float
        Rate in Hz below which no root is sought.

    Returns
    -------
    tuple of float
        Hz, rising. With weak inhibition (``g`` below 4) there can be three. Empty if neurons fire more slowly than
        `lowest`.

    Raises
    ------
    ValueError
        If `lowest` is not positive, or not below the rate that the refractory period allows.

    References
    ----------
    Brunel (2000), eqs. 21 to 25.

    Examples
    --------
    >>> from neurocircuit.analysis import brunel_rates
    >>> from neurocircuit.circuits import BRUNEL_PANELS
    >>> [round(rate, 2) for rate in brunel_rates(BRUNEL_PANELS["C"])]
    [37.95]
    """
    values = parameters.as_floats()
    highest = 1e3 / values["refractory"] if values["refractory"] > 0 else 1e5
    if not 0 < lowest < highest:
        raise ValueError(f"`lowest` is {lowest!r}; it must be above 0 and below {highest:g} Hz.")
    neuron = {name: values[name] for name in ("tau_m", "refractory", "threshold", "reset")}

    def excess(rate: float) -> float:
        return siegert_rate(*parameters.input_moments(rate), **neuron) - rate

    grid = np.geomspace(lowest, highest, int(np.log10(highest / lowest) * _PER_DECADE))
    above = np.array([excess(rate) for rate in grid]) > 0
    crossings = np.flatnonzero(above[:-1] != above[1:])
    return tuple(float(brentq(excess, grid[k], grid[k + 1], xtol=1e-10)) for k in crossings)
