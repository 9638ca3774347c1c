"""A recurrent recogniser one sweep at a time, so that what two runs share is computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from neurocircuit.cells.modulated import Flows, StackState
from neurocircuit.networks.recurrent_recogniser import RecurrentRecogniser

__all__ = ["Sweep", "answers", "next_sweep", "sweeps"]

_NATURAL: Mapping[str, Flows] = {}


class Sweep(NamedTuple):
    """What happened at one step."""

    state: StackState
    """Of all layers."""
    flows: Mapping[str, Flows]
    """Into each layer that is modulated, by kind; nothing at step 1."""


def sweeps(network: RecurrentRecogniser, images: Tensor) -> list[Sweep]:
    """Return all steps of a network left alone, as `RecurrentRecogniser.run` has them.

    Parameters
    ----------
    network : RecurrentRecogniser
        The network.
    images : Tensor
        (batch, 1, y, x), from 0 to 1.

    Raises
    ------
    ValueError, TypeError
        If the images are of another size or dtype than the network, or have other values.
    """
    # Steps by themselves do not check.
    images = network.check_images(images)
    drive = network.conv1(images)
    found = [Sweep(network.sweep(images, drive, lambda layer: {}), {})]
    while len(found) < network.settings.time_steps:
        found.append(next_sweep(network, images, drive, found[-1].state))
    return found


def next_sweep(
    network: RecurrentRecogniser,
    images: Tensor,
    drive: Tensor,
    before: StackState,
    given: Mapping[str, Flows] = _NATURAL,
) -> Sweep:
    """Return the step that follows a state.

    Parameters
    ----------
    network : RecurrentRecogniser
        The network.
    images : Tensor
        (batch, 1, y, x), from 0 to 1.
    drive : Tensor
        ``network.conv1(images)``.
    before : StackState
        State of the step before.
    given : mapping from layer to flows
        Flows into some layers, all kinds of each, that stand in for those that the state gives rise to.
    """
    flows: dict[str, Flows] = {}

    def into(layer: str) -> Flows:
        found = given.get(layer)
        if found is None:
            found = {kind: network.flow(before, layer, kind) for kind in network.modulations(layer)}
        if found:
            flows[layer] = found
        return found

    return Sweep(network.sweep(images, drive, into), flows)


def answers(network: RecurrentRecogniser, states: Sequence[StackState]) -> Tensor:
    """Return the most probable class of each image, from the states of all steps."""
    logits: Tensor = network.fc2(torch.cat([state.full for state in states], 1))
    return logits.argmax(1)
