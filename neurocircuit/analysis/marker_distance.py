"""What the distance of Pathfinder's two markers alone tells about the label: the control every network has to beat.

The two-sided window is the rule of the published measurement; the histogram is the strongest rule of one number that
the data support, and judges whether distance-matched negatives leave anything to find.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from neurocircuit.intervals import accuracy_interval

__all__ = ["DistanceRule", "DistanceScore", "fit_histogram", "fit_window", "marker_distance_score"]

DistanceRule = Literal["window", "histogram"]

#: Numbers of bins the histogram chooses from.
BINS = (2, 4, 8, 16, 32, 64, 128)
#: The histogram's bins are chosen on this share of the images it is fitted to, held out from it.
VALIDATION_SHARE = 1 / 4
LEAST_IMAGES = 16

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Rule = Callable[[FloatArray], BoolArray]


@dataclass(frozen=True)
class DistanceScore:
    """Accuracy of a rule on images that it was not fitted to.

    Parameters
    ----------
    accuracy : float
        Share of the held-out images with the right answer.
    low, high : float
        95 % confidence interval of the accuracy (Wilson).
    images : int
        Number of held-out images.
    rule : str
        What the rule is, in words; distances in the unit they were given in.
    """

    accuracy: float
    low: float
    high: float
    images: int
    rule: str


def marker_distance_score(
    distance: npt.ArrayLike, labels: npt.ArrayLike, rule: DistanceRule = "window"
) -> DistanceScore:
    """Fit a rule to every second image and score it on the others.

    Parameters
    ----------
    distance : (image,) array
        Distance of the markers, as in ``PathfinderBatch.marker_distance``.
    labels : (image,) array of 0 and 1
        Whether the markers are on one path.
    rule : {"window", "histogram"}
        ``window`` answers 1 between two distances; ``histogram`` answers with the majority in each of several bins of
        equal number, the number of bins being chosen on images held out from the fit.

    Returns
    -------
    DistanceScore
        Accuracy on the held-out images.

    Raises
    ------
    ValueError
        If the arrays do not match, hold anything but finite distances and labels 0 and 1, hold fewer than 16 images,
        or the rule is unknown.
    """
    values, answers = _checked(distance, labels)
    if rule not in get_args(DistanceRule):
        raise ValueError(f"`rule` is {rule!r}; use {' or '.join(map(repr, get_args(DistanceRule)))}.")
    if values.size < LEAST_IMAGES:
        raise ValueError(f"`distance` holds {values.size} images; half are for scoring, so give at least 16.")
    fit, held_out = slice(0, None, 2), slice(1, None, 2)
    if rule == "window":
        low, high = fit_window(values[fit], answers[fit])
        name, decide = f"{low:.4g} to {high:.4g}", _window(low, high)
    else:
        bins, decide = _best_histogram(values[fit], answers[fit])
        name = f"{bins} bins"
    right = decide(values[held_out]) == answers[held_out]
    return DistanceScore(float(right.mean()), *accuracy_interval(int(right.sum()), right.size), right.size, name)


def fit_window(distance: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[float, float]:
    """Return the window (low, high), ends included, whose rule "1 if inside" is right most often.

    Parameters
    ----------
    distance, labels : (image,) array
        Distances and labels 0 or 1.
    """
    values, answers = _checked(distance, labels)
    places, group = np.unique(values, return_inverse=True)
    gain = np.bincount(group, weights=np.where(answers, 1, -1))
    # The window with the largest sum of gains: the largest rise of the running sum.
    running = np.concatenate([[0.0], np.cumsum(gain)])
    last = int(np.argmax(running[1:] - np.minimum.accumulate(running[:-1])))
    first = int(np.argmin(running[: last + 1]))
    return float(places[first]), float(places[last])


def fit_histogram(distance: npt.ArrayLike, labels: npt.ArrayLike, bins: int) -> Rule:
    """Return the rule that answers with the majority of the labels in each of `bins` bins of equal number.

    Parameters
    ----------
    distance, labels : (image,) array
        Distances and labels 0 or 1.
    bins : int
        Number of bins.
    """
    values, answers = _checked(distance, labels)
    edges = np.quantile(values, np.arange(1, bins) / bins)
    surplus = np.bincount(np.searchsorted(edges, values, side="right"), np.where(answers, 1, -1), minlength=bins)
    return lambda at: np.asarray(surplus[np.searchsorted(edges, at, side="right")] >= 0)


def _best_histogram(values: FloatArray, answers: BoolArray) -> tuple[int, Rule]:
    """Choose the number of bins on images held out from the fit, then fit to all of them."""
    kept = round(len(values) * (1 - VALIDATION_SHARE))

    def accuracy(bins: int) -> float:
        decide = fit_histogram(values[:kept], answers[:kept], bins)
        return float(np.mean(decide(values[kept:]) == answers[kept:]))

    best = max(BINS, key=accuracy)
    return best, fit_histogram(values, answers, best)


def _window(low: float, high: float) -> Rule:
    return lambda at: np.asarray((at >= low) & (at <= high))


def _checked(distance: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[FloatArray, BoolArray]:
    values, answers = np.asarray(distance, dtype=np.float64), np.asarray(labels)
    if values.ndim != 1 or values.shape != answers.shape:
        raise ValueError(
            f"`distance` has shape {values.shape} and `labels` {answers.shape}; both must be lists of one number an "
            "image."
        )
    if not np.isfinite(values).all():
        raise ValueError("`distance` holds numbers that are not finite; every image has two markers a distance apart.")
    if not np.isin(answers, (0, 1)).all():
        raise ValueError(f"`labels` holds {np.setdiff1d(answers, (0, 1))[0]!r}; labels are 0 or 1.")
    return values, answers == 1
