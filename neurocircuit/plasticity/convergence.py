"""Whether competing hidden units have converged, and how evenly they share the images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neurocircuit.plasticity.images import check_images
from neurocircuit.plasticity.rank_rule import check_finite, check_inputs, currents, unit_norms

__all__ = ["NEAR", "Convergence", "count_winners", "measure_convergence"]

#: A unit has converged if its norm is this near to 1.
NEAR = 0.05
#: Images whose currents are computed at a time.
_CHUNK = 1000


@dataclass(frozen=True, eq=False)
class Convergence:
    """Whether competing hidden units have converged, and how evenly they share the images."""

    norms: NDArray[np.float64]
    """Norm of every unit: 1 once it has converged, and still much greater where it has hardly ever won."""
    wins: NDArray[np.int64]
    """Number of images for which each unit had the largest current."""

    @property
    def converged(self) -> float:
        """Share of the units whose norm is within `NEAR` of 1."""
        return float(np.mean(np.abs(self.norms - 1) <= NEAR))

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of the images that each unit won."""
        shares: NDArray[np.float64] = self.wins / self.wins.sum()
        return shares

    @property
    def largest_share(self) -> float:
        """Share of the images that the most frequent winner won."""
        return float(self.shares.max())

    @property
    def evenness(self) -> float:
        """One over the number of units times the sum of squared shares: 1 if all win equally often."""
        return float(1 / (len(self.wins) * (self.shares**2).sum()))

    @property
    def dead(self) -> int:
        """Number of units that won no image."""
        return int((self.wins == 0).sum())

    def __str__(self) -> str:
        """Return the report on one line."""
        return (
            f"{self.converged:.1%} of {len(self.norms)} units have a norm within {NEAR:g} of 1, the largest is "
            f"{self.norms.max():.3g}; the most frequent winner won {self.largest_share:.2%} of the images, evenness "
            f"{self.evenness:.2f}, {self.dead} units won none"
        )


def measure_convergence(weights: Tensor, images: Tensor, p: float) -> Convergence:
    """Return the norms of units, and how many of these images each one wins.

    Parameters
    ----------
    weights : (hidden, input) tensor
        ``weights[post, pre]``.
    images : (image, input) tensor
        Flat images, of the type and on the device of the weights.
    p : float
        Lebesgue norm, at least 1.

    Returns
    -------
    Convergence

    Raises
    ------
    ValueError
        If shapes, types or devices do not fit together, a value is not finite, the pixels of an image are all equal, or
        `p` is not allowed.
    TypeError
        If `p` is not a number.
    """
    check_inputs(weights, images)
    check_finite("weights", weights)
    check_images(images)
    winners = torch.cat([currents(weights, chunk, p).argmax(dim=1) for chunk in torch.split(images, _CHUNK)])
    return count_winners(weights, winners, p)


def count_winners(weights: Tensor, winners: Tensor, p: float) -> Convergence:
    """Return the norms of units, and how many images each one won, from the winner of each image."""
    wins = torch.bincount(winners, minlength=len(weights))
    return Convergence(unit_norms(weights, p).double().cpu().numpy(), wins.cpu().numpy())
