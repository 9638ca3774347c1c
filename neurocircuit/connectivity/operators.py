"""Fast torch operators for lateral kernels.

A box is summed by running sums along one axis and then the other, so its cost does not depend on its size and is
linear in the number of pixels. Running sums beat a banded-matrix product at every field size measured
(``benchmarks/pools.py``) and, unlike a two-dimensional integral image, their rounding error stays that of one row.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from neurocircuit.connectivity.kernels import Annulus, Boundary, Box, ChannelMixing, Dense, LateralKernel, Mixture

__all__ = ["Operator", "as_operator", "box_sum"]

Operator = Callable[[torch.Tensor], torch.Tensor]
_PAD_MODE = {"zero": "constant", "reflect": "reflect", "periodic": "circular"}


def as_operator(kernel: LateralKernel, dtype: torch.dtype, device: torch.device | str) -> Operator:
    """Return the kernel as a differentiable function of a field.

    Parameters
    ----------
    kernel : LateralKernel
        The kernel; its weights are fixed.
    dtype : torch.dtype
        Floating-point type of the fields.
    device : torch.device or str
        Where the fields live.

    Returns
    -------
    callable
        From ``[batch, channel, y, x]`` to the pool, ``[batch, channel, y, x]`` or, when it is the same for every
        channel, ``[batch, 1, y, x]``.
    """
    if isinstance(kernel, Box | Annulus):
        return lambda field: _box_terms(kernel, field)
    if isinstance(kernel, ChannelMixing):
        if kernel.is_uniform:
            weight = kernel.by_lag[0]
            return lambda field: field.sum(1, keepdim=True) * weight
        matrix = torch.as_tensor(kernel.matrix(), dtype=dtype, device=device)
        return lambda field: torch.matmul(matrix, field.flatten(2)).view_as(field)
    if isinstance(kernel, Dense):
        weights = torch.tensor(kernel.weights, dtype=dtype, device=device)
        return lambda field: F.conv2d(pad(field, kernel.half_width, kernel.boundary), weights)
    if isinstance(kernel, Mixture):
        parts = [(weight, as_operator(part, dtype, device)) for weight, part in kernel.parts]
        return lambda field: sum((weight * part(field) for weight, part in parts), torch.zeros_like(field))
    raise TypeError(f"`kernel` is a {type(kernel).__name__}, for which no torch operator is known.")


def pad(field: torch.Tensor, width: int, boundary: Boundary) -> torch.Tensor:
    """Pad the last two axes of ``[batch, channel, y, x]`` by `width` pixels on every side."""
    return F.pad(field, (width, width, width, width), mode=_PAD_MODE[boundary])


def box_sum(field: torch.Tensor, size: int, boundary: Boundary) -> torch.Tensor:
    """Return the plain sum over a square of `size` pixels around every pixel of ``[..., channel, y, x]``."""
    return _running_sum(_running_sum(field, size, -1, boundary), size, -2, boundary)


def _box_terms(kernel: Box | Annulus, field: torch.Tensor) -> torch.Tensor:
    first, *others = kernel.terms
    total = box_sum(field, first.size, kernel.boundary).mul(first.weight)
    for term in others:
        total = torch.add(total, box_sum(field, term.size, kernel.boundary), alpha=term.weight)
    return total


def _running_sum(field: torch.Tensor, size: int, axis: int, boundary: Boundary) -> torch.Tensor:
    """Sum over windows of `size` along one axis: the difference of two running sums `size` apart."""
    if size == 1:
        return field
    half, length = size // 2, field.shape[axis]
    if boundary != "zero":
        widths = (half, half, 0, 0) if axis == -1 else (0, 0, half, half)
        field = F.pad(field, widths, mode=_PAD_MODE[boundary])
        lead = (1, 0, 0, 0) if axis == -1 else (0, 0, 1, 0)
    else:
        lead = (half + 1, half, 0, 0) if axis == -1 else (0, 0, half + 1, half)
    running = F.pad(field, lead).cumsum(axis)
    return running.narrow(axis, size, length) - running.narrow(axis, 0, length)
