"""The pixels on which a network's answer hangs: input gradients and occlusion, for any network from images to logits.

The evidence for a class is its logit less the largest other one. The network is left as it was found, mode included.
"""

from __future__ import annotations

import torch
import xarray as xr
from torch import nn

from neurocircuit.checks import check_whole
from neurocircuit.training.evaluation import evaluating

__all__ = ["input_gradient", "occlusion_map"]


def input_gradient(network: nn.Module, image: torch.Tensor, target: int = 1) -> xr.DataArray:
    """Return how the evidence for a class changes with every pixel.

    Parameters
    ----------
    network : Module
        Any network from grey images to logits.
    image : (batch, 1, y, x) tensor
        Grey images between 0 and 1.
    target : int
        The class.

    Returns
    -------
    (batch, y, x) DataArray
        Evidence per unit of grey level.

    Raises
    ------
    ValueError
        If the images do not fit the network, or there is no such class.
    """
    with evaluating(network), torch.enable_grad():
        own = image.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(_evidence(network(own), target).sum(), own)
    attrs = {"units": "1", "long_name": "change of evidence per unit of grey level"}
    return xr.DataArray(gradient.sum(1).cpu().numpy(), dims=("batch", "y", "x"), attrs=attrs)


def occlusion_map(
    network: nn.Module,
    image: torch.Tensor,
    target: int = 1,
    *,
    size: int = 5,
    stride: int = 1,
    fill: float = 0.0,
    batch: int = 32,
) -> xr.DataArray:
    """Return by how much the evidence for a class falls when a square of the image is covered.

    Parameters
    ----------
    network : Module
        Any network from grey images to logits.
    image : (batch, 1, y, x) tensor
        Grey images between 0 and 1.
    target : int
        The class.
    size : int
        Width of the square in pixels; odd. Cut off at the border.
    stride : int
        Pixels between the centres of the squares, from pixel 0 on.
    fill : float
        Grey level of the square.
    batch : int
        Number of covered images that the network is given at once.

    Returns
    -------
    (batch, y, x) DataArray
        Fall of the evidence; coordinates are the centres of the squares in pixels.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described, or does not fit the network.
    """
    for name, value in (("size", size), ("stride", stride), ("batch", batch)):
        check_whole(name, value)
    if size % 2 == 0:
        raise ValueError(f"`size` is {size}; it must be an odd number of pixels, such as {size + 1}.")
    ys, xs = (range(0, length, stride) for length in image.shape[-2:])
    centres = [(y, x) for y in ys for x in xs]
    with evaluating(network), torch.no_grad():
        whole = _evidence(network(image), target)
        falls = []
        for picture, evidence in zip(image, whole, strict=True):
            chunks = [centres[start : start + batch] for start in range(0, len(centres), batch)]
            covered = [_evidence(network(_covered(picture, chunk, size // 2, fill)), target) for chunk in chunks]
            falls.append(evidence - torch.cat(covered))
    values = torch.stack(falls).view(-1, len(ys), len(xs)).cpu().numpy()
    attrs = {"units": "1", "long_name": "fall of evidence", "size": size, "fill": fill}
    coords = {"y": ("y", list(ys), {"units": "pixel"}), "x": ("x", list(xs), {"units": "pixel"})}
    return xr.DataArray(values, coords, ("batch", "y", "x"), attrs=attrs)


def _covered(picture: torch.Tensor, centres: list[tuple[int, int]], half: int, fill: float) -> torch.Tensor:
    pictures = picture.repeat(len(centres), 1, 1, 1)
    for own, (y, x) in zip(pictures, centres, strict=True):
        own[:, max(y - half, 0) : y + half + 1, max(x - half, 0) : x + half + 1] = fill
    return pictures


def _evidence(logits: torch.Tensor, target: int) -> torch.Tensor:
    classes = logits.shape[1]
    if classes < 2 or not 0 <= target < classes:
        raise ValueError(f"`target` is {target!r}; the network has the classes 0 to {classes - 1}, and 2 are needed.")
    others = [index for index in range(classes) if index != target]
    return logits[:, target] - logits[:, others].amax(1)
