"""The lines of the derivation from the two-pool circuit to the hGRU, each written by hand, over tensors.

They follow Linsley et al. (2018). `neurocircuit.circuits.derivation` sets each against what the library compiles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch

from neurocircuit.circuits.circuit import Circuit
from neurocircuit.circuits.mely import TWO_POOL
from neurocircuit.equations import to_float

__all__ = [
    "Pair",
    "Setting",
    "candidate",
    "euler",
    "gated",
    "hgru_step",
    "make_setting",
    "rearranged",
    "recurrent",
    "regrouped",
]

Tensor = torch.Tensor
Field = Callable[[Tensor], Tensor]
Parameters = Mapping[str, Tensor]


class Pair(NamedTuple):
    """The two states, or what a line says about each: ``(batch, channel, y, x)`` tensors."""

    h1: Tensor
    h2: Tensor


@dataclass(frozen=True, eq=False)
class Setting:
    """Where the two sides of a line are evaluated. Built by `make_setting`.

    Parameters
    ----------
    circuit : Circuit
        A circuit of the two-pool equations.
    drive : (batch, channel, y, x) float64 tensor
        X, the afferent drive.
    states : Pair
        H1 and H2 at the step before.
    step : float
        h in ms, for the lines that hold at any step.
    """

    circuit: Circuit
    drive: Tensor
    states: Pair
    step: float

    @property
    def parameters(self) -> Parameters:
        """The circuit's parameters, times in ms."""
        return self.circuit.parameter_tensors()

    @property
    def leak_cancelling_step(self) -> float:
        """The step ``eta/epsilon**2`` in ms."""
        assert self.circuit.leak_cancelling_step is not None
        return to_float(self.circuit.leak_cancelling_step(self.circuit.parameters))

    def c1(self, h2: Tensor) -> Tensor:
        """Return the inhibition ``W^I * H2``."""
        return self.circuit.pool_function()({"h1": h2, "h2": h2})["pool_c1"]

    def c2(self, h1: Tensor) -> Tensor:
        """Return the excitation ``W^E * H1``."""
        return self.circuit.pool_function()({"h1": h1, "h2": h1})["pool_c2"]


def make_setting(circuit: Circuit, drive: Tensor, states: Mapping[str, Tensor], step: float = 1.0) -> Setting:
    """Return a checked `Setting`.

    Parameters
    ----------
    circuit : Circuit
        As `two_pool_circuit` returns it, with ``eta/epsilon**2 == tau/sigma**2``.
    drive : (batch, channel, y, x) float64 tensor
        X, the afferent drive.
    states : mapping with h1 and h2
        As the drive.
    step : float
        h in ms.

    Raises
    ------
    ValueError
        If the circuit is not the two-pool circuit, one step does not cancel both of its leaks, or a tensor or the step
        does not fit.
    """
    if circuit.system != TWO_POOL:
        raise ValueError(f"`circuit` is {circuit.name}; the derivation starts from the circuit of two_pool_circuit.")
    p = circuit.parameters.as_floats()
    if not p["epsilon"] or abs(p["epsilon"] ** 2 / p["eta"] * p["tau"] - p["sigma"] ** 2) > 1e-12:
        raise ValueError(
            f"`circuit` has epsilon**2/eta = {p['epsilon'] ** 2 / p['eta']:g} and sigma**2/tau = "
            f"{p['sigma'] ** 2 / p['tau']:g} per ms; the derivation needs them equal and above 0, so that one step "
            "cancels both leaks. Set sigma=epsilon and tau=eta."
        )
    for name, field in (("drive", drive), *((f"states[{name!r}]", states[name]) for name in TWO_POOL.states)):
        if field.shape != drive.shape or field.ndim != 4 or field.dtype != torch.float64:
            raise ValueError(
                f"`{name}` is {field.dtype} of shape {tuple(field.shape)}; it must be float64 of shape (batch, "
                "channel, y, x), the same for the drive and both states."
            )
    if not 0 < step < float("inf"):
        raise ValueError(f"`step` is {step!r}; it must be a positive number of ms, such as 1.0.")
    circuit.check_field((drive.shape[1], drive.shape[2], drive.shape[3]))
    return Setting(circuit, drive, Pair(states["h1"], states["h2"]), float(step))


def inhibited(p: Parameters, x: Tensor, shunted: Tensor, c1: Tensor) -> Tensor:
    """Return ``[xi X - (alpha H + mu) C1]_+``, the drive after inhibition; H is the shunted state."""
    return torch.relu(p["drive_gain"] * x - (p["alpha"] * shunted + p["mu"]) * c1)


def excited(p: Parameters, c2: Tensor) -> Tensor:
    """Return ``[gamma C2]_+``, the excitation of H2."""
    return torch.relu(p["gamma"] * c2)


def rearranged(s: Setting) -> Pair:
    """Return the derivatives with the leak on the right: ``dH/dt = -epsilon**2/eta H + 1/eta [...]_+``."""
    p, (h1, h2) = s.parameters, s.states
    return Pair(
        -(p["epsilon"] ** 2) / p["eta"] * h1 + inhibited(p, s.drive, h1, s.c1(h2)) / p["eta"],
        -(p["sigma"] ** 2) / p["tau"] * h2 + excited(p, s.c2(h1)) / p["tau"],
    )


def euler(s: Setting) -> Pair:
    """Return Euler's step, ``H + h/eta ([...]_+ - epsilon**2 H)``."""
    p, (h1, h2), h = s.parameters, s.states, s.step
    return Pair(
        h1 + h / p["eta"] * (inhibited(p, s.drive, h1, s.c1(h2)) - p["epsilon"] ** 2 * h1),
        h2 + h / p["tau"] * (excited(p, s.c2(h1)) - p["sigma"] ** 2 * h2),
    )


def regrouped(s: Setting) -> Pair:
    """Return the same step by share: ``(1 - epsilon**2 h/eta) H + h/eta [...]_+``."""
    p, (h1, h2), h = s.parameters, s.states, s.step
    return Pair(
        (1 - p["epsilon"] ** 2 * h / p["eta"]) * h1 + h / p["eta"] * inhibited(p, s.drive, h1, s.c1(h2)),
        (1 - p["sigma"] ** 2 * h / p["tau"]) * h2 + h / p["tau"] * excited(p, s.c2(h1)),
    )


def recurrent(s: Setting, *, staggered: bool, shunt: str = "h1") -> Pair:
    """Return the recurrence ``epsilon**-2 [...]_+``, with C2 of the old H1 or, staggered, of the new one."""
    p, (h1, h2) = s.parameters, s.states
    new_h1 = inhibited(p, s.drive, h2 if shunt == "h2" else h1, s.c1(h2)) / p["epsilon"] ** 2
    return Pair(new_h1, excited(p, s.c2(new_h1 if staggered else h1)) / p["sigma"] ** 2)


def gated(s: Setting, gate_1: float, gate_2: float) -> Pair:
    """Return ``(1 - G) H + G H~`` for both states, staggered; H~ is the recurrence, G one number for each state."""
    p, (h1, h2) = s.parameters, s.states
    new_h1 = (1 - gate_1) * h1 + gate_1 * inhibited(p, s.drive, h1, s.c1(h2)) / p["epsilon"] ** 2
    return Pair(new_h1, (1 - gate_2) * h2 + gate_2 * excited(p, s.c2(new_h1)) / p["sigma"] ** 2)


def hgru_step(
    x: Tensor,
    h2: Tensor,
    *,
    inhibition: Field,
    excitation: Field,
    alpha: Tensor,
    mu: Tensor,
    kappa: Tensor,
    beta: Tensor,
    omega: Tensor,
    gain_gate: Field,
    mix_gate: Field,
    time_gain: float = 1.0,
    zeta: Field = torch.tanh,
) -> Pair:
    """Return one step of the full hGRU in the paper's form.

    Parameters
    ----------
    x, h2 : (batch, channel, y, x) tensor
        The drive, and the output state at the step before.
    inhibition, excitation : callable
        ``W *`` of the two stages (one symmetric kernel in the paper).
    alpha, mu, kappa, beta, omega : tensor
        Shunting and subtractive gain; gains of H1, of C2 and of their product.
    gain_gate, mix_gate : callable
        G1 of H2 and G2 of H1, between 0 and 1.
    time_gain : float
        The gain of this time step.
    zeta : callable
        The squashing function.

    Returns
    -------
    Pair
        The new H1 and H2.

    References
    ----------
    Linsley, Kim, Veerabadran and Serre (2018), NeurIPS. :cite:p:`linsley2018`
    """
    c1 = inhibition(gain_gate(h2) * h2)
    h1 = zeta(x - c1 * (alpha * h2 + mu))
    c2 = excitation(h1)
    candidate = zeta(kappa * h1 + beta * c2 + omega * h1 * c2)
    mix = mix_gate(h1)
    return Pair(h1, time_gain * (h2 * (1 - mix) + candidate * mix))


def candidate(h1: Tensor, c2: Tensor, kappa: Tensor, gamma: Tensor, omega: Tensor) -> Tensor:
    """Return the candidate of H2 before squashing as the public code has it: ``kappa (H1 + gamma C2) + omega H1 ...``.

    The code multiplies by gamma before it multiplies by kappa and omega; the paper's beta is the product.
    """
    return kappa * (h1 + gamma * c2) + omega * h1 * (gamma * c2)
