"""Whole networks with their readouts: the hGRU classifier, its feedforward controls, and the CT-RNN."""

from neurocircuit.networks.converters import WeightsError, load_notebook, load_sg
from neurocircuit.networks.ctrnn import (
    CTRNN,
    CTRNNSettings,
    NoiseScaling,
    RateTrajectory,
    parameter_table,
    run_network,
)
from neurocircuit.networks.feedforward import FEEDFORWARD_CONTROLS, FeedforwardClassifier, matched_feedforward
from neurocircuit.networks.gabor import gabor_bank
from neurocircuit.networks.hgru import HGRUClassifier
from neurocircuit.networks.parts import FilterBank, ReadOut, count_parameters

__all__ = [
    "CTRNN",
    "FEEDFORWARD_CONTROLS",
    "CTRNNSettings",
    "FeedforwardClassifier",
    "FilterBank",
    "HGRUClassifier",
    "NoiseScaling",
    "RateTrajectory",
    "ReadOut",
    "WeightsError",
    "count_parameters",
    "gabor_bank",
    "load_notebook",
    "load_sg",
    "matched_feedforward",
    "parameter_table",
    "run_network",
]
