"""The continuous-time RNN in torch: the one loop over time of a rate network, and its recurrent weights to train.

The step is compiled from the text of `neurocircuit.circuits.ei_system`. In the current form it is affine in the state,
the recurrent current, the drive and the noise; its coefficients are read off the compiled step once, and multiplied
into weights and drive before the loop, so that a step in time costs one matrix product, one activation and one fused
product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from neurocircuit.circuits.ei import activation_function, ei_system, state_name
from neurocircuit.connectivity import DaleWeights
from neurocircuit.equations import FUNCTIONS, compile_step

__all__ = ["DaleLinear", "Parametrisation", "RateEquation", "rate_loop"]

Parametrisation = Literal["abs", "softplus", "relu"]

#: Smallest size of a weight that softplus represents at the start; its parameter would be minus infinity at 0.
_SMALLEST = 1e-12


@dataclass(frozen=True, eq=False)
class RateEquation:
    """The equation of a network's units with its constants, as tensors.

    Parameters
    ----------
    form, activation : str
        See `neurocircuit.circuits.ei_system`.
    tau : (unit,) tensor
        Time constants in ms.
    step : float
        Euler step in ms.
    sigma, rate_sigma : (unit,) tensor
        Noise of state and rate; see `neurocircuit.circuits.RateNetwork`.
    """

    form: str
    activation: str
    tau: Tensor
    step: float
    sigma: Tensor
    rate_sigma: Tensor

    def phi(self) -> Callable[[Tensor], Tensor]:
        """Return the activation."""
        return FUNCTIONS[activation_function(self.activation)].torch

    def advance(self, values: dict[str, Tensor], noise: Tensor | None) -> Tensor:
        """Return the state after one step, from state, ``rec`` and ``drive``, as the equation's text has it."""
        constants = {"tau": self.tau} if noise is None else {"tau": self.tau, "sigma": self.sigma}
        h = torch.tensor(self.step, dtype=self.tau.dtype, device=self.tau.device)
        given = None if noise is None else {"xi": noise}
        step = _compiled(self.form, self.activation, noise is not None)
        return step({**values, **constants}, h, given)[state_name(self.form)]

    def coefficients(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what one step multiplies state, recurrent current, drive and noise by; current form only."""
        zero, one = torch.zeros_like(self.tau), torch.ones_like(self.tau)
        found = []
        for place in range(4):
            x, rec, drive, noise = (one if other == place else zero for other in range(4))
            found.append(self.advance({"x": x, "rec": rec, "drive": drive}, noise))
        return found[0], found[1], found[2], found[3]


@lru_cache
def _compiled(form: str, activation: str, noise: bool) -> Callable[..., dict[str, Tensor]]:
    return compile_step(ei_system(form, activation, noise))


def rate_loop(
    equation: RateEquation,
    weights: Tensor | Sequence[Tensor],
    drive: Tensor,
    start: Tensor,
    noise: Tensor | None = None,
    rate_noise: Tensor | None = None,
) -> tuple[list[Tensor], list[Tensor]]:
    """Run a rate network; the only loop over time that rates have in torch.

    Parameters
    ----------
    equation : RateEquation
        Equation and constants.
    weights : (post, pre) tensor, or one for every step
        Signed recurrent weights.
    drive : (time, trial, unit) tensor
        External current of every step.
    start : (unit,) or (trial, unit) tensor
        State before the first step.
    noise : (time, trial, unit) tensor, optional
        Standard-normal numbers of the state's noise; None is no noise.
    rate_noise : (time + 1, trial, unit) tensor, optional
        Standard-normal numbers of the rates' noise.

    Returns
    -------
    states, rates : list of (trial, unit) tensors
        After 0, 1, ... steps; the rates with their noise.
    """
    steps, trials, units = drive.shape
    state = start.expand(trials, units)
    deviation = equation.rate_sigma * torch.sqrt(2 * equation.tau / equation.step)
    added = None if rate_noise is None else (rate_noise * deviation).unbind()
    phi = equation.phi()

    def rate(state: Tensor, at: int) -> Tensor:
        clean = phi(state) if equation.form == "current" else state
        return clean if added is None else clean + added[at]

    advance = (_affine if equation.form == "current" else _general)(equation, weights, drive, noise)
    states, rates = [state], [rate(state, 0)]
    for at in range(steps):
        states.append(advance(states[-1], rates[-1], at))
        rates.append(rate(states[-1], at + 1))
    return states, rates


def _affine(
    equation: RateEquation, weights: Tensor | Sequence[Tensor], drive: Tensor, noise: Tensor | None
) -> Callable[[Tensor, Tensor, int], Tensor]:
    of_state, of_current, of_drive, of_noise = equation.coefficients()
    external = drive * of_drive
    if noise is not None:
        external = torch.addcmul(external, noise, of_noise)
    currents = external.unbind()
    transposed = _per_step(weights, lambda w: (of_current[:, None] * w).T)

    def advance(state: Tensor, rates: Tensor, at: int) -> Tensor:
        return torch.addcmul(torch.addmm(currents[at], rates, transposed(at)), of_state, state)

    return advance


def _general(
    equation: RateEquation, weights: Tensor | Sequence[Tensor], drive: Tensor, noise: Tensor | None
) -> Callable[[Tensor, Tensor, int], Tensor]:
    transposed = _per_step(weights, lambda w: w.T)
    name = state_name(equation.form)

    def advance(state: Tensor, rates: Tensor, at: int) -> Tensor:
        values = {name: state, "rec": rates @ transposed(at), "drive": drive[at]}
        return equation.advance(values, None if noise is None else noise[at])

    return advance


def _per_step(weights: Tensor | Sequence[Tensor], change: Callable[[Tensor], Tensor]) -> Callable[[int], Tensor]:
    """Return the changed weights of a step, changed once however many steps share them."""
    if isinstance(weights, Tensor):
        changed = change(weights)
        return lambda at: changed
    once = {id(w): change(w) for w in weights}
    return lambda at: once[id(weights[at])]


class DaleLinear(nn.Module):
    """Recurrent weights whose connections and signs do not change while their sizes are trained.

    Parameters
    ----------
    start : DaleWeights
        Weights to begin with, their connections and the kind of every unit. Without Dale's law a weight may change its
        sign, and a connection that does not exist still stays absent.
    parametrisation : {"abs", "softplus", "relu"}
        From the trained number to the size of a weight. With ``relu``, as in the field's tutorials, a weight that
        reaches zero has no gradient any more and is lost.

    Raises
    ------
    ValueError
        If the parametrisation is unknown.
    """

    mask: Tensor
    sign: Tensor

    def __init__(self, start: DaleWeights, parametrisation: Parametrisation = "abs") -> None:
        super().__init__()
        if parametrisation not in get_args(Parametrisation):
            allowed = ", ".join(get_args(Parametrisation))
            raise ValueError(f"`parametrisation` is {parametrisation!r}; it must be one of {allowed}.")
        self.parametrisation = parametrisation
        self.dale = start.excitatory is not None
        self.register_buffer("mask", _float(start.mask))
        signs = np.ones(len(start.mask)) if start.excitatory is None else np.where(start.excitatory, 1.0, -1.0)
        self.register_buffer("sign", _float(signs))
        self.raw = nn.Parameter(self._inverse(start))

    def _inverse(self, start: DaleWeights) -> Tensor:
        if not self.dale:
            return _float(start.weights)
        sizes = np.abs(start.weights)
        if self.parametrisation == "softplus":
            sizes = np.where(start.mask, np.maximum(sizes, _SMALLEST), 1.0)
            # log(exp(s) - 1), without overflow
            return _float(np.where(start.mask, sizes + np.log(-np.expm1(-sizes)), 0.0))
        return _float(sizes)

    def forward(self) -> Tensor:
        """Return the signed weights, (post, pre)."""
        if not self.dale:
            return self.raw * self.mask
        size = {"abs": torch.abs, "relu": torch.relu, "softplus": FUNCTIONS["softplus"].torch}[self.parametrisation]
        return size(self.raw) * (self.mask * self.sign)


def _float(values: Any) -> Tensor:
    return torch.as_tensor(np.array(values), dtype=torch.get_default_dtype())
