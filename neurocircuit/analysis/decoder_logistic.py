"""Logistic regressions with penalties, many at once on the same responses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from neurocircuit.analysis.decoder_basis import ResponseBasis
from neurocircuit.errors import ConvergenceError

__all__ = ["LogisticFit", "fit_logistic"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LogisticFit:
    """Logistic regressions in the coordinates of a `ResponseBasis`."""

    weights: Array
    """(direction, column), of responses divided by the basis's scale."""
    intercept: Array
    """(column,)"""

    def logits(self, responses: Array) -> Array:
        """Return (sample, column) logits of responses in these coordinates, such as ``basis.test``."""
        return responses @ self.weights + self.intercept


def fit_logistic(
    basis: ResponseBasis,
    targets: Array,
    penalties: Array,
    weights: Array | None = None,
    *,
    start: LogisticFit | None = None,
    tolerance: float = 1e-4,
) -> LogisticFit:
    """Fit logistic regressions with penalties on the squared weights, all columns together.

    Each minimises the weighted sum of the samples' logistic losses plus half its penalty times the sum of squared
    weights (scikit-learn's ``C = 1 / penalty``); the intercept is free. The method is Newton's, every step by conjugate
    gradients.

    Parameters
    ----------
    basis : ResponseBasis
        Responses.
    targets : (sample, column) array
        1 or -1.
    penalties : (column,) array
        One for each column, above 0.
    weights : (sample,) array, optional
        Weights of the samples, 0 to 1. Default: 1.
    start : LogisticFit, optional
        Where to start, such as the fit of a larger penalty.
    tolerance : float
        Each column stops when the norm of its gradient is below this share of that with weights of 0.

    Raises
    ------
    ConvergenceError
        If a column has not stopped after 100 steps.
    """
    samples, columns = targets.shape
    kept = np.ones((samples, 1)) if weights is None else weights[:, None]
    # The loss's curvature is at most a quarter, so that its bound is diagonal along these directions. In units of its
    # root the problem is well conditioned, whatever the spread of the scales; the last direction is the intercept.
    rows = np.hstack([basis.left, np.full((samples, 1), samples**-0.5)])
    curvature = basis.scale[:, None] ** 2 / 4 + penalties
    unit = np.vstack([basis.scale[:, None] / np.sqrt(curvature), np.full((1, columns), 2.0)])
    ridge = np.vstack([penalties / curvature, np.zeros((1, columns))])
    at = np.zeros_like(unit)
    if start is not None:
        at = np.vstack([start.weights, start.intercept * samples**0.5]) / unit
    logits = rows @ (unit * at)
    first = np.linalg.norm(unit * (rows.T @ (-targets * kept / 2)), axis=0)

    def loss(step: Array) -> Array:
        moved = np.logaddexp(0, -targets * (logits + step * along)) * kept
        return np.asarray(moved.sum(axis=0) + (ridge * (at + step * direction) ** 2).sum(axis=0) / 2)

    for _ in range(100):
        wrong = expit(-targets * logits)
        gradient = unit * (rows.T @ (-targets * wrong * kept)) + ridge * at
        if np.all(np.linalg.norm(gradient, axis=0) <= tolerance * first):
            scaled = unit * at
            return LogisticFit(scaled[:-1], scaled[-1] * samples**-0.5)
        direction = _newton_step(rows, unit, ridge, wrong * (1 - wrong) * kept, gradient)
        along = rows @ (unit * direction)
        # Half a step at a time back, in columns where the loss does not fall as it must.
        step, here, slope = np.ones(columns), loss(np.zeros(columns)), (gradient * direction).sum(axis=0)
        while np.any(bad := (loss(step) > here + 1e-4 * step * slope + 1e-12 * np.abs(here))):
            step = np.where(bad, step / 2, step)
        at, logits = at + step * direction, logits + step * along
    raise ConvergenceError("the logistic read-out did not converge in 100 steps; use larger penalties.")


def _newton_step(rows: Array, unit: Array, ridge: Array, curvature: Array, gradient: Array) -> Array:
    """Solve for the step of each column by conjugate gradients, the more exactly the nearer its end is."""
    found, residual = np.zeros_like(gradient), -gradient
    direction, square = residual, (residual**2).sum(axis=0)
    norm = np.sqrt(square)
    goal = square * np.minimum(0.1, np.sqrt(norm / max(float(norm.max()), 1e-300))) ** 2
    for _ in range(200):
        going = square > goal
        if not going.any():
            break
        product = unit * (rows.T @ (curvature * (rows @ (unit * direction)))) + ridge * direction
        length = np.where(going, square / np.maximum((direction * product).sum(axis=0), 1e-300), 0)
        found, residual = found + length * direction, residual - length * product
        new = (residual**2).sum(axis=0)
        direction = residual + np.where(going, new / np.maximum(square, 1e-300), 0) * direction
        square = new
    return np.asarray(found)
