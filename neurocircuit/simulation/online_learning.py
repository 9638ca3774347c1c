"""The rank rule of competing hidden units run in Brian2, one image at a time.

One step of the clock is one presentation. Synapses add up the current of every hidden unit and change their own weights
from what is at their two ends: the input ``v_pre``, the current ``current_post`` and the factor ``g_post``. Two
operations are not local, and are so in the fast rule as well: the ranking of the currents, which stands for the
competition of the units, and the division by the largest change of any weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import brian2
import numpy as np
import numpy.typing as npt
import torch
from brian2 import ms
from tqdm import tqdm

from neurocircuit.checks import check_whole
from neurocircuit.errors import NonFiniteError
from neurocircuit.simulation.brian import brian_device

if TYPE_CHECKING:
    from neurocircuit.plasticity.rank_rule import RankRule

__all__ = ["ONLINE_DEVICES", "OnlineRun", "learn_online"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Brian2's run-time targets; a compiled program cannot rank the currents in Python.
ONLINE_DEVICES = ("numpy", "cython")

_SYNAPSES = """
w : 1
change : 1
factor : 1 (shared)
p : 1 (shared, constant)
current_post = sign(w)*abs(w)**(p - 1)*v_pre : 1 (summed)
"""


@dataclass(frozen=True, eq=False)
class OnlineRun:
    """What single presentations made of the weights.

    Parameters
    ----------
    weights : (hidden, input) array
        ``weights[post, pre]`` after the last presentation.
    images : (presentation,) array of int
        Row of the image that was presented.
    winners : (presentation,) array of int
        Unit with the largest current.
    """

    weights: FloatArray
    images: IntArray
    winners: IntArray


def learn_online(
    weights: Any, inputs: Any, rule: RankRule, *, presentations: int = 1000, seed: int = 0, device: str = "numpy"
) -> OnlineRun:
    """Train competing hidden units in Brian2, one image per update, in float64.

    The images come in the order, and with the step sizes, of `neurocircuit.plasticity.train_units` at a batch size of
    1: a new order for every pass through the images, and a step size that falls from pass to pass.

    Parameters
    ----------
    weights : (hidden, input) array or tensor
        Start, ``weights[post, pre]``; left as it is. See `neurocircuit.plasticity.initial_weights`.
    inputs : (image, input) array or tensor
        Flat images, prepared as for `train_units`.
    rule : RankRule
        All numbers of the rule but ``batch_size``, which is 1 here.
    presentations : int
        Number of images presented, at least 1; the passes that they take must not be more than ``rule.epochs``.
    seed : int
        Of the order of the images; at least 0.
    device : {"numpy", "cython"}
        Brian2's run-time target.

    Returns
    -------
    OnlineRun

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described.
    NonFiniteError
        If an update is not finite.

    References
    ----------
    Krotov and Hopfield (2019), PNAS 116, 7723. :cite:p:`krotov2019`
    """
    # The package of the learning rules imports scikit-learn, which other simulations do not need.
    from neurocircuit.plasticity.rank_rule import rank_step
    from neurocircuit.plasticity.unit_training import check_images
    from neurocircuit.training.seeding import permutation

    check_whole("presentations", presentations, 1)
    check_whole("seed", seed, 0)
    if device not in ONLINE_DEVICES:
        raise ValueError(f"`device` is {device!r}; it must be one of {', '.join(ONLINE_DEVICES)}.")
    start, images = (torch.as_tensor(values).to("cpu", torch.float64) for values in (weights, inputs))
    rank_step(start, images[:1], rule, 0.0)  # what the fast rule refuses is refused here too
    check_images(images)
    passes = -(-presentations // len(images))
    if passes > rule.epochs:
        raise ValueError(
            f"`presentations` is {presentations}, which takes {passes} passes through {len(images)} images, but "
            f"`rule.epochs` is {rule.epochs}, after which the step size is zero. Use more epochs or less of them."
        )
    order = np.concatenate([permutation(len(images), seed, epoch) for epoch in range(passes)])[:presentations]
    steps = [rule.step_size(number // len(images)) for number in range(presentations)]
    with brian_device(device), np.errstate(all="ignore"):  # overflow is reported by _Presentations
        return _Presentations(start.numpy(), images.numpy(), rule, order, steps).run()


class _Presentations:
    """The Brian2 network, and the operations in it that are not local."""

    def __init__(self, weights: FloatArray, images: FloatArray, rule: RankRule, order: IntArray, steps: Any) -> None:
        self.images, self.rule, self.order, self.steps = images, rule, order, steps
        self.winners = np.full(len(order), -1)
        self.count = 0
        self.clock = brian2.Clock(1 * ms, name="presentation_clock*")
        hidden, pixels = weights.shape
        self.inputs = brian2.NeuronGroup(pixels, "v : 1", clock=self.clock, name="inputs")
        self.hidden = brian2.NeuronGroup(hidden, "current : 1\ng : 1", clock=self.clock, name="hidden")
        self.synapses = brian2.Synapses(self.inputs, self.hidden, _SYNAPSES, clock=self.clock, name="weights")
        # Row by row, so that the synapses stand in the order of weights[post, pre].
        post, pre = np.indices(weights.shape).reshape(2, -1)
        self.synapses.connect(i=pre, j=post)
        self.synapses.w, self.synapses.p = weights.ravel(), rule.p

    def run(self) -> OnlineRun:
        """Present all images, and return what became of the weights."""
        summed = self.synapses.summed_updaters["current_post"]
        summed.when, summed.order = "start", 1
        for order, code in ((3, "change = g_post*(v_pre - current_post*w)"), (5, "w += factor*change")):
            self.synapses.run_regularly(code, clock=self.clock, when="start", order=order, name=f"learning_{order}")
        operations = [
            brian2.NetworkOperation(function, clock=self.clock, when="start", order=order, name=f"operation_{order}")
            for order, function in ((0, self._present), (2, self._rank), (4, self._scale))
        ]
        network = brian2.Network(self.inputs, self.hidden, self.synapses, *operations)
        with tqdm(total=len(self.order), unit="image", desc="brian2", disable=None) as self.progress:
            network.run(len(self.order) * ms, namespace={})
        after = np.array(self.synapses.w[:]).reshape(len(self.hidden), len(self.inputs))
        return OnlineRun(after, self.order, self.winners)

    def _present(self) -> None:
        self.inputs.v = self.images[self.order[self.count]]

    def _rank(self) -> None:
        """Give g = 1 to the unit with the largest current, and -delta to the one of rank k."""
        ranked = np.argsort(-self.hidden.current[:], kind="stable")
        g = np.zeros(len(ranked))
        g[ranked[0]], g[ranked[self.rule.k - 1]] = 1.0, -self.rule.delta
        self.hidden.g = g
        self.winners[self.count] = ranked[0]

    def _scale(self) -> None:
        """Let the largest change of any weight be the step size."""
        largest = float(np.abs(self.synapses.change[:]).max())
        if not np.isfinite(largest):
            raise NonFiniteError(
                f"the update of presentation {self.count} is {largest}: the images or the weights are too large. Scale "
                "the images, such as to unit norm."
            )
        self.synapses.factor = self.steps[self.count] / max(largest, self.rule.floor)
        self.count += 1
        self.progress.update()
