"""A rate network as plain arrays, trained or made by hand: checked, run by others, saved and loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from neurocircuit.circuits.ei import RateForm, activation_function, ei_system, state_name
from neurocircuit.connectivity.dale import check_dale
from neurocircuit.equations import FUNCTIONS, OdeSystem
from neurocircuit.files import atomic

__all__ = ["RateNetwork"]

Array = npt.NDArray[np.float64]

#: Fields that are saved as text.
_TEXTS = ("form", "activation", "step", "input_names", "output_names")


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
    bias: Array = None  # type: ignore[assignment]
    output_bias: Array = None  # type: ignore[assignment]
    excitatory: npt.NDArray[np.bool_] | None = None
    form: RateForm = "current"
    activation: str = "sigmoid"
    start: Array = None  # type: ignore[assignment]
    noise: Array = None  # type: ignore[assignment]
    rate_noise: Array = None  # type: ignore[assignment]
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
            self._set("excitatory", _mask("excitatory", self.excitatory))
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

    def check_inputs(self, inputs: npt.ArrayLike) -> Array:
        """Return inputs of trials, (trial, time, input), as float64.

        Raises
        ------
        ValueError
            If they have another shape, no trial or no step, or are not finite.
        """
        given = _array("inputs", inputs)
        if given.ndim != 3 or 0 in given.shape or given.shape[2] != self.n_inputs:
            raise ValueError(
                f"`inputs` has the shape {given.shape}; this network needs (trial, time, {self.n_inputs}). Do the task "
                "and the network belong together?"
            )
        return given

    def rates(self, states: npt.ArrayLike) -> Array:
        """Return the firing rates, without noise, of states."""
        given = _array("states", states)
        if self.form == "rate":
            return given
        return np.asarray(FUNCTIONS[activation_function(self.activation)].numpy(given))

    def readout(self, rates: npt.ArrayLike) -> Array:
        """Return the outputs, (..., output), of rates, (..., unit)."""
        return _array("rates", rates) @ self.output_weights.T + self.output_bias

    def replace(self, **changes: Any) -> RateNetwork:
        """Return the network with some fields changed."""
        return replace(self, **changes)

    def save(self, path: str | Path) -> Path:
        """Write the network to a safetensors file, atomically, and return its path."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if isinstance(getattr(self, f.name), np.ndarray)}
        texts = {name: getattr(self, name) for name in _TEXTS}
        # Under one key: safetensors writes several in a random order, and equal networks should be equal files.
        metadata = {"network": json.dumps(texts)}
        with atomic(path) as partial:
            save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, partial, metadata=metadata)
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
                texts = json.loads((file.metadata() or {})["network"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
            return cls(**arrays, **{name: texts[name] for name in _TEXTS})
        except (SafetensorError, KeyError, TypeError) as error:
            raise ValueError(f"'{path}' is not a network saved with RateNetwork.save: {error}") from error


def _array(name: str, value: Any, dimensions: int | None = None) -> Array:
    try:
        # A copy: what was checked stays as it was when the caller's array changes.
        array = np.array(value, dtype=np.float64)
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


def _mask(name: str, value: Any) -> npt.NDArray[np.bool_]:
    array = np.array(value)
    if array.dtype != bool and not np.isin(array, (0, 1)).all():
        raise ValueError(f"`{name}` is {value!r}; it must hold True and False.")
    return array.astype(bool)


def _names(argument: str, names: tuple[str, ...], prefix: str, size: int) -> tuple[str, ...]:
    found = tuple(names) or tuple(f"{prefix}{place}" for place in range(size))
    if len(found) != size:
        raise ValueError(f"`{argument}` has {len(found)} names; the network needs {size}.")
    return found
