"""Recipes of the Pathfinder experiment: images, their curriculum, optimisation and the size of the networks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import torch

from neurocircuit.stimuli import DIFFICULTIES, PathfinderSettings
from neurocircuit.training import Batch, StreamSource, TrainingConfig, pathfinder_stream

__all__ = ["FRESH_SEED", "PATHFINDER_RECIPES", "PathfinderRecipe", "run_description"]

#: Fresh images are drawn under seeds from here on, which no training run uses.
FRESH_SEED = 1_000_000

Curriculum = tuple[tuple[int, tuple[PathfinderSettings, ...]], ...]


@dataclass(frozen=True, kw_only=True)
class PathfinderRecipe:
    """Everything that defines a training run but the model's name and the seed.

    Parameters
    ----------
    settings : PathfinderSettings
        The images.
    training : TrainingConfig
        The optimisation; its seed is replaced by the run's.
    curriculum : tuple of (int, tuple of PathfinderSettings)
        Easier images to begin with: each pair holds until that many images have been seen, and its settings take turns.
    variant : {"batchnorm", "paper"}
        Form of the hGRU.
    channels, kernel_size, steps, filter_size : int
        Size of the hGRU; see `neurocircuit.networks.HGRUClassifier`.
    matched_kernel, wide_kernel : int
        Kernel sizes of the two feedforward controls of equal parameters. The first sees about the share of the field
        that the published controls see, the second the whole field.
    """

    settings: PathfinderSettings
    training: TrainingConfig
    curriculum: Curriculum = ()
    variant: str = "batchnorm"
    channels: int = 25
    kernel_size: int = 15
    steps: int = 8
    filter_size: int = 7
    matched_kernel: int = 15
    wide_kernel: int = 31

    def __post_init__(self) -> None:
        easier = [settings for _, mixture in self.curriculum for settings in mixture]
        sizes = {settings.image_size for settings in (self.settings, *easier)}
        ends = [end for end, _ in self.curriculum]
        if len(sizes) > 1:
            raise ValueError(f"`curriculum` has images of {sorted(sizes)} pixels; all must be of one size.")
        if ends != sorted(set(ends)):
            raise ValueError(f"`curriculum` ends its phases at {ends} images; these numbers must rise.")

    def stream(self) -> StreamSource:
        """Return the training images."""
        return StreamSource(partial(_curriculum_batch, self.curriculum, self.settings))


def _curriculum_batch(curriculum: Curriculum, settings: PathfinderSettings, seed: int, indices: list[int]) -> Batch:
    """Return the images at these places of a run, each drawn by the settings whose turn it is."""
    turns = []
    for index in indices:
        mixture = next((mixture for end, mixture in curriculum if index < end), (settings,))
        turns.append(mixture[index % len(mixture)])
    places: list[int] = []
    parts = []
    for drawn in dict.fromkeys(turns):
        chosen = [place for place, turn in enumerate(turns) if turn == drawn]
        places += chosen
        parts.append(pathfinder_stream(drawn).function(seed, [indices[place] for place in chosen]))
    order = torch.tensor(places).argsort()
    return torch.cat([inputs for inputs, _ in parts])[order], torch.cat([targets for _, targets in parts])[order]


_SMALL = DIFFICULTIES["small"]
# Images seen until the mixture changes, and the paddles of its paths. Short paths, which are learned first, stay among
# the longer ones until these are learned too; the last mixture lasts to the end.
_SMALL_CURRICULUM = (
    (6_400, (3,)),
    (16_000, (3, 4, 5)),
    (64_000, (3, 4, 5, 6, 7)),
    (96_000, (4, 5, 6, 7)),
    (144_000, (5, 6, 7)),
)
_PUBLISHED = TrainingConfig(
    # The official code: 2 epochs in batches of 32, Nadam at 1e-3. Its epochs are of at most 225,000 images; 900,000 is
    # the size with which an independent run of the network learned difficulty 14.
    steps=56_250,
    batch_size=32,
    learning_rate=1e-3,
    optimizer="nadam",
    evaluation_samples=1600,
    evaluate_every=1000,
    checkpoint_every=1000,
    patience=None,
)

#: Recipes by difficulty.
PATHFINDER_RECIPES: Mapping[str, PathfinderRecipe] = MappingProxyType(
    {
        "small": PathfinderRecipe(
            settings=_SMALL,
            curriculum=tuple(
                (end, tuple(replace(_SMALL, contour_length=length) for length in lengths))
                for end, lengths in _SMALL_CURRICULUM
            ),
            training=TrainingConfig(
                steps=4500,
                batch_size=32,
                learning_rate=3e-3,
                schedule="cosine",
                warmup_steps=100,
                gradient_clip=1.0,
                evaluation_samples=1000,
                evaluate_every=250,
                checkpoint_every=100,
                log_every=50,
            ),
            channels=7,
            kernel_size=9,
            steps=6,
            filter_size=5,
            matched_kernel=3,
            wide_kernel=7,
        ),
        **{
            name: PathfinderRecipe(settings=DIFFICULTIES[name], training=_PUBLISHED, variant="paper")
            for name in ("6", "9", "14")
        },
    }
)


def run_description(name: str, recipe: PathfinderRecipe) -> dict[str, Any]:
    """Return what a network and its data are, as JSON gives it back; the training's own settings are kept apart."""
    found = {key: value for key, value in asdict(recipe).items() if key != "training"}
    described: dict[str, Any] = json.loads(json.dumps({"model": name, "recipe": found}))
    return described
