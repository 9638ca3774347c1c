"""The circuits: their equations, published parameters and pools."""

from neurocircuit.circuits.brunel import BRUNEL, BRUNEL_PANELS, SMALL_BRUNEL, BrunelParameters, InputMoments
from neurocircuit.circuits.circuit import Circuit, Pool
from neurocircuit.circuits.competing_units import (
    CompetingUnitsParameters,
    competing_units_circuit,
    learning_activation,
    survivors,
)
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
from neurocircuit.circuits.ei import ACTIVATIONS, RateForm, ei_system
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
from neurocircuit.circuits.perturbation import Lesion, Perturbation, Pulse
from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.circuits.spiking import LIF, LIFParameters, SpikingNetwork, transfer

__all__ = [
    "ACTIVATIONS",
    "BRUNEL",
    "BRUNEL_PANELS",
    "LIF",
    "LINKS",
    "PRESETS",
    "SMALL_BRUNEL",
    "BrunelParameters",
    "Circuit",
    "CompetingUnitsParameters",
    "InputMoments",
    "LIFParameters",
    "Lesion",
    "Link",
    "LinkCheck",
    "MelyParameters",
    "MelyPreset",
    "Perturbation",
    "Pool",
    "PoolSizes",
    "Pulse",
    "RateForm",
    "RateNetwork",
    "Setting",
    "SpikingNetwork",
    "TwoPoolParameters",
    "check_links",
    "competing_units_circuit",
    "default_excitation",
    "default_inhibition",
    "ei_system",
    "hgru_step",
    "learning_activation",
    "make_setting",
    "mely_circuit",
    "shunt_from_h2",
    "survivors",
    "transfer",
    "two_pool_circuit",
]
