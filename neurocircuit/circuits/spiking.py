"""The spiking counterpart of a rate network: leaky integrate-and-fire neurons with double-exponential synapses.

A trained rate network becomes a spiking one without further training (Kim, Li and Sejnowski 2019): its weights are
divided by the firing rate that stands for a rate of 1, and the time constant of a rate unit becomes the decay time of
the synapses onto it. Potentials and currents are plain numbers in mV.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from brian2 import ms, second

from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.equations import OdeSystem, ParameterSet, Symbol, parameter

__all__ = ["LIF", "LIFParameters", "SpikingNetwork", "transfer"]

# A spike adds an area of w/scaling to `current`, so that its mean is w times the firing rate over `scaling`; `trace`
# is the same filter of a unit's own spikes with w = 1, the counterpart of the rate.
EQUATIONS = """
dv/dt = (-v + baseline + current + drive)/tau_m + sigma*sqrt(2/tau_m)*xi : 1 (unless refractory)
dcurrent/dt = (-current + current_onset)/tau : 1
dcurrent_onset/dt = -current_onset/tau_rise : 1
dtrace/dt = (-trace + trace_onset)/tau : 1
dtrace_onset/dt = -trace_onset/tau_rise : 1
"""

_KIM = "Kim, Li and Sejnowski (2019), published code"


@dataclass(frozen=True, kw_only=True)
class LIFParameters(ParameterSet):
    """Parameters of the neurons and synapses; potentials in mV.

    Raises
    ------
    TypeError, ValueError
        If a value is not one finite number with the right unit or is out of bounds, or if the reset is not below the
        threshold.
    """

    tau_m: Any = parameter(
        10 * ms, latex=r"\tau_m", meaning="membrane time constant", source=_KIM, low=0.0, strictly_above=True
    )
    tau_rise: Any = parameter(
        2 * ms, latex=r"\tau_r", meaning="rise time of a synapse", source=_KIM, low=0.0, strictly_above=True
    )
    refractory: Any = parameter(2 * ms, latex=r"\tau_{ref}", meaning="absolute refractory period", source=_KIM, low=0.0)
    threshold: float = parameter(-40.0, latex=r"V_\theta", meaning="threshold in mV", source=_KIM)
    reset: float = parameter(-65.0, latex=r"V_r", meaning="reset in mV", source=_KIM)
    baseline: float = parameter(-40.0, latex="I_0", meaning="constant current in mV, at rheobase", source=_KIM)
    sigma: float = parameter(
        1.0,
        latex=r"\sigma",
        meaning="standard deviation in mV of the membrane noise",
        source=_KIM + " (0.1 mV a step of 0.05 ms)",
        low=0.0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.reset < self.threshold:
            raise ValueError(f"`reset` is {self.reset!r}; it must be below `threshold`, {self.threshold!r}.")


#: The equations of one neuron.
LIF = OdeSystem(
    "lif",
    EQUATIONS,
    (
        Symbol("v", "state", "V", "membrane potential in mV"),
        Symbol("current", "state", "I", "recurrent synaptic current in mV"),
        Symbol("current_onset", "state", "h", "rising phase of the synaptic current"),
        Symbol("trace", "state", "s", "filtered spikes of the unit: its firing rate over the scaling factor"),
        Symbol("trace_onset", "state", "g", "rising phase of the filtered spikes"),
        Symbol("drive", "input", "u", "external current in mV: weighted inputs and bias"),
        Symbol("tau", "constant", r"\tau", "decay time of synapses, the time constant of the rate unit", unit=second),
        *(s for s in LIFParameters.symbols() if s.name in ("tau_m", "tau_rise", "baseline", "sigma")),
    ),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class SpikingNetwork:
    """A spiking network made from a rate network; see `transfer`.

    Parameters
    ----------
    source : RateNetwork
        The rate network.
    scaling : float
        Firing rate in Hz that stands for a rate of 1 (the inverse of lambda in the paper).
    parameters : LIFParameters
        Of neurons and synapses.

    Raises
    ------
    ValueError
        As for `transfer`.
    """

    source: RateNetwork
    scaling: float
    parameters: LIFParameters = field(default_factory=LIFParameters)

    def __post_init__(self) -> None:
        source, scaling = self.source, self.scaling
        if source.form != "current" or source.activation != "sigmoid":
            raise ValueError(
                f"`network` has the form {source.form!r} and the activation {source.activation!r}; only networks "
                "trained with form='current' and activation='sigmoid' transfer to spiking ones."
            )
        if isinstance(scaling, bool) or not (np.isfinite(scaling) and scaling > 0):
            raise ValueError(f"`scaling` is {scaling!r}; it must be a positive firing rate in Hz, such as 50.")
        object.__setattr__(self, "scaling", float(scaling))

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        """Area under the current of one spike, mV ms, ``weights[post, pre]``."""
        return np.asarray(self.source.weights / self.per_ms)

    @property
    def per_ms(self) -> float:
        """The scaling factor in spikes per ms."""
        return self.scaling * 1e-3

    def replace(self, **changes: Any) -> SpikingNetwork:
        """Return the network with some fields changed."""
        return replace(self, **changes)


def transfer(network: RateNetwork, scaling: float, parameters: LIFParameters | None = None) -> SpikingNetwork:
    """Return the spiking counterpart of a rate network.

    Parameters
    ----------
    network : RateNetwork
        A trained network in the current form with the activation ``sigmoid``: the rates of the others have no bound
        that a firing rate could stand for.
    scaling : float
        Firing rate in Hz that stands for a rate of 1; weights of network and readout are divided by it. Published
        networks use 20 to 75, found by search.
    parameters : LIFParameters, optional
        Of neurons and synapses; the published ones by default.

    Raises
    ------
    ValueError
        If the network is not in the current form with a sigmoid, or `scaling` is not positive and finite.

    References
    ----------
    Kim, Li and Sejnowski (2019).

    Examples
    --------
    >>> from neurocircuit.circuits import RateNetwork, transfer
    >>> rates = RateNetwork(weights=[[0.0]], input_weights=[[1.0]], output_weights=[[1.0]], tau=20.0, step=1.0)
    >>> transfer(rates, 50.0).per_ms
    0.05
    """
    return SpikingNetwork(source=network, scaling=scaling, parameters=parameters or LIFParameters())
