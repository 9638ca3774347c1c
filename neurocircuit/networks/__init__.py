"""Whole networks: a filter bank, a cell or its feedforward controls, and a read-out."""

from neurocircuit.networks.converters import WeightsError, load_notebook, load_sg
from neurocircuit.networks.feedforward import FEEDFORWARD_CONTROLS, FeedforwardClassifier, matched_feedforward
from neurocircuit.networks.gabor import gabor_bank
from neurocircuit.networks.hgru import HGRUClassifier
from neurocircuit.networks.parts import FilterBank, ReadOut, count_parameters

__all__ = [
    "FEEDFORWARD_CONTROLS",
    "FeedforwardClassifier",
    "FilterBank",
    "HGRUClassifier",
    "ReadOut",
    "WeightsError",
    "count_parameters",
    "gabor_bank",
    "load_notebook",
    "load_sg",
    "matched_feedforward",
]
