"""The circuits: their equations, published parameters and pools."""

from neurocircuit.circuits.circuit import Circuit, Pool
from neurocircuit.circuits.derivation import (
    LINKS,
    Link,
    LinkCheck,
    Setting,
    check_links,
    hgru_step,
    make_setting,
    shunt_from_h2,
)
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
    "LINKS",
    "PRESETS",
    "Circuit",
    "Link",
    "LinkCheck",
    "MelyParameters",
    "MelyPreset",
    "Pool",
    "PoolSizes",
    "Setting",
    "TwoPoolParameters",
    "check_links",
    "default_excitation",
    "default_inhibition",
    "hgru_step",
    "make_setting",
    "mely_circuit",
    "shunt_from_h2",
    "two_pool_circuit",
]
