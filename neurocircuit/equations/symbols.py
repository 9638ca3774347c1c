"""The symbols of an equation: what each name means, in which unit, and how it is typeset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import brian2
from brian2.units.fundamentalunits import DIMENSIONLESS

__all__ = ["Role", "Symbol"]

Role = Literal["state", "input", "pool", "parameter", "constant"]


@dataclass(frozen=True)
class Symbol:
    """One name of an equation.

    Parameters
    ----------
    name : str
        Lower-case identifier, as written in the equation text and in Brian2.
    role : {"state", "input", "pool", "parameter", "constant"}
        A state has an equation, an input is given from outside, a pool is a weighted sum over the field of a state or
        of a function of it, a parameter is one constant that all units share, and a constant has a value for every
        unit.
    latex, meaning : str
        Typeset symbol and one-line description.
    unit : brian2 Unit, optional
        Base unit; None means dimensionless.
    source : str
        Where the symbol or its default is published.
    """

    name: str
    role: Role
    latex: str
    meaning: str
    unit: Any = None
    source: str = ""

    @property
    def dimensions(self) -> Any:
        """Physical dimensions of the symbol."""
        return DIMENSIONLESS if self.unit is None else brian2.get_dimensions(self.unit)

    @property
    def brian_unit(self) -> str:
        """Unit as Brian2 writes it in an equation: ``1``, ``second`` or a power of it."""
        return "1" if self.dimensions is DIMENSIONLESS else repr(brian2.get_unit(self.dimensions))
