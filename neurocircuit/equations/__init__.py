"""Equations written once: text, symbols and units, with everything else derived from them."""

from neurocircuit.equations.functions import FUNCTIONS, CircuitFunction, register_function
from neurocircuit.equations.latex import equations_latex, parameter_rows
from neurocircuit.equations.parameters import ParameterSet, from_float, parameter, to_float, unit_name
from neurocircuit.equations.symbols import Symbol
from neurocircuit.equations.system import OdeSystem
from neurocircuit.equations.torch import METHODS, compile_rhs, compile_step, step_text

__all__ = [
    "FUNCTIONS",
    "METHODS",
    "CircuitFunction",
    "OdeSystem",
    "ParameterSet",
    "Symbol",
    "compile_rhs",
    "compile_step",
    "equations_latex",
    "from_float",
    "parameter",
    "parameter_rows",
    "register_function",
    "step_text",
    "to_float",
    "unit_name",
]
