"""Local learning rules: competing hidden units."""

from neurocircuit.plasticity.competing_hidden_units import CompetingHiddenUnits
from neurocircuit.plasticity.convergence import Convergence, measure_convergence
from neurocircuit.plasticity.preprocessing import CentredUnitNorm
from neurocircuit.plasticity.rank_rule import RankRule, currents, initial_weights, rank_step, unit_norms
from neurocircuit.plasticity.unit_training import train_units
from neurocircuit.plasticity.weight_files import load_units, save_units

__all__ = [
    "CentredUnitNorm",
    "CompetingHiddenUnits",
    "Convergence",
    "RankRule",
    "currents",
    "initial_weights",
    "load_units",
    "measure_convergence",
    "rank_step",
    "save_units",
    "train_units",
    "unit_norms",
]
