"""The continuous-time RNN with its readout: trained in torch, and given to and taken from plain arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from neurocircuit.cells.ctrnn import DaleLinear, Parametrisation, RateEquation, rate_loop
from neurocircuit.circuits.ei import RateForm, RateNetwork, activation_function, check_dale, state_name
from neurocircuit.circuits.perturbation import Lesion, Perturbation, Pulse, active_steps, chosen_units
from neurocircuit.connectivity import DaleWeights, WeightDistribution, dale_weights

__all__ = ["CTRNN", "CTRNNSettings", "NoiseScaling", "RateTrajectory", "parameter_table", "run_network"]

NoiseScaling = Literal["sde", "tutorial"]
ReadoutFrom = Literal["excitatory", "all"]

#: Parameters that can be given, frozen or trained.
PARAMETERS = ("input_weights", "input_bias", "weights", "bias", "output_weights", "output_bias", "start")


@dataclass(frozen=True, kw_only=True)
class CTRNNSettings:
    """What a continuous-time RNN is; sizes and constants by default those of the field's tutorial.

    Raises
    ------
    ValueError
        If a value is not allowed, or the step is greater than a time constant.
    """

    n_inputs: int
    """Number of inputs."""
    n_outputs: int
    """Number of outputs."""
    n_units: int = 200
    """Number of units; excitatory ones first."""
    form: RateForm = "current"
    """current or rate; see `neurocircuit.circuits.ei_system`."""
    activation: str = "sigmoid"
    """sigmoid, relu, tanh, softplus, or a registered function."""
    tau: float | tuple[float, ...] = 20.0
    """Time constant in ms: of all units, of excitatory and inhibitory ones, or of each."""
    step: float = 1.0
    """Euler step in ms, at most the smallest time constant."""
    dale: bool = True
    """Whether every unit is excitatory or inhibitory."""
    p_inh: float = 0.2
    """Fraction of inhibitory units, with Dale's law."""
    p_rec: float = 0.2
    """Probability of a recurrent connection."""
    autapses: bool = False
    """Whether a unit may connect to itself."""
    distribution: WeightDistribution = "gaussian"
    """gaussian, gamma or lognormal sizes of the first weights."""
    gain: float = 1.5
    """Scale of the first weights, and their spectral radius if balanced."""
    balance: bool = True
    """Whether inhibition balances excitation at first; see `neurocircuit.connectivity.dale_weights`."""
    spectral_radius: float | None = None
    """Spectral radius of the first weights instead."""
    parametrisation: Parametrisation = "abs"
    """abs, softplus or relu: from the trained number to the size of a weight."""
    readout: ReadoutFrom = "excitatory"
    """excitatory (if there are such units) or all: which rates are read out."""
    noise: float = 0.01
    """Standard deviation of the noise of the states."""
    rate_noise: float = 0.01
    """Standard deviation of the noise of the rates."""
    noise_scaling: NoiseScaling = "sde"
    """sde: what the noise does to the state does not depend on the step. tutorial: ``alpha*noise`` is added to the
    state, and ``rate_noise`` to the rate, at every step."""
    trainable: tuple[str, ...] = ("weights", "output_weights", "output_bias")
    """Trained parameters; the others are fixed. All of them: input_weights, input_bias, weights, bias, output_weights,
    output_bias, start."""

    def __post_init__(self) -> None:
        for name in ("n_inputs", "n_outputs", "n_units"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"`{name}` is {value!r}; it must be a whole number of at least 1.")
        state_name(self.form)
        activation_function(self.activation)
        for name, allowed in (("noise_scaling", NoiseScaling), ("readout", ReadoutFrom)):
            if getattr(self, name) not in get_args(allowed):
                raise ValueError(
                    f"`{name}` is {getattr(self, name)!r}; it must be one of {', '.join(get_args(allowed))}."
                )
        for name in ("noise", "rate_noise"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"`{name}` is {value!r}; it must be a number of at least 0.")
        # A setting that comes back from a JSON file is a list.
        object.__setattr__(self, "trainable", tuple(self.trainable))
        if isinstance(self.tau, Sequence):
            object.__setattr__(self, "tau", tuple(self.tau))
        unknown = set(self.trainable) - set(PARAMETERS)
        if unknown:
            raise ValueError(f"`trainable` has {sorted(unknown)}; the parameters are {', '.join(PARAMETERS)}.")
        taus = np.asarray(self.tau, dtype=float)
        if not (np.isfinite(taus).all() and taus.min() > 0):
            raise ValueError(f"`tau` is {self.tau!r}; every time constant must be a positive number of ms.")
        if not (math.isfinite(self.step) and 0 < self.step <= taus.min()):
            raise ValueError(
                f"`step` is {self.step!r} ms and the smallest `tau` {taus.min():g} ms; the step must be greater than 0 "
                "and at most the smallest time constant."
            )

    def time_constants(self, excitatory: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.float64]:
        """Return the time constant of every unit in ms.

        Raises
        ------
        ValueError
            If `tau` has neither one value, one a population, nor one a unit.
        """
        taus = np.asarray(self.tau, dtype=float)
        if taus.ndim == 1 and taus.size == 2 and self.n_units != 2:
            if excitatory is None:
                raise ValueError("`tau` has a value for each population, but without Dale's law there are none.")
            return np.where(excitatory, taus[0], taus[1])
        if taus.ndim and taus.size != self.n_units:
            raise ValueError(
                f"`tau` has {taus.size} values; it must have 1, 2 (populations) or {self.n_units} (units)."
            )
        return np.broadcast_to(taus, self.n_units).copy()


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
        If a given array has another shape, is not finite or breaks Dale's law.

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
        first = _draw_recurrent(settings, rng) if recurrent is None else recurrent
        arrays = _first_values(settings, first, rng) | _checked(settings, given or {})
        if "weights" in (given or {}):
            first = _with_weights(first, arrays["weights"])
        self.excitatory = first.excitatory
        self.recurrent = DaleLinear(first, settings.parametrisation)
        self.recurrent.raw.requires_grad_("weights" in settings.trainable)
        for name in PARAMETERS:
            if name != "weights":
                value = torch.as_tensor(arrays[name], dtype=torch.get_default_dtype())
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
            self.register_buffer(name, torch.as_tensor(np.asarray(buffer), dtype=torch.get_default_dtype()))

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
        _check_inputs(inputs, self.settings.n_inputs)
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
        return _run(equation, self.recurrent(), drive, self.start, readout, normals, perturbations)

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
            Settings that the arrays do not say, such as ``trainable`` or ``parametrisation``.

        Raises
        ------
        ValueError
            If the noise differs between units.
        """
        for name in ("noise", "rate_noise"):
            if np.ptp(getattr(network, name)):
                raise ValueError(f"`{name}` of the network differs between units; a CTRNN has one for all.")
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
            **{"readout": "all", **changes},
        )
        names = ("input_weights", "bias", "output_weights", "output_bias", "start")
        recurrent = DaleWeights(network.weights, network.weights != 0, network.excitatory)
        return cls(settings, given={name: getattr(network, name) for name in names}, recurrent=recurrent)


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
    ValueError
        If inputs or noise do not fit or are not finite.
    """
    given = torch.as_tensor(np.array(inputs, dtype=np.float64))
    _check_inputs(given, network.n_inputs)

    def tensor(value: Any) -> Tensor:
        return torch.as_tensor(np.array(value), dtype=dtype)

    trials, steps = given.shape[:2]
    shapes = [(steps + extra, trials, network.n_units) for extra in (0, 1)]
    normals: list[Tensor | None] = [None, None]
    if noise_values is not None:
        normals = [_time_first(value, shape, dtype) for value, shape in zip(noise_values, shapes, strict=True)]
    elif noise:
        generator = torch.Generator().manual_seed(seed)
        normals = [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]
    constants = (tensor(network.tau), network.step, tensor(network.noise), tensor(network.rate_noise))
    equation = RateEquation(network.form, network.activation, *constants)
    drive = tensor(network.drive(given.numpy())).transpose(0, 1)
    readout = (tensor(network.output_weights), tensor(network.output_bias))
    with torch.no_grad():
        states, rates, outputs = _run(
            equation, tensor(network.weights), drive, tensor(network.start), readout, normals, perturbations
        )
    return RateTrajectory(torch.stack(states, 1).numpy(), torch.stack(rates, 1).numpy(), outputs.numpy())


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


def _run(
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


def _draw_recurrent(settings: CTRNNSettings, rng: np.random.Generator) -> DaleWeights:
    return dale_weights(
        settings.n_units,
        rng,
        p_inh=settings.p_inh if settings.dale else None,
        p_rec=settings.p_rec,
        distribution=settings.distribution,
        gain=settings.gain,
        balance=settings.balance and settings.dale,
        radius=settings.spectral_radius,
        autapses=settings.autapses,
    )


def _first_values(settings: CTRNNSettings, recurrent: DaleWeights, rng: np.random.Generator) -> dict[str, Any]:
    units = settings.n_units
    bound = 1 / math.sqrt(units)
    return {
        "input_weights": rng.standard_normal((units, settings.n_inputs)),
        "input_bias": np.zeros(units),
        "weights": recurrent.weights,
        "bias": np.zeros(units),
        "output_weights": rng.uniform(-bound, bound, (settings.n_outputs, units)),
        "output_bias": np.zeros(settings.n_outputs),
        "start": np.zeros(units),
    }


def _checked(settings: CTRNNSettings, given: Mapping[str, npt.ArrayLike]) -> dict[str, npt.NDArray[np.float64]]:
    units = settings.n_units
    shapes = {
        "input_weights": (units, settings.n_inputs),
        "input_bias": (units,),
        "weights": (units, units),
        "bias": (units,),
        "output_weights": (settings.n_outputs, units),
        "output_bias": (settings.n_outputs,),
        "start": (units,),
    }
    found = {}
    for name, value in given.items():
        if name not in shapes:
            raise ValueError(f"`given` has {name!r}; the parameters are {', '.join(PARAMETERS)}.")
        array = np.asarray(value, dtype=np.float64)
        if array.shape != shapes[name]:
            raise ValueError(f"`{name}` has the shape {array.shape}; this network needs {shapes[name]}.")
        if not np.isfinite(array).all():
            raise ValueError(f"`{name}` has NaN or infinite values; all must be finite.")
        found[name] = array
    return found


def _with_weights(first: DaleWeights, weights: npt.NDArray[np.float64]) -> DaleWeights:
    """Return given weights with the drawn kinds of units; their connections are those that are not zero."""
    if first.excitatory is not None:
        check_dale(weights, first.excitatory)
    return DaleWeights(weights, weights != 0, first.excitatory)


def _check_inputs(inputs: Tensor, n_inputs: int) -> None:
    if inputs.ndim != 3 or inputs.shape[2] != n_inputs or 0 in inputs.shape:
        raise ValueError(
            f"`inputs` has the shape {tuple(inputs.shape)}; this network needs (trial, time, {n_inputs}). Do the task "
            "and the network belong together?"
        )
    if not inputs.isfinite().all():
        raise ValueError("`inputs` has NaN or infinite values; all must be finite.")


def _time_first(value: Any, shape: tuple[int, int, int], dtype: torch.dtype) -> Tensor | None:
    if value is None:
        return None
    tensor = torch.as_tensor(np.array(value), dtype=dtype)
    if tensor.ndim != 3 or tensor.transpose(0, 1).shape != shape or not tensor.isfinite().all():
        wanted = (shape[1], shape[0], shape[2])
        raise ValueError(f"`noise_values` has the shape {tuple(tensor.shape)}; it must be finite numbers, {wanted}.")
    return tensor.transpose(0, 1)
