"""Population activity in few dimensions: averages by condition, and principal components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

__all__ = ["StateSpace", "condition_averages", "state_space"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class StateSpace:
    """Principal components of some activity.

    Parameters
    ----------
    mean, scale : (unit,) array
        What was subtracted from every unit, and what it was then divided by.
    components : (component, unit) array
        Orthonormal directions, most variance first. The largest entry of each is positive.
    variance : (component,) array
        Variance along each.
    total_variance : float
        Variance along all directions, those left out included.
    participation_ratio : float
        ``sum(l)**2 / sum(l**2)`` over the variances of all directions: how many of them share the variance.
    """

    mean: Array
    scale: Array
    components: Array
    variance: Array
    total_variance: float
    participation_ratio: float

    @property
    def explained(self) -> Array:
        """Share of the variance along each component."""
        return np.asarray(self.variance / self.total_variance)

    def project(self, values: Any) -> Array:
        """Return the coordinates (..., component) of activity (..., unit)."""
        return np.asarray(((np.asarray(values, dtype=np.float64) - self.mean) / self.scale) @ self.components.T)

    def project_direction(self, vectors: Any) -> Array:
        """Return the components (..., component) of directions (..., unit), such as readout or input weights."""
        return np.asarray((np.asarray(vectors, dtype=np.float64) / self.scale) @ self.components.T)

    def reconstruct(self, coordinates: Any) -> Array:
        """Return the activity (..., unit) at coordinates (..., component)."""
        return np.asarray(np.asarray(coordinates, dtype=np.float64) @ self.components * self.scale + self.mean)


def condition_averages(
    values: Any, conditions: Mapping[str, Any], by: Sequence[str] | None = None, *, step: float | None = None
) -> xr.DataArray:
    """Average trials of the same condition.

    Parameters
    ----------
    values : (trial, time, unit) array
        Rates, states or outputs.
    conditions : mapping from name to (trial,) array
        Condition table, such as ``trials.conditions``.
    by : sequence of str, optional
        Which columns distinguish conditions. Default: all.
    step : float, optional
        Time between samples in ms; given, the result has the coordinate ``time``.

    Returns
    -------
    (condition, time, unit) DataArray
        Conditions in rising order of the columns; every column and ``n_trials`` are coordinates along ``condition``.

    Raises
    ------
    ValueError
        If a column is unknown, holds NaN or does not fit the trials, or the values are not (trial, time, unit).
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 3 or not array.size:
        raise ValueError(f"`values` has the shape {array.shape}; it must be (trial, time, unit) and not empty.")
    names = list(conditions) if by is None else list(by)
    columns = [_column(conditions, name, len(array)) for name in names]
    if not columns:
        raise ValueError("`by` names no condition; name at least one column.")
    codes = [np.unique(column, return_inverse=True) for column in columns]
    rows, member = np.unique(np.stack([code for _, code in codes], axis=1), axis=0, return_inverse=True)
    member = member.reshape(-1)
    averages = np.stack([array[member == row].mean(axis=0) for row in range(len(rows))])
    coords: dict[str, Any] = {
        name: ("condition", levels[rows[:, k]]) for k, (name, (levels, _)) in enumerate(zip(names, codes, strict=True))
    }
    coords["n_trials"] = ("condition", np.bincount(member))
    if step is not None:
        coords["time"] = ("time", step * np.arange(array.shape[1]), {"units": "ms"})
    return xr.DataArray(averages, coords, ("condition", "time", "unit"))


def state_space(values: Any, components: int | None = None, *, normalise: bool = False) -> StateSpace:
    """Find the principal components of activity.

    Parameters
    ----------
    values : (..., unit) array
        Activity, usually `condition_averages`; all axes but the last are samples.
    components : int, optional
        How many to keep. Default: all, the smaller of samples and units.
    normalise : bool
        Divide every unit by its standard deviation first; a unit that never changes is left as it is.

    Returns
    -------
    StateSpace

    Raises
    ------
    ValueError
        If there are fewer than two samples, a value is not finite, nothing varies, or too many components are asked
        for.
    """
    array = np.asarray(values, dtype=np.float64)
    samples = array.reshape(-1, array.shape[-1]) if array.ndim > 1 else array.reshape(1, -1)
    if len(samples) < 2 or not np.isfinite(samples).all():
        raise ValueError(f"`values` has the shape {array.shape}; it must be finite with at least two samples.")
    most = min(samples.shape)
    kept = most if components is None else components
    if not 1 <= kept <= most:
        raise ValueError(f"`components` is {components!r}; it must be from 1 to {most}, the samples or the units.")
    mean, spread = samples.mean(axis=0), samples.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0) if normalise else np.ones_like(spread)
    _, singular, directions = np.linalg.svd((samples - mean) / scale, full_matrices=False)
    variance = singular**2 / (len(samples) - 1)
    if not variance.sum() > 0:
        raise ValueError("`values` is the same in every sample, so there is no direction of variance.")
    largest = np.abs(directions).argmax(axis=1)
    directions = directions * np.sign(directions[np.arange(len(directions)), largest])[:, None]
    ratio = variance.sum() ** 2 / (variance**2).sum()
    return StateSpace(mean, scale, directions[:kept], variance[:kept], float(variance.sum()), float(ratio))


def _column(conditions: Mapping[str, Any], name: str, trials: int) -> npt.NDArray[Any]:
    if name not in conditions:
        raise ValueError(f"`by` names {name!r}; the conditions are {', '.join(conditions)}.")
    column = np.asarray(conditions[name])
    if column.shape != (trials,):
        raise ValueError(f"`conditions` has {name!r} of the shape {column.shape}; there are {trials} trials.")
    if column.dtype.kind == "f" and np.isnan(column).any():
        raise ValueError(f"`conditions` has NaN in {name!r}; leave those trials out, or another column.")
    return column
