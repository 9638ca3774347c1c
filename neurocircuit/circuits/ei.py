"""Rate networks of excitatory and inhibitory units: the equation in its two forms, and a network as plain arrays.

Both forms describe unit ``i`` of a continuous-time recurrent network. In the *current form* the state is the synaptic
current ``x`` and the firing rate is ``phi(x)``; in the *rate form* the state is the rate ``r`` itself. For units of one
time constant and a constant input they have the same fixed points. Under Dale's law every outgoing weight of a unit has
one sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

import brian2
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from neurocircuit.equations import FUNCTIONS, OdeSystem, Symbol
from neurocircuit.files import atomic

__all__ = ["ACTIVATIONS", "RateForm", "RateNetwork", "activation_function", "ei_system", "state_name"]

RateForm = Literal["current", "rate"]
Array = npt.NDArray[np.float64]

#: Usual names of activations, and the names of their functions in `neurocircuit.equations.FUNCTIONS`.
ACTIVATIONS: Mapping[str, str] = MappingProxyType(
    {"sigmoid": "sigmoid", "relu": "rectify", "tanh": "tanh", "softplus": "softplus"}
)

_TEXT: dict[str, str] = {
    "current": "dx/dt = (-x + rec + drive)/tau{noise} : 1",
    "rate": "dr/dt = (-r + {phi}(rec + drive))/tau{noise} : 1",
}
# White noise whose stationary standard deviation, without recurrence, is sigma whatever the step.
_NOISE = " + sigma*sqrt(2/tau)*xi"
_STATES = {
    "current": Symbol("x", "state", "x", "synaptic current of a unit; its rate is an activation function of it"),
    "rate": Symbol("r", "state", "r", "firing rate of a unit"),
}
_SIGMA = Symbol("sigma", "constant", r"\sigma", "standard deviation of the state's private noise")
_SYMBOLS = (
    Symbol("rec", "pool", r"\sum_j W_{ij} r_j", "recurrent current"),
    Symbol("drive", "input", "u", "external current: weighted inputs and bias"),
    Symbol("tau", "constant", r"\tau", "time constant of a unit", unit=brian2.second),
)


def activation_function(name: str) -> str:
    """Return the name, in `neurocircuit.equations.FUNCTIONS`, of an activation.

    Raises
    ------
    ValueError
        If there is no such function, or it does not take one argument.
    """
    function = ACTIVATIONS.get(name, name)
    if function not in FUNCTIONS or FUNCTIONS[function].latex.count("{}") != 1:
        raise ValueError(
            f"`activation` is {name!r}; it must be {', '.join(ACTIVATIONS)} or a function of one argument added with "
            "neurocircuit.equations.register_function."
        )
    return function


def state_name(form: str) -> str:
    """Return the name of the state variable of a form: ``x`` (current) or ``r`` (rate).

    Raises
    ------
    ValueError
        If there is no such form.
    """
    if form not in get_args(RateForm):
        raise ValueError(f"`form` is {form!r}; it must be one of {', '.join(get_args(RateForm))}.")
    return _STATES[form].name


@lru_cache
def ei_system(form: str = "current", activation: str = "sigmoid", noise: bool = False) -> OdeSystem:
    """Return the equation of one unit.

    Parameters
    ----------
    form : {"current", "rate"}
        Whether the state is the synaptic current or the firing rate.
    activation : str
        A key of `ACTIVATIONS`, or a registered function; stands in the equation of the rate form only.
    noise : bool
        Whether the state has private white noise, of standard deviation ``sigma``.

    Raises
    ------
    ValueError
        If the form or the activation is unknown.
    """
    state_name(form)
    text = _TEXT[form].format(phi=activation_function(activation), noise=_NOISE if noise else "")
    return OdeSystem(f"ei_{form}", text, (_STATES[form], *_SYMBOLS, *([_SIGMA] if noise else [])))


def _zeros() -> Any:
    return field(default=None)


@dataclass(frozen=True, kw_only=True, eq=False)
class RateNetwork:
    """A recurrent rate network as plain float64 arrays: trained, or made by hand.

    Parameters
    ----------
    weights : (unit, unit) array
        Signed recurrent weights, ``weights[post, pre]``.
    input_weights : (unit, input) array
        Weights of the inputs.
    output_weights : (output, unit) array
        Weights of the linear readout of the rates.
    tau : float or (unit,) array
        Time constants in ms.
    step : float
        Euler step in ms with which the network was trained; at most the smallest time constant.
    bias : (unit,) array, optional
        Constant current.
    output_bias : (output,) array, optional
        Constant of the readout.
    excitatory : (unit,) array of bool, optional
        Which units are excitatory; the others are inhibitory. None: no Dale's law.
    form : {"current", "rate"}
        See `ei_system`.
    activation : str
        See `ei_system`.
    start : (unit,) array, optional
        State before the first step, zero by default.
    noise, rate_noise : float or (unit,) array, optional
        Standard deviation of the private noise of the state, and of noise added to the rate. Both scale with the step
        such that what they do to the state does not depend on it: ``sqrt(2 step/tau)`` and ``sqrt(2 tau/step)`` times
        a standard-normal number a step.
    input_names, output_names : tuple of str, optional
        Names of the inputs and outputs.

    Raises
    ------
    ValueError
        If shapes do not fit together, a value is not finite, a time constant or the step is not positive, the step is
        greater than a time constant, or a weight breaks Dale's law.

    Examples
    --------
    >>> network = RateNetwork(weights=[[0.0, -2.0], [1.0, 0.0]], input_weights=[[1.0], [0.0]],
    ...                       output_weights=[[1.0, 0.0]], tau=20.0, step=1.0, excitatory=[True, False])
    >>> network.alpha
    array([0.05, 0.05])
    """

    weights: Array
    input_weights: Array
    output_weights: Array
    tau: Array
    step: float
    bias: Array = _zeros()
    output_bias: Array = _zeros()
    excitatory: npt.NDArray[np.bool_] | None = None
    form: RateForm = "current"
    activation: str = "sigmoid"
    start: Array = _zeros()
    noise: Array = _zeros()
    rate_noise: Array = _zeros()
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        state_name(self.form)
        activation_function(self.activation)
        self._set("weights", _array("weights", self.weights, 2))
        units = len(self.weights)
        if self.weights.shape != (units, units) or not units:
            raise ValueError(f"`weights` has the shape {self.weights.shape}; it must be (unit, unit).")
        self._set("input_weights", _array("input_weights", self.input_weights, 2))
        self._set("output_weights", _array("output_weights", self.output_weights, 2))
        self._set("output_bias", _filled("output_bias", self.output_bias, len(self.output_weights)))
        for name in ("tau", "bias", "start", "noise", "rate_noise"):
            self._set(name, _filled(name, getattr(self, name), units))
        for name, found in (
            ("input_weights", len(self.input_weights)),
            ("output_weights", self.output_weights.shape[1]),
        ):
            if found != units:
                raise ValueError(f"`{name}` is for {found} units; `weights` is for {units}.")
        self._set("input_names", _names("input_names", self.input_names, "in", self.n_inputs))
        self._set("output_names", _names("output_names", self.output_names, "out", self.n_outputs))
        self._check_times()
        if self.excitatory is not None:
            self._set("excitatory", np.asarray(self.excitatory, dtype=bool))
            check_dale(self.weights, self.excitatory)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _check_times(self) -> None:
        for name in ("noise", "rate_noise"):
            if getattr(self, name).min() < 0:
                raise ValueError(f"`{name}` is {getattr(self, name).min():g} for a unit; it must be at least 0.")
        if not self.tau.min() > 0:
            raise ValueError(f"`tau` is {self.tau.min():g} ms for a unit; it must be greater than 0.")
        if not (np.isfinite(self.step) and self.step > 0):
            raise ValueError(f"`step` is {self.step!r}; it must be a positive number of ms.")
        if self.step > self.tau.min():
            raise ValueError(
                f"`step` is {self.step:g} ms but a unit has `tau` {self.tau.min():g} ms; Euler's step must be at most "
                "the smallest time constant. Use a smaller `step`."
            )

    @property
    def n_units(self) -> int:
        """Number of units."""
        return len(self.weights)

    @property
    def n_inputs(self) -> int:
        """Number of inputs."""
        return int(self.input_weights.shape[1])

    @property
    def n_outputs(self) -> int:
        """Number of outputs."""
        return len(self.output_weights)

    @property
    def alpha(self) -> Array:
        """Euler's step in units of each time constant, (unit,)."""
        return np.asarray(self.step / self.tau)

    @property
    def state(self) -> str:
        """Name of the state: ``x`` (current form) or ``r`` (rate form)."""
        return state_name(self.form)

    def system(self, noise: bool = False) -> OdeSystem:
        """Return the equation of one unit."""
        return ei_system(self.form, self.activation, noise)

    def drive(self, inputs: npt.ArrayLike) -> Array:
        """Return the external current, (..., unit), of inputs, (..., input)."""
        return _array("inputs", inputs) @ self.input_weights.T + self.bias

    def rates(self, states: npt.ArrayLike) -> Array:
        """Return the firing rates, without noise, of states."""
        if self.form == "rate":
            return np.asarray(states, dtype=np.float64)
        return np.asarray(FUNCTIONS[activation_function(self.activation)].numpy(np.asarray(states, dtype=np.float64)))

    def readout(self, rates: npt.ArrayLike) -> Array:
        """Return the outputs, (..., output), of rates, (..., unit)."""
        return np.asarray(rates, dtype=np.float64) @ self.output_weights.T + self.output_bias

    def replace(self, **changes: Any) -> RateNetwork:
        """Return the network with some fields changed."""
        return replace(self, **changes)

    def save(self, path: str | Path) -> Path:
        """Write the network to a safetensors file, atomically, and return its path."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if isinstance(getattr(self, f.name), np.ndarray)}
        texts = {
            "form": self.form,
            "activation": self.activation,
            "step": repr(float(self.step)),
            "input_names": "\n".join(self.input_names),
            "output_names": "\n".join(self.output_names),
        }
        with atomic(path) as partial:
            save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, partial, metadata=texts)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> RateNetwork:
        """Read a network that `save` wrote.

        Raises
        ------
        ValueError
            If the file is no such network, or its weights break Dale's law.
        FileNotFoundError
            If there is no such file.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"There is no file '{path}'; give the path of a network saved with RateNetwork.save."
            )
        try:
            with safe_open(path, framework="numpy") as file:
                texts = dict(file.metadata() or {})
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
            names = {name: tuple(texts.pop(name).split("\n")) for name in ("input_names", "output_names")}
            found: dict[str, Any] = {**arrays, **names, **texts, "step": float(texts["step"])}
            return cls(**found)
        except (SafetensorError, KeyError, TypeError) as error:
            raise ValueError(f"'{path}' is not a network saved with RateNetwork.save: {error}") from error


def check_dale(weights: Array, excitatory: npt.NDArray[np.bool_]) -> None:
    """Raise ValueError if an outgoing weight has the wrong sign, ``weights[post, pre]``."""
    if excitatory.shape != weights.shape[1:]:
        raise ValueError(f"`excitatory` has the shape {excitatory.shape}; it must be ({weights.shape[1]},).")
    wrong = np.where(excitatory, weights < 0, weights > 0)
    if wrong.any():
        post, pre = np.argwhere(wrong)[0]
        kind = "excitatory" if excitatory[pre] else "inhibitory"
        raise ValueError(
            f"`weights` breaks Dale's law at {int(wrong.sum())} places: weights[{post}, {pre}] is "
            f"{weights[post, pre]:g}, but unit {pre} is {kind}. Check the signs and that rows are postsynaptic, or set "
            "`excitatory` to None."
        )


def _array(name: str, value: Any, dimensions: int | None = None) -> Array:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"`{name}` is not an array of real numbers: {error}.") from error
    if dimensions is not None and array.ndim != dimensions:
        raise ValueError(f"`{name}` has the shape {array.shape}; it must have {dimensions} axes.")
    if not np.isfinite(array).all():
        raise ValueError(f"`{name}` has NaN or infinite values; all must be finite.")
    return array


def _filled(name: str, value: Any, size: int) -> Array:
    """Return one value for each of `size` places; None is zero."""
    array = _array(name, 0.0 if value is None else value)
    if array.shape not in ((), (size,)):
        raise ValueError(f"`{name}` has the shape {array.shape}; it must be one number or ({size},).")
    return np.broadcast_to(array, size).copy()


def _names(argument: str, names: tuple[str, ...], prefix: str, size: int) -> tuple[str, ...]:
    found = tuple(names) or tuple(f"{prefix}{place}" for place in range(size))
    if len(found) != size:
        raise ValueError(f"`{argument}` has {len(found)} names; the network needs {size}.")
    return found
