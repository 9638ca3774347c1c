"""Image classifiers of convolutions or of locally connected layers, trained with or without weight transport.

The layouts are those of the teaching notebook that made convolutions without weight sharing; every layout can be built
of convolutions, of locally connected layers, or of the notebook's own dense form of these.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn

from neurocircuit.cells.feedback import FeedbackChain
from neurocircuit.cells.local import LocallyConnected2d
from neurocircuit.checks import check_whole
from neurocircuit.networks.parts import count_parameters
from neurocircuit.networks.spatial_settings import SpatialKind, SpatialLayer, SpatialNetSettings, scale_width
from neurocircuit.training.seeding import seeded

__all__ = ["SpatialNet", "match_parameters", "spatial_parameters"]

#: Widths beyond this factor are not searched.
_WIDEST = 64.0


class SpatialNet(nn.Module):
    """A classifier of images.

    Parameters
    ----------
    settings : SpatialNetSettings
        What it is.
    seed : int
        Of weights and feedback weights, which are independent of each other; at least 0.

    Attributes
    ----------
    chain : FeedbackChain
        The layers: its `layers` have the weights, its `after` what follows them.
    settings : SpatialNetSettings
        As given.

    Raises
    ------
    ValueError
        If the notebook's dense form is asked for what it cannot do, such as padding, or the seed is negative.
    TypeError
        If the seed is no whole number.
    """

    def __init__(self, settings: SpatialNetSettings, *, seed: int = 0) -> None:
        super().__init__()
        seed = check_whole("seed", seed, 0)
        self.settings = settings
        sizes = settings.sizes()
        with seeded(seed):
            layers = [
                _spatial_layer(settings.kind, layer, size)
                for layer, size in zip(settings.spatial, sizes[:-1], strict=True)
            ]
            units = [math.prod(sizes[-1]), *(layer.units for layer in settings.full), settings.classes]
            full = [nn.Linear(*pair) for pair in pairwise(units)]
        deep = len(settings.spatial)
        after = [_after_spatial(layer, last=number == deep) for number, layer in enumerate(settings.spatial, 1)]
        after += [nn.Sequential(nn.ReLU(), *_dropout(layer.dropout)) for layer in settings.full]
        self.chain = FeedbackChain(
            [*layers, *full],
            [*after, nn.Identity()],
            sample_shape=settings.image_shape,
            feedback=settings.feedback,
            seed=seed,
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, (batch, class), of images ``[batch, channel, y, x]``.

        Raises
        ------
        ValueError
            If the images are of another shape than the settings say.
        """
        if images.ndim != 4 or tuple(images.shape[1:]) != self.settings.image_shape:
            raise ValueError(
                f"`images` has the shape {tuple(images.shape)}; expected (batch, channel, y, x) with "
                f"{self.settings.image_shape} after the batch. Build the network with that image_shape."
            )
        logits: Tensor = self.chain(images)
        return logits


def _spatial_layer(kind: SpatialKind, layer: SpatialLayer, size: tuple[int, int, int]) -> nn.Module:
    channels, height, width = size
    if kind == "conv":
        return nn.Conv2d(channels, layer.channels, layer.kernel_size, padding=layer.padding)
    return LocallyConnected2d(
        channels,
        layer.channels,
        layer.kernel_size,
        (height, width),
        padding=layer.padding,
        legacy="dense" if kind == "dense" else None,
    )


def _after_spatial(layer: SpatialLayer, *, last: bool) -> nn.Sequential:
    return nn.Sequential(
        *([nn.BatchNorm2d(layer.channels)] if layer.norm else []),
        *([nn.ReLU()] if layer.rectified else []),
        *([nn.MaxPool2d(2)] if layer.pool else []),
        *([nn.Dropout2d(layer.map_dropout)] if layer.map_dropout else []),
        *([nn.Flatten()] if last else []),
        *_dropout(layer.dropout),
    )


def _dropout(share: float) -> list[nn.Module]:
    return [nn.Dropout(share)] if share else []


def spatial_parameters(settings: SpatialNetSettings) -> int:
    """Return the number of weights and biases, trained or frozen, without drawing any."""
    with torch.device("meta"):
        return count_parameters(SpatialNet(replace(settings, feedback="transpose")))


def match_parameters(settings: SpatialNetSettings, parameters: int) -> SpatialNetSettings:
    """Return the settings with spatial layers as wide as is needed for a number of parameters, or nearly that number.

    Parameters
    ----------
    settings : SpatialNetSettings
        What is widened, or narrowed.
    parameters : int
        Weights and biases wanted.

    Raises
    ------
    ValueError
        If even one channel a layer has more parameters, or 64 times the width has fewer.
    """
    low, high = 0.0, _WIDEST
    least, most = (spatial_parameters(scale_width(settings, factor)) for factor in (low, high))
    if not least <= parameters <= most:
        raise ValueError(
            f"`parameters` is {parameters}, but networks of this layout have from {least} (one channel a layer) to "
            f"{most} ({_WIDEST:g} times the width). Change the number of units in `full`."
        )
    best, missed = scale_width(settings, low), parameters - least
    # The count grows with the factor, up to the rounding of the channels, so the factor is searched for by halving.
    for _ in range(30):
        middle = (low + high) / 2
        tried = scale_width(settings, middle)
        count = spatial_parameters(tried)
        if abs(count - parameters) < missed:
            best, missed = tried, abs(count - parameters)
        if count < parameters:
            low = middle
        else:
            high = middle
    return best
