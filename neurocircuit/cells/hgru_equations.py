"""The element-wise equations of the horizontal gated recurrent unit (hGRU), and what distinguishes its forms.

What a form adds to the three functions (kernels, batch norm, time gains) is a row of `FORMS`. How they follow from the
circuit's differential equation is shown, and checked, in `neurocircuit.circuits.derivation`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

import torch

__all__ = [
    "COEFFICIENTS",
    "FORMS",
    "LESIONS",
    "HGRUForm",
    "HGRUState",
    "InitialState",
    "Lesion",
    "Shunt",
    "UpdateOrder",
    "Variant",
    "excite",
    "inhibit",
    "mix",
]

Variant = Literal["paper", "batchnorm"]
Shunt = Literal["h1", "h2"]
UpdateOrder = Literal["simultaneous", "staggered"]
InitialState = Literal["zeros", "xavier", "learned"]
Lesion = Literal["additive", "multiplicative"]

#: The learned coefficients of the equations, one per channel.
COEFFICIENTS = ("alpha", "mu", "gamma", "kappa", "omega")
#: Coefficients that a lesion holds at zero, after the authors' scripts.
LESIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"additive": ("mu", "kappa"), "multiplicative": ("alpha", "omega")}
)


class HGRUState(NamedTuple):
    """The two populations, (batch, channel, y, x): input side H1 and output side H2."""

    h1: torch.Tensor
    h2: torch.Tensor


@dataclass(frozen=True)
class HGRUForm:
    """What distinguishes the published forms of the cell.

    Parameters
    ----------
    nonlinearity : callable
        Zeta, applied to both stages.
    rectified_inhibition : bool
        Whether inhibition is kept from turning into excitation by a rectification of its own.
    shared_kernel : bool
        Whether one W serves inhibition and excitation.
    norm : bool
        Whether gates and pools pass a batch norm, four per time step.
    time_gains : bool
        Whether the output state is multiplied by a learned gain eta_t per time step.
    gated : bool
        Whether the gates are learned; otherwise they are constants.
    """

    nonlinearity: Callable[[torch.Tensor], torch.Tensor]
    rectified_inhibition: bool
    shared_kernel: bool
    norm: bool
    time_gains: bool
    gated: bool


#: The paper's hGRU, the batch-norm form of its PyTorch notebook, and the circuit's own recurrence without gates.
FORMS: Mapping[str, HGRUForm] = MappingProxyType(
    {
        "paper": HGRUForm(torch.tanh, False, shared_kernel=True, norm=False, time_gains=True, gated=True),
        "batchnorm": HGRUForm(torch.relu, True, shared_kernel=False, norm=True, time_gains=False, gated=True),
        "circuit": HGRUForm(torch.relu, False, shared_kernel=False, norm=False, time_gains=False, gated=False),
    }
)


def inhibit(
    form: HGRUForm,
    drive: torch.Tensor,
    c1: torch.Tensor,
    shunted: torch.Tensor,
    alpha: torch.Tensor,
    mu: torch.Tensor,
) -> torch.Tensor:
    """Return H1: the drive less its inhibition, subtractive (mu) and shunting (alpha times the shunted state)."""
    inhibition = c1 * (alpha * shunted + mu)
    if form.rectified_inhibition:
        inhibition = torch.relu(inhibition)
    return form.nonlinearity(drive - inhibition)


def excite(
    form: HGRUForm,
    h1: torch.Tensor,
    c2: torch.Tensor,
    gamma: torch.Tensor,
    kappa: torch.Tensor,
    omega: torch.Tensor,
) -> torch.Tensor:
    """Return the candidate H2: linear in H1 (kappa) and its excitation (gamma), and their product (omega)."""
    return form.nonlinearity(kappa * h1 + gamma * c2 + omega * h1 * c2)


def mix(h2: torch.Tensor, candidate: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
    """Return the new H2, ``(1 - gate) * h2 + gate * candidate``: the paper's convention, opposite to its code's."""
    # Under autocast the gate may have a lower precision than the state.
    return torch.lerp(h2.to(candidate.dtype), candidate, gate.to(candidate.dtype))
