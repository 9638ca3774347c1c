"""The contextual circuit of Mély, Linsley and Serre (2018), and its two-pool reduction.

Two populations of rate units at every pixel and feature channel: `h1` (I, or X, in the paper: driven by the stimulus
and inhibited by its context) and `h2` (O, or Y: driven by `h1`, and the circuit's output). `h1` excites `h2`, `h2`
inhibits `h1`, each through two pools of neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from brian2 import ms

from neurocircuit.circuits.circuit import Circuit, Pool
from neurocircuit.connectivity import (
    Annulus,
    Boundary,
    LateralKernel,
    Mixture,
    circulant_gaussian,
    discontinuous,
    uniform_channels,
)
from neurocircuit.equations import OdeSystem, ParameterSet, Symbol, parameter

__all__ = [
    "MELY",
    "OMEGA",
    "PRESETS",
    "TWO_POOL",
    "MelyParameters",
    "MelyPreset",
    "PoolSizes",
    "TwoPoolParameters",
    "default_excitation",
    "default_inhibition",
    "mely_circuit",
    "two_pool_circuit",
]

EQUATIONS = """
dh1/dt = (-epsilon**2*h1 + rectify(drive_gain*drive - (alpha*h1 + mu)*pool_u - (beta*h1 + nu)*pool_t))/eta : 1
dh2/dt = (-sigma**2*h2 + rectify(zeta*h1 + gamma*pool_p + delta*pool_q))/tau : 1
"""

TWO_POOL_EQUATIONS = """
dh1/dt = (-epsilon**2*h1 + rectify(drive_gain*drive - (alpha*h1 + mu)*pool_c1))/eta : 1
dh2/dt = (-sigma**2*h2 + rectify(gamma*pool_c2))/tau : 1
"""

_CODE = "contextual_model, preset 'paper'"
_LINSLEY = "Linsley et al. (2018), Eq. 1; value of the four-pool preset `code`"

_STATES = (
    Symbol("h1", "state", r"H^{(1)}", "activity of the input-side population I (X)"),
    Symbol("h2", "state", r"H^{(2)}", "activity of the output-side population O (Y)"),
    Symbol("drive", "input", r"L", "afferent drive, the response of the classical receptive field"),
)
_POOLS = (
    Symbol("pool_u", "pool", r"U", "untuned suppression: all channels at the same pixel"),
    Symbol("pool_t", "pool", r"T", "tuned suppression: same channel, far surround"),
    Symbol("pool_p", "pool", r"P", "tuned facilitation: same channel, near surround"),
    Symbol("pool_q", "pool", r"Q", "broadly tuned facilitation: neighbouring channels at the same pixel"),
)
_TWO_POOLS = (
    Symbol("pool_c1", "pool", r"C^{(1)}", "inhibition, W^I * H2"),
    Symbol("pool_c2", "pool", r"C^{(2)}", "excitation, W^E * H1"),
)


def _leak(latex: str, population: str, source: str) -> Any:
    return parameter(0.5, latex=latex, meaning=f"square root of the leak of {population}", source=source, low=0.0)


def _time_constant(latex: str, population: str, source: str) -> Any:
    meaning = f"time constant of {population}"
    return parameter(6 * ms, latex=latex, meaning=meaning, source=source, low=0.0, strictly_above=True)


@dataclass(frozen=True, kw_only=True)
class MelyParameters(ParameterSet):
    """Parameters of the four-pool circuit; the defaults are the preset ``code``.

    Raises
    ------
    TypeError, ValueError
        If a value is not one finite number with the right unit, a time constant is not positive, or a leak is
        negative.
    """

    drive_gain: float = parameter(4.5, latex=r"\xi", meaning="gain of the drive", source=_CODE)
    alpha: float = parameter(1.0, latex=r"\alpha", meaning="shunting gain of U", source=_CODE)
    mu: float = parameter(1.0, latex=r"\mu", meaning="subtractive gain of U", source=_CODE)
    beta: float = parameter(3.0, latex=r"\beta", meaning="shunting gain of T", source=_CODE)
    nu: float = parameter(0.3, latex=r"\nu", meaning="subtractive gain of T", source=_CODE)
    gamma: float = parameter(1.0, latex=r"\gamma", meaning="gain of P", source=_CODE)
    delta: float = parameter(1.0, latex=r"\delta", meaning="gain of Q", source=_CODE)
    zeta: float = parameter(0.0, latex=r"\zeta", meaning="gain of a unit's own input-side activity", source=_CODE)
    epsilon: float = _leak(r"\epsilon", "I", _CODE)
    sigma: float = _leak(r"\sigma", "O", _CODE)
    eta: Any = _time_constant(r"\eta", "I", _CODE)
    tau: Any = _time_constant(r"\tau", "O", _CODE)


@dataclass(frozen=True, kw_only=True)
class TwoPoolParameters(ParameterSet):
    """Parameters of the two-pool reduction (Linsley et al. 2018, Eq. 1).

    Raises
    ------
    TypeError, ValueError
        As for `MelyParameters`.
    """

    drive_gain: float = parameter(4.5, latex=r"\xi", meaning="gain of the drive", source=_LINSLEY)
    alpha: float = parameter(1.0, latex=r"\alpha", meaning="shunting gain of C1", source=_LINSLEY)
    mu: float = parameter(1.0, latex=r"\mu", meaning="subtractive gain of C1", source=_LINSLEY)
    gamma: float = parameter(1.0, latex=r"\gamma", meaning="gain of C2", source=_LINSLEY)
    epsilon: float = _leak(r"\epsilon", "H1", _LINSLEY)
    sigma: float = _leak(r"\sigma", "H2", _LINSLEY)
    eta: Any = _time_constant(r"\eta", "H1", _LINSLEY)
    tau: Any = _time_constant(r"\tau", "H2", _LINSLEY)


@dataclass(frozen=True)
class PoolSizes:
    """Widths in pixels of the receptive field and of the near and far surround squares.

    Raises
    ------
    TypeError, ValueError
        If a size is not an odd positive whole number, or the squares are not nested.
    """

    centre: int = 1
    near: int = 9
    far: int = 29

    def __post_init__(self) -> None:
        # The annuli check that the sizes are odd; here the order, in the words of this class.
        Annulus(self.centre, max(self.centre + 2, self.near))
        Annulus(self.near, max(self.near + 2, self.far))
        if not self.centre < self.near < self.far:
            raise ValueError(
                f"`sizes` are centre {self.centre}, near {self.near} and far {self.far} pixels; each must be larger "
                "than the one before, as in 1, 9, 29."
            )


@dataclass(frozen=True)
class MelyPreset:
    """A named set of published parameters and pool sizes."""

    parameters: MelyParameters
    sizes: PoolSizes
    source: str


#: Published parameter sets; they conflict, so one is chosen by name.
PRESETS: Mapping[str, MelyPreset] = MappingProxyType(
    {
        "code": MelyPreset(MelyParameters(), PoolSizes(), "authors' code (contextual_model), preset 'paper'"),
        "archived": MelyPreset(
            MelyParameters(beta=4.5, nu=0.45), PoolSizes(), "authors' score database (contextual_model), row 'mely'"
        ),
        "v2": MelyPreset(
            MelyParameters(beta=4.5, nu=0.45), PoolSizes(3, 9, 21), "authors' code (contextual_model), preset 'v2'"
        ),
        "ucircuits": MelyPreset(
            MelyParameters(zeta=1.0), PoolSizes(), "first author's later code (ucircuits), CircuitParameters"
        ),
    }
)

#: Width of the Gaussian of Q over the feature range, in every published preset.
OMEGA = 0.15


#: The four-pool circuit.
MELY = OdeSystem("mely", EQUATIONS, (*_STATES, *_POOLS, *MelyParameters.symbols()))

#: The two-pool reduction.
TWO_POOL = OdeSystem("mely_two_pool", TWO_POOL_EQUATIONS, (*_STATES, *_TWO_POOLS, *TwoPoolParameters.symbols()))


def mely_circuit(
    channels: int,
    preset: str = "code",
    *,
    sizes: PoolSizes | None = None,
    omega: float = OMEGA,
    continuous: bool = True,
    boundary: Boundary = "zero",
    **changes: Any,
) -> Circuit:
    """Return the four-pool contextual circuit.

    Parameters
    ----------
    channels : int
        Number of feature channels K.
    preset : str
        A key of `PRESETS`.
    sizes : PoolSizes, optional
        Pool sizes in pixels; by default the preset's.
    omega : float
        Standard deviation of Q over the feature range (0 to 1).
    continuous : bool
        Whether neighbouring channels are similar features; False gives Q the ``discontinuous`` kernel (colour).
    boundary : {"zero", "reflect", "periodic"}
        What lies beyond the border; the published code pads with zeros and does not renormalise.
    **changes
        Values that replace the preset's, by parameter name.

    Returns
    -------
    Circuit
        The circuit; run it with `neurocircuit.simulate`.

    Raises
    ------
    ValueError
        If the preset, a parameter or a size is unknown or out of bounds.

    References
    ----------
    Mély, Linsley and Serre (2018), Psychological Review 125, 769. :cite:p:`mely2018`
    """
    chosen = _preset(preset)
    sizes = chosen.sizes if sizes is None else sizes
    if not isinstance(sizes, PoolSizes):
        raise TypeError(f"`sizes` is {sizes!r}; it must be a PoolSizes, such as PoolSizes(centre=1, near=9, far=29).")
    mixing = circulant_gaussian if continuous else discontinuous
    return Circuit(
        system=MELY,
        parameters=chosen.parameters.replace(**changes),
        pools=(
            Pool("pool_u", "h2", uniform_channels(channels)),
            Pool("pool_t", "h2", Annulus(sizes.near, sizes.far, boundary)),
            Pool("pool_p", "h1", Annulus(sizes.centre, sizes.near, boundary)),
            Pool("pool_q", "h1", mixing(channels, omega)),
        ),
        citation="mely2018",
        leak_cancelling_step=_leak_cancelling_step,
    )


def two_pool_circuit(inhibition: LateralKernel, excitation: LateralKernel, **changes: Any) -> Circuit:
    """Return the two-pool reduction from which the hGRU is derived.

    It is not a special case of the four pools: U and T, P and Q are merged into one kernel each, with one pair of
    gains (alpha, mu) and one gain gamma.

    Parameters
    ----------
    inhibition, excitation : LateralKernel
        W^I, applied to H2, and W^E, applied to H1; see `default_inhibition` and `default_excitation`.
    **changes
        Values that replace the defaults of `TwoPoolParameters`, by name.

    References
    ----------
    Linsley, Kim, Veerabadran and Serre (2018), NeurIPS, Eq. 1. :cite:p:`linsley2018`
    """
    return Circuit(
        system=TWO_POOL,
        parameters=TwoPoolParameters().replace(**changes),
        pools=(Pool("pool_c1", "h2", inhibition), Pool("pool_c2", "h1", excitation)),
        citation="linsley2018",
        leak_cancelling_step=_leak_cancelling_step,
    )


def default_inhibition(channels: int, preset: str = "code", boundary: Boundary = "zero") -> Mixture:
    """Return our W^I: U + beta T, normalised to sum 1. A choice of this library, not a published kernel."""
    chosen = _preset(preset)
    beta = chosen.parameters.beta
    far = Annulus(chosen.sizes.near, chosen.sizes.far, boundary)
    return Mixture(((1 / (1 + beta), uniform_channels(channels)), (beta / (1 + beta), far)))


def default_excitation(channels: int, preset: str = "code", boundary: Boundary = "zero") -> Mixture:
    """Return our W^E: P + Q, normalised to sum 1. A choice of this library, not a published kernel."""
    sizes = _preset(preset).sizes
    near = Annulus(sizes.centre, sizes.near, boundary)
    return Mixture(((0.5, near), (0.5, circulant_gaussian(channels, OMEGA))))


def _preset(name: str) -> MelyPreset:
    if name not in PRESETS:
        raise ValueError(f"`preset` is {name!r}; it must be one of {', '.join(PRESETS)}.")
    return PRESETS[name]


def _leak_cancelling_step(parameters: MelyParameters | TwoPoolParameters) -> Any:
    """Return ``eta / epsilon**2``, the step at which the hGRU's form appears; infinite without a leak."""
    return parameters.eta / parameters.epsilon**2 if parameters.epsilon else float("inf") * ms
