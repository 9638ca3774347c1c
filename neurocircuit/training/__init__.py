"""Training: one loop for all models, resumable to the bit, on one process or several."""

from neurocircuit.intervals import accuracy_interval
from neurocircuit.training.checkpoints import has_run, load_weights, save_weights
from neurocircuit.training.clutter import SCENE_OBJECTIVE, clutter_set, clutter_stream
from neurocircuit.training.config import TrainingConfig, learning_rate_at
from neurocircuit.training.evaluation import Evaluation, Objective, classified, evaluate
from neurocircuit.training.log import read_log
from neurocircuit.training.loop import TrainingResult, fit
from neurocircuit.training.pathfinder import pathfinder_stream
from neurocircuit.training.seeding import seeded
from neurocircuit.training.sources import Batch, DatasetSource, Source, StreamSource, TensorSource
from neurocircuit.training.trials import draw_trials, masked_mse, trial_objective, trial_stream

__all__ = [
    "SCENE_OBJECTIVE",
    "Batch",
    "DatasetSource",
    "Evaluation",
    "Objective",
    "Source",
    "StreamSource",
    "TensorSource",
    "TrainingConfig",
    "TrainingResult",
    "accuracy_interval",
    "classified",
    "clutter_set",
    "clutter_stream",
    "draw_trials",
    "evaluate",
    "fit",
    "has_run",
    "learning_rate_at",
    "load_weights",
    "masked_mse",
    "pathfinder_stream",
    "read_log",
    "save_weights",
    "seeded",
    "trial_objective",
    "trial_stream",
]
