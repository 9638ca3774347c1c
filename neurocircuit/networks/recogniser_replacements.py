"""Flows that stand in for a network's own, and whether they can."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from neurocircuit.cells.modulated import Flows, ModulatedStack

__all__ = ["Replacements", "check_replacements"]

#: Layer and step, and the flows into it.
Replacements = Mapping[tuple[str, int], Flows]


def check_replacements(stack: ModulatedStack, replace: Replacements, batch: int, steps: int) -> None:
    """Raise an error if flows cannot be replaced in a run of so many images and steps.

    Raises
    ------
    ValueError
        If a layer is unknown, a step has no flows, a kind does not modulate the layer, or a shape is another one.
    TypeError
        If a place, its flows or one of them is of another type.
    """
    for place, flows in replace.items():
        if not isinstance(place, tuple) or len(place) != 2 or not isinstance(flows, Mapping):
            raise TypeError(
                f"`replace` has a {type(flows).__name__} for {place!r}; it must map a layer and a step to flows by "
                "their kind, such as {('conv1', 2): {'gain': flow}}."
            )
        layer, step = place
        _check_place(stack, layer, step, steps)
        for kind, flow in flows.items():
            kinds = stack.modulations(layer)
            if kind not in kinds:
                raise ValueError(
                    f"`replace` has {kind!r} for {layer!r}, but under the flags {stack.settings.flags} "
                    f"{' and '.join(kinds) or 'nothing'} modulates it."
                )
            _check_flow(
                flow, kind, f"for {layer!r} at step {step}", (batch, *stack.shape(layer)), stack.fc1.weight.dtype
            )


def _check_place(stack: ModulatedStack, layer: str, step: int, steps: int) -> None:
    layers = stack.settings.layers
    if layer not in layers:
        raise ValueError(f"`replace` has the layer {layer!r}; this network has {', '.join(layers)}.")
    if step not in range(2, steps + 1):
        raise ValueError(
            f"`replace` has step {step!r} for {layer!r}; flows come from the step before, so there are some at steps "
            f"2 to {steps} only."
        )


def _check_flow(flow: Tensor, kind: str, where: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    if not isinstance(flow, Tensor):
        raise TypeError(f"`replace` has a {kind} of type {type(flow).__name__} {where}; it must be a tensor.")
    # Narrower numbers, as under autocast, are widened where they are used.
    if torch.promote_types(flow.dtype, dtype) != dtype:
        raise TypeError(f"`replace` has a {kind} of {flow.dtype} {where}, and the network is of {dtype}.")
    if tuple(flow.shape) != shape:
        raise ValueError(
            f"`replace` has a {kind} of shape {tuple(flow.shape)} {where}; expected {shape}. Take the flows of a run "
            "with as many images."
        )
