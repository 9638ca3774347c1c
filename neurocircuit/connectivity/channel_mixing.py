"""Kernels over channels: how the channels of one pixel are weighed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import norm

from neurocircuit.connectivity.kernels import (
    Boundary,
    FieldShape,
    FloatArray,
    LateralKernel,
    check_channels,
    check_spread,
)

__all__ = ["ChannelMixing", "circulant_gaussian", "discontinuous", "summed_channels", "uniform_channels"]


@dataclass(frozen=True)
class ChannelMixing(LateralKernel):
    """Weighted sum over the channels at the same pixel, by circular channel lag.

    Parameters
    ----------
    by_lag : tuple of float
        Weight of the channel ``(post + lag) % K`` for lag 0 to K - 1.
    label : str
        Name used in the documentation.

    Raises
    ------
    ValueError
        If there is no weight or one is not finite.
    """

    by_lag: tuple[float, ...]
    label: str = "w"
    boundary: Boundary = field(default="zero", init=False)

    def __post_init__(self) -> None:
        weights = tuple(float(w) for w in self.by_lag)
        if not weights or not np.all(np.isfinite(weights)):
            raise ValueError(f"`by_lag` is {self.by_lag!r}; it must hold one finite weight per channel.")
        object.__setattr__(self, "by_lag", weights)

    @property
    def half_width(self) -> int:
        """Zero: only the same pixel counts."""
        return 0

    @property
    def is_uniform(self) -> bool:
        """Whether every channel has the same weight, so that one value serves all channels of a pixel."""
        return len(set(self.by_lag)) == 1

    def check_field(self, shape: FieldShape, name: str = "kernel") -> None:
        """Raise ValueError if the field has another number of channels."""
        if shape[0] != len(self.by_lag):
            raise ValueError(
                f"`{name}` mixes {len(self.by_lag)} channels but the field has {shape[0]} (shape {shape}, expected "
                "(channel, y, x)). Build the circuit with the same number of channels as the drive."
            )

    def matrix(self) -> FloatArray:
        """Return the weights as a (post, pre) matrix."""
        count = len(self.by_lag)
        post, pre = np.indices((count, count))
        return np.asarray(np.asarray(self.by_lag)[(pre - post) % count])

    def as_kernel(self, channels: int) -> FloatArray:
        """Return (channels, channels, 1, 1)."""
        self.check_field((channels, 1, 1))
        return self.matrix()[:, :, None, None]

    def latex(self, source: str) -> str:
        """Return the sum over channels."""
        if self.is_uniform:
            mean = math.isclose(self.by_lag[0] * len(self.by_lag), 1)
            weight = r"\frac{1}{K} " if mean else "" if self.by_lag[0] == 1 else f"{self.by_lag[0]:.4g} "
            return rf"{weight}\sum_{{k'}} {source}_{{xyk'}}"
        return rf"\sum_{{k'}} {self.label}_{{k'-k}} {source}_{{xyk'}}"


def uniform_channels(channels: int) -> ChannelMixing:
    """Return the mean over all channels at a pixel."""
    check_channels(channels)
    return ChannelMixing((1 / channels,) * channels, label="u")


def summed_channels(channels: int) -> ChannelMixing:
    """Return the plain sum over all channels at a pixel."""
    check_channels(channels)
    return ChannelMixing((1.0,) * channels, label="s")


def circulant_gaussian(channels: int, spread: float) -> ChannelMixing:
    """Return a Gaussian over the circle of channels, normalised to sum 1.

    The weights are a normal density on ``linspace(0, 1, K)`` centred on its middle element, rolled so that the peak
    is at lag 0, as in the published circuit's code.

    Parameters
    ----------
    channels : int
        Number of channels K.
    spread : float
        Standard deviation, as a fraction of the feature range; positive.
    """
    density = _centred_density(channels, spread)
    return ChannelMixing(tuple(np.roll(density / density.sum(), -(channels // 2))), label="q")


def discontinuous(channels: int, spread: float) -> ChannelMixing:
    """Return the mixing for features without an order, such as colour channels.

    The own channel has the peak weight of `circulant_gaussian`; the others share the rest equally.
    """
    own = circulant_gaussian(channels, spread).by_lag[0]
    others = (1 - own) / (channels - 1) if channels > 1 else 0.0
    return ChannelMixing((own,) + (others,) * (channels - 1), label="q")


def _centred_density(channels: int, spread: float) -> FloatArray:
    check_channels(channels)
    check_spread(spread)
    position = np.linspace(0, 1, channels)
    return np.asarray(norm.pdf(position, loc=position[channels // 2], scale=spread))
