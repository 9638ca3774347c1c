"""Choices against the evidence: a curve fitted by maximum likelihood, with bootstrap intervals.

The psychometric curve is a cumulative Gaussian between two equal lapse rates,
``p(c) = lapse + (1 - 2*lapse)*Phi((c - bias)/threshold)``, fitted by maximum likelihood. It is parametrised by its
slope, 1/threshold, which may be 0 or negative: evidence that is ignored has a slope near 0 and no threshold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri, xlog1py, xlogy

__all__ = [
    "PsychometricFit",
    "count_answers",
    "cumulative_gaussian",
    "fit_psychometric",
    "tails",
]

Array = npt.NDArray[np.float64]

# Iterations of the fit, and the gain of log-likelihood in sight at which it has converged.
_ITERATIONS, _CONVERGED = 200, 1e-10
# The threshold is at least this share of the smallest distance between levels: a steeper curve is the same step.
_STEEPEST = 0.25


@dataclass(frozen=True, eq=False)
class PsychometricFit:
    """A fitted psychometric curve.

    Parameters
    ----------
    level : (level,) array
        Evidence; rising.
    positive, trials : (level,) int array
        Number of positive choices and of trials at each level.
    intercept, slope, lapse : float
        The argument of the Gaussian is ``intercept + slope*c``; the lapse is the share of trials answered regardless
        of the evidence, on either side.
    intervals : mapping from "bias", "threshold", "slope" and "lapse" to (low, high)
        Bootstrap percentile intervals.
    samples : (resample, 3) array
        Intercept, slope and lapse of every resample.
    confidence : float
        Probability of the intervals.
    log_likelihood : float
        Of the choices, without the binomial coefficients.
    deviance : float
        Twice how much larger the log-likelihood of the observed shares is.
    at_bound : tuple of str
        Which of "slope" and "lapse" stopped at the bound of what was allowed.
    """

    level: Array
    positive: npt.NDArray[np.int64]
    trials: npt.NDArray[np.int64]
    intercept: float
    slope: float
    lapse: float
    intervals: Mapping[str, tuple[float, float]]
    samples: Array
    confidence: float
    log_likelihood: float
    deviance: float
    at_bound: tuple[str, ...]

    @property
    def bias(self) -> float:
        """Evidence of even choices; NaN for a flat curve."""
        return float(_named(self._parameters)["bias"][0])

    @property
    def threshold(self) -> float:
        """Standard deviation of the Gaussian, in units of the evidence; infinite for a flat curve."""
        return float(_named(self._parameters)["threshold"][0])

    @property
    def _parameters(self) -> Array:
        return np.array([[self.intercept, self.slope, self.lapse]])

    def curve(self, evidence: Any) -> Array:
        """Return the probability of a positive choice at some evidence."""
        return np.asarray(_probability(self._parameters, np.asarray(evidence, dtype=np.float64))[0])

    def band(self, evidence: Any) -> tuple[Array, Array]:
        """Return the lower and upper end of the bootstrap interval of the curve at some evidence."""
        curves = _probability(self.samples, np.asarray(evidence, dtype=np.float64))
        low, high = np.quantile(curves, tails(self.confidence), axis=0)
        return low, high

    def row(self) -> dict[str, float]:
        """Return the four numbers and their intervals as a row of a table."""
        cells: dict[str, float] = {}
        for name, (low, high) in self.intervals.items():
            cells |= {name: getattr(self, name), f"{name}_low": low, f"{name}_high": high}
        return cells | {"deviance": self.deviance, "trials": float(self.trials.sum())}


def cumulative_gaussian(evidence: Any, bias: float, threshold: float, lapse: float = 0.0) -> Array:
    """Return ``lapse + (1 - 2*lapse)*Phi((evidence - bias)/threshold)``, the probability of a positive choice.

    Parameters
    ----------
    evidence : array
        Signed evidence.
    bias, threshold : float
        Evidence of even choices, and standard deviation of the Gaussian, which must not be 0.
    lapse : float
        Share of trials answered regardless of the evidence, on either side.
    """
    parameters = np.array([[-bias / threshold, 1.0 / threshold, lapse]])
    return np.asarray(_probability(parameters, np.asarray(evidence, dtype=np.float64))[0])


def fit_psychometric(
    evidence: Any,
    choices: Any,
    *,
    largest_lapse: float = 0.2,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> PsychometricFit:
    """Fit a cumulative Gaussian with lapses to single trials by maximum likelihood, with bootstrap intervals.

    Parameters
    ----------
    evidence : (trial,) array
        Signed evidence, such as a coherence.
    choices : (trial,) bool array
        Whether the positive choice was made; leave out trials without a choice.
    largest_lapse : float
        Upper bound of the lapse rate, from 0 (no lapses) to below 0.5.
    resamples : int
        Number of bootstrap resamples of the trials of each level.
    confidence : float
        Probability of the intervals.
    seed : int or Generator
        Where the resamples come from.

    Returns
    -------
    PsychometricFit

    Raises
    ------
    ValueError
        If shapes do not agree, the evidence is not finite or has fewer than two levels, the choices are not bool, or
        a setting is out of range.

    Notes
    -----
    The fit is a damped Fisher scoring within bounds, of all resamples at once. The threshold is at least a quarter of
    the smallest distance between levels, as no data at these levels can tell a steeper curve from a step.
    """
    if not 0 <= largest_lapse < 0.5 or resamples < 1 or not 0 < confidence < 1:
        raise ValueError(
            f"`largest_lapse` is {largest_lapse!r}, `resamples` {resamples!r} and `confidence` {confidence!r}; they "
            "must be from 0 to below 0.5, at least 1, and between 0 and 1."
        )
    level, positive, trials = count_answers(evidence, choices)
    scale = float(np.abs(level).max())
    steepest = scale / (_STEEPEST * float(np.diff(level).min()))
    upper = np.array([steepest + 10.0, steepest, largest_lapse])
    best, likelihood = _fit(level / scale, positive[None], trials, upper, None)
    rng = np.random.default_rng(seed)
    drawn = rng.binomial(trials, positive / trials, (resamples, len(level)))
    samples, _ = _fit(level / scale, drawn, trials, upper, best[0])
    bound = [name for name, k in (("slope", 1), ("lapse", 2)) if abs(best[0, k]) >= upper[k] > 0]
    unscale = np.array([1.0, 1.0 / scale, 1.0])
    best, samples = best * unscale, samples * unscale
    intervals = {name: _interval(values, confidence) for name, values in _named(samples).items()}
    share = positive / trials
    saturated = float((xlogy(positive, share) + xlog1py(trials - positive, -share)).sum())
    return PsychometricFit(
        level=level,
        positive=positive,
        trials=trials,
        intercept=float(best[0, 0]),
        slope=float(best[0, 1]),
        lapse=float(best[0, 2]),
        intervals=MappingProxyType(intervals),
        samples=samples,
        confidence=confidence,
        log_likelihood=float(likelihood[0]),
        deviance=2 * (saturated - float(likelihood[0])),
        at_bound=tuple(bound),
    )


def count_answers(
    evidence: Any, answers: Any, fewest: int = 2
) -> tuple[Array, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the levels of evidence, the number of true answers at each, and of all.

    Raises
    ------
    ValueError
        If the evidence is not finite or has fewer than `fewest` levels, or the answers are not one bool a trial.
    """
    values, true = np.asarray(evidence, dtype=np.float64), np.asarray(answers)
    if values.ndim != 1 or true.shape != values.shape or true.dtype != bool or not np.isfinite(values).all():
        raise ValueError(
            f"`evidence` has the shape {values.shape} and the answers {true.shape} of {true.dtype}; the evidence must "
            "be finite, one number a trial, and the answers one bool a trial. Leave out trials without an answer."
        )
    level, member = np.unique(values, return_inverse=True)
    if len(level) < fewest:
        raise ValueError(f"`evidence` has {len(level)} different levels; at least {fewest} are needed.")
    trials = np.bincount(member, minlength=len(level))
    return level, np.bincount(member, weights=true, minlength=len(level)).astype(np.int64), trials


def _probability(parameters: Array, evidence: Array) -> Array:
    """Return probabilities (fit, ...) of positive choices for parameters (fit, 3) of intercept, slope and lapse."""
    intercept, slope, lapse = (column.reshape(-1, *[1] * evidence.ndim) for column in parameters.T)
    return np.asarray(lapse + (1 - 2 * lapse) * ndtr(intercept + slope * evidence))


def _fit(level: Array, positive: Any, trials: Any, upper: Array, start: Array | None) -> tuple[Array, Array]:
    """Return parameters (fit, 3) and log-likelihoods (fit,) for counts (fit, level), from several starts each."""
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
    return parameters[best, index], likelihood[best, index]


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


def _named(parameters: Array) -> dict[str, Array]:
    intercept, slope, lapse = parameters.T
    with np.errstate(divide="ignore", invalid="ignore"):
        bias = np.where(slope == 0, np.nan, -intercept / slope)
        return {"bias": bias, "threshold": 1.0 / np.abs(slope), "slope": slope, "lapse": lapse}


def _interval(values: Array, confidence: float) -> tuple[float, float]:
    """Return the ends of a percentile interval of values, infinite ones too; NaN, a flat curve's bias, is left out."""
    ordered = np.sort(values[~np.isnan(values)])
    if not len(ordered):
        return float("nan"), float("nan")
    low, high = (ordered[round(share * (len(ordered) - 1))] for share in tails(confidence))
    return float(low), float(high)


def tails(confidence: float) -> Array:
    """Return the probabilities of both ends of a central interval."""
    return np.array([(1 - confidence) / 2, (1 + confidence) / 2])
