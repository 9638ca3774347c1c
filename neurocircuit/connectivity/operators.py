"""Fast torch operators for lateral kernels.

A box is summed by running sums along one axis and then the other, so its cost does not depend on its size and is
linear in the number of pixels. A product with a banded matrix is faster on small fields, where both are short, and
slower from 75 pixels on (``box_sum`` of ``benchmarks/torch_step.py``). Rounding errors stay those of one row, unlike
those of a two-dimensional integral image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from neurocircuit.connectivity.channel_mixing import ChannelMixing
from neurocircuit.connectivity.kernels import (
    Annulus,
    Boundary,
    Box,
    BoxTerm,
    Dense,
    LateralKernel,
    Mixture,
)

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
        return lambda field: _square_sums(field, kernel.terms, kernel.boundary)
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
    """Return the plain sum over a square of `size` pixels around every pixel of ``[..., channel, y, x]``.

    Raises
    ------
    TypeError, ValueError
        If the size is not odd and positive, the boundary is unknown, or the square is too large for the field.
    """
    Box(size, boundary).check_field((1, field.shape[-2], field.shape[-1]), "size")
    return _square_sums(field, (BoxTerm(size, 1.0),), boundary)


def _square_sums(field: torch.Tensor, terms: Sequence[BoxTerm], boundary: Boundary) -> torch.Tensor:
    """Add up weighted sums over squares, which share the running sum along y."""
    if boundary != "zero":
        margin = max(term.size for term in terms) // 2
        height, width = field.shape[-2:]
        wide = _square_sums(pad(field, margin, boundary), terms, "zero")
        return wide[..., margin : margin + height, margin : margin + width]
    running = field.cumsum(-2)
    total = torch.zeros_like(field)
    for size, weight in terms:
        part = field if size == 1 else _window(_window(running, size, -2).cumsum(-1), size, -1)
        total = total.add_(part, alpha=weight)
    return total


def _window(running: torch.Tensor, size: int, axis: int) -> torch.Tensor:
    """Turn a running sum along an axis into sums over windows of `size`: the difference of its values at both ends."""
    half, length = size // 2, running.shape[axis]
    total = torch.empty_like(running)
    total.narrow(axis, 0, length - half).copy_(running.narrow(axis, half, length - half))
    total.narrow(axis, length - half, half).copy_(running.narrow(axis, length - 1, 1))
    total.narrow(axis, half + 1, length - half - 1).sub_(running.narrow(axis, 0, length - half - 1))
    return total
