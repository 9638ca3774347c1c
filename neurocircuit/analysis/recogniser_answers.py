"""What a recogniser says it sees in scenes, how often it is right, and where it is wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from neurocircuit.intervals import accuracy_interval
from neurocircuit.networks.recurrent_recogniser import RecurrentRecogniser
from neurocircuit.stimuli.clutter import SceneBatch
from neurocircuit.training.evaluation import evaluating, parameter_place

__all__ = ["SceneAnswers", "name_targets"]


@dataclass(frozen=True, eq=False)
class SceneAnswers:
    """The answers of a network to scenes."""

    categories: NDArray[np.int64]
    """(scene,); the category of the target."""
    answers: NDArray[np.int64]
    """(scene,); the most probable category."""
    probabilities: NDArray[np.float32]
    """(scene, category)"""

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each answer is right."""
        return np.equal(self.answers, self.categories)

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return float(self.right.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy."""
        return accuracy_interval(int(self.right.sum()), len(self.answers))

    @property
    def mistakes(self) -> NDArray[np.int64]:
        """Numbers of the scenes with a wrong answer, the surest mistake first."""
        (wrong,) = np.nonzero(~self.right)
        return wrong[np.argsort(-self.probabilities[wrong, self.answers[wrong]], kind="stable")]


def name_targets(
    network: RecurrentRecogniser, scenes: SceneBatch, *, target_only: bool = False, batch_size: int = 100
) -> SceneAnswers:
    """Ask a network for the target's category in every scene.

    Parameters
    ----------
    network : RecurrentRecogniser
        Used where its parameters are; left in the mode it was in.
    scenes : SceneBatch
        As `neurocircuit.stimuli.clutter_scenes` returns them.
    target_only : bool
        Whether the network is shown the target without the clutter.
    batch_size : int
        Scenes per forward pass.

    Raises
    ------
    ValueError
        If there is no scene, a category is none of the network's, or `batch_size` is below 1.
    """
    if not len(scenes.images):
        raise ValueError("`scenes` is empty; draw at least one scene.")
    if batch_size < 1:
        raise ValueError(f"`batch_size` is {batch_size}; it must be at least 1.")
    categories = np.asarray(scenes.labels["category"])
    images = scenes.target_images if target_only else scenes.images
    device, dtype = parameter_place(network)
    with torch.no_grad(), evaluating(network):
        outputs = torch.cat(
            [network(part.to(device, dtype)).exp().float().cpu() for part in torch.split(images, batch_size)]
        )
    if categories.max() >= outputs.shape[1]:
        raise ValueError(
            f"`scenes` have categories up to {categories.max()}; `network` knows {outputs.shape[1]}, from 0. Use the "
            "objects it was trained on."
        )
    return SceneAnswers(categories, outputs.argmax(1).numpy(), outputs.numpy())
