"""Running circuits on Brian2 and torch, and checking that they agree."""

from neurocircuit.simulation.brunel import simulate_brunel
from neurocircuit.simulation.crosscheck import CrosscheckError, crosscheck
from neurocircuit.simulation.online_learning import OnlineRun, learn_online
from neurocircuit.simulation.rate_network import NETWORK_DEVICES, generate_network_program, simulate_network
from neurocircuit.simulation.result import to_dataset, write_netcdf
from neurocircuit.simulation.settling import describe_settling
from neurocircuit.simulation.simulate import available_devices, generate_program, simulate
from neurocircuit.simulation.spiking import SCALINGS, SPIKING_STEP, scaling_search, simulate_spiking
from neurocircuit.simulation.torch import trajectory

__all__ = [
    "NETWORK_DEVICES",
    "SCALINGS",
    "SPIKING_STEP",
    "CrosscheckError",
    "OnlineRun",
    "available_devices",
    "crosscheck",
    "describe_settling",
    "generate_network_program",
    "generate_program",
    "learn_online",
    "scaling_search",
    "simulate",
    "simulate_brunel",
    "simulate_network",
    "simulate_spiking",
    "to_dataset",
    "trajectory",
    "write_netcdf",
]
