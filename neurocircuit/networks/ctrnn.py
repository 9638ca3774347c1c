"""The continuous-time RNN with its readout: trained in torch, and given to and taken from plain arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from neurocircuit.cells.ctrnn import DaleLinear, RateEquation
from neurocircuit.circuits.perturbation import Perturbation
from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.connectivity import DaleWeights
from neurocircuit.networks.ctrnn_settings import (
    PARAMETERS,
    CTRNNSettings,
    check_given,
    draw_recurrent,
    first_values,
    with_weights,
)
from neurocircuit.networks.rate_run import RateTrajectory, run_and_read

__all__ = ["CTRNN", "parameter_table"]


class CTRNN(nn.Module):
    """A continuous-time RNN: fixed or trained inputs, recurrent weights under Dale's law, linear readout.

    Parameters
    ----------
    settings : CTRNNSettings
        What it is.
    seed : int
        Of the first weights: recurrent ones by `dale_weights`, inputs standard normal, readout uniform within
        ``1/sqrt(n_units)`` of zero, all biases zero.
    given : mapping from name to array, optional
        First values of parameters instead; ``weights`` are signed.
    recurrent : DaleWeights, optional
        First recurrent weights with their connections, instead of drawn ones.

    Raises
    ------
    ValueError
        If a given array has another shape, is not finite or breaks Dale's law, or `recurrent` is of another size.

    Examples
    --------
    >>> network = CTRNN(CTRNNSettings(n_inputs=2, n_outputs=1, n_units=10, p_rec=0.5))
    >>> network(torch.zeros(3, 7, 2)).shape
    torch.Size([3, 7, 1])
    """

    input_weights: nn.Parameter
    input_bias: nn.Parameter
    bias: nn.Parameter
    output_weights: nn.Parameter
    output_bias: nn.Parameter
    start: nn.Parameter
    tau: Tensor
    sigma: Tensor
    rate_sigma: Tensor
    output_mask: Tensor

    def __init__(
        self,
        settings: CTRNNSettings,
        seed: int = 0,
        given: Mapping[str, npt.ArrayLike] | None = None,
        recurrent: DaleWeights | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        rng = np.random.default_rng(seed)
        first = draw_recurrent(settings, rng) if recurrent is None else recurrent
        if len(first.weights) != settings.n_units or (first.excitatory is not None) != settings.dale:
            kind = "no Dale's law" if first.excitatory is None else "Dale's law"
            raise ValueError(
                f"`recurrent` has {len(first.weights)} units and {kind}; the settings say "
                f"n_units={settings.n_units} and dale={settings.dale}."
            )
        arrays = first_values(settings, first, rng) | check_given(settings, given or {})
        if "weights" in (given or {}):
            first = with_weights(first, arrays["weights"])
        self.excitatory = first.excitatory
        self.recurrent = DaleLinear(first, settings.parametrisation)
        self.recurrent.raw.requires_grad_("weights" in settings.trainable)
        for name in PARAMETERS:
            if name != "weights":
                value = torch.tensor(arrays[name], dtype=torch.get_default_dtype())
                setattr(self, name, nn.Parameter(value, requires_grad=name in settings.trainable))
        tau = settings.time_constants(first.excitatory)
        factor = np.sqrt(settings.step / tau / 2) if settings.noise_scaling == "tutorial" else np.ones(len(tau))
        from_exc = settings.readout == "excitatory" and first.excitatory is not None
        for name, buffer in (
            ("tau", tau),
            ("sigma", settings.noise * factor),
            ("rate_sigma", settings.rate_noise * factor),
            ("output_mask", first.excitatory if from_exc else np.ones(len(tau))),
        ):
            self.register_buffer(name, torch.tensor(np.asarray(buffer), dtype=torch.get_default_dtype()))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs (trial, time, output) of inputs (trial, time, input); noisy in training mode only."""
        return self._run(inputs, noise=self.training)[2]

    def trajectory(
        self,
        inputs: Tensor,
        *,
        noise: bool = False,
        generator: torch.Generator | None = None,
        perturbations: Sequence[Perturbation] = (),
    ) -> RateTrajectory:
        """Return states, rates and outputs.

        Parameters
        ----------
        inputs : (trial, time, input) tensor
            Inputs of every step.
        noise : bool
            Whether state and rates are noisy.
        generator : torch.Generator, optional
            Source of the noise; by default torch's own.
        perturbations : sequence of Lesion or Pulse
            What is done to the network meanwhile.

        Raises
        ------
        ValueError
            If the inputs do not fit or are not finite.
        """
        states, rates, outputs = self._run(inputs, noise, generator, perturbations)
        return RateTrajectory(torch.stack(states, 1), torch.stack(rates, 1), outputs)

    def _run(
        self,
        inputs: Tensor,
        noise: bool,
        generator: torch.Generator | None = None,
        perturbations: Sequence[Perturbation] = (),
    ) -> tuple[list[Tensor], list[Tensor], Tensor]:
        if inputs.ndim != 3 or inputs.shape[2] != self.settings.n_inputs or 0 in inputs.shape:
            raise ValueError(
                f"`inputs` has the shape {tuple(inputs.shape)}; this network needs (trial, time, "
                f"{self.settings.n_inputs}). Do the task and the network belong together?"
            )
        if not inputs.isfinite().all():
            raise ValueError("`inputs` has NaN or infinite values; all must be finite.")
        drive = inputs.transpose(0, 1) @ self.input_weights.T + (self.input_bias + self.bias)
        normals = [
            torch.randn(
                (drive.shape[0] + extra, *drive.shape[1:]), generator=generator, dtype=drive.dtype, device=drive.device
            )
            if noise and bool(sigma.any())
            else None
            for extra, sigma in ((0, self.sigma), (1, self.rate_sigma))
        ]
        equation = RateEquation(
            self.settings.form, self.settings.activation, self.tau, self.settings.step, self.sigma, self.rate_sigma
        )
        readout = (self.output_weights * self.output_mask, self.output_bias)
        return run_and_read(equation, self.recurrent(), drive, self.start, readout, normals, perturbations)

    @torch.no_grad()
    def network(self, input_names: tuple[str, ...] = (), output_names: tuple[str, ...] = ()) -> RateNetwork:
        """Return the network as plain float64 arrays."""

        def array(tensor: Tensor) -> npt.NDArray[np.float64]:
            return tensor.detach().cpu().double().numpy()

        return RateNetwork(
            weights=array(self.recurrent()),
            input_weights=array(self.input_weights),
            output_weights=array(self.output_weights * self.output_mask),
            bias=array(self.input_bias + self.bias),
            output_bias=array(self.output_bias),
            excitatory=self.excitatory,
            tau=array(self.tau),
            step=self.settings.step,
            form=self.settings.form,
            activation=self.settings.activation,
            start=array(self.start),
            noise=array(self.sigma),
            rate_noise=array(self.rate_sigma),
            input_names=input_names,
            output_names=output_names,
        )

    @classmethod
    def from_network(cls, network: RateNetwork, **changes: Any) -> CTRNN:
        """Return a network to train on from plain arrays, which keeps the connections that are not zero.

        Parameters
        ----------
        network : RateNetwork
            Arrays; its noise must be the same for all units.
        **changes
            Settings that the arrays do not say, such as ``trainable`` or ``parametrisation``. The readout is of
            excitatory units if those are the only ones with readout weights.

        Raises
        ------
        ValueError
            If the noise differs between units, or its scaling is to be changed.
        """
        for name in ("noise", "rate_noise"):
            if np.ptp(getattr(network, name)):
                raise ValueError(f"`{name}` of the network differs between units; a CTRNN has one for all.")
        if "noise_scaling" in changes:
            raise ValueError(
                "`noise_scaling` cannot be changed: the noise of a RateNetwork is already scaled, as 'sde'."
            )
        exc = network.excitatory
        only_excitatory = exc is not None and not network.output_weights[:, ~exc].any()
        settings = CTRNNSettings(
            n_inputs=network.n_inputs,
            n_outputs=network.n_outputs,
            n_units=network.n_units,
            form=network.form,
            activation=network.activation,
            tau=tuple(network.tau.tolist()),
            step=network.step,
            dale=network.excitatory is not None,
            noise=float(network.noise[0]),
            rate_noise=float(network.rate_noise[0]),
            **{"readout": "excitatory" if only_excitatory else "all", **changes},
        )
        names = ("input_weights", "bias", "output_weights", "output_bias", "start")
        recurrent = DaleWeights(network.weights, network.weights != 0, network.excitatory)
        return cls(settings, given={name: getattr(network, name) for name in names}, recurrent=recurrent)


def parameter_table(model: nn.Module) -> list[dict[str, Any]]:
    """Return one row a parameter: name, shape, number of values, whether it is trained."""
    return [
        {
            "parameter": name,
            "shape": "x".join(map(str, parameter.shape)),
            "values": parameter.numel(),
            "trainable": parameter.requires_grad,
        }
        for name, parameter in model.named_parameters()
    ]
