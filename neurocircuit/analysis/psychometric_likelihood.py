"""The likelihood of a cumulative Gaussian with lapses and its maximum, for many sets of choices at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

__all__ = ["maximise_likelihood"]

Array = npt.NDArray[np.float64]

# Iterations of the fit, and the gain of log-likelihood in sight at which it has converged.
_ITERATIONS, _CONVERGED = 200, 1e-10
# Largest change of the Gaussian's share over all levels that counts as none: fewer than millions of trials cannot tell.
_FLAT = 1e-6


def maximise_likelihood(
    level: Array, positive: Any, trials: Any, upper: Array, start: Array | None = None
) -> tuple[Array, Array]:
    """Return the parameters of the largest likelihood for counts of choices, from several starts each.

    Parameters
    ----------
    level : (level,) array
        Evidence.
    positive : (fit, level) int array
        Numbers of positive choices, of many fits at once.
    trials : (level,) int array
        Numbers of trials, the same for all fits.
    upper : (3,) array
        Largest modulus of intercept, slope and lapse; a lapse is not negative.
    start : (3,) array, optional
        Another start, besides those that follow from the counts.

    Returns
    -------
    parameters : (fit, 3) array
        Intercept, slope and lapse. The slope of a curve that is flat is 0, as a bias would be a ratio of leftovers; an
        intercept at its bound, as where all choices are alike, is infinite.
    likelihood : (fit,) array
        Logarithms, without the binomial coefficients.
    """
    # A straight line through the normal quantiles of the shares, drawn in from 0 and 1, and steeper with lapses.
    quantiles, weights = ndtri((positive + 0.5) / (trials + 1.0)), np.sqrt(trials)
    basis = np.column_stack([np.ones_like(level), level]) * weights[:, None]
    line = np.linalg.lstsq(basis, (quantiles * weights).T, rcond=None)[0].T
    lapses = np.minimum(np.array([0.01, 0.05, 0.15]), upper[2] / 2)
    starts = [
        np.column_stack([factor * line, np.full(len(line), lapse)])
        for factor, lapse in zip((1, 2, 4), lapses, strict=True)
    ]
    if start is not None:
        starts.append(np.broadcast_to(start, starts[0].shape))
    found = [_ascend(level, positive, trials, upper, np.clip(one, -upper, upper)) for one in starts]
    parameters, likelihood = (np.stack([one[part] for one in found]) for part in range(2))
    best = likelihood.argmax(axis=0)
    index = np.arange(len(best))
    parameters, likelihood = parameters[best, index], likelihood[best, index]
    total = np.asarray(positive).sum(axis=1)
    alike = (total == 0) | (total == trials.sum())
    likelihood[alike], parameters[alike, 2] = 0.0, 0.0
    endless = alike | (np.abs(parameters[:, 0]) >= upper[0])
    sign = np.where(alike, np.where(total > 0, 1.0, -1.0), np.sign(parameters[:, 0]))
    first, last = ndtr(parameters[:, :1] + parameters[:, 1:2] * level[[0, -1]]).T
    parameters[endless, 0] = sign[endless] * np.inf
    parameters[endless | (np.abs(last - first) <= _FLAT), 1] = 0.0
    return parameters, likelihood


def _ascend(level: Array, positive: Any, trials: Any, upper: Array, start: Array) -> tuple[Array, Array]:
    """Climb the likelihoods of all fits at once by damped Fisher scoring within the bounds."""
    lower = np.array([-upper[0], -upper[1], 0.0])
    current, damping = np.clip(start, lower, upper), np.full(len(start), 1e-3)
    likelihood, gradient, information = _likelihood(current, level, positive, trials)
    going = np.arange(len(start))
    for _ in range(_ITERATIONS):
        here, slope = current[going], gradient[going]
        # A parameter at a bound that the likelihood pushes against is held there.
        held = ((here >= upper) & (slope > 0)) | ((here <= lower) & (slope < 0))
        slope = slope * ~held
        matrix = information[going] * ~held[:, :, None] * ~held[:, None, :]
        diagonal = np.einsum("fkk->fk", matrix)
        diagonal += damping[going, None] * diagonal + 1e-9 + held
        step = np.linalg.solve(matrix, slope[:, :, None])[:, :, 0]
        trial = np.clip(here + step, lower, upper)
        reached, new_gradient, new_information = _likelihood(trial, level, positive[going], trials)
        better = reached > likelihood[going]
        moved = going[better]
        current[moved], likelihood[moved] = trial[better], reached[better]
        gradient[moved], information[moved] = new_gradient[better], new_information[better]
        damping[going] = np.where(better, damping[going] / 10, damping[going] * 10)
        going = going[(step * slope).sum(axis=1) > _CONVERGED]
        if not len(going):
            break
    return current, likelihood


def _likelihood(parameters: Array, level: Array, positive: Any, trials: Any) -> tuple[Array, Array, Array]:
    """Return log-likelihoods, their gradients and the Fisher information."""
    z = parameters[:, :1] + parameters[:, 1:2] * level
    lapse = parameters[:, 2:]
    tiny = np.finfo(float).tiny
    p, q = (np.maximum(lapse + (1 - 2 * lapse) * ndtr(sign * z), tiny) for sign in (1, -1))
    likelihood = (positive * np.log(p) + (trials - positive) * np.log(q)).sum(axis=1)
    density = (1 - 2 * lapse) * np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    slopes = np.stack([density, density * level, 1 - 2 * ndtr(z)], axis=2)
    # p*q underflows long before the curve's own derivative has any weight there.
    spread = np.maximum(p * q, 1e-300)
    gradient = np.einsum("fl,flk->fk", (positive - trials * p) / spread, slopes)
    information = np.einsum("fl,flk,flm->fkm", trials / spread, slopes, slopes)
    return likelihood, gradient, information
