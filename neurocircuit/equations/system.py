"""An ODE system as data: Brian2-syntax text, and the meaning of every symbol in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import brian2
import sympy
from brian2.core.variables import Constant
from brian2.equations.equations import EquationError
from brian2.parsing.expressions import parse_expression_dimensions
from brian2.parsing.rendering import SympyNodeRenderer

from neurocircuit.equations.functions import FUNCTIONS
from neurocircuit.equations.symbols import Role, Symbol

__all__ = ["OdeSystem"]


@dataclass(frozen=True)
class OdeSystem:
    """Ordinary differential equations at one point of a field, written once.

    Everything else is derived from the text: the Brian2 equations (`brian`), the torch right-hand side
    and step (`neurocircuit.equations.torch`), and the typeset form (`neurocircuit.equations.latex`).

    Parameters
    ----------
    name : str
        Name of the system.
    text : str
        One ``dx/dt = expression : unit`` line per state, in Brian2 syntax.
    symbols : iterable of Symbol
        Every identifier of the text, once; the states in the order of the text.

    Raises
    ------
    ValueError
        If a symbol is undeclared, unused, upper-case or declared twice, if a state has no equation, if a function
        is not in the registry, or if units do not agree.
    """

    name: str
    text: str
    symbols: tuple[Symbol, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "symbols", tuple(self.symbols))
        try:
            names = set(self.odes.names)
        except (SyntaxError, EquationError) as error:
            raise ValueError(f"`text` of {self.name} cannot be read: {error}") from error
        if names != set(self.odes.diff_eq_names):
            others = _listed(names - set(self.odes.diff_eq_names))
            raise ValueError(f"`text` of {self.name} defines {others} without a derivative; write only dx/dt = lines.")
        self._check_names()
        self._check_units()

    def names(self, *roles: Role) -> tuple[str, ...]:
        """Return the names of the symbols with one of the given roles, in order."""
        return tuple(s.name for s in self.symbols if s.role in roles)

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the state variables."""
        return self.names("state")

    def symbol(self, name: str) -> Symbol:
        """Return the symbol of that name."""
        return next(s for s in self.symbols if s.name == name)

    @cached_property
    def odes(self) -> Any:
        """The differential equations alone, as Brian2 ``Equations``."""
        return brian2.Equations(self.text)

    def expressions(self) -> dict[str, str]:
        """Return the right-hand side of every state, as written."""
        return {state: self.odes[state].expr.code.strip() for state in self.states}

    def sympy_expressions(self) -> dict[str, Any]:
        """Return the right-hand sides as sympy expressions, parsed by Brian2's own parser, in the order written."""
        # The renderer behind Brian2's str_to_sympy, which itself caches what it parsed, evaluated or not.
        renderer = SympyNodeRenderer()
        with sympy.evaluate(False):
            return {state: renderer.render_expr(code) for state, code in self.expressions().items()}

    def brian(self) -> Any:
        """Return the complete Brian2 ``Equations``: the ODEs and a declaration of everything they use."""
        flags = {"input": "", "pool": "", "parameter": " (shared, constant)", "constant": " (constant)"}
        lines = [f"{s.name} : {s.brian_unit}{flags[s.role]}" for s in self.symbols if s.role != "state"]
        return self.odes + brian2.Equations("\n".join(lines))

    def functions(self) -> tuple[str, ...]:
        """Return the names of the registered functions the equations call."""
        return tuple(sorted(self.odes.identifiers & set(FUNCTIONS)))

    def namespace(self) -> dict[str, Any]:
        """Return the Brian2 namespace: the registered functions the equations call."""
        return {name: FUNCTIONS[name].brian() for name in self.functions()}

    def _check_names(self) -> None:
        declared = [s.name for s in self.symbols]
        repeated = sorted({name for name in declared if declared.count(name) > 1})
        if repeated:
            raise ValueError(f"`symbols` of {self.name} declares {_listed(repeated)} more than once.")
        bad = [name for name in declared if name != name.lower()]
        if bad:
            raise ValueError(
                f"`symbols` of {self.name} has the names {_listed(bad)}; names must be lower case, because brian2cuda "
                "lower-cases the files that carry their values. Use a lower-case name and set `latex` for print."
            )
        equations = set(self.odes.diff_eq_names)
        if equations != set(self.states):
            raise ValueError(
                f"`text` of {self.name} has equations for {_listed(equations)} but `symbols` declares the states "
                f"{_listed(self.states)}; they must be the same."
            )
        used = (self.odes.identifiers | equations) - set(self.odes.stochastic_variables)
        unknown = used - set(declared) - set(FUNCTIONS)
        if unknown:
            raise ValueError(
                f"`text` of {self.name} uses {_listed(unknown)}, declared neither in `symbols` nor as a function "
                f"(registered: {_listed(FUNCTIONS)}). Declare the symbol, or add the function with register_function."
            )
        unused = set(declared) - used
        if unused:
            raise ValueError(f"`symbols` of {self.name} declares {_listed(unused)}, which `text` never uses.")

    def _check_units(self) -> None:
        variables: dict[str, Any] = {s.name: Constant(s.name, 1.0, s.dimensions) for s in self.symbols}
        variables |= self.namespace()
        for name in self.odes.stochastic_variables:
            variables[name] = Constant(name, 1.0, brian2.second.dim**-0.5)
        for state, expression in self.expressions().items():
            dimensions = self.symbol(state).dimensions
            if self.odes[state].dim is not dimensions:
                raise ValueError(
                    f"`{state}` of {self.name} has the unit {self.odes[state].unit} in `text` but "
                    f"{self.symbol(state).brian_unit} in `symbols`; they must be the same."
                )
            wanted = dimensions / brian2.second.dim
            try:
                found = parse_expression_dimensions(expression, variables)
            except brian2.DimensionMismatchError as error:
                raise ValueError(f"d{state}/dt of {self.name} does not agree in its units: {error}") from error
            if found != wanted:
                raise ValueError(f"d{state}/dt of {self.name} has the dimensions {found}; it must have {wanted}.")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "nothing"
