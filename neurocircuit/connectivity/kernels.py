"""Lateral kernels: how one unit's pool weighs the units around it.

A kernel is a weighting over channel and space that is the same at every pixel. Whatever its type it answers three
questions: its weights as a convolution kernel (`as_kernel`), as explicit synapses over a field (`as_synapses`), and as
a fast torch operator (`as_operator`, see `neurocircuit.connectivity.operators`). Shapes are ``(channel, y, x)``,
weights ``W[post, pre]``.
"""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

__all__ = [
    "Annulus",
    "Boundary",
    "Box",
    "BoxTerm",
    "Dense",
    "FieldShape",
    "LateralKernel",
    "Mixture",
    "SynapseTable",
    "axis_sources",
    "check_channels",
    "check_spread",
    "gaussian",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
FieldShape = tuple[int, int, int]
Boundary = Literal["zero", "reflect", "periodic"]


class SynapseTable(NamedTuple):
    """Explicit synapses: flat indices ``(channel * height + y) * width + x`` and weights, all of one length."""

    pre: IntArray
    post: IntArray
    weight: FloatArray


class BoxTerm(NamedTuple):
    """A `weight` times the plain sum over a square of `size` pixels, channel by channel."""

    size: int
    weight: float


class LateralKernel(abc.ABC):
    """Base of all kernels; concrete kernels are frozen dataclasses."""

    boundary: Boundary

    @property
    @abc.abstractmethod
    def half_width(self) -> int:
        """Largest distance in pixels between a unit and its inputs, along an axis."""

    @abc.abstractmethod
    def as_kernel(self, channels: int) -> FloatArray:
        """Return the weights as a cross-correlation kernel, (post channel, pre channel, dy, dx)."""

    @abc.abstractmethod
    def latex(self, source: str) -> str:
        """Return the pool of the state typeset as `source` in LaTeX."""

    def check_field(self, shape: FieldShape, name: str = "kernel") -> None:
        """Raise ValueError if the kernel does not fit a field of this shape."""
        _, height, width = shape
        if self.half_width >= min(height, width):
            raise ValueError(
                f"`{name}` reaches {self.half_width} pixels to each side, but the field is only {height} x {width} "
                f"pixels. Use a field larger than {self.half_width} pixels, or a smaller pool."
            )

    def as_synapses(self, shape: FieldShape) -> SynapseTable:
        """Return one synapse per non-zero weight and target, ordered by the offset between source and target.

        Parameters
        ----------
        shape : (channel, y, x)
            Shape of the field.

        Returns
        -------
        SynapseTable
            Sources outside the field are left out (``"zero"``), mirrored without repeating the edge
            (``"reflect"``) or wrapped around (``"periodic"``).

        Raises
        ------
        ValueError
            If the kernel does not fit the field.
        """
        self.check_field(shape)
        channels, height, width = shape
        kernel, half = self.as_kernel(channels), self.half_width
        rows = axis_sources(height, half, self.boundary)
        columns = axis_sources(width, half, self.boundary)
        target = np.arange(height * width).reshape(height, width)
        nothing = np.empty(0, dtype=np.int64)
        found: list[tuple[IntArray, IntArray, FloatArray]] = [(nothing, nothing, np.empty(0))]
        for dy, dx in np.argwhere(np.any(kernel != 0, axis=(0, 1))):
            y, x = rows[:, dy], columns[:, dx]
            inside = (y >= 0)[:, None] & (x >= 0)[None, :]
            source_pixel = (y[:, None] * width + x[None, :])[inside]
            target_pixel = target[inside]
            # Pairs are ordered by channel lag, so that neighbouring synapses write to neighbouring targets.
            for lag in range(channels):
                post = np.arange(channels)
                pre = (post + lag) % channels
                weight = kernel[post, pre, dy, dx]
                post, pre, weight = post[weight != 0], pre[weight != 0], weight[weight != 0]
                area = height * width
                found.append(
                    (
                        (pre[:, None] * area + source_pixel).ravel(),
                        (post[:, None] * area + target_pixel).ravel(),
                        np.repeat(weight, len(source_pixel)),
                    )
                )
        pre_all, post_all, weight_all = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return SynapseTable(pre_all, post_all, weight_all)


def axis_sources(length: int, half_width: int, boundary: Boundary) -> IntArray:
    """Return the source index at every offset along one axis, (length, 2 * half_width + 1); -1 is outside."""
    position = np.arange(length)[:, None] + np.arange(-half_width, half_width + 1)[None, :]
    if boundary == "periodic":
        return position % length
    if boundary == "reflect":
        period = max(2 * (length - 1), 1)
        folded = np.abs(position) % period
        return np.where(folded < length, folded, period - folded)
    return np.where((position >= 0) & (position < length), position, -1)


def _check_boundary(boundary: str) -> None:
    if boundary not in get_args(Boundary):
        raise ValueError(f"`boundary` is {boundary!r}; it must be one of {', '.join(get_args(Boundary))}.")


def _check_size(size: int, name: str) -> None:
    if isinstance(size, bool) or not isinstance(size, int | np.integer):
        raise TypeError(f"`{name}` is {size!r}; it must be an odd whole number of pixels.")
    if size < 1 or size % 2 == 0:
        near = max(int(size) // 2 * 2 + 1, 1)
        raise ValueError(f"`{name}` is {size}; it must be an odd number of pixels, at least 1, such as {near}.")


@dataclass(frozen=True)
class Box(LateralKernel):
    """Mean over a square of ``size x size`` pixels in the same channel (weights sum to 1 before the border).

    Raises
    ------
    TypeError, ValueError
        If `size` is not an odd positive whole number, or the boundary is unknown.
    """

    size: int
    boundary: Boundary = "zero"

    def __post_init__(self) -> None:
        _check_size(self.size, "size")
        _check_boundary(self.boundary)

    @property
    def half_width(self) -> int:
        """Half of the square's side."""
        return self.size // 2

    @property
    def terms(self) -> tuple[BoxTerm, ...]:
        """The kernel as weighted square sums."""
        return (BoxTerm(self.size, 1 / self.size**2),)

    def as_kernel(self, channels: int) -> FloatArray:
        """Return (channels, channels, size, size), zero between channels."""
        return _per_channel(np.full((self.size, self.size), 1 / self.size**2), channels)

    def latex(self, source: str) -> str:
        """Return the mean over the square."""
        return rf"\frac{{1}}{{{self.size}^2}} \sum_{{(x',y') \in {self.size} \times {self.size}}} {source}_{{x'y'k}}"


@dataclass(frozen=True)
class Annulus(LateralKernel):
    """Mean over an ``outer x outer`` square without its central ``inner x inner`` square, in the same channel.

    Raises
    ------
    TypeError, ValueError
        If a size is not an odd positive whole number, if the inner square is not smaller than the outer one, or
        the boundary is unknown.
    """

    inner: int
    outer: int
    boundary: Boundary = "zero"

    def __post_init__(self) -> None:
        _check_size(self.inner, "inner")
        _check_size(self.outer, "outer")
        _check_boundary(self.boundary)
        if self.inner >= self.outer:
            raise ValueError(
                f"`inner` is {self.inner} and `outer` is {self.outer}; the inner square must be smaller than the outer."
            )

    @property
    def area(self) -> int:
        """Number of pixels of the annulus."""
        return self.outer**2 - self.inner**2

    @property
    def half_width(self) -> int:
        """Half of the outer square's side."""
        return self.outer // 2

    @property
    def terms(self) -> tuple[BoxTerm, ...]:
        """The kernel as weighted square sums."""
        return (BoxTerm(self.outer, 1 / self.area), BoxTerm(self.inner, -1 / self.area))

    def as_kernel(self, channels: int) -> FloatArray:
        """Return (channels, channels, outer, outer), zero between channels and in the inner square."""
        spatial = np.full((self.outer, self.outer), 1 / self.area)
        margin = (self.outer - self.inner) // 2
        spatial[margin : margin + self.inner, margin : margin + self.inner] = 0
        return _per_channel(spatial, channels)

    def latex(self, source: str) -> str:
        """Return the mean over the annulus."""
        domain = rf"{self.outer} \times {self.outer} \setminus {self.inner} \times {self.inner}"
        return rf"\frac{{1}}{{{self.outer}^2 - {self.inner}^2}} \sum_{{(x',y') \in {domain}}} {source}_{{x'y'k}}"


@dataclass(frozen=True, eq=False)
class Dense(LateralKernel):
    """Arbitrary weights over channel and space.

    Parameters
    ----------
    weights : (post, pre, dy, dx) array
        Finite weights; odd spatial sizes.

    Raises
    ------
    ValueError
        If the array has another rank, an even size, differing channel counts or a value that is not finite.
    """

    weights: FloatArray
    boundary: Boundary = "zero"

    def __post_init__(self) -> None:
        weights = np.array(self.weights, dtype=np.float64)
        if weights.ndim != 4 or weights.shape[0] != weights.shape[1] or not weights.size:
            raise ValueError(f"`weights` has the shape {weights.shape}; expected (channel, channel, dy, dx).")
        if weights.shape[2] % 2 == 0 or weights.shape[3] % 2 == 0 or weights.shape[2] != weights.shape[3]:
            raise ValueError(f"`weights` has the shape {weights.shape}; expected square kernels of odd size.")
        if not np.all(np.isfinite(weights)):
            raise ValueError("`weights` has values that are not finite.")
        _check_boundary(self.boundary)
        weights.setflags(write=False)
        object.__setattr__(self, "weights", weights)

    @property
    def half_width(self) -> int:
        """Half of the kernel's side."""
        return int(self.weights.shape[2] // 2)

    def check_field(self, shape: FieldShape, name: str = "kernel") -> None:
        """Raise ValueError if the kernel does not fit the field."""
        if shape[0] != self.weights.shape[0]:
            raise ValueError(f"`{name}` has {self.weights.shape[0]} channels but the field has {shape[0]}.")
        super().check_field(shape, name)

    def as_kernel(self, channels: int) -> FloatArray:
        """Return the weights themselves."""
        self.check_field((channels, self.half_width + 1, self.half_width + 1))
        return self.weights

    def latex(self, source: str) -> str:
        """Return a convolution."""
        return rf"\left(W * {source}\right)_{{xyk}}"


@dataclass(frozen=True)
class Mixture(LateralKernel):
    """Weighted sum of kernels that share one boundary rule.

    Raises
    ------
    ValueError
        If there is no part, a weight is not finite, or spatial parts differ in their boundary.
    """

    parts: tuple[tuple[float, LateralKernel], ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError("`parts` is empty; it needs at least one (weight, kernel).")
        if not all(math.isfinite(weight) for weight, _ in self.parts):
            raise ValueError(f"`parts` has the weights {[w for w, _ in self.parts]}; they must be finite.")
        rules = {kernel.boundary for _, kernel in self.parts if kernel.half_width}
        if len(rules) > 1:
            raise ValueError(f"`parts` mix the boundary rules {sorted(rules)}; they must be the same.")

    @property
    def boundary(self) -> Boundary:  # type: ignore[override]
        """The boundary rule of the spatial parts."""
        return next((kernel.boundary for _, kernel in self.parts if kernel.half_width), "zero")

    @property
    def half_width(self) -> int:
        """The largest half-width of the parts."""
        return max(kernel.half_width for _, kernel in self.parts)

    def check_field(self, shape: FieldShape, name: str = "kernel") -> None:
        """Raise ValueError if a part does not fit the field."""
        for _, kernel in self.parts:
            kernel.check_field(shape, name)

    def as_kernel(self, channels: int) -> FloatArray:
        """Return the weighted sum of the parts' kernels."""
        total = np.zeros((channels, channels, 2 * self.half_width + 1, 2 * self.half_width + 1))
        for weight, kernel in self.parts:
            margin = self.half_width - kernel.half_width
            inner = slice(margin, total.shape[2] - margin)
            total[:, :, inner, inner] += weight * kernel.as_kernel(channels)
        return total

    def latex(self, source: str) -> str:
        """Return the weighted sum of the parts."""
        return " + ".join(rf"{weight:.4g} \, {kernel.latex(source)}" for weight, kernel in self.parts)


def gaussian(channels: int, size: int, spread: float, boundary: Boundary = "zero") -> Dense:
    """Return a spatial Gaussian within each channel, normalised to sum 1.

    Parameters
    ----------
    channels, size : int
        Number of channels and odd width of the kernel, in pixels.
    spread : float
        Standard deviation in pixels; positive.
    """
    check_channels(channels)
    _check_size(size, "size")
    check_spread(spread)
    line = norm.pdf(np.arange(size) - size // 2, scale=spread)
    spatial = np.outer(line, line)
    return Dense(_per_channel(spatial / spatial.sum(), channels), boundary=boundary)


def check_channels(channels: int) -> None:
    """Raise ValueError unless a number of channels is whole and at least 1."""
    if isinstance(channels, bool) or not isinstance(channels, int | np.integer) or channels < 1:
        raise ValueError(f"`channels` is {channels!r}; it must be a whole number, at least 1.")


def check_spread(spread: float) -> None:
    """Raise ValueError unless a standard deviation is positive and finite."""
    if not (np.isfinite(spread) and spread > 0):
        raise ValueError(f"`spread` is {spread!r}; it must be positive and finite.")


def _per_channel(spatial: FloatArray, channels: int) -> FloatArray:
    return np.eye(channels)[:, :, None, None] * spatial
