"""Responses factorised once for all that is read out of them linearly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg.blas import dsyrk

__all__ = ["ResponseBasis", "response_basis"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ResponseBasis:
    """Training responses as ``left * scale`` along orthogonal directions, and test responses along the same ones.

    All linear read-outs with a quadratic penalty on their weights depend on the responses through this alone. It has
    as many directions as samples or features, whichever are fewer.
    """

    left: Array
    """(sample, direction), orthonormal columns that each sum to 0."""
    scale: Array
    """(direction,)"""
    test: Array
    """(test sample, direction), divided by the scale, as `left` is."""


def response_basis(train: Any, test: Any) -> ResponseBasis:
    """Factorise responses once, for all variables that are read out of them.

    Parameters
    ----------
    train, test : (sample, feature) array
        Responses. The mean of the training samples is taken from both.

    Raises
    ------
    ValueError
        If shapes do not agree, or a response is not finite.
    """
    fitted, scored = np.asarray(train, dtype=np.float64), np.asarray(test, dtype=np.float64)
    if fitted.ndim != 2 or scored.ndim != 2 or fitted.shape[1] != scored.shape[1] or not fitted.size:
        raise ValueError(
            f"`train` has the shape {fitted.shape} and `test` {scored.shape}; both must be (sample, feature), with the "
            "same features."
        )
    mean = fitted.mean(axis=0)
    # An entry that is not finite makes the mean, and so the whole, not finite.
    if not (np.isfinite(mean).all() and np.isfinite(scored.sum())):
        raise ValueError("`train` or `test` holds values that are not finite.")
    fitted, scored = fitted - mean, scored - mean
    samples, features = fitted.shape
    if features < samples:
        values, vectors = np.linalg.eigh(_gram(fitted.T))
        values, vectors = _kept(values, vectors)
        scale = np.sqrt(values)
        return ResponseBasis(fitted @ vectors / scale, scale, scored @ vectors / scale)
    values, left = _kept(*np.linalg.eigh(_gram(fitted)))
    return ResponseBasis(left, np.sqrt(values), (scored @ fitted.T) @ left / values)


def _gram(rows: Array) -> Array:
    """Return ``rows @ rows.T``, of which BLAS computes one half."""
    # A C-ordered array is the transposed one to Fortran, so that nothing is copied.
    contiguous = np.ascontiguousarray(rows)
    upper = dsyrk(1.0, contiguous.T, trans=1)
    return np.asarray(np.triu(upper) + np.triu(upper, 1).T)


def _kept(values: Array, vectors: Array) -> tuple[Array, Array]:
    """Drop the directions in which the responses do not vary, up to rounding."""
    kept = values > max(values[-1], 0) * len(values) * np.finfo(np.float64).eps
    return values[kept], vectors[:, kept]
