"""The locally connected layer: a convolution whose every position has weights of its own."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal, Self, cast, get_args

import torch
from torch import Tensor, nn

from neurocircuit.cells.local_dense import (
    check_dense,
    dense_local2d,
    dense_weight_shape,
    fill_uniform,
    start_dense,
    window_weights,
)
from neurocircuit.cells.local_geometry import LocalGeometry, Pair, check_real
from neurocircuit.cells.local_operation import locally_connected2d
from neurocircuit.checks import check_whole

__all__ = ["MAX_DENSE_WEIGHTS", "LocallyConnected2d"]

Legacy = Literal["dense"]

#: Most weights of a matrix that `LocallyConnected2d.to_dense` makes; 256 MiB in float32.
MAX_DENSE_WEIGHTS = 1 << 26


class LocallyConnected2d(nn.Module):
    """A two-dimensional convolution whose every position has weights of its own.

    What this removes from a convolution is the sharing of weights. Backpropagation through it still needs the
    transposed weights (weight transport), as through any other layer; see `FeedbackChain` for doing without.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of input and output.
    kernel_size : int or (int, int)
        Height and width of a unit's window in pixels.
    input_size : int or (int, int)
        Height and width of the input in pixels, which a convolution need not know.
    stride, padding, dilation, groups
        As in `torch.nn.Conv2d`, with its defaults; padding is with zeros.
    bias : bool
        Whether every unit has a bias.
    legacy : {None, "dense"}
        ``"dense"`` is the teaching notebook's layer, a control: see `neurocircuit.cells.local_dense`.
    seed : int or torch.Generator, optional
        Of the starting weights. None draws from torch's own generator, as torch's layers do.
    device, dtype
        Of the parameters, which are real and floating.

    Attributes
    ----------
    weight : Parameter
        Only the weights within the windows, (y, x, out channel, window x, window y, in channel of the group); see
        `kernels` for another order. With ``legacy="dense"`` (in channel, in y, in x, out channel, out y, out x).
    bias : (out channel, y, x) Parameter or None
        One number for every unit.
    geometry : LocalGeometry
        All sizes.

    Raises
    ------
    TypeError
        If a size or the seed is no whole number, or `dtype` no floating type of real numbers.
    ValueError
        If the seed is negative; if the sizes do not fit, as `LocalGeometry` says; if `legacy` is unknown, or is asked
        for what it has not.

    Notes
    -----
    Weights and biases start uniform within 1 / sqrt(fan in), as those of `torch.nn.Conv2d` do; the fan in is the number
    of weights of one unit.
    """

    bias: nn.Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        input_size: int | Pair,
        *,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        legacy: Legacy | None = None,
        seed: int | torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.geometry = LocalGeometry(
            in_channels,
            out_channels,
            cast(Pair, kernel_size),
            cast(Pair, input_size),
            cast(Pair, stride),
            cast(Pair, padding),
            cast(Pair, dilation),
            groups,
        )
        if legacy is not None and legacy not in get_args(Legacy):
            raise ValueError(f"`legacy` is {legacy!r}; it must be None or one of {', '.join(get_args(Legacy))}.")
        if legacy == "dense":
            check_dense(self.geometry)
        if dtype is not None:
            check_real("dtype", dtype)
        self.legacy = legacy
        shape = dense_weight_shape(self.geometry) if legacy == "dense" else self.geometry.weight_shape
        self.weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        units = (self.geometry.out_channels, *self.output_size)
        self.bias = nn.Parameter(torch.empty(units, device=device, dtype=dtype)) if bias else None
        self.reset_parameters(seed)

    @property
    def output_size(self) -> Pair:
        """Height and width of the output, in pixels."""
        return self.geometry.output_size

    def reset_parameters(self, seed: int | torch.Generator | None = None) -> None:
        """Draw weights and biases anew; see the class for `seed`."""
        generator = _generator(seed)
        with torch.no_grad():
            if self.legacy == "dense":
                start_dense(self.weight, self.bias, self.geometry.kernel_size, generator)
                return
            for parameter in self.parameters():
                fill_uniform(parameter, 1 / math.sqrt(self.geometry.fan_in), generator)

    def forward(self, field: Tensor) -> Tensor:
        """Return the output, (batch, out channel, y, x); see `locally_connected2d`."""
        return self._operate(field, self.bias)

    def _operate(self, field: Tensor, bias: Tensor | None) -> Tensor:
        operation = dense_local2d if self.legacy == "dense" else locally_connected2d
        return operation(field, self.weight, bias, self.geometry)

    def kernels(self, values: Tensor | None = None) -> Tensor:
        """Return a view of the weights within the windows.

        Parameters
        ----------
        values : tensor of the weights' shape, optional
            What is viewed instead of the weights, such as their gradient.

        Returns
        -------
        (y, x, out channel, in channel of the group, window y, window x) tensor
            At every position a kernel in the order of `torch.nn.Conv2d`.
        """
        values = self.weight if values is None else values
        if self.legacy == "dense":
            return window_weights(values, self.geometry.kernel_size)
        return values.permute(0, 1, 2, 5, 4, 3)

    @classmethod
    def from_conv2d(cls, conv: nn.Conv2d, input_size: int | Pair) -> Self:
        """Return a layer that starts with the weights of a convolution at every position, and so with its output.

        Parameters
        ----------
        conv : torch.nn.Conv2d
            With zeros as padding, whose width is given in pixels.
        input_size : int or (int, int)
            Height and width of the input in pixels.

        Raises
        ------
        TypeError
            If `conv` is no two-dimensional convolution.
        ValueError
            If its padding is none that this layer has, or the kernel does not fit the input.
        """
        if not isinstance(conv, nn.Conv2d):
            raise TypeError(f"`conv` is a {type(conv).__name__}; it must be a torch.nn.Conv2d.")
        if conv.padding_mode != "zeros" or isinstance(conv.padding, str):
            raise ValueError(
                f"`conv` has padding_mode={conv.padding_mode!r} and padding={conv.padding!r}; only zeros are possible, "
                "and their width must be given in pixels."
            )
        layer = cls(
            conv.in_channels,
            conv.out_channels,
            cast(Pair, conv.kernel_size),
            input_size,
            stride=cast(Pair, conv.stride),
            padding=cast(Pair, conv.padding),
            dilation=cast(Pair, conv.dilation),
            groups=conv.groups,
            bias=conv.bias is not None,
            seed=0,
            device=conv.weight.device,
            dtype=conv.weight.dtype,
        )
        with torch.no_grad():
            layer.kernels().copy_(conv.weight)
            if layer.bias is not None and conv.bias is not None:
                layer.bias.copy_(conv.bias[:, None, None])
        return layer

    def to_dense(self) -> nn.Linear:
        """Return a copy of the layer as one matrix from all inputs to all outputs, each in the order (channel, y, x).

        Raises
        ------
        ValueError
            If the matrix would have more than `MAX_DENSE_WEIGHTS` weights.
        """
        geometry = self.geometry
        shape = (geometry.in_channels, *geometry.input_size)
        inputs, outputs = math.prod(shape), geometry.out_channels * math.prod(geometry.output_size)
        if inputs * outputs > MAX_DENSE_WEIGHTS:
            raise ValueError(
                f"`to_dense` of this layer would make {inputs} x {outputs} weights; at most {MAX_DENSE_WEIGHTS} are "
                "allowed. Use a smaller layer."
            )
        device, dtype = self.weight.device, self.weight.dtype
        # Made without memory first, so that no random numbers are drawn that are overwritten.
        dense = nn.Linear(inputs, outputs, bias=self.bias is not None, device="meta", dtype=dtype)
        dense = dense.to_empty(device=device)
        with torch.no_grad():
            every_input = torch.eye(inputs, device=device, dtype=dtype).view(-1, *shape)
            dense.weight.copy_(self._operate(every_input, None).flatten(1).T)
            if self.bias is not None:
                dense.bias.copy_(self.bias.flatten())
        return dense

    def extra_repr(self) -> str:
        """Return what print shows of the layer, as torch's layers do; defaults are left out."""
        geometry = self.geometry
        shown = [f"{geometry.in_channels}, {geometry.out_channels}"]
        shown += [f"{name}={getattr(geometry, name)}" for name in ("kernel_size", "input_size", "output_size")]
        defaults = {field.name: field.default for field in dataclasses.fields(geometry)}
        for name in ("stride", "padding", "dilation", "groups"):
            if getattr(geometry, name) != defaults[name]:
                shown.append(f"{name}={getattr(geometry, name)}")
        if self.bias is None:
            shown.append("bias=False")
        if self.legacy is not None:
            shown.append(f"legacy={self.legacy!r}")
        return ", ".join(shown)


def _generator(seed: int | torch.Generator | None) -> torch.Generator | None:
    if seed is None or isinstance(seed, torch.Generator):
        return seed
    return torch.Generator().manual_seed(check_whole("seed", seed, 0))
