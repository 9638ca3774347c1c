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

__all__ = ["FUNCTIONS", "CircuitFunction"]


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
        return self.cpp is None and self.cuda is None and self.cython is None

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
    _elementary("exp", "exponential", r"e^{{{}}}"),
    _elementary("log", "natural logarithm", r"\ln\left({}\right)"),
    _elementary("sqrt", "square root", r"\sqrt{{{}}}"),
    _elementary("tanh", "hyperbolic tangent", r"\tanh\left({}\right)"),
    _elementary("sin", "sine", r"\sin\left({}\right)"),
    _elementary("cos", "cosine", r"\cos\left({}\right)"),
    _elementary("abs", "absolute value", r"\left|{}\right|"),
)

#: Every function an equation may call, by name.
FUNCTIONS: Mapping[str, CircuitFunction] = MappingProxyType({f.name: f for f in _ALL})
