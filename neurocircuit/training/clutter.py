"""Training on cluttered scenes that are drawn when they are needed, with networks that return log-probabilities."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import nll_loss

from neurocircuit.stimuli.clutter import clutter_scenes
from neurocircuit.stimuli.clutter_settings import ClutterSettings
from neurocircuit.stimuli.clutter_sources import ObjectSource
from neurocircuit.training.evaluation import Objective, check_labels
from neurocircuit.training.sources import Batch, StreamSource, TensorSource

__all__ = ["SCENE_OBJECTIVE", "clutter_set", "clutter_stream", "log_probability_loss"]

#: Scenes that are rendered together; does not change them.
_AT_ONCE = 500


def clutter_stream(source: ObjectSource, settings: ClutterSettings, *, easy: int = 0) -> StreamSource:
    """Return fresh scenes for ever: index ``i`` of a seed is the scene that `clutter_scenes` draws for it.

    Parameters
    ----------
    source : ObjectSource
        Objects.
    settings : ClutterSettings
        What is drawn of them.
    easy : int
        Scenes at the beginning that show the target without clutter.

    Returns
    -------
    StreamSource
        Of batches of (batch, 1, y, x) float32 scenes from 0 to 1 and (batch,) int64 categories of their targets.
    """
    return StreamSource(partial(_drawn, source, settings, easy))


def clutter_set(source: ObjectSource, settings: ClutterSettings, seed: int, count: int) -> TensorSource:
    """Return the first scenes of a seed as a finite set in memory, in their order: the same for every run.

    Parameters
    ----------
    source, settings
        As for `clutter_stream`.
    seed : int
        Of the scenes, whatever the seed of the run that is validated on them.
    count : int
        Number of scenes.

    Raises
    ------
    ValueError
        If there is not at least one scene.
    """
    if count < 1:
        raise ValueError(f"`count` is {count}; it must be at least 1.")
    parts = [
        _drawn(source, settings, 0, seed, list(range(first, min(first + _AT_ONCE, count))))
        for first in range(0, count, _AT_ONCE)
    ]
    images, categories = (torch.cat(part) for part in zip(*parts, strict=True))
    return TensorSource(images, categories, shuffle=False)


def _drawn(source: ObjectSource, settings: ClutterSettings, easy: int, seed: int, indices: list[int]) -> Batch:
    scenes = clutter_scenes(source, settings, seed, indices)
    bare = torch.tensor(indices) < easy
    images = torch.where(bare[:, None, None, None], scenes.target_images, scenes.images)
    return images, torch.as_tensor(scenes.labels["category"])


def log_probability_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean negative log-probability, (batch, class), of the labels.

    Raises
    ------
    ValueError
        If a label is not the number of a class.
    """
    check_labels(outputs, targets)
    return nll_loss(outputs, targets)


#: What a network that returns log-probabilities minimises, and what counts as correct: the most probable class.
SCENE_OBJECTIVE = Objective(loss=log_probability_loss)
