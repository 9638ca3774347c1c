"""From the two-pool circuit to the hGRU, one line of algebra at a time, and a check of every line.

Every line is written by hand in `neurocircuit.circuits.derivation_lines`, after Linsley et al. (2018). `LINKS` sets
each against what the library computes from the circuit's own equation text, so that the two sides have nothing in
common but the parameters and the pools.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch

from neurocircuit.circuits.circuit import Circuit
from neurocircuit.circuits.derivation_lines import (
    Pair,
    Setting,
    candidate,
    euler,
    gated,
    hgru_step,
    make_setting,
    rearranged,
    recurrent,
    regrouped,
)
from neurocircuit.circuits.mely import TWO_POOL
from neurocircuit.equations import OdeSystem, compile_step

__all__ = [
    "LINKS",
    "Link",
    "LinkCheck",
    "Setting",
    "check_links",
    "hgru_step",
    "make_setting",
    "shunt_from_h2",
]

Tensor = torch.Tensor

_SHUNT = "(alpha*h1 + mu)"


def shunt_from_h2(circuit: Circuit) -> Circuit:
    """Return the two-pool circuit whose shunt is ``alpha*h2`` instead of ``alpha*h1``, as in the hGRU.

    The equation is the circuit's own text with that one symbol replaced.

    Raises
    ------
    ValueError
        If the circuit is not the two-pool circuit.
    """
    if circuit.system != TWO_POOL or circuit.system.text.count(_SHUNT) != 1:
        raise ValueError(f"`circuit` is {circuit.name}; only the circuit of two_pool_circuit has this shunt.")
    text = circuit.system.text.replace(_SHUNT, _SHUNT.replace("h1", "h2"))
    return replace(circuit, system=OdeSystem(f"{circuit.name}_shunt_h2", text, circuit.system.symbols))


def compiled_step(s: Setting, h: float, *, staggered: bool, circuit: Circuit | None = None) -> Pair:
    """Return Euler's step as compiled from the equation text of a circuit, by default the setting's own."""
    circuit = circuit or s.circuit
    step, pools = compile_step(circuit.system), circuit.pool_function()
    values = {**circuit.parameter_tensors(), "drive": s.drive, **s.states._asdict()}
    new = step({**values, **pools(values)}, torch.tensor(h, dtype=torch.float64))
    if staggered:
        values["h1"] = new["h1"]
        new["h2"] = step({**values, **pools(values)}, torch.tensor(h, dtype=torch.float64))["h2"]
    return Pair(new["h1"], new["h2"])


Sides = tuple[Sequence[Tensor], Sequence[Tensor]]


def _rearranged(s: Setting) -> Sides:
    found = s.circuit.rhs()(s.states._asdict(), {"drive": s.drive})
    return (found["h1"], found["h2"]), rearranged(s)


def _leak_cancelled(s: Setting) -> Sides:
    compiled = compiled_step(s, s.leak_cancelling_step, staggered=False)
    return compiled, recurrent(s, staggered=False)


def _staggered(s: Setting) -> Sides:
    return compiled_step(s, s.leak_cancelling_step, staggered=True), recurrent(s, staggered=True)


def _share(s: Setting) -> float:
    """Return ``epsilon**2 h/eta``, the share that is replaced in a step."""
    return s.step / s.leak_cancelling_step


def _gated(s: Setting) -> Sides:
    return compiled_step(s, s.step, staggered=True), gated(s, _share(s), _share(s))


def _instant_h1(s: Setting) -> Sides:
    # A slower H2: at the step that cancels the leak of H1 it keeps the share 1 - G of itself.
    slower = s.circuit.with_parameters(tau=s.circuit.parameters.quantities()["tau"] / _share(s))
    compiled = compiled_step(s, s.leak_cancelling_step, staggered=True, circuit=slower)
    return compiled, gated(s, 1.0, _share(s))


def _shunt_moved(s: Setting) -> Sides:
    moved = shunt_from_h2(s.circuit)
    compiled = compiled_step(s, s.leak_cancelling_step, staggered=True, circuit=moved)
    return compiled, recurrent(s, staggered=True, shunt="h2")


def _coefficients(s: Setting) -> Sides:
    p, h1 = s.parameters, s.states.h1
    c2 = s.c2(h1)
    # Any values will do; the circuit's own are at hand. beta = kappa gamma and omega_paper = omega gamma.
    kappa, gamma, omega = p["mu"], p["gamma"], p["alpha"]
    written = kappa * h1 + (kappa * gamma) * c2 + (omega * gamma) * h1 * c2
    return (candidate(h1, c2, kappa, gamma, omega),), (written,)


def _hgru(s: Setting) -> Sides:
    p, none = s.parameters, torch.zeros((), dtype=torch.float64)
    leak = p["epsilon"] ** 2
    written = hgru_step(
        p["drive_gain"] / leak * s.drive,
        s.states.h2,
        inhibition=s.c1,
        excitation=s.c2,
        alpha=p["alpha"] / leak,
        mu=p["mu"] / leak,
        kappa=none,
        beta=p["gamma"] / p["sigma"] ** 2,
        omega=none,
        gain_gate=torch.ones_like,
        mix_gate=torch.ones_like,
        zeta=torch.relu,
    )
    return _shunt_moved(s)[0], written


@dataclass(frozen=True, eq=False)
class Link:
    """One step of the derivation.

    Parameters
    ----------
    name : str
        What it is called.
    change : str
        One sentence: what changed.
    sides : callable
        From a `Setting` to the compiled side and the side written here.
    before : callable or None
        The written line that this one replaces, if it says something else; None for an exact rewriting.
    """

    name: str
    change: str
    sides: Callable[[Setting], Sides]
    before: Callable[[Setting], Pair] | None = None

    def difference(self, setting: Setting) -> float:
        """Return the largest difference between the two sides."""
        return largest_difference(*self.sides(setting))

    def departure(self, setting: Setting) -> float:
        """Return the largest difference from the line that this one replaces; 0 for an exact rewriting."""
        return 0.0 if self.before is None else largest_difference(self.sides(setting)[1], self.before(setting))


#: The derivation, in order.
LINKS: tuple[Link, ...] = (
    Link("rearranged", "Only the leak moved to the right-hand side; nothing else changed.", _rearranged),
    Link(
        "Euler's step",
        "Time became discrete: the derivative is taken over a step h, from the states before it.",
        lambda s: (compiled_step(s, s.step, staggered=False), euler(s)),
    ),
    Link(
        "regrouped",
        "The same step, with the share 1 - epsilon**2 h/eta of the old state that is kept written apart.",
        lambda s: (compiled_step(s, s.step, staggered=False), regrouped(s)),
    ),
    Link(
        "h = eta/epsilon**2",
        "At this one step nothing of the old state is kept: the leak is gone, and with it the integration of the ODE.",
        _leak_cancelled,
    ),
    Link(
        "staggered",
        "C2 is computed from the new H1, which Euler's method does not do.",
        _staggered,
        lambda s: recurrent(s, staggered=False),
    ),
    Link(
        "gates",
        "A gate G brings the leak back; with the constant G = epsilon**2 h/eta this is the staggered Euler step.",
        _gated,
    ),
    Link(
        "H1 instantaneous",
        "Only H2 keeps a share of itself: the gate of H1 is 1, as if H2 alone had a longer time constant.",
        _instant_h1,
        lambda s: gated(s, _share(s), _share(s)),
    ),
    Link(
        "shunt",
        "The shunt moved from H1 to H2: alpha multiplies the old H2, no longer the old H1.",
        _shunt_moved,
        lambda s: recurrent(s, staggered=True),
    ),
    Link(
        "coefficients",
        "The public code's kappa gamma and omega gamma are the paper's beta and omega; the family is the same.",
        _coefficients,
    ),
    Link(
        "hGRU",
        "kappa, omega, the learned gates, the time gains, tanh and batch norm were added; they have no counterpart in "
        "the ODE, and without them the hGRU is the line before the coefficients.",
        _hgru,
    ),
)


class LinkCheck(NamedTuple):
    """What one link came to: its name, what changed, and two largest differences (see `Link`)."""

    name: str
    change: str
    difference: float
    departure: float


@torch.no_grad()
def check_links(setting: Setting) -> list[LinkCheck]:
    """Evaluate every link of the derivation at one setting."""
    return [LinkCheck(link.name, link.change, link.difference(setting), link.departure(setting)) for link in LINKS]


def largest_difference(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """Return the largest absolute difference between two sequences of tensors; NaN if there is one."""
    return float(torch.stack([(a - b).abs().max() for a, b in zip(one, other, strict=True)]).max())
