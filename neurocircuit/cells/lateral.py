"""The learned lateral convolution of recurrent cells, in space or in the frequency domain.

A lateral kernel of 15 x 15 x 25 x 25 is nearly the whole cost of an hGRU. In the frequency domain its product is one
small matrix product per frequency, and the transform of the kernel is needed once per sequence, not once per step.
Fields are padded by half the width of the kernel only, since what wraps around further than that is never read.

Complex products of small matrices are slow in torch on a CPU, so each is written as one real product: the rows are the
real and the imaginary parts of the fields, the columns those of the kernel, and the four blocks are combined after.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast, get_args

import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import nn
from torch.autograd.function import once_differentiable

from neurocircuit.connectivity import Boundary, pad

__all__ = ["LateralConv2d", "Method", "choose_method", "lateral_conv2d"]

Method = Literal["auto", "direct", "fft"]
Shape = tuple[int, int]
Convolution = Callable[[torch.Tensor], torch.Tensor]

# Seconds per unit of work on a CPU (see `lateral_work`), of which only the ratios matter. Set once from the times of
# `benchmarks/lateral_conv.py`, whose tables say what they lose; its own fit has a larger overhead, which errs on small
# fields.
_DIRECT_SECONDS = 3.0e-11
_TRANSFORM_SECONDS = 3.0e-10
_PRODUCT_SECONDS = 8.0e-11
_OVERHEAD_SECONDS = 3.0e-4

# Planes up to this many points are put in order before the inverse transform; larger ones are faster as they come.
_SMALL_PLANE = 1 << 14


def lateral_conv2d(
    weight: torch.Tensor, shape: tuple[int, int, int], boundary: Boundary = "zero", method: Method = "auto"
) -> Convolution:
    """Return the cross-correlation of a field with a kernel, with what depends on the kernel alone done once.

    Parameters
    ----------
    weight : (post channel, pre channel, size, size) tensor
        The kernel; `size` is odd.
    shape : (batch, y, x)
        Size of the fields that will be given.
    boundary : {"zero", "reflect", "periodic"}
        What lies beyond the border.
    method : {"auto", "direct", "fft"}
        In space, in the frequency domain, or whatever `choose_method` says.

    Returns
    -------
    callable
        From ``[batch, pre channel, y, x]`` to ``[batch, post channel, y, x]``; differentiable once, with respect to
        the field and the kernel. Under autocast the frequency domain stays in float32, because torch has no Fourier
        transform in lower precision on a CPU.

    Raises
    ------
    ValueError
        If the kernel is even, not square, or reaches further than the field is wide, or the method is unknown.
    """
    if weight.ndim != 4 or weight.shape[2] != weight.shape[3]:
        raise ValueError(f"`weight` has the shape {tuple(weight.shape)}; expected (post, pre, size, size).")
    size = weight.shape[-1]
    check_kernel_size(size, shape[1:])
    _check_options(boundary, method)
    if method == "auto":
        method = choose_method(weight, shape)
    prepared: Convolution = (_in_space if method == "direct" else _in_frequency)(weight, shape, boundary)

    def convolve(field: torch.Tensor) -> torch.Tensor:
        if field.ndim != 4 or field.shape[1] != weight.shape[1] or field.shape[2:] != shape[1:]:
            raise ValueError(
                f"`field` has the shape {tuple(field.shape)}; this convolution is prepared for (batch, "
                f"{weight.shape[1]} channels, {shape[1]}, {shape[2]})."
            )
        return prepared(field)

    return convolve


def _in_space(weight: torch.Tensor, shape: tuple[int, int, int], boundary: Boundary) -> Convolution:
    del shape
    half = weight.shape[-1] // 2
    if boundary == "zero":
        return lambda field: F.conv2d(field, weight, padding=half)
    return lambda field: F.conv2d(pad(field, half, boundary), weight)


# Left out of compiled graphs, which can hold neither complex numbers nor the gradient that is summed in place.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def _in_frequency(weight: torch.Tensor, shape: tuple[int, int, int], boundary: Boundary) -> Convolution:
    half = weight.shape[-1] // 2
    margin = 0 if boundary == "zero" else half
    # Beyond the field there must be room for what wraps around: half a kernel, on one side only.
    lengths = (_transform_length(shape[1] + margin + half), _transform_length(shape[2] + margin + half))
    with torch.autocast(weight.device.type, enabled=False):
        full = weight.float() if weight.dtype in (torch.float16, torch.bfloat16) else weight
        spectrum = _Spectrum.apply(full, lengths)
    accumulator = _Accumulator()

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def convolve(field: torch.Tensor) -> torch.Tensor:
        wide = pad(field, margin, boundary) if margin else field
        with torch.autocast(field.device.type, enabled=False):
            out: torch.Tensor = _Product.apply(wide.to(full.dtype), spectrum, lengths, accumulator)
        height, width = wide.shape[-2:]
        return out[..., margin : height - margin, margin : width - margin] if margin else out

    return cast(Convolution, convolve)


def choose_method(weight: torch.Tensor, shape: tuple[int, int, int]) -> Method:
    """Return the faster method by a fixed estimate of the work; never timed, so that runs repeat bit for bit.

    On a device other than a CPU, for which nothing was measured, this is ``"direct"``.
    """
    if weight.device.type != "cpu":
        return "direct"
    direct, transforms, products = lateral_work(weight.shape, shape)
    in_frequency = transforms * _TRANSFORM_SECONDS + products * _PRODUCT_SECONDS + _OVERHEAD_SECONDS
    return "fft" if in_frequency < direct * _DIRECT_SECONDS else "direct"


def lateral_work(kernel: Sequence[int], shape: tuple[int, int, int]) -> tuple[float, float, float]:
    """Return the multiplications of a direct convolution, and of the transforms and products in its place.

    Parameters
    ----------
    kernel : (post channel, pre channel, size, size)
        Shape of the kernel.
    shape : (batch, y, x)
        Size of the fields.
    """
    post, pre, size, _ = kernel
    batch, height, width = shape
    points = (height + size // 2) * (width + size // 2)
    direct = batch * height * width * post * pre * size**2
    transforms = batch * (post + pre) * points * math.log2(points)
    # The kernel's own gradient is one more product of its size.
    return direct, transforms, (batch + 1) * post * pre * points


def check_kernel_size(size: int, field: Shape | None = None) -> None:
    """Raise ValueError if a lateral kernel of this size has no centre, or does not fit the field."""
    if isinstance(size, bool) or not isinstance(size, int) or size < 1 or size % 2 == 0:
        raise ValueError(f"`kernel_size` is {size!r}; it must be an odd whole number of pixels, such as 15.")
    if field is not None and size // 2 >= min(field):
        raise ValueError(
            f"`kernel_size` is {size}, which reaches {size // 2} pixels to each side, but the field is only "
            f"{field[0]} x {field[1]} pixels; at most {2 * min(field) - 1} is allowed. Use a smaller kernel."
        )


def _check_options(boundary: str, method: str) -> None:
    if boundary not in get_args(Boundary):
        raise ValueError(f"`boundary` is {boundary!r}; it must be one of {', '.join(get_args(Boundary))}.")
    if method not in get_args(Method):
        raise ValueError(f"`method` is {method!r}; it must be one of {', '.join(get_args(Method))}.")


class LateralConv2d(nn.Module):
    """A learned lateral kernel over space and channels.

    Parameters
    ----------
    channels : int
        Number of channels K.
    kernel_size : int
        Width in pixels; odd.
    symmetric : bool
        Whether the weight between two channels is the same in both directions, ``W[k1, k2] == W[k2, k1]``. The
        symmetry is a parametrisation, ``(V + V^T) / 2``, so that no optimiser can break it.
    boundary : {"zero", "reflect", "periodic"}
        What lies beyond the border.
    method : {"auto", "direct", "fft"}
        See `lateral_conv2d`.

    Attributes
    ----------
    weight : (channel, channel, y, x) Parameter
        V; its values are whatever the caller initialises, zeros before.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        *,
        symmetric: bool = False,
        boundary: Boundary = "zero",
        method: Method = "auto",
    ) -> None:
        super().__init__()
        check_kernel_size(kernel_size)
        _check_options(boundary, method)
        self.symmetric, self.boundary, self.method = symmetric, boundary, method
        self.weight = nn.Parameter(torch.zeros(channels, channels, kernel_size, kernel_size))

    def kernel(self) -> torch.Tensor:
        """Return W, (post channel, pre channel, y, x)."""
        return (self.weight + self.weight.transpose(0, 1)) / 2 if self.symmetric else self.weight

    def prepare(self, shape: tuple[int, int, int]) -> Convolution:
        """Return the convolution for fields of ``(batch, y, x)``, for as many steps as are wanted."""
        return lateral_conv2d(self.kernel(), shape, self.boundary, self.method)

    def forward(self, field: torch.Tensor) -> torch.Tensor:
        """Return the convolved field, (batch, channel, y, x)."""
        if field.ndim != 4:
            raise ValueError(f"`field` has the shape {tuple(field.shape)}; expected (batch, channel, y, x).")
        return self.prepare((field.shape[0], field.shape[2], field.shape[3]))(field)


class _Accumulator:
    """Sums the gradient of a spectrum over the steps of one backward pass in place.

    Each step's share is as large as the spectrum itself, tens of MB; autograd would allocate and add it anew.
    """

    def __init__(self) -> None:
        self.total: torch.Tensor | None = None
        self.task = -1

    def add(self, rows: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor | None:
        """Add ``rows^T gradient``; the first call of a pass returns the sum, which later calls add to."""
        # A pass that was interrupted never cleared its sum; the number of the pass tells it from this one's.
        task: int = torch._C._current_graph_task_id()
        if self.total is not None and self.task == task:
            self.total.baddbmm_(rows.mT, gradient)
            return None
        self.total, self.task = torch.bmm(rows.mT, gradient), task
        # The next pass, if the graph is kept for one, must start anew.
        torch.autograd.Variable._execution_engine.queue_callback(self._clear)
        return self.total

    def _clear(self) -> None:
        self.total = None


class _Spectrum(torch.autograd.Function):
    """The transform of a kernel centred on the origin, ``[frequency, pre, 2 * post]``, real and imaginary in turn.

    Written as a product with the two Fourier matrices, which are narrow because the kernel is small; the result then
    comes out with the frequency first, as the products need it.
    """

    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor, lengths: Shape) -> torch.Tensor:
        post, pre, size, _ = weight.shape
        along_y, along_x = _fourier(lengths[0], lengths[0], weight), _fourier(lengths[1], lengths[1] // 2 + 1, weight)
        ctx.matrices, ctx.lengths = (along_y, along_x), lengths
        by_pixel = weight.permute(2, 3, 1, 0).reshape(size, size, pre * post).to(along_y.dtype)
        columns = torch.matmul(along_x, by_pixel)
        spectrum = torch.matmul(along_y, columns.flatten(1))
        return torch.view_as_real(spectrum).reshape(-1, pre, 2 * post)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        along_y, along_x = ctx.matrices
        (height, width), pre = ctx.lengths, gradient.shape[1]
        complex_gradient = torch.view_as_complex(gradient.view(height, -1, 2))
        rows = torch.matmul(along_y.mH, complex_gradient).view(along_y.shape[1], along_x.shape[0], -1)
        # Frequencies that are left out, being the conjugates of others, count too.
        twice = torch.full((along_x.shape[0], 1), 2.0, dtype=gradient.dtype, device=gradient.device)
        twice[0] = 1
        if width % 2 == 0:
            twice[-1] = 1
        by_pixel = torch.matmul((along_x * twice).mH, rows).real / (height * width)
        size = along_y.shape[1]
        return by_pixel.view(size, size, pre, -1).permute(3, 2, 0, 1).contiguous(), None


class _Product(torch.autograd.Function):
    """The convolution of a field with a spectrum, cropped to the field."""

    @staticmethod
    def forward(
        ctx: Any, field: torch.Tensor, spectrum: torch.Tensor, lengths: Shape, accumulator: _Accumulator
    ) -> torch.Tensor:
        rows = _split_rows(torch.fft.rfft2(field, s=lengths))
        ctx.save_for_backward(rows if ctx.needs_input_grad[1] else None, spectrum)
        ctx.lengths, ctx.accumulator, ctx.shape = lengths, accumulator, field.shape
        batch, post = field.shape[0], spectrum.shape[2] // 2
        blocks = torch.bmm(rows, spectrum).view(-1, 2, batch, post, 2)
        out = blocks.new_empty((blocks.shape[0], batch, post, 2))
        torch.sub(blocks[:, 0, ..., 0], blocks[:, 1, ..., 1], out=out[..., 0])
        torch.add(blocks[:, 0, ..., 1], blocks[:, 1, ..., 0], out=out[..., 1])
        return _inverse(torch.view_as_complex(out), lengths, (field.shape[-2], field.shape[-1]))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None, None]:
        rows, spectrum = ctx.saved_tensors
        batch, _, height, width = ctx.shape
        transform = torch.view_as_real(torch.fft.rfft2(gradient, s=ctx.lengths)).permute(2, 3, 0, 1, 4)
        # The gradient of the four blocks of the forward product.
        blocks = transform.new_empty((*transform.shape[:2], 2, *transform.shape[2:]))
        blocks[:, :, 0] = transform
        blocks[:, :, 1, ..., 0] = transform[..., 1]
        torch.neg(transform[..., 0], out=blocks[:, :, 1, ..., 1])
        flat = blocks.view(-1, 2 * batch, spectrum.shape[2])
        field_gradient = None
        if ctx.needs_input_grad[0]:
            parts = torch.bmm(flat, spectrum.mT).view(-1, 2, batch, spectrum.shape[1])
            field_gradient = _inverse(torch.complex(parts[:, 0], parts[:, 1]), ctx.lengths, (height, width))
        return field_gradient, ctx.accumulator.add(rows, flat) if ctx.needs_input_grad[1] else None, None, None


def _split_rows(transform: torch.Tensor) -> torch.Tensor:
    """Turn ``[batch, channel, fy, fx]`` into ``[frequency, 2 * batch, channel]``: real parts, then imaginary ones."""
    batch, channels = transform.shape[:2]
    return torch.view_as_real(transform).permute(2, 3, 4, 0, 1).reshape(-1, 2 * batch, channels)


def _inverse(transform: torch.Tensor, lengths: Shape, shape: Shape) -> torch.Tensor:
    """Turn ``[frequency, batch, channel]`` back into fields of the shape (y, x)."""
    batch, channels = transform.shape[1:]
    by_field = transform.view(lengths[0], -1, batch, channels).permute(2, 3, 0, 1)
    if lengths[0] * lengths[1] <= _SMALL_PLANE:
        by_field = by_field.contiguous()
    field: torch.Tensor = torch.fft.irfft2(by_field, s=lengths)
    return field[..., : shape[0], : shape[1]].contiguous()


def _fourier(length: int, count: int, like: torch.Tensor) -> torch.Tensor:
    """Return ``exp(2 pi i k (s - r) / length)`` for `count` frequencies k and every kernel pixel s, centre r."""
    size = like.shape[-1]
    offsets = torch.arange(size, dtype=torch.float64) - size // 2
    phase = 2 * math.pi / length * torch.outer(torch.arange(count, dtype=torch.float64), offsets)
    return torch.polar(torch.ones_like(phase), phase).to(
        device=like.device, dtype=torch.complex128 if like.dtype == torch.float64 else torch.complex64
    )


def _transform_length(least: int) -> int:
    return int(next_fast_len(least, real=True))
