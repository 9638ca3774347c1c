"""The teaching notebook's locally connected layer, kept as a control: a dense layer that only starts local.

Its weight has a number for every pair of an input and an output unit. Those outside the windows are zero at the start,
but nothing keeps them there: their gradient is not zero, and after one step of training the layer is fully connected.
Its weights start too large, because the number of inputs is taken to be that of one channel's window.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from neurocircuit.cells.local_geometry import LocalGeometry, Pair, check_field

__all__ = ["check_dense", "dense_local2d", "dense_weight_shape", "fill_uniform", "start_dense", "window_weights"]


def check_dense(geometry: LocalGeometry) -> None:
    """Raise ValueError if the notebook's layer does not have what is asked of it."""
    plain = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    for name, only in plain.items():
        if getattr(geometry, name) != only:
            raise ValueError(
                f"`{name}` is {getattr(geometry, name)}, but the layer of `legacy='dense'` has only {only}. "
                f"Leave out `{name}` or `legacy`."
            )


def dense_weight_shape(geometry: LocalGeometry) -> tuple[int, ...]:
    """Return the shape of the weights: (in channel, in y, in x, out channel, out y, out x)."""
    return (geometry.in_channels, *geometry.input_size, geometry.out_channels, *geometry.output_size)


def dense_local2d(field: Tensor, weight: Tensor, bias: Tensor | None, geometry: LocalGeometry) -> Tensor:
    """Return the output, (batch, channel, y, x): the sum over every pixel of every channel of the input."""
    check_field(field, geometry)
    out: Tensor = torch.tensordot(field, weight, dims=([1, 2, 3], [0, 1, 2]))
    return out if bias is None else out + bias


def window_weights(weight: Tensor, kernel_size: Pair) -> Tensor:
    """Return a view of the weights within the windows: (out y, out x, out channel, in channel, window y, window x).

    Parameters
    ----------
    weight : (in channel, in y, in x, out channel, out y, out x) tensor
        The dense weights, or anything of their shape, such as their gradient.
    kernel_size : (int, int)
        Height and width of a window in pixels.
    """
    channels, _, _, units, height, width = weight.shape
    of_channel, of_y, of_x, of_unit, of_out_y, of_out_x = weight.stride()
    # A window moves with its unit, so one step in the output is a step in the input as well.
    return weight.as_strided(
        (height, width, units, channels, *kernel_size),
        (of_out_y + of_y, of_out_x + of_x, of_unit, of_channel, of_y, of_x),
    )


def start_dense(weight: Tensor, bias: Tensor | None, kernel_size: Pair, generator: torch.Generator | None) -> None:
    """Fill weights and biases in place with the notebook's start.

    Weights within the windows are uniform with the variance 2 / (pixels of a window), without the input channels;
    biases are uniform within 1 / sqrt(positions).
    """
    weight.zero_()
    bound = math.sqrt(6 / (kernel_size[0] * kernel_size[1]))
    fill_uniform(window_weights(weight, kernel_size), bound, generator)
    if bias is not None:
        fill_uniform(bias, 1 / math.sqrt(bias.shape[1] * bias.shape[2]), generator)


def fill_uniform(values: Tensor, bound: float, generator: torch.Generator | None) -> None:
    """Fill a tensor in place with numbers within a bound, drawn on the CPU: the same ones whatever its device.

    A tensor without memory, on torch's device meta, draws none, so that a network's sizes can be had of it.
    """
    if values.is_meta:
        return
    drawn = torch.empty(values.shape, dtype=values.dtype, device="cpu")
    values.copy_(drawn.uniform_(-bound, bound, generator=generator))
