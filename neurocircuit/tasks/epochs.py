"""Epochs of a trial: how long each lasts, fixed or random, and which steps it takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Duration",
    "Layout",
    "OneOf",
    "TruncatedExponential",
    "Uniform",
    "check_duration",
    "draw_layout",
    "longest",
    "shortest",
    "whole_steps",
]

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Uniform:
    """A duration drawn for every trial from the whole steps between two bounds, each equally likely.

    Parameters
    ----------
    low, high : float, ms
        Shortest and longest duration, both whole steps.

    Raises
    ------
    ValueError
        Unless ``0 < low < high``.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds(self, self.low, self.high)
        _make_plain(self)

    def draw(self, n: int, rng: np.random.Generator, step: float) -> IntArray:
        """Return `n` durations in steps."""
        return rng.integers(whole_steps("low", self.low, step), whole_steps("high", self.high, step) + 1, n)


@dataclass(frozen=True)
class TruncatedExponential:
    """An exponentially distributed duration kept between two bounds: the end cannot be foreseen from the time passed.

    Parameters
    ----------
    mean : float, ms
        Mean of the exponential before it is truncated.
    low, high : float, ms
        Bounds, both whole steps; a draw is rounded to the nearest step.

    Raises
    ------
    ValueError
        Unless ``0 < low < high`` and the mean is positive.
    """

    mean: float
    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds(self, self.low, self.high)
        if not (math.isfinite(self.mean) and self.mean > 0):
            raise ValueError(f"`mean` of {self} is {self.mean!r} ms; it must be finite and greater than 0.")
        _make_plain(self)

    def draw(self, n: int, rng: np.random.Generator, step: float) -> IntArray:
        """Return `n` durations in steps."""
        whole_steps("low", self.low, step)
        whole_steps("high", self.high, step)
        # The inverse of the truncated distribution function.
        inside = -math.expm1(-(self.high - self.low) / self.mean)
        times = self.low - self.mean * np.log1p(-inside * rng.random(n))
        return np.rint(times / step).astype(np.int64)


@dataclass(frozen=True)
class OneOf:
    """A duration drawn for every trial from a list, each entry equally likely.

    Parameters
    ----------
    values : tuple of float, ms
        At least one positive duration, each a whole number of steps.

    Raises
    ------
    ValueError
        If the list is empty or holds a duration that is not positive.
    """

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values or not all(math.isfinite(value) and value > 0 for value in self.values):
            raise ValueError(f"`values` of {self} must be at least one duration, each finite and greater than 0 ms.")
        object.__setattr__(self, "values", tuple(map(float, self.values)))

    def draw(self, n: int, rng: np.random.Generator, step: float) -> IntArray:
        """Return `n` durations in steps."""
        return rng.choice(np.array([whole_steps("values", value, step) for value in self.values]), n)


#: Milliseconds, or a distribution of them.
Duration = float | Uniform | TruncatedExponential | OneOf


def _make_plain(duration: Uniform | TruncatedExponential) -> None:
    # A numpy scalar would spoil the text by which a random duration is described.
    for parameter in fields(duration):
        object.__setattr__(duration, parameter.name, float(getattr(duration, parameter.name)))


def _check_bounds(duration: Uniform | TruncatedExponential, low: float, high: float) -> None:
    if not (math.isfinite(high) and 0 < low < high):
        raise ValueError(f"The bounds of {duration} must be finite with 0 < low < high, such as 200 and 400 ms.")


def check_duration(name: str, duration: Duration) -> None:
    """Refuse what is no duration.

    Raises
    ------
    TypeError, ValueError
        If it is neither a number of at least 0 nor one of the distributions.
    """
    if isinstance(duration, Uniform | TruncatedExponential | OneOf):
        return
    if isinstance(duration, bool) or not isinstance(duration, int | float | np.integer | np.floating):
        raise TypeError(f"`{name}` is {duration!r}; give a duration in ms, or Uniform, TruncatedExponential or OneOf.")
    if not (math.isfinite(duration) and duration >= 0):
        raise ValueError(f"`{name}` is {duration!r} ms; it must be finite and at least 0.")


def shortest(duration: Duration) -> float:
    """Return the shortest that a duration can be, in ms."""
    if isinstance(duration, OneOf):
        return min(duration.values)
    return duration.low if isinstance(duration, Uniform | TruncatedExponential) else float(duration)


def longest(duration: Duration) -> float:
    """Return the longest that a duration can be, in ms."""
    if isinstance(duration, OneOf):
        return max(duration.values)
    return duration.high if isinstance(duration, Uniform | TruncatedExponential) else float(duration)


def whole_steps(name: str, value: float, step: float) -> int:
    """Return a time in steps.

    Raises
    ------
    ValueError
        If it is not a whole number of steps.
    """
    count = value / step
    if not math.isclose(count, round(count), rel_tol=1e-9, abs_tol=1e-9):
        fits = "longer than" if step > value else "no divisor of"
        raise ValueError(
            f"`step` is {step:g} ms, {fits} `{name}` of {value:g} ms; change one so that every epoch is a whole number "
            "of steps."
        )
    return round(count)


@dataclass(frozen=True, eq=False)
class Layout:
    """Which steps each epoch of each trial takes.

    Parameters
    ----------
    step : float, ms
        Length of a step.
    n_steps : int
        Steps of the longest possible trial.
    windows : mapping from epoch to (trial, 2) int array
        First step, and the step after the last.
    """

    step: float
    n_steps: int
    windows: Mapping[str, IntArray]

    def during(self, *epochs: str, grace: int = 0) -> BoolArray:
        """Return which steps belong to any of some epochs, but for their first `grace` steps: (trial, time)."""
        spans = [self._between(self.windows[name][:, 0] + grace, self.windows[name][:, 1]) for name in epochs]
        return np.asarray(np.any(spans, axis=0))

    def before(self, epoch: str) -> BoolArray:
        """Return which steps come before an epoch: (trial, time)."""
        start = self.windows[epoch][:, 0]
        return self._between(np.zeros_like(start), start)

    def inside(self) -> BoolArray:
        """Return which steps come before the end of their trial: (trial, time)."""
        stop = list(self.windows.values())[-1][:, 1]
        return self._between(np.zeros_like(stop), stop)

    def times(self) -> dict[str, NDArray[np.float64]]:
        """Return start and stop of every epoch in ms: (trial, 2) each."""
        return {name: np.asarray(window * self.step, np.float64) for name, window in self.windows.items()}

    def _between(self, start: IntArray, stop: IntArray) -> BoolArray:
        steps = np.arange(self.n_steps)
        return np.asarray((steps >= start[:, None]) & (steps < stop[:, None]))


def draw_layout(
    durations: Mapping[str, Duration], n: int, rng: np.random.Generator, step: float, length: float | None = None
) -> Layout:
    """Draw the epochs of `n` trials, each beginning where the one before it ends.

    Parameters
    ----------
    durations : mapping from epoch to Duration
        In order.
    length : float, ms, optional
        Length of the arrays; by default that of the longest possible trial.

    Raises
    ------
    ValueError
        If an epoch is not a whole number of steps, or the longest trial exceeds `length`.
    """
    stop = np.zeros(n, np.int64)
    windows: dict[str, IntArray] = {}
    total = 0
    for name, duration in durations.items():
        whole_steps(name, shortest(duration), step)
        longest_steps = whole_steps(name, longest(duration), step)
        start = stop
        if isinstance(duration, Uniform | TruncatedExponential | OneOf):
            stop = start + duration.draw(n, rng, step)
        else:
            stop = start + longest_steps
        windows[name] = np.stack([start, stop], 1)
        total += longest_steps
    n_steps = total if length is None else whole_steps("length", length, step)
    if n_steps < total:
        raise ValueError(
            f"`length` is {length:g} ms, but the epochs {', '.join(durations)} can last {total * step:g} ms; make "
            "`length` longer or the epochs shorter."
        )
    return Layout(step, n_steps, windows)
