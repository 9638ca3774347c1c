"""How the error travels backwards: by the transposed weights, by fixed random ones, or straight from the output.

Backpropagation sends the error of a layer down through the transpose of the weights that carried the activity up. No
synapse knows the strength of another one, so this *weight transport* has no known biological counterpart. Two rules do
without it. Feedback alignment sends the error down through fixed random weights of its own
:cite:p:`lillicrap2016`; direct feedback alignment gives every hidden layer a fixed random projection of the error of
the output :cite:p:`nokland2016`. Either way a layer's own weights change by the error that arrives and by the activity
that came in, as in backpropagation.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, cast, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.func import functional_call

from neurocircuit.checks import check_whole

__all__ = ["Feedback", "FeedbackChain", "broadcast_error", "through_fixed_weights"]

Feedback = Literal["transpose", "random", "direct"]

#: Keeps the feedback weights independent of forward weights that were drawn with the same seed.
_FEEDBACK_STREAM = 1
#: Largest error of linearity, as a share of the outputs, that is put down to rounding; 8 bits in bfloat16.
_ROUNDING = 0.05


class FeedbackChain(nn.Module):
    """Layers one after the other, with a choice of how the error travels back through them.

    What follows a layer's weights (rectification, pooling, batch norm) sends the error back as it is; only the way
    through the weights of the next layer is replaced. Layer ``l`` gets the error at its output

    - ``"transpose"``: ``W[l+1]^T`` times the error of layer ``l+1``, which is backpropagation;
    - ``"random"``: ``B[l+1]^T`` times that error, ``B[l+1]`` being as local or shared as ``W[l+1]``;
    - ``"direct"``: ``B[l]^T`` times the error of the last layer's output.

    The last layer's own gradient is the true one in all three. Feedback weights are buffers: they are drawn once, saved
    with the network and never trained.

    Parameters
    ----------
    layers : sequence of torch modules
        Each with a parameter ``weight``, such as Linear, Conv2d and LocallyConnected2d, and linear in its input apart
        from a bias.
    after : sequence of torch modules
        What follows each layer.
    feedback : {"transpose", "random", "direct"}
        How the error travels.
    sample_shape : tuple of int
        Shape of one input without the batch, from which the shapes of the hidden layers follow.
    seed : int
        Of the feedback weights. They are normal, with the standard deviation of the initial weights in whose place
        they are: the next layer's (``"random"``) or the last layer's (``"direct"``).

    Raises
    ------
    ValueError
        If `feedback` is not one of these, or `after` has not one module for each layer. Where feedback weights are
        drawn, also if `sample_shape` does not fit the layers, the weights in whose place they are have no spread, a
        layer is not linear (``"random"``), or the last layer's output is not (batch, unit) (``"direct"``).
    TypeError
        If a layer has no weights, or `seed` is no whole number.
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        after: Sequence[nn.Module],
        *,
        sample_shape: tuple[int, ...],
        feedback: Feedback = "transpose",
        seed: int = 0,
    ) -> None:
        super().__init__()
        if feedback not in get_args(Feedback):
            raise ValueError(f"`feedback` is {feedback!r}; it must be one of {', '.join(get_args(Feedback))}.")
        if not layers or len(layers) != len(after):
            raise ValueError(
                f"`layers` has {len(layers)} modules and `after` {len(after)}; there must be at least one layer, and "
                "for each what follows it, such as nn.ReLU() or nn.Identity()."
            )
        for number, layer in enumerate(layers):
            if not isinstance(getattr(layer, "weight", None), nn.Parameter):
                raise TypeError(
                    f"`layers` has at place {number} a {type(layer).__name__} without a parameter `weight`; put "
                    "modules without weights into `after`."
                )
        self.layers, self.after = nn.ModuleList(layers), nn.ModuleList(after)
        self.feedback = feedback
        for name, weight in self._draw(sample_shape, check_whole("seed", seed, 0)).items():
            self.register_buffer(name, weight)

    def _draw(self, sample_shape: tuple[int, ...], seed: int) -> dict[str, Tensor]:
        stream = np.random.SeedSequence(seed, spawn_key=(_FEEDBACK_STREAM,))
        generator = torch.Generator().manual_seed(int(stream.generate_state(1)[0]))

        def like(number: int, shape: Sequence[int] | None = None) -> Tensor:
            weight = cast(nn.Parameter, self.layers[number].weight).detach()
            deviation = weight.std(correction=0)
            if not deviation > 0:
                raise ValueError(
                    f"`layers` has at place {number} a {type(self.layers[number]).__name__} whose weights are all "
                    "equal. Feedback weights get their standard deviation, which is 0; start from random weights."
                )
            drawn = torch.randn(weight.shape if shape is None else shape, generator=generator, dtype=weight.dtype)
            return drawn.to(weight.device) * deviation

        if self.feedback == "transpose":
            return {}
        *hidden, output = self._output_shapes(sample_shape)
        if self.feedback == "random":
            for number, shape in enumerate(hidden, 1):
                _check_linear(number, self.layers[number], shape)
            return {_name(number): like(number) for number in range(1, len(self.layers))}
        if len(output) != 1:
            raise ValueError(
                f"`layers` and `after` end in the shape {output} without the batch, but direct feedback starts from "
                "one row of output units: end with nn.Flatten() and nn.Linear, or use feedback='random'."
            )
        return {_name(number): like(len(hidden), (*output, *shape)) for number, shape in enumerate(hidden)}

    def _output_shapes(self, sample_shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Return the shape of what leaves each layer and its module in `after`, without the batch."""
        first = cast(nn.Parameter, self.layers[0].weight)
        # Two samples, because some norms refuse a single one in training.
        carried, shapes = first.new_zeros((2, *sample_shape)), []
        with torch.no_grad():
            for number, (layer, after) in enumerate(zip(self.layers, self.after, strict=True)):
                try:
                    carried = copy.deepcopy(after).eval()(_trial(layer, carried))
                except (RuntimeError, ValueError) as error:
                    raise ValueError(
                        f"`sample_shape` is {sample_shape}, with which the {type(layer).__name__} at place {number} of "
                        f"`layers`, or what follows it, is given {tuple(carried.shape[1:])} without the batch and "
                        f"cannot use it: {error}"
                    ) from error
                shapes.append(tuple(carried.shape[1:]))
        return shapes

    def feedback_weight(self, number: int) -> Tensor:
        """Return the fixed weights B of a layer, counted from 0.

        Raises
        ------
        ValueError
            If the layer has none, as the first has with ``"random"``, the last with ``"direct"``, and all with
            ``"transpose"``.
        """
        if _name(number) not in self._buffers:
            raise ValueError(
                f"`number` is {number}, but with feedback {self.feedback!r} only the layers "
                f"{[n for n in range(len(self.layers)) if _name(n) in self._buffers]} have feedback weights."
            )
        return self.get_buffer(_name(number))

    @contextmanager
    def transposed(self) -> Iterator[None]:
        """Send the error through the transposed weights inside the block: gradients are the true ones."""
        chosen, self.feedback = self.feedback, "transpose"
        try:
            yield
        finally:
            self.feedback = chosen

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the output of the last layer, which does not depend on the choice of feedback."""
        carried, hidden = inputs, list[Tensor]()
        for number, (layer, after) in enumerate(zip(self.layers, self.after, strict=True)):
            if number and self.feedback == "random":
                carried = through_fixed_weights(layer, carried, self.feedback_weight(number))
            elif number and self.feedback == "direct":
                hidden.append(carried)
                carried = layer(carried.detach())
            else:
                carried = layer(carried)
            carried = after(carried)
        if not hidden:
            return carried
        return broadcast_error(carried, hidden, [self.feedback_weight(number) for number in range(len(hidden))])


def _name(number: int) -> str:
    return f"feedback_{number}"


def _trial(layer: nn.Module, inputs: Tensor) -> Tensor:
    """Return the output of a layer with copies of its buffers, so that no batch norm counts these samples."""
    buffers = {name: buffer.clone() for name, buffer in layer.named_buffers()}
    return cast(Tensor, functional_call(layer, buffers, (inputs,)))


def _check_linear(number: int, layer: nn.Module, shape: tuple[int, ...]) -> None:
    """Raise ValueError if a layer's answer to a sum of two inputs is not the sum of its answers, apart from a bias."""
    weight = cast(nn.Parameter, layer.weight)
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn((2, 2, *shape), generator=generator, dtype=weight.dtype).to(weight.device)
    with torch.no_grad():
        parts = (_trial(layer, one), _trial(layer, other))
        wrong = _trial(layer, one + other) + _trial(layer, torch.zeros_like(one)) - parts[0] - parts[1]
        if wrong.norm() > _ROUNDING * (parts[0].norm() + parts[1].norm()):
            raise ValueError(
                f"`layers` has at place {number} a {type(layer).__name__}, which is not linear in its input, so that "
                "no other weights can carry its error back. Put it into `after`."
            )


def through_fixed_weights(layer: nn.Module, inputs: Tensor, weight: Tensor) -> Tensor:
    """Return the output of a layer, whose error goes back to the inputs through other weights than its own.

    The layer's parameters get their usual gradient. Costs one more forward pass of the layer where gradients are
    wanted.

    Parameters
    ----------
    layer : torch module
        With a parameter ``weight``; linear in its input apart from a bias.
    inputs : tensor
        What it is given.
    weight : tensor
        The feedback weights B, of the shape of the layer's own.
    """
    output: Tensor = layer(inputs.detach())
    if not inputs.requires_grad:
        return output
    # The layer is linear in its input, so the gradient of this product is that of B, whatever the values.
    fixed = {name: parameter.detach() for name, parameter in layer.named_parameters()} | {"weight": weight}
    return cast(Tensor, _Both.apply(output, functional_call(layer, fixed, (inputs,))))


def broadcast_error(output: Tensor, hidden: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """Return the output unchanged; its error also goes to every hidden layer, through fixed weights.

    Parameters
    ----------
    output : (batch, unit) tensor
        Of the network.
    hidden : sequence of (batch, ...) tensors
        What gets ``sum_k B[k, ...] e[batch, k]`` as its gradient, where ``e`` is the gradient at the output.
    weights : sequence of (unit, ...) tensors
        B for each of them.
    """
    return cast(Tensor, _Broadcast.apply(output, len(hidden), *weights, *hidden))


class _Both(torch.autograd.Function):
    """The first of two tensors, with the gradient going to both."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, carrier: Tensor) -> Tensor:
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor, Tensor]:
        return error, error


class _Broadcast(torch.autograd.Function):
    """See `broadcast_error`."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, count: int, *tensors: Tensor) -> Tensor:
        ctx.save_for_backward(*tensors[:count])
        return output.view_as(output)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        weights = ctx.saved_tensors
        projected = [torch.tensordot(error, weight.to(error.dtype), 1) for weight in weights]
        return error, None, *([None] * len(weights)), *projected
