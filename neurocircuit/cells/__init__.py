"""Trainable recurrent cells (one step of a circuit's gated discretisation), locally connected layers, and feedback."""

from neurocircuit.cells.ctrnn import DaleLinear, Parametrisation, RateEquation, rate_loop
from neurocircuit.cells.feedback import Feedback, FeedbackChain
from neurocircuit.cells.hgru import HGRUCell
from neurocircuit.cells.hgru_equations import FORMS, HGRUForm, HGRUState
from neurocircuit.cells.lateral import LateralConv2d, choose_method, lateral_conv2d
from neurocircuit.cells.local import LocallyConnected2d
from neurocircuit.cells.local_geometry import LocalGeometry
from neurocircuit.cells.local_operation import locally_connected2d
from neurocircuit.cells.modulated import ModulatedStack, StackState, modulate, modulate_image
from neurocircuit.cells.modulated_settings import Connection, ModulatedStackSettings, upward_window

__all__ = [
    "FORMS",
    "Connection",
    "DaleLinear",
    "Feedback",
    "FeedbackChain",
    "HGRUCell",
    "HGRUForm",
    "HGRUState",
    "LateralConv2d",
    "LocalGeometry",
    "LocallyConnected2d",
    "ModulatedStack",
    "ModulatedStackSettings",
    "Parametrisation",
    "RateEquation",
    "StackState",
    "choose_method",
    "lateral_conv2d",
    "locally_connected2d",
    "modulate",
    "modulate_image",
    "rate_loop",
    "upward_window",
]
