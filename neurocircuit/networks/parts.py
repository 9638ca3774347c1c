"""What the contour networks share: the filter bank in front, and the read-out behind."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from neurocircuit.networks.gabor import gabor_bank

__all__ = ["FilterBank", "ReadOut", "count_parameters"]

#: Batch norm of the official code; its decay .99 in torch's sense of momentum.
NORM: dict[str, Any] = {"eps": 1e-3, "momentum": 0.01}
_LEAK = 0.01


class FilterBank(nn.Module):
    """A trainable convolution that starts as a Gabor bank, and squares its response.

    Parameters
    ----------
    channels : int
        Number of filters.
    size : int
        Width of a filter in pixels; odd.
    """

    def __init__(self, channels: int, size: int = 7) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, channels, size, padding=size // 2)
        with torch.no_grad():
            self.conv.weight.copy_(gabor_bank(channels, size))
            nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the drive, (batch, channel, y, x), of grey images ``[batch, 1, y, x]`` between 0 and 1."""
        if image.ndim != 4 or image.shape[1] != 1:
            raise ValueError(
                f"`image` has the shape {tuple(image.shape)}; expected grey images, (batch, 1, y, x). Take the mean "
                "over the channels of a colour image."
            )
        if not torch.compiler.is_compiling() and not bool(((image >= 0) & (image <= 1)).all()):
            raise ValueError(
                f"`image` holds values from {float(image.min()):g} to {float(image.max()):g}; they must be from 0 to "
                "1. Divide 8-bit images by 255."
            )
        response: torch.Tensor = self.conv(image)
        return response.square()


class ReadOut(nn.Module):
    """Batch norm, a 1 x 1 convolution to two maps, the maximum of each over the image, batch norm, and a dense layer.

    Parameters
    ----------
    channels : int
        Number of channels of the features.
    classes : int
        Number of classes.
    leaky : bool
        Whether the convolution has a bias and a leaky rectification, as in the authors' PyTorch notebook.
    norm : bool
        Whether the features pass a batch norm first.
    """

    def __init__(self, channels: int, classes: int = 2, *, leaky: bool = False, norm: bool = True) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, **NORM) if norm else nn.Identity()
        self.conv = nn.Conv2d(channels, classes, 1, bias=leaky)
        self.class_norm = nn.BatchNorm1d(classes, **NORM)
        self.dense = nn.Linear(classes, classes)
        self.leaky = leaky

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the logits, (batch, class), of features ``[batch, channel, y, x]`` of any size."""
        if self.training and features.shape[0] < 2:
            raise ValueError(
                "`features` is a batch of 1, for which batch norm has no statistics in training; use a batch of at "
                "least 2, or the evaluation mode."
            )
        maps = self.conv(self.norm(features))
        if self.leaky:
            maps = F.leaky_relu(maps, _LEAK)
        logits: torch.Tensor = self.dense(self.class_norm(maps.amax((2, 3))))
        return logits


def count_parameters(module: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
