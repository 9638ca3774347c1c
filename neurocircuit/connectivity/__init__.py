"""Lateral connectivity: kernels as convolutions, as explicit synapses and as fast operators."""

from neurocircuit.connectivity.kernels import (
    Annulus,
    Boundary,
    Box,
    BoxTerm,
    ChannelMixing,
    Dense,
    FieldShape,
    LateralKernel,
    Mixture,
    SynapseTable,
    circulant_gaussian,
    discontinuous,
    gaussian,
    uniform_channels,
)
from neurocircuit.connectivity.operators import as_operator, box_sum, pad

__all__ = [
    "Annulus",
    "Boundary",
    "Box",
    "BoxTerm",
    "ChannelMixing",
    "Dense",
    "FieldShape",
    "LateralKernel",
    "Mixture",
    "SynapseTable",
    "as_operator",
    "box_sum",
    "circulant_gaussian",
    "discontinuous",
    "gaussian",
    "pad",
    "uniform_channels",
]
