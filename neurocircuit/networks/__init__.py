"""Whole networks with their readouts: the hGRU classifier, its controls, the CT-RNN, and locally connected ones."""

from neurocircuit.networks.converters import WeightsError, load_notebook, load_sg
from neurocircuit.networks.ctrnn import CTRNN, parameter_table
from neurocircuit.networks.ctrnn_settings import CTRNNSettings, NoiseScaling
from neurocircuit.networks.feedforward import FEEDFORWARD_CONTROLS, FeedforwardClassifier, matched_feedforward
from neurocircuit.networks.gabor import gabor_bank
from neurocircuit.networks.hgru import HGRUClassifier
from neurocircuit.networks.hidden_layer import HiddenLayer, HiddenLayerClassifier, linear_control, new_read_out
from neurocircuit.networks.locally_connected import SpatialNet, match_parameters, spatial_parameters
from neurocircuit.networks.parts import FilterBank, ReadOut, count_parameters
from neurocircuit.networks.pretrained_recogniser import fetch_pretrained
from neurocircuit.networks.rate_run import RateTrajectory, run_network
from neurocircuit.networks.recogniser_files import (
    convert_recogniser,
    load_published,
    load_recogniser,
    save_published,
    save_recogniser,
)
from neurocircuit.networks.recurrent_recogniser import (
    PUBLISHED_RECOGNISER,
    RecogniserRun,
    RecogniserSettings,
    RecurrentRecogniser,
)
from neurocircuit.networks.spatial_settings import (
    SPATIAL_LAYOUTS,
    FullLayer,
    SpatialKind,
    SpatialLayer,
    SpatialNetSettings,
    scale_width,
)

__all__ = [
    "CTRNN",
    "FEEDFORWARD_CONTROLS",
    "PUBLISHED_RECOGNISER",
    "SPATIAL_LAYOUTS",
    "CTRNNSettings",
    "FeedforwardClassifier",
    "FilterBank",
    "FullLayer",
    "HGRUClassifier",
    "HiddenLayer",
    "HiddenLayerClassifier",
    "NoiseScaling",
    "RateTrajectory",
    "ReadOut",
    "RecogniserRun",
    "RecogniserSettings",
    "RecurrentRecogniser",
    "SpatialKind",
    "SpatialLayer",
    "SpatialNet",
    "SpatialNetSettings",
    "WeightsError",
    "convert_recogniser",
    "count_parameters",
    "fetch_pretrained",
    "gabor_bank",
    "linear_control",
    "load_notebook",
    "load_published",
    "load_recogniser",
    "load_sg",
    "match_parameters",
    "matched_feedforward",
    "new_read_out",
    "parameter_table",
    "run_network",
    "save_published",
    "save_recogniser",
    "scale_width",
    "spatial_parameters",
]
