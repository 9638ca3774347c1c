"""Filters across positions: where they are in a layer's weights, and how alike neighbours are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from neurocircuit.cells import LocallyConnected2d

__all__ = ["filters_by_position", "neighbour_correlation"]


def filters_by_position(layer: nn.Module) -> NDArray[np.float32]:
    """Return a layer's weights by the position of its windows: (y, x, out channel, in channel, window y, window x).

    Parameters
    ----------
    layer : Conv2d or LocallyConnected2d
        A convolution has one position, which stands for all.

    Raises
    ------
    TypeError
        If the layer is of another kind.
    """
    if isinstance(layer, LocallyConnected2d):
        weights = layer.kernels()
    elif isinstance(layer, nn.Conv2d):
        weights = layer.weight[None, None]
    else:
        raise TypeError(f"`layer` is a {type(layer).__name__}; it must be a Conv2d or a LocallyConnected2d.")
    return weights.detach().cpu().numpy()


def neighbour_correlation(filters: NDArray[np.floating[Any]]) -> float:
    """Return how alike filters at neighbouring positions are: the correlation of their weights, over all channels.

    Parameters
    ----------
    filters : (y, x, out channel, in channel, window y, window x) array
        From `filters_by_position`, or the difference of two such arrays; at least two positions along each axis.

    Returns
    -------
    float
        1 if weights are shared; 0 if they have nothing in common; NaN if all weights are one number, as where nothing
        has changed.

    Raises
    ------
    ValueError
        If there is a single position along an axis.
    """
    if min(filters.shape[:2]) < 2:
        raise ValueError(
            f"`filters` has {filters.shape[0]} x {filters.shape[1]} positions; it needs two along each axis."
        )
    pairs = [(filters[1:], filters[:-1]), (filters[:, 1:], filters[:, :-1])]
    one, other = (np.concatenate([pair[side].ravel() for pair in pairs]) for side in (0, 1))
    if min(np.ptp(one), np.ptp(other)) == 0:
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])
