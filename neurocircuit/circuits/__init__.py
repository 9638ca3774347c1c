"""The circuits: their equations, published parameters and pools."""

from neurocircuit.circuits.circuit import Circuit, Pool
from neurocircuit.circuits.mely import (
    PRESETS,
    MelyParameters,
    MelyPreset,
    PoolSizes,
    TwoPoolParameters,
    default_excitation,
    default_inhibition,
    mely_circuit,
    two_pool_circuit,
)

__all__ = [
    "PRESETS",
    "Circuit",
    "MelyParameters",
    "MelyPreset",
    "Pool",
    "PoolSizes",
    "TwoPoolParameters",
    "default_excitation",
    "default_inhibition",
    "mely_circuit",
    "two_pool_circuit",
]
