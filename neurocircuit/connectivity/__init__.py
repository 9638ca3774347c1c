"""Lateral kernels as convolutions, as explicit synapses and as fast operators; sparse weights under Dale's law."""

from neurocircuit.connectivity.channel_mixing import (
    ChannelMixing,
    circulant_gaussian,
    discontinuous,
    summed_channels,
    uniform_channels,
)
from neurocircuit.connectivity.dale import (
    DaleWeights,
    WeightDistribution,
    bulk_radius,
    dale_weights,
    mean_field_outlier,
    row_balance,
    singular_value_entropy,
    spectral_radius,
)
from neurocircuit.connectivity.kernels import (
    Annulus,
    Boundary,
    Box,
    BoxTerm,
    Dense,
    FieldShape,
    LateralKernel,
    Mixture,
    SynapseTable,
    gaussian,
)
from neurocircuit.connectivity.operators import as_operator, box_sum, pad

__all__ = [
    "Annulus",
    "Boundary",
    "Box",
    "BoxTerm",
    "ChannelMixing",
    "DaleWeights",
    "Dense",
    "FieldShape",
    "LateralKernel",
    "Mixture",
    "SynapseTable",
    "WeightDistribution",
    "as_operator",
    "box_sum",
    "bulk_radius",
    "circulant_gaussian",
    "dale_weights",
    "discontinuous",
    "gaussian",
    "mean_field_outlier",
    "pad",
    "row_balance",
    "singular_value_entropy",
    "spectral_radius",
    "summed_channels",
    "uniform_channels",
]
