"""Accuracy and reaction times against the strength of the evidence, beside the best accuracy possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from neurocircuit.analysis.psychometric import count_answers, tails
from neurocircuit.intervals import accuracy_interval
from neurocircuit.tables import Row

__all__ = ["above_ideal", "chronometric"]


def above_ideal(evidence: Any, correct: Any, ideal: Callable[[Any], Any]) -> list[Row]:
    """Compare the accuracy at every level of evidence with that of the ideal observer.

    Parameters
    ----------
    evidence : (trial,) array
        Evidence, whose modulus is the level.
    correct : (trial,) bool array
        Whether each trial was answered correctly.
    ideal : callable
        From levels to the largest accuracy possible: `neurocircuit.tasks.ideal_accuracy` of the task.

    Returns
    -------
    list of rows
        ``level``, ``trials``, ``accuracy`` with its 95 % interval ``low`` and ``high``, ``ideal``, and ``above``, true
        where even the lower end is above the ideal: then the task gives the answer away, or is scored wrongly.

    Raises
    ------
    ValueError
        If shapes do not agree, or a value is not finite or not bool.
    """
    level, right, trials = count_answers(np.abs(np.asarray(evidence, dtype=np.float64)), correct, fewest=1)
    rows = []
    for one, hits, count, best in zip(level, right, trials, np.asarray(ideal(level)), strict=True):
        low, high = accuracy_interval(int(hits), int(count))
        rows.append(
            {"level": float(one), "trials": int(count), "accuracy": hits / count, "low": low, "high": high}
            | {"ideal": float(best), "above": bool(low > best)}
        )
    return rows


def chronometric(
    evidence: Any,
    reaction_times: Any,
    correct: Any,
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> xr.Dataset:
    """Return mean reaction times by the strength of the evidence, of right and wrong answers, with intervals.

    Parameters
    ----------
    evidence : (trial,) array
        Evidence, whose modulus is the level.
    reaction_times : (trial,) array
        In ms; NaN where there was no response.
    correct : (trial,) bool array
        Whether each trial was answered correctly.
    resamples : int
        Number of bootstrap resamples of the trials.
    confidence : float
        Probability of the intervals.
    seed : int or Generator
        Where the resamples come from.

    Returns
    -------
    xarray.Dataset
        Over ``answer`` ("correct", "wrong") and ``level``: ``reaction_time``, ``low``, ``high`` in ms, NaN where there
        is no trial, and ``n_trials``; and ``n_missing`` over ``level``, trials without a response.

    Raises
    ------
    ValueError
        If shapes do not agree, or evidence, a time or an answer is not as described.
    """
    times = np.asarray(reaction_times, dtype=np.float64)
    strength, right = np.abs(np.asarray(evidence, dtype=np.float64)), np.asarray(correct)
    level, _, _ = count_answers(strength, right, fewest=1)
    if times.shape != strength.shape or np.isinf(times).any() or resamples < 1 or not 0 < confidence < 1:
        raise ValueError(
            f"`reaction_times` has the shape {times.shape}, `resamples` is {resamples!r} and `confidence` "
            f"{confidence!r}; times must be finite or NaN and as many as the evidence, {strength.shape}, resamples at "
            "least 1, and confidence between 0 and 1."
        )
    rng, responded = np.random.default_rng(seed), ~np.isnan(times)
    mean, low, high = (np.full((2, len(level)), np.nan) for _ in range(3))
    count = np.zeros((2, len(level)), dtype=np.int64)
    for row, answer in enumerate((right, ~right)):
        for column, one in enumerate(level):
            own = times[answer & responded & (strength == one)]
            count[row, column] = len(own)
            if len(own):
                means = own[rng.integers(len(own), size=(resamples, len(own)))].mean(axis=1)
                mean[row, column] = own.mean()
                low[row, column], high[row, column] = np.quantile(means, tails(confidence))
    over, unit = ("answer", "level"), {"units": "ms"}
    return xr.Dataset(
        {"reaction_time": (over, mean, unit), "low": (over, low, unit), "high": (over, high, unit)}
        | {
            "n_trials": (over, count),
            "n_missing": ("level", np.array([np.sum(~responded & (strength == one)) for one in level])),
        },
        {"answer": ["correct", "wrong"], "level": ("level", level, {"long_name": "strength of the evidence"})},
        {"confidence": confidence},
    )
