"""What a continuous-time RNN is: its settings, checked, and the first values of its parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from neurocircuit.cells.ctrnn import Parametrisation
from neurocircuit.checks import check_whole
from neurocircuit.circuits.ei import RateForm, activation_function, state_name
from neurocircuit.connectivity import DaleWeights, WeightDistribution, dale_weights

__all__ = [
    "PARAMETERS",
    "CTRNNSettings",
    "NoiseScaling",
    "check_given",
    "draw_recurrent",
    "first_values",
    "with_weights",
]

NoiseScaling = Literal["sde", "tutorial"]
ReadoutFrom = Literal["excitatory", "all"]

#: Parameters that can be given, frozen or trained.
PARAMETERS = ("input_weights", "input_bias", "weights", "bias", "output_weights", "output_bias", "start")


@dataclass(frozen=True, kw_only=True)
class CTRNNSettings:
    """What a continuous-time RNN is; sizes and constants by default those of the field's tutorial.

    Raises
    ------
    TypeError, ValueError
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
            # Python's int, because the settings are kept as JSON.
            object.__setattr__(self, name, check_whole(name, getattr(self, name)))
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
        if not isinstance(self.tau, int | float):
            object.__setattr__(self, "tau", tuple(np.asarray(self.tau, dtype=float).ravel().tolist()))
        unknown = set(self.trainable) - set(PARAMETERS)
        if unknown:
            raise ValueError(f"`trainable` has {sorted(unknown)}; the parameters are {', '.join(PARAMETERS)}.")
        taus = np.asarray(self.tau, dtype=float)
        if not (taus.size and np.isfinite(taus).all() and taus.min() > 0):
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


def draw_recurrent(settings: CTRNNSettings, rng: np.random.Generator) -> DaleWeights:
    """Draw the recurrent weights that the settings describe."""
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


def first_values(settings: CTRNNSettings, recurrent: DaleWeights, rng: np.random.Generator) -> dict[str, Any]:
    """Return the first value of every parameter by name."""
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


def check_given(settings: CTRNNSettings, given: Mapping[str, npt.ArrayLike]) -> dict[str, npt.NDArray[np.float64]]:
    """Return given values of parameters as arrays, or say why they do not fit."""
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


def with_weights(first: DaleWeights, weights: npt.NDArray[np.float64]) -> DaleWeights:
    """Return given weights with the drawn kinds of units; their connections are those that are not zero."""
    return DaleWeights(weights, weights != 0, first.excitatory)
