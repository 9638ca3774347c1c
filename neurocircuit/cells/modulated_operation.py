"""Convolutions and full connections of a modulated stack, as torch computes them, with cheaper gradients on a CPU.

Three things were slow in torch at the sizes of the published network: the gradient of a convolution's input where
there are few channels, a transposed convolution to one channel, and the gradient of a wide layer's weights, which is as
large as the weights at every step. Under autocast torch's own operations are used, and on other devices for all but the
last. All can be differentiated any number of times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["convolution", "linear_over_steps", "pooled_maximum", "transposed_convolution"]


def convolution(field: Tensor, weight: Tensor, bias: Tensor, padding: int = 0) -> Tensor:
    """Return ``conv2d(field, weight, bias, padding=padding)``; the padding is smaller than the kernel."""
    if _plain(field):
        return F.conv2d(field, weight, bias, padding=padding)
    out: Tensor = _Convolution.apply(field, weight, bias, padding)
    return out


def transposed_convolution(field: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """Return ``conv_transpose2d(field, weight, bias, stride=stride)``."""
    # With more channels torch's own way is as fast, and without a stride it is a plain convolution.
    if _plain(field) or weight.shape[1] > 1 or stride == 1:
        return F.conv_transpose2d(field, weight, bias, stride=stride)
    out: Tensor = _ToOneChannel.apply(field, weight, bias, stride)
    return out


def pooled_maximum(field: Tensor, pool: int) -> Tensor:
    """Return ``max_pool2d(field, pool)``."""
    if _plain(field):
        return F.max_pool2d(field, pool)
    out: Tensor = _PooledMaximum.apply(field, pool)
    return out


def linear_over_steps(weight: Tensor, bias: Tensor) -> Callable[[Tensor], Tensor]:
    """Return ``linear`` with these weights for the steps of one run, whose gradients are one product of all steps.

    A product a step would write as many numbers as there are weights, each time.
    """
    if torch.is_autocast_enabled(weight.device.type) or not (torch.is_grad_enabled() and weight.requires_grad):
        return lambda source: F.linear(source, weight, bias)
    steps = _Steps()
    token = _Weights.apply(weight, bias, steps)

    def connect(source: Tensor) -> Tensor:
        out: Tensor = _Step.apply(source, weight, bias.detach(), token, steps)
        return out

    return connect


def _plain(field: Tensor) -> bool:
    return field.device.type != "cpu" or torch.is_autocast_enabled("cpu")


class _Convolution(torch.autograd.Function):
    """A convolution whose input's gradient is a convolution with the turned kernel."""

    @staticmethod
    def forward(ctx: Any, field: Tensor, weight: Tensor, bias: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(field, weight)
        ctx.padding = padding
        return F.conv2d(field, weight, bias, padding=padding)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        field, weight = ctx.saved_tensors
        found = None
        if ctx.needs_input_grad[0]:
            margin = weight.shape[-1] - 1 - ctx.padding
            found = F.conv2d(gradient, weight.flip(2, 3).transpose(0, 1), padding=margin)
        mask = [False, ctx.needs_input_grad[1], ctx.needs_input_grad[2]]
        _, weights, biases = _native_backward(gradient, field, weight, 1, ctx.padding, False, mask)
        return found, weights, biases, None


class _ToOneChannel(torch.autograd.Function):
    """A transposed convolution as a convolution to all pixels between two strides, which are then put side by side."""

    @staticmethod
    def forward(ctx: Any, field: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(field, weight)
        ctx.stride = stride
        channels, _, kernel, _ = weight.shape
        # Each pixel is reached from so many source pixels along an axis; kernels are filled up to whole strides.
        reach = -(-kernel // stride)
        filling = reach * stride - kernel
        tiles = F.pad(weight[:, 0], (0, filling, 0, filling)).view(channels, reach, stride, reach, stride)
        kernels = tiles.flip(1, 3).permute(2, 4, 0, 1, 3).reshape(stride * stride, channels, reach, reach)
        spread = F.conv2d(field, kernels, bias.expand(stride * stride), padding=reach - 1)
        pixels = (field.shape[-1] - 1) * stride + kernel
        found = F.pixel_shuffle(spread, stride)[..., :pixels, :pixels]
        # Never a view, to which autograd lets nobody add in place.
        return found.clone(memory_format=torch.contiguous_format)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        field, weight = ctx.saved_tensors
        mask = list(ctx.needs_input_grad[:3])
        return *_native_backward(gradient, field, weight, ctx.stride, 0, True, mask), None


class _PooledMaximum(torch.autograd.Function):
    """The maximum, looked for with the channels last, where several are compared at a time."""

    @staticmethod
    def forward(ctx: Any, field: Tensor, pool: int) -> Tensor:
        by_pixel = field.contiguous(memory_format=torch.channels_last)
        found, places = F.max_pool2d_with_indices(by_pixel, [pool, pool])
        ctx.save_for_backward(field, places.contiguous())
        ctx.pool = pool
        return found.contiguous()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        field, places = ctx.saved_tensors
        sizes = [ctx.pool, ctx.pool], [ctx.pool, ctx.pool], [0, 0], [1, 1]
        found: Tensor = torch.ops.aten.max_pool2d_with_indices_backward(gradient, field, *sizes, False, places)
        return found, None


def _native_backward(
    gradient: Tensor, field: Tensor, weight: Tensor, stride: int, padding: int, transposed: bool, mask: list[bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return torch's own gradients of field, weights and biases, as far as the mask asks for them."""
    biases = [weight.shape[1 if transposed else 0]]
    twice = [stride, stride], [padding, padding], [1, 1]
    found: tuple[Tensor | None, Tensor | None, Tensor | None] = torch.ops.aten.convolution_backward(
        gradient, field, weight, biases, *twice, transposed, [0, 0], 1, mask
    )
    return found


class _Steps:
    """Sources and gradients of the steps of one backward pass."""

    def __init__(self) -> None:
        self._pairs: list[tuple[Tensor, Tensor]] = []
        self._task = -1

    def add(self, source: Tensor, gradient: Tensor) -> None:
        """Keep a step."""
        # A pass that was interrupted never took its steps; the number of the pass tells them from this one's.
        task: int = torch._C._current_graph_task_id()
        if task != self._task:
            self._pairs, self._task = [], task
        self._pairs.append((source, gradient))

    def take(self) -> tuple[Tensor, Tensor]:
        """Return sources and gradients of all steps, one below the other, and forget them."""
        sources, gradients = zip(*self._pairs, strict=True)
        self._pairs = []
        return torch.cat(sources), torch.cat(gradients)


class _Weights(torch.autograd.Function):
    """Stands for the weights in the graph: its backward pass comes after those of all steps."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor, steps: _Steps) -> Tensor:
        ctx.steps = steps
        return weight.new_zeros(())

    @staticmethod
    def backward(ctx: Any, token: Tensor) -> tuple[Tensor, Tensor, None]:
        del token
        sources, gradients = ctx.steps.take()
        return gradients.mT @ sources, gradients.sum(0), None


class _Step(torch.autograd.Function):
    """One step of a linear layer, which leaves the gradients of its weights to `_Weights`."""

    @staticmethod
    def forward(ctx: Any, source: Tensor, weight: Tensor, bias: Tensor, token: Tensor, steps: _Steps) -> Tensor:
        ctx.save_for_backward(source, weight)
        ctx.steps = steps
        return F.linear(source, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, None, Tensor | None, None]:
        source, weight = ctx.saved_tensors
        into_weights = ctx.needs_input_grad[3]
        if into_weights:
            ctx.steps.add(source, gradient)
        found = gradient @ weight if ctx.needs_input_grad[0] else None
        return found, None, None, gradient.new_zeros(()) if into_weights else None, None
