"""Torch functions generated from an equation's text: the right-hand side, and one step of a Brian2 scheme.

Brian2's explicit state updaters turn equations into plain Python statements. Those statements are executed here over
torch tensors, so the step trained by gradient descent is the step that Brian2 simulates, not a second copy of it.
Times are counted in ms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import brian2
import torch
from brian2.parsing.rendering import NumpyNodeRenderer
from brian2.stateupdaters.base import UnsupportedEquationsException

from neurocircuit.equations.functions import FUNCTIONS
from neurocircuit.equations.system import OdeSystem

__all__ = ["METHODS", "Derivative", "Step", "compile_rhs", "compile_step", "step_text"]

#: Brian2 state updaters whose text can be executed over tensors.
METHODS = {
    "euler": brian2.euler,
    "rk2": brian2.rk2,
    "rk4": brian2.rk4,
    "heun": brian2.heun,
    "exponential_euler": brian2.exponential_euler,
}

Values = Mapping[str, torch.Tensor]
Derivative = Callable[[Values], dict[str, torch.Tensor]]
Step = Callable[..., dict[str, torch.Tensor]]

# What Brian2's renderer writes for "and", "or", "not".
_LOGIC: dict[str, object] = {
    "logical_and": torch.logical_and,
    "logical_or": torch.logical_or,
    "logical_not": torch.logical_not,
}
_NOISE = "_noise_{}"


def _namespace() -> dict[str, object]:
    """Return what every compiled text may call; some schemes call more than the equations do."""
    return {**_LOGIC, **{name: function.torch for name, function in FUNCTIONS.items()}}


def compile_rhs(system: OdeSystem) -> Derivative:
    """Compile the right-hand side of a system as a pure torch function.

    Parameters
    ----------
    system : OdeSystem
        The equations; must have no noise term.

    Returns
    -------
    callable
        ``rhs(values) -> derivatives``: `values` maps every state, input, pool and parameter to a tensor (any
        broadcastable shapes, parameters as tensors too, times in ms); the result maps every state to its
        derivative per ms. Differentiable.

    Raises
    ------
    ValueError
        If the system has a noise term, which has no derivative.
    """
    if system.odes.stochastic_variables:
        raise ValueError(f"`system` {system.name} has a noise term, so it has no right-hand side; use compile_step.")
    renderer = NumpyNodeRenderer()
    codes = {
        state: compile(renderer.render_expr(text), f"<d{state}/dt of {system.name}>", "eval")
        for state, text in system.expressions().items()
    }

    functions = _namespace()

    def rhs(values: Values) -> dict[str, torch.Tensor]:
        namespace = {**functions, **values}
        return {state: eval(code, namespace) for state, code in codes.items()}

    return rhs


def compile_step(system: OdeSystem, method: str = "euler") -> Step:
    """Compile one step of a Brian2 integration scheme as a pure torch function.

    Inputs and pools are held constant within the step, as in Brian2. For a circuit with pools only ``"euler"``
    therefore keeps its nominal order; the other schemes are first order in the pooled terms.

    Parameters
    ----------
    system : OdeSystem
        The equations.
    method : str
        A key of `METHODS`.

    Returns
    -------
    callable
        ``step(values, dt, noise=None) -> states``: `values` as for `compile_rhs`, `dt` a tensor in ms, `noise` a
        mapping from each stochastic variable (such as ``xi``) to standard-normal numbers. Differentiable.

    Raises
    ------
    ValueError
        If the method is unknown or does not fit the equations.
    """
    code = compile(step_text(system, method), f"<{method} step of {system.name}>", "exec")
    noise_names = sorted(system.odes.stochastic_variables)

    functions = _namespace()

    def step(values: Values, dt: torch.Tensor, noise: Values | None = None) -> dict[str, torch.Tensor]:
        given = sorted(noise or {})
        if given != noise_names:
            raise ValueError(f"`noise` has {given}; {system.name} needs standard-normal numbers for {noise_names}.")
        namespace = {**functions, **values, "dt": dt}
        namespace.update({_NOISE.format(name): value for name, value in (noise or {}).items()})
        exec(code, namespace)
        return {state: cast(torch.Tensor, namespace[state]) for state in system.states}

    return step


def step_text(system: OdeSystem, method: str = "euler") -> str:
    """Return the statements of one step, as Brian2's state updater writes them, ready for Python."""
    if method not in METHODS:
        raise ValueError(f"`method` is {method!r}; it must be one of {', '.join(METHODS)}.")
    try:
        abstract = METHODS[method](system.odes)
    except UnsupportedEquationsException as error:
        raise ValueError(f"`method` is {method!r}, which cannot integrate {system.name}: {error}") from error
    for name in system.odes.stochastic_variables:
        # Brian2 draws the noise itself; a pure step is handed it.
        abstract = abstract.replace(f"{name} = dt**.5 * randn()", f"{name} = dt**.5 * {_NOISE.format(name)}")
    renderer = NumpyNodeRenderer()
    statements = (line.split(" = ", 1) for line in abstract.strip().splitlines())
    return "\n".join(f"{target} = {renderer.render_expr(expression)}" for target, expression in statements)
