"""What a step of training costs in time and memory, of convolutions and of locally connected layers."""

from __future__ import annotations

import time

import torch

from neurocircuit.analysis.spatial_recipes import SpatialRecipe, build_spatial
from neurocircuit.memory import peak_growth
from neurocircuit.stimuli import ImageSet
from neurocircuit.tables import Row
from neurocircuit.training.config import build_optimizer
from neurocircuit.training.evaluation import classification_loss

__all__ = ["training_cost"]

#: Steps that are timed, after one that is not.
_TIMED_STEPS = 3


def training_cost(name: str, recipe: SpatialRecipe, images: ImageSet) -> Row:
    """Measure what training a network costs on a CPU, by a few steps from its start on noise.

    One step is taken before, so that what is loaded at first use does not count.

    Parameters
    ----------
    name, recipe, images
        As for `train_spatial`; of the images only their shape counts.

    Returns
    -------
    dict
        ``step_s``: the processor's seconds for a step with its optimiser, the least of three. ``peak_MiB``: growth of
        the resident memory at its peak, with weights, gradients, the optimiser's state and activations; NaN where the
        system does not tell.
    """
    _train(name, recipe, images, 1)
    seconds: list[float] = []
    peak = peak_growth(lambda: seconds.extend(_train(name, recipe, images, 1 + _TIMED_STEPS)))
    return {"step_s": min(seconds[1:]), "peak_MiB": peak}


def _train(name: str, recipe: SpatialRecipe, images: ImageSet, steps: int) -> list[float]:
    """Train a network from its start on noise, and return the processor's seconds for each step."""
    network = build_spatial(name, recipe, images)
    optimiser = build_optimizer(recipe.training, network.parameters())
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(recipe.training.batch_size, *images.image_shape, generator=generator)
    targets = torch.randint(len(images.class_names), (len(inputs),), generator=generator)
    seconds = []
    for _ in range(steps):
        started = time.process_time()
        optimiser.zero_grad()
        classification_loss(network(inputs), targets).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        seconds.append(time.process_time() - started)
    return seconds
