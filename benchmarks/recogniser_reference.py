"""The recurrent recogniser written out from its published equations, for benchmarks and tests to compare with.

As in the published code, every connection that has weights is computed, and multiplied by its flags.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Trace", "reference"]

Weights = Mapping[str, Tensor]


class Trace(NamedTuple):
    """What the network did: one entry a step, in which layers go from the image (0) up."""

    log_probabilities: Tensor
    layers: list[list[Tensor]]
    biases: list[list[Tensor | float]]
    gains: list[list[Tensor | float]]


def reference(weights: Weights, images: Tensor, flags: str, pools: tuple[int, ...] = (3, 3), steps: int = 4) -> Trace:
    """Return what the network with these weights, by their published names, does with images ``[batch, 1, y, x]``."""
    b, g, l, t = (int(flag) for flag in flags)  # noqa: E741  (the published names of the flags)
    depth = len(pools)
    shapes = map_shapes(weights, images, pools)
    x, maps, pooled, full = images, [], [], torch.zeros(())
    trace = Trace(torch.zeros(()), [], [], [])
    for step in range(steps):
        biases: list[Tensor | float] = [0.0] * (depth + 2)
        gains: list[Tensor | float] = [0.0] * (depth + 2)
        if step:
            for layer in range(depth + 2):
                lateral_b, top_down_b = incoming(weights, "b", layer, shapes, maps, pooled, full)
                lateral_g, top_down_g = incoming(weights, "g", layer, shapes, maps, pooled, full)
                biases[layer] = l * lateral_b + t * top_down_b
                gains[layer] = l * lateral_g + t * top_down_g
        z = (images + b * biases[0]) * (1 + g * gains[0])
        x = torch.relu(z) - torch.relu(z - 1)
        below, maps, pooled = x, [], []
        for layer in range(1, depth + 1):
            drive = F.conv2d(below, weights[f"conv{layer}.weight"], weights[f"conv{layer}.bias"])
            maps.append(torch.relu(drive + b * biases[layer]) * (1 + g * gains[layer]))
            below = F.max_pool2d(maps[-1], pools[layer - 1])
            pooled.append(below)
        drive = F.linear(below.flatten(1), weights["fc1.weight"], weights["fc1.bias"])
        full = torch.relu(drive + b * biases[-1]) * (1 + g * gains[-1])
        trace.layers.append([x, *pooled, full])
        trace.biases.append(biases)
        trace.gains.append(gains)
    logits = F.linear(torch.cat([found[-1] for found in trace.layers], 1), weights["fc2.weight"], weights["fc2.bias"])
    return trace._replace(log_probabilities=torch.log(torch.clamp(torch.softmax(logits, 1), 1e-10, 1)))


def map_shapes(weights: Weights, images: Tensor, pools: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the shapes (channel, y, x) of image and convolutions for one image."""
    shapes = [tuple(images.shape[1:])]
    pixels = images.shape[-1]
    for layer, pool in enumerate(pools, 1):
        weight = weights[f"conv{layer}.weight"]
        pixels -= weight.shape[-1] - 1
        shapes.append((len(weight), pixels, pixels))
        pixels //= pool
    return shapes


def incoming(
    weights: Weights,
    kind: str,
    layer: int,
    shapes: list[tuple[int, ...]],
    maps: list[Tensor],
    pooled: list[Tensor],
    full: Tensor,
) -> tuple[Tensor | float, Tensor | float]:
    """Return what lateral and what top-down connections of a kind, b or g, bring into a layer; 0 if there is none."""
    depth = len(maps)
    target = "x" if layer == 0 else f"c{layer}" if layer <= depth else "fc1"
    lateral: Tensor | float = 0.0
    top_down: Tensor | float = 0.0
    if layer == depth + 1:
        name = f"fc1fc1{kind}"
        if f"{name}.weight" in weights:
            lateral = F.linear(full, weights[f"{name}.weight"], weights[f"{name}.bias"])
        return lateral, top_down
    name = f"{target}{target}{kind}"
    if layer and f"{name}.weight" in weights:
        weight = weights[f"{name}.weight"]
        lateral = F.conv2d(maps[layer - 1], weight, weights[f"{name}.bias"], padding=weight.shape[-1] // 2)
    for above in range(layer + 1, depth + 1):
        name = f"c{above}{target}{kind}"
        if f"{name}.weight" in weights:
            weight, source = weights[f"{name}.weight"], pooled[above - 1]
            # The stride with which the windows fill the target; 3 and 10 in the published network.
            gaps = source.shape[-1] - 1
            stride = (shapes[layer][-1] - weight.shape[-1]) // gaps if gaps else 1
            sent = F.conv_transpose2d(source, weight, weights[f"{name}.bias"], stride=stride)
            top_down = top_down + sent
    name = f"fc1{target}{kind}"
    if f"{name}.weight" in weights:
        sent = F.linear(full, weights[f"{name}.weight"], weights[f"{name}.bias"])
        top_down = top_down + sent.reshape(len(full), *shapes[layer])
    return lateral, top_down
