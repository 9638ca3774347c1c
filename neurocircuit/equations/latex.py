"""Typeset equations and parameter tables, generated from the text the simulations run."""

from __future__ import annotations

from typing import Any

import sympy
from sympy.printing.latex import LatexPrinter

from neurocircuit.equations.functions import FUNCTIONS
from neurocircuit.equations.parameters import ParameterSet, to_float, unit_name
from neurocircuit.equations.system import OdeSystem

__all__ = ["equations_latex", "parameter_rows"]


class _Printer(LatexPrinter):  # type: ignore[misc]
    """A sympy printer that typesets calls with the registry's LaTeX forms."""

    # sympy finds these methods by the names of its classes.
    def _print_Add(self, expr: Any, order: Any = None) -> str:  # noqa: N802
        # Parsed without evaluation, a - b - c is nested; print it as one sum, in the order written.
        terms: list[Any] = []
        stack = list(reversed(expr.args))
        while stack:
            term = stack.pop()
            if term.is_Add:
                stack.extend(reversed(term.args))
            else:
                terms.append(term)
        return str(super()._print_Add(sympy.Add(*terms, evaluate=False), order="none"))

    def _print_Function(self, expr: Any, exp: Any = None) -> str:  # noqa: N802
        name = type(expr).__name__
        if name not in FUNCTIONS:
            return str(super()._print_Function(expr, exp))
        text = FUNCTIONS[name].latex.format(*(self._print(a) for a in expr.args))
        return text if exp is None else rf"{{{text}}}^{{{exp}}}"


def equations_latex(system: OdeSystem) -> str:
    """Return the system as the inside of a LaTeX ``aligned`` environment, one line per state."""
    latex_of = {s.name: s.latex for s in system.symbols}
    lines = []
    for state, expression in system.sympy_expressions().items():
        names = {symbol: latex_of[symbol.name] for symbol in expression.free_symbols if symbol.name in latex_of}
        right = _Printer({"symbol_names": names, "order": "none"}).doprint(expression)
        lines.append(rf"\frac{{d{latex_of[state]}}}{{dt}} &= {right}")
    return " \\\\\n".join(lines)


def parameter_rows(parameters: ParameterSet) -> list[tuple[str, str, str, str, str, str]]:
    """Return one row per parameter: LaTeX symbol, name, value, unit, meaning, source."""
    rows = []
    for symbol in parameters.symbols():
        value = getattr(parameters, symbol.name)
        number = f"{to_float(value):g}"
        rows.append((symbol.latex, symbol.name, number, unit_name(value), symbol.meaning, symbol.source))
    return rows
