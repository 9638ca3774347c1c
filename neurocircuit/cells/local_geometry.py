"""Sizes of a locally connected layer, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from neurocircuit.checks import check_whole

__all__ = ["LocalGeometry", "Pair", "check_field", "check_real"]

Pair = tuple[int, int]


@dataclass(frozen=True)
class LocalGeometry:
    """Sizes of a locally connected layer; the numbers mean what those of `torch.nn.Conv2d` mean.

    Wherever there are two numbers, for y and x, one may be given for both.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of input and output.
    kernel_size : (int, int)
        Height and width of a unit's window in pixels.
    input_size : (int, int)
        Height and width of the input in pixels, which a convolution need not know.
    stride, padding, dilation : (int, int)
        Along y and x, in pixels. Padding is with zeros.
    groups : int
        Groups of channels that do not see each other.

    Raises
    ------
    TypeError
        If a size is no whole number.
    ValueError
        If a size is too small, the groups do not divide the channels, or the kernel is larger than the padded input.
    """

    in_channels: int
    out_channels: int
    kernel_size: Pair
    input_size: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        for name in ("in_channels", "out_channels", "groups"):
            object.__setattr__(self, name, check_whole(name, getattr(self, name)))
        for name in ("kernel_size", "input_size", "stride", "padding", "dilation"):
            object.__setattr__(self, name, _pair(name, getattr(self, name), 0 if name == "padding" else 1))
        for name in ("in_channels", "out_channels"):
            if getattr(self, name) % self.groups:
                raise ValueError(
                    f"`groups` is {self.groups}, which does not divide `{name}`, {getattr(self, name)}. "
                    f"Use a common divisor of {self.in_channels} and {self.out_channels}."
                )
        for axis, reach, room in zip("yx", self.reach, self.padded_size, strict=True):
            if reach > room:
                raise ValueError(
                    f"`kernel_size` is {self.kernel_size}, which with dilation {self.dilation} reaches over {reach} "
                    f"pixels along {axis}, but the padded input has only {room}. Use a smaller kernel or more padding."
                )

    @property
    def reach(self) -> Pair:
        """Height and width of a window with its gaps, in pixels."""
        (height, width), (gap_y, gap_x) = self.kernel_size, self.dilation
        return gap_y * (height - 1) + 1, gap_x * (width - 1) + 1

    @property
    def padded_size(self) -> Pair:
        """Height and width of the padded input, in pixels."""
        return self.input_size[0] + 2 * self.padding[0], self.input_size[1] + 2 * self.padding[1]

    @property
    def output_size(self) -> Pair:
        """Height and width of the output, in pixels."""
        (height, width), (step_y, step_x) = self.padded_size, self.stride
        return (height - self.reach[0]) // step_y + 1, (width - self.reach[1]) // step_x + 1

    @property
    def group_channels(self) -> int:
        """Input channels that a unit sees."""
        return self.in_channels // self.groups

    @property
    def fan_in(self) -> int:
        """Number of weights of one unit."""
        return self.group_channels * self.kernel_size[0] * self.kernel_size[1]

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of the weights: (y, x, out channel, window x, window y, in channel of the group)."""
        height, width = self.kernel_size
        return (*self.output_size, self.out_channels, width, height, self.group_channels)


def check_field(field: Tensor, geometry: LocalGeometry) -> None:
    """Raise an error if a field is not of real numbers, or not (batch, in channel, y, x) of the layer's size."""
    check_real("field", field.dtype)
    channels, height, width = geometry.in_channels, *geometry.input_size
    if field.ndim != 4 or field.shape[1:] != (channels, height, width):
        raise ValueError(
            f"`field` has the shape {tuple(field.shape)}; this layer is made for (batch, {channels} channels, "
            f"{height}, {width}). Resize the images, or make a layer with another `input_size`."
        )


def check_real(name: str, dtype: torch.dtype) -> None:
    """Raise TypeError if numbers are not real and floating; the layer's gradients are wrong for complex ones."""
    if not dtype.is_floating_point:
        raise TypeError(f"`{name}` is {dtype}; it must be a floating type of real numbers, such as torch.float32.")


def _pair(name: str, value: Any, least: int) -> Pair:
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2:
        raise ValueError(f"`{name}` is {value!r}; it must be one whole number or two, along y and x.")
    return cast(Pair, tuple(check_whole(name, number, least) for number in pair))
