"""From the two-pool circuit to the hGRU, one line of algebra at a time, and a check of every line.

Every line is written here by hand, over tensors, as in the derivation of Linsley et al. (2018). `LINKS` sets each
against what the library computes from the circuit's own equation text, so that the two sides have nothing in common but
the parameters and the pools.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch

from neurocircuit.circuits.circuit import Circuit
from neurocircuit.circuits.mely import TWO_POOL
from neurocircuit.equations import OdeSystem, compile_step, to_float

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
Field = Callable[[Tensor], Tensor]
Parameters = Mapping[str, Tensor]

_SHUNT = "(alpha*h1 + mu)"


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


# The lines, as written.


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


# The other side: what the library compiles from the circuit's equation text.


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
