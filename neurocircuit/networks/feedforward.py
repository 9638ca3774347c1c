"""Feedforward controls: five convolutions between the hGRU's filter bank and its read-out."""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

import torch
from torch import nn
from torch.nn import functional as F

from neurocircuit.checks import check_whole
from neurocircuit.networks.parts import NORM, FilterBank, ReadOut, count_parameters

__all__ = ["FEEDFORWARD_CONTROLS", "FeedforwardClassifier", "matched_feedforward"]


class FeedforwardClassifier(nn.Module):
    """Filter bank, `layers` times a convolution, batch norm and rectification, and the read-out.

    Parameters
    ----------
    width : int
        Number of channels of every convolution.
    kernel_size : int
        Width of every kernel in pixels; even sizes, which are published, reach one pixel further down and right.
    layers : int
        Number of convolutions.
    dilation : int
        Pixels between the taps of a kernel.
    filters : int
        Number of filters of the bank.
    filter_size : int
        Width of the filters in pixels; odd.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a positive whole number.
    """

    def __init__(
        self,
        width: int,
        kernel_size: int,
        *,
        layers: int = 5,
        dilation: int = 1,
        filters: int = 25,
        filter_size: int = 7,
    ) -> None:
        super().__init__()
        for name, value in (("width", width), ("kernel_size", kernel_size), ("layers", layers), ("dilation", dilation)):
            check_whole(name, value)
        self.filters = FilterBank(filters, filter_size)
        sources = [filters] + [width] * (layers - 1)
        self.convs = nn.ModuleList(
            nn.Conv2d(source, width, kernel_size, dilation=dilation, bias=False) for source in sources
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width, **NORM) for _ in sources)
        self.read_out = ReadOut(width, norm=False)
        reach = dilation * (kernel_size - 1)
        self.margins = (reach // 2, reach - reach // 2) * 2

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits, (batch, 2), of grey images ``[batch, 1, y, x]`` between 0 and 1."""
        features = self.filters(image)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            features = torch.relu(norm(conv(F.pad(features, self.margins))))
        logits: torch.Tensor = self.read_out(features)
        return logits


#: The published controls, and one whose taps are two pixels apart: (width, kernel size, dilation).
FEEDFORWARD_CONTROLS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {"36x10x10": (36, 10, 1), "16x15x15": (16, 15, 1), "9x20x20": (9, 20, 1), "dilated": (36, 10, 2)}
)


def matched_feedforward(
    parameters: int, *, kernel_sizes: tuple[int, ...], layers: int = 5, filters: int = 25, filter_size: int = 7
) -> FeedforwardClassifier:
    """Return the feedforward control whose total number of parameters is nearest to, and not below, a given one.

    Parameters
    ----------
    parameters : int
        Trainable parameters of the network to be matched.
    kernel_sizes : tuple of int
        Kernel sizes to choose from; for each, the smallest width that suffices is tried.
    layers, filters, filter_size : int
        As for `FeedforwardClassifier`.

    Raises
    ------
    ValueError
        If there is no kernel size, or even the smallest network has more parameters.
    """
    if not kernel_sizes:
        raise ValueError("`kernel_sizes` is empty; give at least one kernel size, such as (9,).")

    sizes = {"layers": layers, "filters": filters, "filter_size": filter_size}

    def total(width: int, size: int) -> int:
        with torch.device("meta"):
            return count_parameters(FeedforwardClassifier(width, size, **sizes))

    smallest = min(total(1, size) for size in kernel_sizes)
    if smallest > parameters:
        raise ValueError(
            f"`parameters` is {parameters}; with the kernel sizes {kernel_sizes} the smallest network has {smallest}. "
            "Use a smaller kernel or fewer layers."
        )
    choices = []
    for size in kernel_sizes:
        # The count grows with the width, so the width is searched for by halving.
        width = bisect.bisect_left(range(1, parameters + 1), parameters, key=partial(total, size=size)) + 1
        choices.append((total(width, size), width, size))
    _, width, size = min(choices)
    return FeedforwardClassifier(width, size, layers=layers, filters=filters, filter_size=filter_size)
