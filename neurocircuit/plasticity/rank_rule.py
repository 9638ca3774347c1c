r"""The fast rank rule of competing hidden units, and the numbers that say whether it has converged.

Each unit :math:`\mu` has weights :math:`W_\mu` and receives the current :math:`I_\mu = \langle W_\mu, v\rangle =
\sum_i \mathrm{sign}(W_{\mu i}) |W_{\mu i}|^{p-1} v_i` from an image *v*. Units are ranked by their currents: the first
learns with :math:`g = 1`, the one of rank *k* unlearns with :math:`g = -\Delta`, all others have :math:`g = 0`. Summed
over a batch,

.. math::

   \delta W_{\mu i} = \sum_b g_{\mu b} \left(v_{bi} - I_{\mu b} W_{\mu i}\right) , \qquad
   W_{\mu i} \leftarrow W_{\mu i} + \varepsilon \frac{\delta W_{\mu i}}{\max_{\nu j} |\delta W_{\nu j}|} .

An image changes two units only. To find them takes the *k* largest currents and no sorting, and to sum their images
takes no product with a matrix that is nearly all zeros. What is left is the product of weights and images that gives
the currents. Where *p* is not 2, the powers of the weights in it are kept, and renewed for the rows that changed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurocircuit.checks import check_number, check_whole
from neurocircuit.errors import NonFiniteError

__all__ = [
    "RankLearner",
    "RankRule",
    "check_finite",
    "check_inputs",
    "currents",
    "initial_weights",
    "rank_step",
    "unit_norms",
]


@dataclass(frozen=True, kw_only=True)
class RankRule:
    """The numbers of the rank rule, checked; the defaults are those of the authors' published code [1]_.

    Raises
    ------
    ValueError
        If a value is not allowed.
    TypeError
        If a count is not an integer, or another value is not a number.

    References
    ----------
    .. [1] D. Krotov and J. J. Hopfield, "Unsupervised learning by competing hidden units", PNAS 116, 7723 (2019), and
       https://github.com/DimaKrotov/Biological_Learning.

    Examples
    --------
    >>> rule = RankRule(epochs=4)
    >>> [rule.step_size(epoch) for epoch in range(4)]
    [0.02, 0.015, 0.01, 0.005]
    """

    p: float = 2.0
    """Lebesgue norm in which the weights of a unit converge to length 1; at least 1."""
    k: int = 2
    """Rank, from the top, of the unit that unlearns; from 2 to the number of units."""
    delta: float = 0.4
    """Strength of the anti-Hebbian learning of the unit of rank k; at least 0."""
    learning_rate: float = 2e-2
    """Largest change of any weight in one update of the first epoch."""
    epochs: int = 200
    """Passes through the images, over which the step size falls linearly to zero."""
    batch_size: int = 100
    """Images per update."""
    floor: float = 1e-30
    """Least number that an update is divided by."""

    def __post_init__(self) -> None:
        # Plain numbers, whatever kind was given: a checkpoint can hold no others.
        for name, least in (("k", 2), ("epochs", 1), ("batch_size", 1)):
            object.__setattr__(self, name, check_whole(name, getattr(self, name), least))
        for name, range_ in (
            ("delta", {"at_least": 0}),
            ("learning_rate", {"above": 0}),
            ("floor", {"above": 0}),
        ):
            object.__setattr__(self, name, check_number(name, getattr(self, name), **range_))
        object.__setattr__(self, "p", _check_norm(self.p))

    def check_units(self, n_hidden: int) -> None:
        """Raise unless a number of units is an integer (TypeError) of at least `k` (ValueError)."""
        if check_whole("n_hidden", n_hidden) < self.k:
            raise ValueError(
                f"`k` is {self.k}, but there are {n_hidden} hidden units; it must be from 2 to their number. Lower `k` "
                "or use more units."
            )

    def step_size(self, epoch: int) -> float:
        """Return the largest change of a weight in one update of an epoch, the first being 0."""
        return self.learning_rate * (1 - epoch / self.epochs)


def _check_norm(p: Any) -> float:
    return check_number("p", p, at_least=1)


def initial_weights(n_hidden: int, n_inputs: int, seed: int) -> Tensor:
    r"""Return standard normal numbers, the start that the rule needs.

    The start is a part of the rule. A unit begins with a norm near :math:`\sqrt{n}` for *n* inputs, much above the norm
    of 1 that it converges to. Units that are still long have larger currents and win. Winning shortens them to a norm
    of 1, and then they lose to the next that is still long. So every unit gets its turn: a conscience that costs
    nothing. From a start with norms of 1 the first winner moves towards the images, wins more often, and takes all.

    Parameters
    ----------
    n_hidden, n_inputs : int
        Numbers of units and of pixels.
    seed : int
        At least 0.

    Returns
    -------
    (hidden, input) float64 tensor on the CPU
    """
    check_whole("n_hidden", n_hidden, 2)
    check_whole("n_inputs", n_inputs, 1)
    check_whole("seed", seed, 0)
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n_hidden, n_inputs)))


def currents(weights: Tensor, inputs: Tensor, p: float) -> Tensor:
    r"""Return the current :math:`\langle W_\mu, v\rangle` of every unit for every image, Eq. 2 of the paper.

    Parameters
    ----------
    weights : (hidden, input) tensor
        ``weights[post, pre]``.
    inputs : (batch, input) tensor
        Flat images, of the type and on the device of the weights.
    p : float
        Lebesgue norm, at least 1; 2 is the scalar product.

    Returns
    -------
    (batch, hidden) tensor

    Raises
    ------
    ValueError
        If shapes, types or devices do not fit together, or `p` is not allowed.
    TypeError
        If `p` is not a number.

    Examples
    --------
    >>> currents(torch.tensor([[3.0, -2.0]]), torch.tensor([[1.0, 1.0], [0.0, 1.0]]), p=3)
    tensor([[ 5.],
            [-4.]])
    """
    check_inputs(weights, inputs)
    return inputs @ _powers(weights, _check_norm(p)).T


def unit_norms(weights: Tensor, p: float) -> Tensor:
    r"""Return :math:`(\sum_i |W_{\mu i}|^p)^{1/p}` of every unit, which is 1 once a unit has converged.

    Raises
    ------
    ValueError
        If `p` is below 1 or not finite.
    TypeError
        If `p` is not a number.
    """
    _check_norm(p)
    norms: Tensor = torch.linalg.vector_norm(weights, ord=p, dim=1)
    return norms


def rank_step(weights: Tensor, inputs: Tensor, rule: RankRule, step_size: float) -> Tensor:
    """Return the weights after one update by a batch of images; the weights given are left as they are.

    Where currents are exactly equal, which of the units comes first is not defined. An image of zeros makes them all
    equal, and changes nothing.

    Parameters
    ----------
    weights : (hidden, input) tensor
        ``weights[post, pre]``.
    inputs : (batch, input) tensor
        Flat images, of the type and on the device of the weights; any number of them, whatever ``rule.batch_size``.
    rule : RankRule
        Norm, rank and strength of unlearning.
    step_size : float
        Largest change of a weight; ``rule.step_size(epoch)`` in training.

    Returns
    -------
    (hidden, input) tensor

    Raises
    ------
    ValueError
        If shapes, types or devices do not fit together, a value is not finite, or there are fewer than k units.
    NonFiniteError
        If an update is too large for the type of the weights.
    """
    check_inputs(weights, inputs)
    check_finite("weights", weights)
    check_finite("inputs", inputs)
    check_number("step_size", step_size, at_least=0)
    learner = RankLearner(weights.clone(), rule)
    learner.step(inputs, step_size)
    return learner.weights


class RankLearner:
    """Weights that the rank rule changes in place, batch after batch, with what it keeps between batches.

    Parameters
    ----------
    weights : (hidden, input) tensor
        Changed in place.
    rule : RankRule
        Norm, rank and strength of unlearning.

    Raises
    ------
    ValueError
        If there are fewer than k units.
    """

    def __init__(self, weights: Tensor, rule: RankRule) -> None:
        rule.check_units(len(weights))
        self.weights = weights
        self.rule = rule
        self._powers = _powers(weights, rule.p)
        # Room for two copies of the rows that change. Kept, because their number differs from batch to batch, and
        # blocks of ever new sizes would leave the memory of the process in pieces.
        self._space = weights.new_empty((2, 0, weights.shape[1]))

    def step(self, inputs: Tensor, step_size: float) -> Tensor:
        """Update the weights by a batch of images that was checked before, and return which unit won each.

        Parameters
        ----------
        inputs : (batch, input) tensor
            Flat images, of the type and on the device of the weights; finite.
        step_size : float
            Largest change of a weight.

        Returns
        -------
        (batch,) tensor of int64

        Raises
        ------
        NonFiniteError
            If the update is NaN or infinite; the weights are then as they were.
        """
        rule = self.rule
        values, ranked = (inputs @ self._powers.T).topk(rule.k, dim=1)
        rows, places = torch.unique(ranked[:, [0, -1]], return_inverse=True)
        if self._space.shape[1] < len(rows):
            self._space = self.weights.new_empty((2, min(len(self.weights), 2 * len(inputs)), self.weights.shape[1]))
        before, change = self._space[:, : len(rows)]
        torch.index_select(self.weights, 0, rows, out=before)
        self._sum(change, before, inputs, values[:, [0, -1]], places)
        largest = float(torch.stack(change.aminmax()).abs().max())
        if not math.isfinite(largest):
            raise NonFiniteError(
                f"An update of the weights is {largest}: the images or the weights are too large for "
                f"{self.weights.dtype}, or not finite. Scale the images, such as to unit norm, or use float64."
            )
        after = before.add_(change, alpha=step_size / max(largest, rule.floor))
        self.weights.index_copy_(0, rows, after)
        if self._powers is not self.weights:
            self._powers.index_copy_(0, rows, _powers(after, rule.p, out=change))
        return ranked[:, 0]

    def _sum(self, change: Tensor, before: Tensor, inputs: Tensor, values: Tensor, places: Tensor) -> None:
        """Write the sum over the batch of g (v - I W) of the rows that change; `places` counts among these."""
        change.zero_()
        decay = change.new_zeros((len(change), 1))
        for place, current, g in zip(places.T, values.T, (1.0, -self.rule.delta), strict=True):
            _add_rows(change, place, inputs, g)
            _add_rows(decay, place, current[:, None], g)
        change.addcmul_(before, decay, value=-1)


def _add_rows(total: Tensor, places: Tensor, rows: Tensor, factor: float) -> None:
    """Add rows times a factor to those of `total`, several to one; in an order that does not change from run to run."""
    if total.device.type == "cpu":
        total.index_add_(0, places, rows, alpha=factor)
    else:
        # `index_add_` adds in any order on a GPU; this one sorts the places first.
        total.index_put_((places,), rows * factor, accumulate=True)


def _powers(weights: Tensor, p: float, out: Tensor | None = None) -> Tensor:
    """Return sign(W) |W|^(p-1), in `out` if that is given; where p is 2 that is the same tensor, not a copy."""
    if p == 2:
        return weights
    if p == 1:
        return torch.sign(weights, out=out)
    return torch.abs(weights, out=out).pow_(p - 1).copysign_(weights)


def check_finite(name: str, values: Tensor) -> None:
    """Raise ValueError if weights or images have a value that is not finite."""
    if not torch.isfinite(values).all():
        raise ValueError(f"`{name}` has values that are NaN or infinite; remove or repair these images or units.")


def check_inputs(weights: Tensor, inputs: Tensor) -> None:
    """Raise ValueError unless flat images fit the weights in shape, type and device."""
    if weights.ndim != 2 or inputs.ndim != 2:
        raise ValueError(
            f"`weights` has the shape {tuple(weights.shape)} and `inputs` {tuple(inputs.shape)}; they must be (hidden, "
            "input) and (batch, input). Flatten images first."
        )
    if not len(inputs):
        raise ValueError("`inputs` has no images; give at least one.")
    if inputs.shape[1] != weights.shape[1]:
        raise ValueError(
            f"`inputs` has images of {inputs.shape[1]} pixels, but `weights` is for {weights.shape[1]}. Use images of "
            "the size the units were trained on."
        )
    for name in ("dtype", "device"):
        found, needed = getattr(inputs, name), getattr(weights, name)
        if found != needed:
            raise ValueError(f"`inputs` has the {name} {found}, but `weights` has {needed}; convert one of them.")
