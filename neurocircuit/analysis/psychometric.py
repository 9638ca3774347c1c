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
from scipy.special import ndtr, xlog1py, xlogy

from neurocircuit.analysis.psychometric_likelihood import maximise_likelihood

__all__ = [
    "PsychometricFit",
    "count_answers",
    "cumulative_gaussian",
    "fit_psychometric",
    "tails",
]

Array = npt.NDArray[np.float64]

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
        of the evidence, on either side. The slope of a flat curve is 0, and the intercept is infinite where all choices
        are alike.
    intervals : mapping from "bias", "threshold", "slope" and "lapse" to (low, high)
        Bootstrap percentile intervals; NaN if all choices are alike, which resamples of them are as well.
    samples : (resample, 3) array
        Intercept, slope and lapse of every resample.
    confidence : float
        Probability of the intervals.
    log_likelihood : float
        Of the choices, without the binomial coefficients.
    deviance : float
        Twice how much larger the log-likelihood of the observed shares is.
    at_bound : tuple of str
        Which of "intercept", "slope" and "lapse" stopped at the bound of what was allowed.
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
    best, likelihood = maximise_likelihood(level / scale, positive[None], trials, upper)
    rng = np.random.default_rng(seed)
    drawn = rng.binomial(trials, positive / trials, (resamples, len(level)))
    samples, _ = maximise_likelihood(level / scale, drawn, trials, upper, best[0])
    if positive.sum() in (0, trials.sum()):
        # No resample differs from the choices, which says nothing of how sure the parameters are.
        samples = np.full_like(samples, np.nan)
    bound = [name for k, name in enumerate(("intercept", "slope", "lapse")) if abs(best[0, k]) >= upper[k] > 0]
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
