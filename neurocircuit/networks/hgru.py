"""The hGRU classifier: filter bank, recurrent cell, read-out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from neurocircuit.cells import HGRUCell, HGRUState
from neurocircuit.networks.parts import FilterBank, ReadOut

__all__ = ["HGRUClassifier"]


class HGRUClassifier(nn.Module):
    """The network of the Pathfinder challenge.

    Parameters
    ----------
    channels : int
        Number of filters and of channels of the cell.
    kernel_size : int
        Width of the lateral kernel in pixels; odd.
    steps : int
        Number T of time steps.
    variant : {"paper", "batchnorm"}
        Form of the cell; ``"paper"`` has 143,418 parameters at the defaults, ``"batchnorm"`` 285,637.
    filter_size : int
        Width of the filters in pixels; odd.
    **cell
        Further arguments of `neurocircuit.cells.HGRUCell`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.

    References
    ----------
    Linsley, Kim, Veerabadran and Serre (2018), NeurIPS. :cite:p:`linsley2018`
    """

    def __init__(
        self,
        channels: int = 25,
        kernel_size: int = 15,
        steps: int = 8,
        *,
        variant: Any = "batchnorm",
        filter_size: int = 7,
        **cell: Any,
    ) -> None:
        super().__init__()
        self.filters = FilterBank(channels, filter_size)
        self.cell = HGRUCell(channels, kernel_size, steps, variant=variant, **cell)
        self.read_out = ReadOut(channels, leaky=variant == "batchnorm")

    def forward(self, image: torch.Tensor, steps: int | None = None) -> torch.Tensor:
        """Return the logits, (batch, 2), of grey images ``[batch, 1, y, x]`` between 0 and 1, after `steps` steps."""
        *_, last = self.states(image, steps)
        logits: torch.Tensor = self.read_out(last.h2)
        return logits

    def states(self, image: torch.Tensor, steps: int | None = None) -> Iterator[HGRUState]:
        """Return an iterator over the states after 1, 2, ... steps."""
        return self.cell.unroll(self.filters(image), steps=steps)
