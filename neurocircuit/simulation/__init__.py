"""Running circuits on Brian2 and torch, and checking that they agree."""

from neurocircuit.simulation.crosscheck import CrosscheckError, crosscheck
from neurocircuit.simulation.result import to_dataset, write_netcdf
from neurocircuit.simulation.settling import describe_settling
from neurocircuit.simulation.simulate import available_devices, generate_program, simulate
from neurocircuit.simulation.torch import trajectory

__all__ = [
    "CrosscheckError",
    "available_devices",
    "crosscheck",
    "describe_settling",
    "generate_program",
    "simulate",
    "to_dataset",
    "trajectory",
    "write_netcdf",
]
