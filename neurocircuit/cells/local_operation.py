"""The operation of a locally connected layer, forwards and backwards, in little memory.

Every position is a small matrix product, of its weights and its window in all images of the batch. Written out at once,
the windows would be as many copies of the input as a window has pixels. Here one row of output positions is computed at
a time: the rows of the input that it needs are laid side by side in a buffer such that every window is one contiguous
piece of it, and neighbouring windows overlap. The backward pass fills the buffer anew instead of keeping it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from neurocircuit.cells.local_geometry import LocalGeometry, check_field

__all__ = ["locally_connected2d"]


def locally_connected2d(field: Tensor, weight: Tensor, bias: Tensor | None, geometry: LocalGeometry) -> Tensor:
    """Return the output of a locally connected layer.

    Parameters
    ----------
    field : (batch, channel, y, x) tensor
        The input.
    weight : (y, x, out channel, window x, window y, in channel of the group) tensor
        Weights ``W[post, pre]``. Within a window x is before y, so that neighbouring windows can share memory.
    bias : (out channel, y, x) tensor, optional
        One number for every unit.
    geometry : LocalGeometry
        Sizes.

    Returns
    -------
    (batch, out channel, y, x) tensor
        In torch's memory format ``channels_last``. Differentiable once. Under autocast in autocast's precision.

    Raises
    ------
    ValueError
        If the field, the weights or the biases do not fit the geometry.
    TypeError
        If they have different dtypes, or one that is not of real floating numbers.
    """
    check_field(field, geometry)
    biases = (geometry.out_channels, *geometry.output_size)
    field, weight = _autocast(field), _autocast(weight)
    bias = None if bias is None else _autocast(bias)
    for name, tensor, shape in (("weight", weight, geometry.weight_shape), ("bias", bias, biases)):
        if tensor is None:
            continue
        if tensor.shape != shape:
            raise ValueError(f"`{name}` has the shape {tuple(tensor.shape)}; expected {shape}.")
        if tensor.dtype != field.dtype:
            raise TypeError(
                f"`field` is {field.dtype} but `{name}` {tensor.dtype}; convert one of them, or compute under autocast."
            )
    out: Tensor = _apply(field, weight, bias, geometry)
    return out


def _autocast(tensor: Tensor) -> Tensor:
    kind = tensor.device.type
    if not (torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)):
        return tensor
    # What autocast leaves alone as well; without this, complex weights would lose their imaginary part.
    if tensor.dtype == torch.float64 or not tensor.is_floating_point():
        return tensor
    return tensor.to(torch.get_autocast_dtype(kind))


# Left out of compiled graphs: a row is written in place into a part of the output.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def _apply(*arguments: Any) -> Any:
    return _LocallyConnected.apply(*arguments)


class _LocallyConnected(torch.autograd.Function):
    """See `locally_connected2d`. In here the batch is the last axis, which makes contiguous what is moved about."""

    @staticmethod
    def forward(ctx: Any, field: Tensor, weight: Tensor, bias: Tensor | None, geometry: LocalGeometry) -> Tensor:
        ctx.save_for_backward(field, weight)
        ctx.geometry = geometry
        height, width = geometry.output_size
        out = field.new_empty((height, width, geometry.out_channels, len(field)))
        by_row, out_rows = _row_weights(weight, geometry), _by_group(out, geometry)
        start = None if bias is None else _by_group(bias.permute(1, 2, 0).unsqueeze(-1), geometry)
        for y, windows in enumerate(_windows(_batch_last(_padded(field, geometry)), geometry)):
            if start is None:
                torch.bmm(by_row[y], windows, out=out_rows[y])
            else:
                torch.baddbmm(start[y], by_row[y], windows, out=out_rows[y])
        return _batch_first(out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        field, weight = ctx.saved_tensors
        of_field, of_weight, of_bias, _ = ctx.needs_input_grad
        error = _batch_last(error)
        return (
            _field_gradient(error, weight, ctx.geometry) if of_field else None,
            _weight_gradient(error, field, weight, ctx.geometry) if of_weight else None,
            error.sum(-1).permute(2, 0, 1) if of_bias else None,
            None,
        )


def _weight_gradient(error: Tensor, field: Tensor, weight: Tensor, geometry: LocalGeometry) -> Tensor:
    gradient = torch.empty_like(weight, memory_format=torch.contiguous_format)
    by_row, errors = _row_weights(gradient, geometry), _by_group(error, geometry)
    for y, windows in enumerate(_windows(_batch_last(_padded(field, geometry)), geometry)):
        torch.bmm(errors[y], windows.mT, out=by_row[y])
    return gradient


def _field_gradient(error: Tensor, weight: Tensor, geometry: LocalGeometry) -> Tensor:
    (rows, columns), (step_y, step_x), (gap_y, gap_x) = geometry.kernel_size, geometry.stride, geometry.dilation
    width, batch = geometry.output_size[1], error.shape[-1]
    gradient = error.new_zeros((*geometry.padded_size, geometry.groups, geometry.group_channels, batch))
    for y, (errors, weights) in enumerate(zip(_by_group(error, geometry), _row_weights(weight, geometry), strict=True)):
        windows = torch.bmm(weights.mT, errors).view(width, geometry.groups, columns, rows, *gradient.shape[-2:])
        reached = gradient[y * step_y :][: geometry.reach[0] : gap_y]
        for x in range(columns):
            # One column of every window of the row; no two of them are the same pixel.
            reached[:, x * gap_x :][:, : step_x * width : step_x].add_(windows[:, :, x].permute(2, 0, 1, 3, 4))
    (top, left), (height, width) = geometry.padding, geometry.input_size
    return _batch_first(gradient.flatten(2, 3))[..., top : top + height, left : left + width]


def _windows(field: Tensor, geometry: LocalGeometry) -> Iterator[Tensor]:
    """Yield the windows of every row of output positions, (x and group, weight of a unit, batch); one buffer for all.

    Parameters
    ----------
    field : (y, x, channel, batch) tensor
        The padded input.
    """
    (rows, columns), (step_y, step_x), (_, gap_x) = geometry.kernel_size, geometry.stride, geometry.dilation
    height, width, _, batch = field.shape
    grouped = field.view(height, width, geometry.groups, geometry.group_channels, batch)
    buffer = field.new_empty((geometry.groups, width, rows, geometry.group_channels, batch))
    of_group, of_x = buffer.stride()[:2]
    windows = buffer.as_strided(
        (geometry.output_size[1], geometry.groups, columns, rows * geometry.group_channels, batch),
        (step_x * of_x, of_group, gap_x * of_x, batch, 1),
    )
    for y in range(geometry.output_size[0]):
        reached = grouped[y * step_y :][: geometry.reach[0] : geometry.dilation[0]]
        buffer.copy_(reached.permute(2, 1, 0, 3, 4))
        # Without groups and gaps this is a view of the buffer, otherwise a copy of one row of windows.
        yield windows.flatten(2, 3).flatten(0, 1)


def _row_weights(weight: Tensor, geometry: LocalGeometry) -> Tensor:
    """Return a view of the weights, (y, x and group, unit of the group, weight of a unit)."""
    return _by_group(weight.contiguous().flatten(3), geometry)


def _by_group(units: Tensor, geometry: LocalGeometry) -> Tensor:
    """Turn (y, x, out channel, ...) into (y, x and group, unit of the group, ...)."""
    return units.view(
        *units.shape[:2], geometry.groups, geometry.out_channels // geometry.groups, *units.shape[3:]
    ).flatten(1, 2)


def _padded(field: Tensor, geometry: LocalGeometry) -> Tensor:
    along_y, along_x = geometry.padding
    return F.pad(field, (along_x, along_x, along_y, along_y)) if along_y or along_x else field


def _batch_last(field: Tensor) -> Tensor:
    """Turn (batch, channel, y, x) into (y, x, channel, batch), contiguous."""
    by_pixel = field.permute(0, 2, 3, 1)
    # Torch is fast at the transposition of a matrix, and slow at most other permutations.
    return by_pixel.flatten(1).t().contiguous().view(*by_pixel.shape[1:], len(field))


def _batch_first(field: Tensor) -> Tensor:
    """Turn (y, x, channel, batch) into (batch, channel, y, x), in the memory format channels_last."""
    return field.flatten(0, 2).t().contiguous().view(field.shape[3], *field.shape[:3]).permute(0, 3, 1, 2)
