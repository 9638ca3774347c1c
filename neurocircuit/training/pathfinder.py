"""Training on Pathfinder images that are drawn when they are needed."""

from __future__ import annotations

from functools import partial

import torch

from neurocircuit.stimuli.pathfinder import pathfinder_batch
from neurocircuit.stimuli.pathfinder_reader import WHITE
from neurocircuit.stimuli.pathfinder_settings import PathfinderSettings
from neurocircuit.training.sources import Batch, StreamSource

__all__ = ["pathfinder_stream"]


def pathfinder_stream(settings: PathfinderSettings) -> StreamSource:
    """Return fresh images for ever: index ``i`` of a seed is the image that `pathfinder_batch` draws for it.

    Parameters
    ----------
    settings : PathfinderSettings
        What is drawn.

    Returns
    -------
    StreamSource
        Of batches of (batch, 1, y, x) float32 images from 0 to 1 and (batch,) int64 labels.
    """
    return StreamSource(partial(_drawn, settings))


def _drawn(settings: PathfinderSettings, seed: int, indices: list[int]) -> Batch:
    batch = pathfinder_batch(settings, seed, indices)
    return torch.from_numpy(batch.images[:, None] / WHITE), torch.from_numpy(batch.labels)
