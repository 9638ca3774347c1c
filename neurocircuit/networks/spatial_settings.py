"""What an image classifier of layers with windows is: its layers, their kind, and the teaching notebook's layouts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, get_args

from neurocircuit.cells.feedback import Feedback
from neurocircuit.checks import check_whole

__all__ = ["SPATIAL_LAYOUTS", "FullLayer", "SpatialKind", "SpatialLayer", "SpatialNetSettings", "scale_width"]

SpatialKind = Literal["conv", "local", "dense"]


def _check_counts(settings: Any, *names: str, least: int) -> None:
    for name in names:
        # Python's int, because JSON knows no other.
        object.__setattr__(settings, name, check_whole(name, getattr(settings, name), least))


def _check_shares(settings: Any, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if not 0 <= value < 1:
            raise ValueError(f"`{name}` is {value}; it must be at least 0 and below 1.")


@dataclass(frozen=True, kw_only=True)
class SpatialLayer:
    """A layer with windows, and what follows it: batch norm, rectification, pooling, dropout, in this order."""

    channels: int
    """Output channels."""
    kernel_size: int = 3
    """Height and width of a window in pixels."""
    padding: int = 0
    """Zeros on every side of the input, in pixels."""
    norm: bool = False
    """Whether batch norm follows, with one mean and variance a channel."""
    rectified: bool = True
    """Whether rectification follows."""
    pool: bool = False
    """Whether the maximum over 2 x 2 pixels follows."""
    map_dropout: float = 0.0
    """Share of whole channels that is dropped in training."""
    dropout: float = 0.0
    """Share of units that is dropped in training."""

    def __post_init__(self) -> None:
        _check_counts(self, "channels", "kernel_size", least=1)
        _check_counts(self, "padding", least=0)
        _check_shares(self, "map_dropout", "dropout")


@dataclass(frozen=True, kw_only=True)
class FullLayer:
    """A rectified layer with all connections."""

    units: int
    """Number of units."""
    dropout: float = 0.0
    """Share of units that is dropped in training."""

    def __post_init__(self) -> None:
        _check_counts(self, "units", least=1)
        _check_shares(self, "dropout")


@dataclass(frozen=True, kw_only=True)
class SpatialNetSettings:
    """Everything that defines a network but its weights.

    Raises
    ------
    ValueError
        If a value is not allowed, or the image becomes too small for a layer.
    TypeError
        If a count is not an integer.
    """

    spatial: tuple[SpatialLayer, ...]
    """Layers with windows, from the image up."""
    full: tuple[FullLayer, ...] = ()
    """Hidden layers with all connections between these and the read-out."""
    kind: SpatialKind = "local"
    """conv shares weights over positions, local does not, dense is the notebook's form of local, whose gradient leaks
    out of the windows."""
    feedback: Feedback = "transpose"
    """How the error travels back; see `neurocircuit.cells.FeedbackChain`."""
    image_shape: tuple[int, int, int] = (3, 32, 32)
    """Channels, height and width of the images."""
    classes: int = 10
    """Number of classes."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(SpatialKind):
            raise ValueError(f"`kind` is {self.kind!r}; it must be one of {', '.join(get_args(SpatialKind))}.")
        if self.feedback not in get_args(Feedback):
            raise ValueError(f"`feedback` is {self.feedback!r}; it must be one of {', '.join(get_args(Feedback))}.")
        if self.kind == "dense" and self.feedback != "transpose":
            raise ValueError(
                f"`feedback` is {self.feedback!r} and `kind` is 'dense'; the notebook's dense form is a control that "
                "is trained by backpropagation. Use kind='local'."
            )
        if not self.spatial:
            raise ValueError("`spatial` is empty; give at least one layer.")
        _check_counts(self, "classes", least=2)
        if len(self.image_shape) != 3:
            raise ValueError(f"`image_shape` is {self.image_shape}; it must be (channel, y, x).")
        channels, height, width = (check_whole("image_shape", size) for size in self.image_shape)
        object.__setattr__(self, "image_shape", (channels, height, width))
        self.sizes()

    def sizes(self) -> tuple[tuple[int, int, int], ...]:
        """Return channels, height and width of the image and of what every spatial layer hands on."""
        found = [self.image_shape]
        _, height, width = self.image_shape
        for number, layer in enumerate(self.spatial):
            loss = layer.kernel_size - 1 - 2 * layer.padding
            height, width = (size - loss for size in (height, width))
            if layer.pool:
                height, width = height // 2, width // 2
            if min(height, width) < 1:
                raise ValueError(
                    f"`image_shape` is {self.image_shape}, too small for spatial layer {number}: its input is "
                    f"{found[-1][1]} x {found[-1][2]} pixels, its windows {layer.kernel_size} x {layer.kernel_size}"
                    f"{', then halved' if layer.pool else ''}. Use larger images or fewer layers."
                )
            found.append((layer.channels, height, width))
        return tuple(found)


def _layers(*channels: int, **common: Any) -> tuple[SpatialLayer, ...]:
    return tuple(SpatialLayer(channels=count, **common) for count in channels)


def _spatial_dense_net() -> SpatialNetSettings:
    one, two, three, four = _layers(10, 20, 32, 64)
    five, six = _layers(128, 256, kernel_size=2)
    spatial = (
        replace(one, norm=True),
        replace(two, pool=True),
        replace(three, norm=True),
        replace(four, pool=True, map_dropout=0.05),
        replace(five, norm=True),
        replace(six, dropout=0.1),
    )
    return SpatialNetSettings(spatial=spatial, full=(FullLayer(units=512, dropout=0.1),))


def _regular_conv_net() -> SpatialNetSettings:
    one, two, three, four, five, six = _layers(32, 64, 128, 128, 256, 256, padding=1)
    spatial = (
        replace(one, norm=True),
        replace(two, pool=True),
        replace(three, norm=True),
        replace(four, pool=True, map_dropout=0.05),
        replace(five, norm=True),
        replace(six, pool=True, dropout=0.1),
    )
    return SpatialNetSettings(
        spatial=spatial, full=(FullLayer(units=1024), FullLayer(units=512, dropout=0.1)), kind="conv"
    )


#: The notebook's three networks by its names for them, and one for images of 8 x 8 pixels.
SPATIAL_LAYOUTS: Mapping[str, SpatialNetSettings] = MappingProxyType(
    {
        "spatial-dense": _spatial_dense_net(),
        "regular-conv": _regular_conv_net(),
        # Nothing rectifies it, so that it is linear as a whole.
        "simple": SpatialNetSettings(spatial=(SpatialLayer(channels=5, rectified=False),)),
        "small": SpatialNetSettings(
            spatial=(SpatialLayer(channels=8, norm=True), SpatialLayer(channels=16, pool=True)),
            full=(FullLayer(units=32),),
            image_shape=(1, 8, 8),
        ),
    }
)


def scale_width(settings: SpatialNetSettings, factor: float) -> SpatialNetSettings:
    """Return the settings with the channels of every spatial layer times a factor, at least 1 each.

    Raises
    ------
    ValueError
        If the factor is negative or infinite.
    """
    if not 0 <= factor < math.inf:
        raise ValueError(f"`factor` is {factor}; it must be at least 0 and finite.")
    spatial = tuple(replace(layer, channels=max(1, round(factor * layer.channels))) for layer in settings.spatial)
    return replace(settings, spatial=spatial)
