"""What a stack of modulated layers is: its sizes, its flags, and the connections that follow from both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple, get_args

from neurocircuit.checks import check_whole

__all__ = ["FULL", "INPUT", "Connection", "MapSize", "ModulatedStackSettings", "Modulation", "Pathway", "upward_window"]

Modulation = Literal["bias", "gain"]
Pathway = Literal["lateral", "top-down"]

#: Names of the lowest and the highest layer; those between are conv1, conv2, ...
INPUT, FULL = "input", "fc"

_FLAG_NAMES = ("bias", "gain", "lateral", "top-down")


class MapSize(NamedTuple):
    """Size of a convolutional layer: its channels, and its pixels a side before and after pooling."""

    channels: int
    pixels: int
    pooled: int


class Connection(NamedTuple):
    """A connection that modulates."""

    name: str
    """Of the module: target and source in the published way, such as c2c1g, from conv2 to conv1, gain."""
    source: str
    """Layer that sends, at the step before."""
    target: str
    """Layer that is modulated."""
    pathway: Pathway
    """lateral within a layer, top-down to a lower one."""
    modulation: Modulation
    """bias is added before rectification, gain multiplies after it."""
    live: bool
    """Whether the flags let it act."""


def upward_window(source: int, target: int) -> tuple[int, int]:
    """Return kernel size and stride of the transposed convolution from `source` to exactly `target` pixels a side.

    The stride is the largest with which neighbouring windows overlap by at least half of it, and the kernel is what
    then fills the target: the published 7 and 3 from 32 to 100 pixels, 20 and 10 from 9 to 100, 16 and 10 from 9 to 96.

    Parameters
    ----------
    source, target : int
        Pixels a side; the source is no larger than the target.

    Raises
    ------
    ValueError
        If the source is the larger one, which no transposed convolution without padding can lead to the target.
    """
    if not 1 <= source <= target:
        raise ValueError(f"`source` is {source} and `target` {target}; the source must have from 1 to `target` pixels.")
    # From target = (source - 1) * stride + kernel and kernel >= 1.5 * stride.
    stride = max(1, 2 * target // (2 * source + 1))
    return target - (source - 1) * stride, stride


@dataclass(frozen=True, kw_only=True)
class ModulatedStackSettings:
    """Convolutions with pooling, one layer with all connections above them, and what modulates them.

    Raises
    ------
    ValueError
        If a value is not allowed, or the image is too small for a layer.
    TypeError
        If a size is not an integer, or the flags are no text.
    """

    flags: str = "0111"
    """Four of 0 and 1, in the order bglt: whether there is bias modulation, gain modulation, and whether lateral and
    top-down connections bring it."""
    input_size: int = 100
    """Pixels a side of the image, which is grey."""
    channels: tuple[int, ...] = (8, 16)
    """Channels of each convolution, from the image up."""
    kernel: int = 5
    """Pixels a side of the windows of convolutions and of lateral connections within them; odd."""
    pools: tuple[int, ...] = (3, 3)
    """Pixels a side over which the maximum follows each convolution; what is left over at the far edge is dropped."""
    hidden: int = 128
    """Units of the layer with all connections."""
    compat: bool = False
    """Whether connections without effect under these flags are made too, as published; otherwise only live ones are."""

    def __post_init__(self) -> None:
        _check_flags(self.flags)
        for name in ("channels", "pools"):
            value = getattr(self, name)
            if not isinstance(value, Iterable) or isinstance(value, str):
                raise TypeError(f"`{name}` is {value!r}; it must be a tuple of integers, one a convolution.")
            object.__setattr__(self, name, tuple(check_whole(name, count) for count in value))
        for name in ("input_size", "kernel", "hidden"):
            object.__setattr__(self, name, check_whole(name, getattr(self, name)))
        if not isinstance(self.compat, bool):
            raise TypeError(f"`compat` is {self.compat!r}; it must be True or False.")
        if not self.channels:
            raise ValueError("`channels` is empty; give at least one convolution.")
        if len(self.pools) != len(self.channels):
            raise ValueError(
                f"`pools` is {self.pools} and `channels` {self.channels}; give as many of one as of the other, with 1 "
                "for no pooling."
            )
        if self.kernel % 2 == 0:
            raise ValueError(f"`kernel` is {self.kernel}; it must be odd, so that lateral windows have a centre.")
        self.maps()

    def maps(self) -> tuple[MapSize, ...]:
        """Return the sizes of the convolutional layers, from the image up."""
        found, below = [], self.input_size
        for number, (channels, pool) in enumerate(zip(self.channels, self.pools, strict=True), 1):
            pixels = below - self.kernel + 1
            if pixels < pool:
                raise ValueError(
                    f"`input_size` is {self.input_size}, too small for conv{number}: its input has {below} pixels a "
                    f"side, its windows {self.kernel} (`kernel`), and it pools over {pool} (`pools`). Use larger "
                    "images, or fewer or smaller layers."
                )
            below = pixels // pool
            found.append(MapSize(channels, pixels, below))
        return tuple(found)

    def modulates(self, modulation: Modulation) -> bool:
        """Return whether the flags let a modulation act."""
        return self.flags[get_args(Modulation).index(modulation)] == "1"

    def travels(self, pathway: Pathway) -> bool:
        """Return whether the flags let a pathway act."""
        return self.flags[2 + get_args(Pathway).index(pathway)] == "1"

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, from the image up."""
        return INPUT, *(f"conv{number}" for number in range(1, len(self.channels) + 1)), FULL

    def connections(self) -> tuple[Connection, ...]:
        """Return the connections that are made: those into a layer in one row, lateral before top-down, near to far."""
        every = [
            self._connection(source, target, modulation)
            for modulation in get_args(Modulation)
            for target in range(len(self.layers))
            for source in range(max(target, 1), len(self.layers))
        ]
        return tuple(connection for connection in every if self.compat or connection.live)

    def _connection(self, source: int, target: int, modulation: Modulation) -> Connection:
        pathway: Pathway = "lateral" if source == target else "top-down"
        return Connection(
            f"{self._short(source)}{self._short(target)}{modulation[0]}",
            self.layers[source],
            self.layers[target],
            pathway,
            modulation,
            self.modulates(modulation) and self.travels(pathway),
        )

    def _short(self, layer: int) -> str:
        """Return the published abbreviation of a layer."""
        if layer in (0, len(self.channels) + 1):
            return "fc1" if layer else "x"
        return f"c{layer}"


def _check_flags(flags: Any) -> None:
    if not isinstance(flags, str):
        raise TypeError(f"`flags` is {flags!r}; it must be text, such as '0111'.")
    if len(flags) != len(_FLAG_NAMES) or set(flags) - set("01"):
        raise ValueError(
            f"`flags` is {flags!r}; it must be four of 0 and 1, for {', '.join(_FLAG_NAMES)}, such as '0111' for gain "
            "from both."
        )
