"""Running rate networks in torch, whole or perturbed, and reading them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neurocircuit.cells.ctrnn import RateEquation, rate_loop
from neurocircuit.circuits.perturbation import Lesion, Perturbation, Pulse, active_steps, chosen_units
from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.errors import NonFiniteError

__all__ = ["RateTrajectory", "check_finite", "run_and_read", "run_network"]


@dataclass(frozen=True, eq=False)
class RateTrajectory:
    """A run of a rate network; tensors, or arrays from `run_network`.

    Parameters
    ----------
    states, rates : (trial, time + 1, unit)
        After 0, 1, ... steps.
    outputs : (trial, time, output)
        After 1, 2, ... steps: output ``k`` has seen inputs 0 to ``k``.
    """

    states: Any
    rates: Any
    outputs: Any


def run_network(
    network: RateNetwork,
    inputs: npt.ArrayLike,
    *,
    noise: bool = False,
    seed: int = 0,
    noise_values: tuple[npt.ArrayLike | None, npt.ArrayLike | None] | None = None,
    perturbations: Sequence[Perturbation] = (),
    dtype: torch.dtype = torch.float64,
) -> RateTrajectory:
    """Run a network of plain arrays in torch, without gradients.

    Parameters
    ----------
    network : RateNetwork
        The network.
    inputs : (trial, time, input) array
        Inputs of every step.
    noise : bool
        Whether states and rates have the network's noise.
    seed : int
        Of the noise.
    noise_values : pair of arrays or None, optional
        Standard-normal numbers of state, (trial, time, unit), and rates, (trial, time + 1, unit), instead of drawn
        ones; None in place of one is no such noise.
    perturbations : sequence of Lesion or Pulse
        What is done to the network meanwhile.
    dtype : torch dtype
        Precision.

    Returns
    -------
    RateTrajectory
        Of arrays.

    Raises
    ------
    TypeError, ValueError
        If inputs, noise or perturbations do not fit or are not finite.
    NonFiniteError
        If a state leaves the finite numbers.
    """
    given = network.check_inputs(inputs)

    def tensor(value: Any) -> Tensor:
        return torch.as_tensor(np.array(value), dtype=dtype)

    trials, steps = given.shape[:2]
    shapes = [(steps + extra, trials, network.n_units) for extra in (0, 1)]
    normals: list[Tensor | None] = [None, None]
    if not isinstance(noise, bool):
        raise TypeError(f"`noise` is {noise!r}; it must be True or False. Give numbers as `noise_values`.")
    if noise_values is not None:
        if len(noise_values) != 2:
            raise ValueError(f"`noise_values` has {len(noise_values)} parts; it must be (of the states, of the rates).")
        normals = [_time_first(value, shape, dtype) for value, shape in zip(noise_values, shapes, strict=True)]
    elif noise:
        generator = torch.Generator().manual_seed(seed)
        normals = [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]
    constants = (tensor(network.tau), network.step, tensor(network.noise), tensor(network.rate_noise))
    equation = RateEquation(network.form, network.activation, *constants)
    drive = tensor(network.drive(given)).transpose(0, 1)
    readout = (tensor(network.output_weights), tensor(network.output_bias))
    with torch.no_grad():
        states, rates, outputs = run_and_read(
            equation, tensor(network.weights), drive, tensor(network.start), readout, normals, perturbations
        )
    found = RateTrajectory(torch.stack(states, 1).numpy(), torch.stack(rates, 1).numpy(), outputs.numpy())
    check_finite(network, network.state, found.states)
    return found


def check_finite(network: RateNetwork, name: str, values: npt.NDArray[np.float64]) -> None:
    """Raise NonFiniteError, naming the first step, if values (trial, time, unit) are not all finite."""
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        first = bad[:, 1].min()
        raise NonFiniteError(
            f"`{name}` of the network is not finite after step {first}, at {first * network.step:g} ms (step size "
            f"{network.step:g} ms). Weights this strong need an activation with a bound, such as 'sigmoid'."
        )


def run_and_read(
    equation: RateEquation,
    weights: Tensor,
    drive: Tensor,
    start: Tensor,
    readout: tuple[Tensor, Tensor],
    normals: Sequence[Tensor | None],
    perturbations: Sequence[Perturbation],
) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Run a network under perturbations and read it out; `drive` is (time, trial, unit)."""
    drive, by_step, read = _perturbed(equation.step, weights, drive, perturbations)
    states, rates = rate_loop(equation, by_step, drive, start, *normals)
    seen = torch.stack(rates[1:], 1)
    outputs = (seen if read is None else seen * read) @ readout[0].T + readout[1]
    return states, rates, outputs


def _perturbed(
    step: float, weights: Tensor, drive: Tensor, perturbations: Sequence[Perturbation]
) -> tuple[Tensor, Tensor | list[Tensor], Tensor | None]:
    """Return drive, weights of every step, and which rates are read out at every step, (time, unit)."""
    steps, units = len(drive), weights.shape[0]
    for perturbation in perturbations:
        if not isinstance(perturbation, Perturbation):
            raise TypeError(f"`perturbations` has {perturbation!r}; each must be a Lesion or a Pulse.")
        if perturbation.start >= steps * step:
            raise ValueError(
                f"`perturbations` has one that starts at {perturbation.start:g} ms, but the run ends at "
                f"{steps * step:g} ms; it would do nothing."
            )
    lesions = [(p, active_steps(p, steps, step)) for p in perturbations if isinstance(p, Lesion)]
    for pulse in perturbations:
        if isinstance(pulse, Pulse):
            current = pulse.amplitude * np.outer(
                active_steps(pulse, steps, step), chosen_units("units", pulse.units, units)
            )
            drive = drive + torch.as_tensor(current, dtype=drive.dtype, device=drive.device)[:, None]
    if not lesions:
        return drive, weights, None
    kept = [torch.as_tensor(lesion.keep(units), dtype=weights.dtype, device=weights.device) for lesion, _ in lesions]
    variants: dict[tuple[bool, ...], Tensor] = {}
    by_step = []
    read = np.ones((steps, units))
    for at in range(steps):
        active = tuple(bool(when[at]) for _, when in lesions)
        if active not in variants:
            cut = weights
            for keep, is_active in zip(kept, active, strict=True):
                cut = cut * keep if is_active else cut
            variants[active] = cut
        by_step.append(variants[active])
    for lesion, when in lesions:
        if lesion.readout:
            read[np.outer(when, chosen_units("pre", lesion.pre, units))] = 0.0
    return drive, by_step, torch.as_tensor(read, dtype=drive.dtype, device=drive.device)


def _time_first(value: Any, shape: tuple[int, int, int], dtype: torch.dtype) -> Tensor | None:
    if value is None:
        return None
    tensor = torch.as_tensor(np.array(value), dtype=dtype)
    if tensor.ndim != 3 or tensor.transpose(0, 1).shape != shape or not tensor.isfinite().all():
        wanted = (shape[1], shape[0], shape[2])
        raise ValueError(f"`noise_values` has the shape {tuple(tensor.shape)}; it must be finite numbers, {wanted}.")
    return tensor.transpose(0, 1)
