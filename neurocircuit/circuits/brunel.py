"""Brunel's balanced network of leaky integrate-and-fire neurons: equation, published parameters and panels.

Excitatory and inhibitory neurons are alike, all inputs are instantaneous jumps of the membrane potential after a common
delay, and each neuron has the same number of inputs, ``in_exc`` and ``in_inh``. Potentials are plain numbers in mV.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from brian2 import ms

from neurocircuit.equations import OdeSystem, ParameterSet, Symbol, parameter, to_float

__all__ = ["BRUNEL", "BRUNEL_PANELS", "SMALL_BRUNEL", "BrunelParameters", "InputMoments"]

EQUATIONS = "dv/dt = -v/tau_m : 1 (unless refractory)"

_BRUNEL = "Brunel (2000), model A, figure 8"


@dataclass(frozen=True, kw_only=True)
class BrunelParameters(ParameterSet):
    """Parameters of the network; the defaults are panel C of figure 8 (asynchronous irregular).

    Raises
    ------
    TypeError, ValueError
        If a value is not one finite number with the right unit or is out of bounds, if a number of neurons is not
        whole, if there are fewer neurons than inputs, or if the reset is not below the threshold.
    """

    tau_m: Any = parameter(
        20 * ms, latex=r"\tau", meaning="membrane time constant", source=_BRUNEL, low=0.0, strictly_above=True
    )
    threshold: float = parameter(20.0, latex=r"\theta", meaning="threshold, in mV above rest", source=_BRUNEL)
    reset: float = parameter(10.0, latex=r"V_r", meaning="reset, in mV above rest", source=_BRUNEL)
    refractory: Any = parameter(
        2 * ms, latex=r"\tau_{rp}", meaning="absolute refractory period", source=_BRUNEL, low=0.0
    )
    delay: Any = parameter(1.5 * ms, latex="D", meaning="transmission delay", source=_BRUNEL, low=0.0)
    jump: float = parameter(
        0.1, latex="J", meaning="jump of an excitatory input, in mV", source=_BRUNEL, low=0.0, strictly_above=True
    )
    g: float = parameter(5.0, latex="g", meaning="inhibitory over excitatory jump", source=_BRUNEL, low=0.0)
    external: float = parameter(
        2.0,
        latex=r"\nu_{ext}/\nu_{thr}",
        meaning="external rate over the rate that alone reaches threshold",
        source=_BRUNEL,
        low=0.0,
        strictly_above=True,
    )
    n_exc: float = parameter(10_000, latex="N_E", meaning="excitatory neurons", source=_BRUNEL, low=1.0)
    n_inh: float = parameter(2_500, latex="N_I", meaning="inhibitory neurons", source=_BRUNEL, low=1.0)
    in_exc: float = parameter(1_000, latex="C_E", meaning="excitatory inputs of a neuron", source=_BRUNEL, low=1.0)
    in_inh: float = parameter(250, latex="C_I", meaning="inhibitory inputs of a neuron", source=_BRUNEL, low=1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("n_exc", "n_inh", "in_exc", "in_inh"):
            if getattr(self, name) != int(getattr(self, name)):
                raise ValueError(f"`{name}` is {getattr(self, name)!r}; it counts neurons, so it must be whole.")
        for inputs, neurons in (("in_exc", "n_exc"), ("in_inh", "n_inh")):
            if getattr(self, inputs) > getattr(self, neurons):
                raise ValueError(
                    f"`{inputs}` is {getattr(self, inputs)!r}, more than the {getattr(self, neurons)} neurons of "
                    f"`{neurons}`; a neuron gets at most one input from each."
                )
        if not self.reset < self.threshold:
            raise ValueError(f"`reset` is {self.reset!r}; it must be below `threshold`, {self.threshold!r}.")

    @property
    def threshold_rate(self) -> float:
        """External rate per input, in Hz, whose mean alone brings the membrane to threshold."""
        return self.threshold / (self.jump * self.in_exc * to_float(self.tau_m)) * 1e3

    @property
    def external_rate(self) -> float:
        """Rate of each of the ``in_exc`` external Poisson inputs, in Hz."""
        return self.external * self.threshold_rate

    def input_moments(self, rate: float) -> InputMoments:
        """Return mean and spread of a neuron's input when every neuron fires at `rate` Hz (diffusion approximation)."""
        scale = to_float(self.tau_m) * 1e-3 * self.jump  # mV per Hz of one excitatory input
        external = self.in_exc * self.external_rate
        mean = scale * (external + rate * (self.in_exc - self.g * self.in_inh))
        variance = scale * self.jump * (external + rate * (self.in_exc + self.g**2 * self.in_inh))
        return InputMoments(mean, variance**0.5)


class InputMoments(NamedTuple):
    """Mean and white-noise amplitude of a membrane's input.

    Parameters
    ----------
    mean, sd : float
        In mV. The membrane without threshold has the mean `mean` and the standard deviation ``sd/sqrt(2)``.
    """

    mean: float
    sd: float


#: The equation of one neuron.
BRUNEL = OdeSystem(
    "brunel",
    EQUATIONS,
    (
        Symbol("v", "state", "V", "membrane potential above rest, in mV"),
        next(symbol for symbol in BrunelParameters.symbols() if symbol.name == "tau_m"),
    ),
)

#: The panels of figure 8: (A) synchronous regular, (B) synchronous irregular fast, (C) asynchronous irregular, (D)
#: synchronous irregular slow.
BRUNEL_PANELS: Mapping[str, BrunelParameters] = MappingProxyType(
    {
        "A": BrunelParameters(g=3.0, external=2.0),
        "B": BrunelParameters(g=6.0, external=4.0),
        "C": BrunelParameters(g=5.0, external=2.0),
        "D": BrunelParameters(g=4.5, external=0.9),
    }
)

#: Changes that make a small network with a tenth of the inputs. The mean input is kept by jumps ten times as large; its
#: spread is not, so theory must be solved again.
SMALL_BRUNEL: Mapping[str, float] = MappingProxyType(
    {"n_exc": 2_000, "n_inh": 500, "in_exc": 100, "in_inh": 25, "jump": 1.0}
)
