"""Rate networks of excitatory and inhibitory units: the equation of a unit in its two forms.

Both forms describe unit ``i`` of a continuous-time recurrent network. In the *current form* the state is the synaptic
current ``x`` and the firing rate is ``phi(x)``; in the *rate form* the state is the rate ``r`` itself. For units of one
time constant and a constant input they have the same fixed points. Under Dale's law every outgoing weight of a unit has
one sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, get_args

import brian2

from neurocircuit.equations import FUNCTIONS, OdeSystem, Symbol

__all__ = ["ACTIVATIONS", "RateForm", "activation_function", "ei_system", "state_name"]

RateForm = Literal["current", "rate"]

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
