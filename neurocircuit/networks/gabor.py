"""The oriented filter bank in front of the networks, from a formula.

The authors' file holds 24 zero-mean Gabor filters of unit norm and a flat disc. These have the same statistics: two
phases of each orientation, .29 cycles a pixel. The disc of the file sums to 49, so that its squared response
reaches 2401, more than 200 times the most that another channel gives; here it has unit norm like the others.
"""

from __future__ import annotations

import math

import torch

__all__ = ["gabor_bank"]

#: Cycles per pixel, and standard deviation of the envelope in pixels, for filters of 7 pixels; both scale with them.
_FREQUENCY, _ENVELOPE, _PUBLISHED_SIZE = 0.29, 1.7, 7
#: Pixels of the disc in the published file: those within 3 pixels of the centre.
_DISC_RADIUS = 3.0


def gabor_bank(channels: int = 25, size: int = 7) -> torch.Tensor:
    """Return an even and an odd Gabor filter for each of evenly spaced orientations, and a disc if a channel is left.

    Parameters
    ----------
    channels : int
        Number of filters; at least 2. ``channels // 2`` orientations, and the disc if it is odd. The default is the
        published bank's.
    size : int
        Width in pixels; odd.

    Returns
    -------
    (channel, 1, y, x) float32 tensor
        Even phases, then odd phases, then the disc. All have unit norm; the Gabor filters have zero mean.

    Raises
    ------
    ValueError
        If the size is even or below 3, or there are fewer than 2 channels.
    """
    if isinstance(channels, bool) or not isinstance(channels, int) or channels < 2:
        raise ValueError(
            f"`channels` is {channels!r}; a bank needs a whole number of at least 2, one orientation in two phases."
        )
    if isinstance(size, bool) or not isinstance(size, int) or size < 3 or size % 2 == 0:
        raise ValueError(f"`size` is {size!r}; it must be an odd number of pixels of at least 3, such as 7.")
    scale, orientations = size / _PUBLISHED_SIZE, channels // 2
    offsets = torch.arange(size, dtype=torch.float64) - size // 2
    y, x = torch.meshgrid(offsets, offsets, indexing="ij")
    angle = torch.arange(orientations, dtype=torch.float64)[:, None, None] * (math.pi / orientations)
    phase = 2 * math.pi * _FREQUENCY / scale * (x * torch.cos(angle) + y * torch.sin(angle))
    envelope = torch.exp(-(x**2 + y**2) / (2 * (_ENVELOPE * scale) ** 2))
    bank = torch.cat([envelope * torch.cos(phase), envelope * torch.sin(phase)])
    # Taking the mean out in proportion to the envelope keeps the filter's edges at zero.
    bank = bank - envelope * (bank.sum((1, 2), keepdim=True) / envelope.sum())
    if channels % 2:
        disc = (x**2 + y**2 <= (_DISC_RADIUS * scale) ** 2).to(bank.dtype)
        bank = torch.cat([bank, disc[None]])
    bank = bank / torch.linalg.vector_norm(bank, dim=(1, 2), keepdim=True)
    filters: torch.Tensor = bank[:, None].float()
    return filters
