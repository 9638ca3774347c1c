"""Whole networks with their readouts: the hGRU classifier, its feedforward controls, and the CT-RNN."""

from neurocircuit.networks.converters import WeightsError, load_notebook, load_sg
from neurocircuit.networks.ctrnn import CTRNN, parameter_table
from neurocircuit.networks.ctrnn_settings import CTRNNSettings, NoiseScaling
from neurocircuit.networks.feedforward import FEEDFORWARD_CONTROLS, FeedforwardClassifier, matched_feedforward
from neurocircuit.networks.gabor import gabor_bank
from neurocircuit.networks.hgru import HGRUClassifier
from neurocircuit.networks.parts import FilterBank, ReadOut, count_parameters
from neurocircuit.networks.rate_run import RateTrajectory, run_network

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
