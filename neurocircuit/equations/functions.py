"""The functions an equation may call, each in every language a circuit is executed or printed in.

`rectify` and any other function Brian2 does not know is written here for all of its targets and for torch;
the elementary functions Brian2 already translates (`exp`, `tanh`, ...) need only the torch and LaTeX forms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import brian2
import numpy as np
import torch
from scipy.special import expit
from torch.nn.functional import softplus

__all__ = ["FUNCTIONS", "CircuitFunction", "register_function"]


@dataclass(frozen=True, kw_only=True)
class CircuitFunction:
    """One elementwise function of one or more dimensionless arguments, in every form the library needs.

    Parameters
    ----------
    name : str
        Name used in equation text.
    meaning : str
        One line for the documentation.
    torch : callable
        Tensors to tensor; must propagate NaN.
    latex : str
        Format string with one ``{}`` per argument.
    numpy : callable
        Arrays to array; for Brian2's numpy target and for independent checks.
    cpp, cuda, cython : str or None
        Source of a function of that name. None: Brian2 (and brian2cuda) translate the name themselves.
    """

    name: str
    meaning: str
    torch: Callable[..., torch.Tensor]
    latex: str
    numpy: Callable[..., Any]
    cpp: str | None = None
    cuda: str | None = None
    cython: str | None = None

    @property
    def known_to_brian(self) -> bool:
        """Whether Brian2 ships this function, so that no source of ours is used."""
        return self.name in brian2.DEFAULT_FUNCTIONS

    def brian(self) -> Any:
        """Return the Brian2 ``Function`` with an implementation for every target."""
        if self.known_to_brian:
            return brian2.DEFAULT_FUNCTIONS[self.name]
        function = brian2.Function(self.numpy, arg_units=[1] * self.latex.count("{}"), return_unit=1)
        for target in ("numpy", "cython", "cpp", "cuda"):
            function.implementations.add_implementation(target, getattr(self, target))
        return function


# NaN must come out as NaN on every target (fmax and std::max would turn it into 0), hence "x < 0 ? 0 : x".
_RECTIFY_C = """
static inline double rectify(double x)
{
    return x < 0 ? 0 : x;
}
"""
_RECTIFY_CUDA = """
__host__ __device__ static inline double rectify(double x)
{
    return x < 0 ? 0 : x;
}
"""
_RECTIFY_CYTHON = """
cdef double rectify(double x):
    return 0.0 if x < 0 else x
"""

# Both forms keep the exponential from overflowing; NaN comes out as NaN.
_SIGMOID_C = """
static inline double sigmoid(double x)
{
    return x < 0 ? exp(x) / (1.0 + exp(x)) : 1.0 / (1.0 + exp(-x));
}
"""
_SIGMOID_CYTHON = """
from libc.math cimport exp as _sigmoid_exp
cdef double sigmoid(double x):
    return _sigmoid_exp(x) / (1.0 + _sigmoid_exp(x)) if x < 0 else 1.0 / (1.0 + _sigmoid_exp(-x))
"""
_SOFTPLUS_C = """
static inline double softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}
"""
_SOFTPLUS_CYTHON = """
from libc.math cimport exp as _softplus_exp, log1p as _softplus_log1p
cdef double softplus(double x):
    return x + _softplus_log1p(_softplus_exp(-x)) if x > 0 else _softplus_log1p(_softplus_exp(x))
"""
_ON_DEVICE = "__host__ __device__ static inline"


def _elementary(name: str, meaning: str, latex: str, torch_name: str | None = None) -> CircuitFunction:
    function = getattr(torch, torch_name or name)
    return CircuitFunction(name=name, meaning=meaning, torch=function, latex=latex, numpy=getattr(np, name))


_ALL = (
    CircuitFunction(
        name="rectify",
        meaning="half-wave rectification, max(x, 0)",
        torch=torch.relu,
        latex=r"\left[{}\right]_+",
        numpy=lambda x: np.maximum(x, 0.0),
        cpp=_RECTIFY_C,
        cuda=_RECTIFY_CUDA,
        cython=_RECTIFY_CYTHON,
    ),
    CircuitFunction(
        name="sigmoid",
        meaning="logistic function, 1/(1 + exp(-x))",
        torch=torch.sigmoid,
        latex=r"\operatorname{{sigmoid}}\left({}\right)",
        numpy=expit,
        cpp=_SIGMOID_C,
        cuda=_SIGMOID_C.replace("static inline", _ON_DEVICE),
        cython=_SIGMOID_CYTHON,
    ),
    CircuitFunction(
        name="softplus",
        meaning="smooth rectification, ln(1 + exp(x))",
        # Above its threshold torch returns x itself; at 40 that is exact, at its default of 20 it is off by 2e-9.
        torch=lambda x: softplus(x, threshold=40),
        latex=r"\ln\left(1 + e^{{{}}}\right)",
        numpy=lambda x: np.logaddexp(0.0, x),
        cpp=_SOFTPLUS_C,
        cuda=_SOFTPLUS_C.replace("static inline", _ON_DEVICE),
        cython=_SOFTPLUS_CYTHON,
    ),
    _elementary("exp", "exponential", r"e^{{{}}}"),
    _elementary("log", "natural logarithm", r"\ln\left({}\right)"),
    _elementary("sqrt", "square root", r"\sqrt{{{}}}"),
    _elementary("tanh", "hyperbolic tangent", r"\tanh\left({}\right)"),
    _elementary("sin", "sine", r"\sin\left({}\right)"),
    _elementary("cos", "cosine", r"\cos\left({}\right)"),
    _elementary("abs", "absolute value", r"\left|{}\right|"),
)

_REGISTERED = {f.name: f for f in _ALL}

#: Every function an equation may call, by name.
FUNCTIONS: Mapping[str, CircuitFunction] = MappingProxyType(_REGISTERED)


def register_function(function: CircuitFunction) -> None:
    """Let equations call a function of your own, such as another activation.

    Parameters
    ----------
    function : CircuitFunction
        The function in every form; its name must be lower case and new. If Brian2 has a function of that name, it is
        used there, and no source is needed.

    Raises
    ------
    ValueError
        If the name is taken, or not a lower-case identifier, or a source is missing.
    """
    name = function.name
    if not name.isidentifier() or name != name.lower():
        raise ValueError(f"`name` of the function is {name!r}; it must be a lower-case identifier.")
    if name in _REGISTERED or name in brian2.DEFAULT_CONSTANTS:
        raise ValueError(f"`name` of the function is {name!r}, which is taken; use a new one.")
    missing = [source for source in ("cpp", "cuda", "cython") if getattr(function, source) is None]
    if missing and not function.known_to_brian:
        raise ValueError(
            f"the function {name!r} has no source for {', '.join(missing)}; Brian2 does not know it, so every device "
            "needs its own."
        )
    _REGISTERED[name] = function
