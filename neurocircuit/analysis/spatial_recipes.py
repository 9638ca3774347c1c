"""What is compared with locally connected layers: networks, their sizes and their optimisation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from neurocircuit.checks import check_whole
from neurocircuit.networks import (
    SPATIAL_LAYOUTS,
    SpatialNet,
    SpatialNetSettings,
    match_parameters,
    scale_width,
    spatial_parameters,
)
from neurocircuit.stimuli import ImageSet
from neurocircuit.training import TrainingConfig

__all__ = ["SPATIAL_NETWORKS", "SPATIAL_RECIPES", "SpatialRecipe", "build_spatial", "spatial_settings"]

#: Networks that can be compared, and what they are.
SPATIAL_NETWORKS: Mapping[str, str] = MappingProxyType(
    {
        "conv": "convolutions, as wide as local",
        "conv-matched": "convolutions, with as many parameters as local",
        "local": "locally connected, backpropagation",
        "local-random": "locally connected, feedback alignment",
        "local-direct": "locally connected, direct feedback alignment",
        "local-frozen": "locally connected, all layers but the last left as they start",
        "simple": "the teaching notebook's SimpleModel: one locally connected layer, linear",
        "regular-conv": "the notebook's RegularConvNet",
        "dense": "the notebook's SpatialDenseNet: dense weights that start local",
    }
)


@dataclass(frozen=True, kw_only=True)
class SpatialRecipe:
    """Everything that defines the comparison but the images, the network and the seed.

    Raises
    ------
    ValueError
        If a value is not allowed.
    TypeError
        If a count is not an integer.
    """

    layout: str = "spatial-dense"
    """Layout of all networks but the notebook's other two; one of `neurocircuit.networks.SPATIAL_LAYOUTS`."""
    width: float = 1.0
    """Factor on the channels of every layout; 1 is the notebook's."""
    training: TrainingConfig
    """The optimisation, with the run's seed in place of its own. Angles are measured where it validates."""
    crop_margin: int = 4
    """Training images are moved by up to so many pixels along each axis; 0 leaves them where they are."""
    flip: bool = True
    """Whether half of the training images are mirrored."""
    probe: int = 256
    """Training images on which the angle between update and gradient is measured."""

    def __post_init__(self) -> None:
        if self.layout not in SPATIAL_LAYOUTS:
            raise ValueError(f"`layout` is {self.layout!r}; it must be one of {', '.join(SPATIAL_LAYOUTS)}.")
        if not 0 < self.width < math.inf:
            raise ValueError(f"`width` is {self.width}; it must be above 0 and finite.")
        for name, least in (("crop_margin", 0), ("probe", 2)):
            # Python's int, because JSON knows no other.
            object.__setattr__(self, name, check_whole(name, getattr(self, name), least))

    def with_training(self, **changes: Any) -> SpatialRecipe:
        """Return the recipe with some settings of the optimisation changed."""
        return replace(self, training=replace(self.training, **changes))


# The notebook's optimisation: Adam at 3e-4 in batches of 64, for 5 epochs of the 45,000 images that are left when a
# tenth is held out for validation.
_NOTEBOOK = TrainingConfig(
    steps=3515,
    batch_size=64,
    learning_rate=3e-4,
    evaluation_samples=1000,
    evaluate_every=185,
    checkpoint_every=185,
    log_every=37,
)

#: Recipes by name: the notebook's, one for two CPU cores, and one for digits of 8 x 8 pixels.
SPATIAL_RECIPES: Mapping[str, SpatialRecipe] = MappingProxyType(
    {
        "notebook": SpatialRecipe(training=_NOTEBOOK),
        # One epoch at half the width, which is what the dense network can be given.
        "small": SpatialRecipe(
            width=0.5,
            training=replace(_NOTEBOOK, steps=704, evaluate_every=88, checkpoint_every=88, log_every=22),
        ),
        "digits": SpatialRecipe(
            layout="small",
            training=replace(
                _NOTEBOOK,
                steps=400,
                learning_rate=3e-3,
                evaluation_samples=None,
                evaluate_every=50,
                checkpoint_every=100,
                log_every=25,
            ),
            crop_margin=1,
            flip=False,
        ),
    }
)


def spatial_settings(name: str, recipe: SpatialRecipe, images: ImageSet) -> SpatialNetSettings:
    """Return what a network of `SPATIAL_NETWORKS` is, for the images of a set.

    Raises
    ------
    ValueError
        If there is no such network, or the images are too small for it.
    """
    if name not in SPATIAL_NETWORKS:
        raise ValueError(f"`network` is {name!r}; it must be one of {', '.join(SPATIAL_NETWORKS)}.")
    own = name in SPATIAL_LAYOUTS
    layout = SPATIAL_LAYOUTS[name if own else recipe.layout]
    sized = replace(layout, image_shape=images.image_shape, classes=len(images.class_names))
    settings = scale_width(sized, recipe.width)
    if own:
        return settings
    kind, _, feedback = name.partition("-")
    if name == "conv-matched":
        return match_parameters(replace(settings, kind="conv"), spatial_parameters(settings))
    chosen = feedback if feedback in ("random", "direct") else "transpose"
    return replace(settings, kind=kind, feedback=chosen)  # type: ignore[arg-type]


def build_spatial(name: str, recipe: SpatialRecipe, images: ImageSet, seed: int = 0) -> SpatialNet:
    """Return a network of `SPATIAL_NETWORKS`, with weights that follow from the seed.

    Raises
    ------
    ValueError
        As `spatial_settings` says.
    """
    network = SpatialNet(spatial_settings(name, recipe, images), seed=seed)
    if name == "local-frozen":
        network.requires_grad_(False)
        network.chain.layers[-1].requires_grad_()
    return network
