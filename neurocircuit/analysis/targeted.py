"""Targeted dimensionality reduction (Mante et al. 2013): the directions along which task variables are coded.

Every unit's rate is regressed on the task variables in every time bin. The coefficients of one variable over all units
are a direction; they are denoised with the principal components of the condition averages, taken where they are
longest, and made orthogonal in a given order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from neurocircuit.analysis.state_space import condition_averages, state_space

__all__ = ["TargetedAxes", "targeted_axes"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TargetedAxes:
    """Orthonormal axes of task variables.

    Parameters
    ----------
    names : tuple of str
        The variable of each axis, in the order of their orthogonalisation.
    axes : (axis, unit) array
        Orthonormal; each points to where its variable grows.
    vectors : (axis, unit) array
        The denoised coefficients before orthogonalisation, at the bin where they are longest.
    coefficients : (bin, regressor, unit) array
        All coefficients, as regressed, of z-scored rates; regressors are `regressors`.
    regressors : tuple of str
        The variables, their pairwise products if asked for, and "constant".
    peak : (axis,) array
        Start in ms of the bin where each vector is longest.
    active : (unit,) bool array
        Units that vary; the others have no part in any axis.
    mean, scale : (unit,) array
        What z-scoring subtracts and divides by.
    """

    names: tuple[str, ...]
    axes: Array
    vectors: Array
    coefficients: Array
    regressors: tuple[str, ...]
    peak: Array
    active: npt.NDArray[np.bool_]
    mean: Array
    scale: Array

    def project(self, rates: Any) -> Array:
        """Return the coordinates (..., axis) of rates (..., unit), z-scored."""
        return np.asarray(((np.asarray(rates, dtype=np.float64) - self.mean) / self.scale) @ self.axes.T)


def targeted_axes(
    rates: Any,
    step: float,
    variables: Mapping[str, Any],
    *,
    order: Sequence[str] | None = None,
    bin_width: float = 50.0,
    interactions: bool = True,
    active: float = 0.1,
    components: int = 12,
) -> TargetedAxes:
    """Regress rates on task variables and return orthogonal axes, one a variable.

    Parameters
    ----------
    rates : (trial, time, unit) array
        Rates of single trials.
    step : float
        Time between samples in ms.
    variables : mapping from name to (trial,) array
        Signed task variables, such as choice, two coherences and context; each is divided by its largest modulus.
    order : sequence of str, optional
        Order of orthogonalisation: an axis loses what it shares with those before it. Default: that of `variables`.
    bin_width : float
        Width in ms of the time bins that rates are averaged in. Default: that of Mante et al.
    interactions : bool
        Also regress on the products of all pairs of variables.
    active : float
        Units whose standard deviation over trials and bins is at most this share of the largest are left out.
    components : int
        Principal components of the condition averages that the coefficients are projected on; fewer if there are not
        as many. Default: that of Mante et al.

    Returns
    -------
    TargetedAxes

    Raises
    ------
    ValueError
        If shapes do not agree, a value is not finite, a variable never changes, the variables cannot be told apart by
        these trials, or an axis vanishes when made orthogonal to those before it.
    """
    binned = _binned(rates, step, bin_width)
    names = tuple(variables if order is None else order)
    if sorted(names) != sorted(variables):
        raise ValueError(f"`order` is {names}; it must name each variable once: {', '.join(variables)}.")
    design, regressors = _design(variables, len(binned), interactions)
    spread = binned.std(axis=(0, 1))
    kept = spread > active * spread.max()
    if not kept.any():
        raise ValueError(f"`active` is {active!r}, above which no unit varies; use a share from 0 to below 1.")
    mean, scale = np.where(kept, binned.mean(axis=(0, 1)), 0.0), np.where(kept, spread, 1.0)
    scores = np.where(kept, (binned - mean) / scale, 0.0)
    flat, *_ = np.linalg.lstsq(design, scores.reshape(len(scores), -1), rcond=None)
    coefficients = flat.reshape(len(regressors), *scores.shape[1:]).transpose(1, 0, 2)
    averages = condition_averages(scores, variables).values
    space = state_space(averages, min(components, averages.shape[0] * averages.shape[1], averages.shape[2]))
    denoised = coefficients @ space.components.T @ space.components
    which = [regressors.index(name) for name in names]
    peak = np.linalg.norm(denoised, axis=2).argmax(axis=0)[which]
    vectors = denoised[peak, which]
    orthogonal, triangle = np.linalg.qr(vectors.T)
    lengths = np.diag(triangle)
    if (np.abs(lengths) <= 1e-10 * np.linalg.norm(vectors, axis=1)).any() or len(lengths) < len(names):
        raise ValueError(f"`variables` {names} are not coded along different directions; leave one out.")
    axes = (orthogonal * np.sign(lengths)).T
    return TargetedAxes(names, axes, vectors, coefficients, regressors, peak * bin_width, kept, mean, scale)


def _binned(rates: Any, step: float, bin_width: float) -> Array:
    """Return the means of rates in whole bins of time, (trial, bin, unit)."""
    array = np.asarray(rates, dtype=np.float64)
    if array.ndim != 3 or not array.size or not np.isfinite(array).all():
        raise ValueError(f"`rates` has the shape {array.shape}; it must be finite, (trial, time, unit).")
    samples = round(bin_width / step) if step > 0 else 0
    if samples < 1 or not np.isclose(samples * step, bin_width) or array.shape[1] < samples:
        raise ValueError(
            f"`bin_width` is {bin_width!r} ms and `step` {step!r} ms; the width must be a whole number of steps, and "
            f"at most the {array.shape[1]} samples there are."
        )
    bins = array.shape[1] // samples
    return np.asarray(array[:, : bins * samples].reshape(len(array), bins, samples, -1).mean(axis=2))


def _design(variables: Mapping[str, Any], trials: int, interactions: bool) -> tuple[Array, tuple[str, ...]]:
    """Return the regressors as columns, and their names."""
    columns = {}
    for name, values in variables.items():
        column = np.asarray(values, dtype=np.float64)
        if column.shape != (trials,) or not np.isfinite(column).all() or not np.ptp(column) > 0:
            raise ValueError(
                f"`variables` has {name!r} of the shape {column.shape}; it must hold a finite number for each of "
                f"{trials} trials, and not always the same."
            )
        columns[name] = column / np.abs(column).max()
    if interactions:
        columns |= {f"{a} x {b}": columns[a] * columns[b] for a, b in combinations(tuple(columns), 2)}
    design = np.column_stack([*columns.values(), np.ones(trials)])
    names = (*columns, "constant")
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise ValueError(
            f"`variables` cannot be told apart by these trials: the {design.shape[1]} regressors {', '.join(names)} "
            "depend on each other. Draw more trials, or leave out a variable or the interactions."
        )
    return design, names
