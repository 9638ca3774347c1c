"""What can be fixed when trials are drawn, and checks of what a user gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Condition", "Seed", "Table", "check_count", "generator"]

Seed = int | np.random.Generator
#: One column a condition.
Table = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Condition:
    """A property of a trial that can be fixed when trials are drawn.

    Parameters
    ----------
    values : tuple of float
        What it is drawn from, each value equally often.
    low, high : float, optional
        Bounds of what may be given; by default only `values` may.
    """

    values: tuple[float, ...]
    low: float | None = None
    high: float | None = None

    def check(self, name: str, given: ArrayLike, n: int) -> NDArray[Any]:
        """Return `n` given values.

        Raises
        ------
        ValueError
            If the shape is wrong, or a value is not finite or not allowed.
        """
        column = np.asarray(given)
        if column.dtype.kind not in "iufb" or column.shape not in ((), (n,)):
            raise ValueError(f"`{name}` is {given!r}; give one number, or an array of the n={n} trials.")
        if not np.isfinite(column).all():
            raise ValueError(f"`{name}` is {given!r}; it must be finite.")
        if self.low is not None and self.high is not None:
            allowed = (column >= self.low) & (column <= self.high)
            which = f"lie between {self.low:g} and {self.high:g}"
        else:
            allowed, which = np.isin(column, self.values), f"be one of {', '.join(f'{v:g}' for v in self.values)}"
        if not allowed.all():
            raise ValueError(f"`{name}` holds {column[~allowed].flat[0]:g}; it must {which}.")
        return np.broadcast_to(column, (n,)).astype(np.asarray(self.values).dtype if self.low is None else np.float64)

    def draw(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        """Return `n` values, each of `values` equally likely."""
        return rng.choice(np.asarray(self.values), n)


def generator(seed: Seed) -> np.random.Generator:
    """Return a generator from a seed, or the generator itself."""
    if isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"`seed` is {seed!r}; give a whole number of at least 0, or a numpy Generator.")
    if seed < 0:
        raise ValueError(f"`seed` is {seed}; it must be at least 0.")
    return np.random.default_rng(int(seed))


def check_count(n: int) -> None:
    """Refuse what is no number of trials."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer):
        raise TypeError(f"`n` is {n!r}; it must be a whole number of trials.")
    if n < 1:
        raise ValueError(f"`n` is {n}; at least 1 trial must be drawn.")
