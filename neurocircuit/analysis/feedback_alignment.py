"""How far the updates of a network that does without weight transport are from the gradient of its loss."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from neurocircuit.cells.feedback import FeedbackChain
from neurocircuit.errors import NonFiniteError
from neurocircuit.training.evaluation import classification_loss
from neurocircuit.training.seeding import seeded

__all__ = ["gradient_angles"]


def gradient_angles(
    network: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    *,
    loss: Callable[[Tensor, Tensor], Tensor] = classification_loss,
    seed: int = 0,
) -> tuple[float, ...]:
    """Return the angle between the update of each layer's weights and the loss's true gradient, in degrees.

    Both belong to the same weights, the same batch and the same dropout; the true gradient is that of backpropagation.
    An angle below 90 degrees means that a small step lowers the loss. Random feedback weights give 90 degrees on
    average before training, and scatter widely around it: update and gradient are sums of products of the errors that
    arrive and the same activities that came in, so they differ along far fewer dimensions than there are weights. What
    an optimiser makes of the update, such as momentum and step sizes, is left out.

    Parameters
    ----------
    network : torch module
        Contains one `neurocircuit.cells.FeedbackChain`; it is not changed, and used in the mode in which it is.
    inputs, targets : tensors
        One batch.
    loss : callable
        ``loss(outputs, targets)``; by default the cross-entropy.
    seed : int
        Of whatever is random in the network.

    Returns
    -------
    tuple of float
        One angle a layer, from the input up; NaN where a gradient is zero. The last one is 0 up to rounding.

    Raises
    ------
    ValueError
        If the network does not contain exactly one such chain, or a layer of it is frozen.
    NonFiniteError
        If a gradient is NaN or infinite.
    """
    # A copy, because batch norm counts what it sees.
    network = copy.deepcopy(network)
    chains = [module for module in network.modules() if isinstance(module, FeedbackChain)]
    if len(chains) != 1:
        raise ValueError(
            f"`network` contains {len(chains)} chains of layers with a choice of feedback; it must contain one "
            "FeedbackChain."
        )
    (chain,) = chains
    weights = [layer.get_parameter("weight") for layer in chain.layers]
    if frozen := [number for number, weight in enumerate(weights, 1) if not weight.requires_grad]:
        raise ValueError(
            f"`network` does not train its layers {frozen}, counted from 1, so they have no update. Set "
            "requires_grad_(True) for them."
        )

    def gradients() -> tuple[Tensor, ...]:
        with seeded(seed, inputs.device):
            return torch.autograd.grad(loss(network(inputs), targets), weights)

    updates = gradients()
    with chain.transposed():
        true = gradients()
    return tuple(_angle(*pair, number) for number, pair in enumerate(zip(updates, true, strict=True), 1))


def _angle(update: Tensor, true: Tensor, number: int) -> float:
    a, b = (tensor.flatten().double() for tensor in (update, true))
    norms = (float(a.norm()), float(b.norm()))
    if not all(map(math.isfinite, norms)):
        raise NonFiniteError(
            f"Layer {number}, counted from 1, has an update of norm {norms[0]} and a gradient of norm {norms[1]}. "
            "Check `inputs` and the weights of `network` for NaN and infinity."
        )
    if not all(norms):
        return math.nan
    # By the sine of half the angle, whose rounding does not matter at small angles as that of the cosine does.
    return math.degrees(2 * math.asin(min(1.0, float((a / norms[0] - b / norms[1]).norm()) / 2)))
