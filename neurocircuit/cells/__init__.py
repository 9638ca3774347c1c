"""Trainable recurrent cells: one step of a circuit's gated discretisation, and what such cells share."""

from neurocircuit.cells.ctrnn import DaleLinear, Parametrisation, RateEquation, rate_loop
from neurocircuit.cells.hgru import HGRUCell
from neurocircuit.cells.hgru_equations import FORMS, HGRUForm, HGRUState
from neurocircuit.cells.lateral import LateralConv2d, choose_method, lateral_conv2d

__all__ = [
    "FORMS",
    "DaleLinear",
    "HGRUCell",
    "HGRUForm",
    "HGRUState",
    "LateralConv2d",
    "Parametrisation",
    "RateEquation",
    "choose_method",
    "lateral_conv2d",
    "rate_loop",
]
