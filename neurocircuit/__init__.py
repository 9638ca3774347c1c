"""Brain-inspired vision circuits whose equation is written once.

Brian2 simulates it, PyTorch trains it, Sphinx typesets it, and the library checks that they agree.
"""

from importlib.metadata import version

from neurocircuit.circuits import PRESETS, Circuit, MelyParameters, PoolSizes, mely_circuit, two_pool_circuit
from neurocircuit.errors import BackendUnavailableError, NonFiniteError, SettlingWarning, StepSizeWarning
from neurocircuit.simulation import available_devices, crosscheck, generate_program, simulate, trajectory

__version__ = version("neurocircuit")

__all__ = [
    "PRESETS",
    "BackendUnavailableError",
    "Circuit",
    "MelyParameters",
    "NonFiniteError",
    "PoolSizes",
    "SettlingWarning",
    "StepSizeWarning",
    "available_devices",
    "crosscheck",
    "generate_program",
    "mely_circuit",
    "simulate",
    "trajectory",
    "two_pool_circuit",
]
