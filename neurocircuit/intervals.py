"""The confidence interval of an accuracy, for whatever counts right answers."""

from __future__ import annotations

from scipy.stats import binomtest

__all__ = ["accuracy_interval"]


def accuracy_interval(right: int, samples: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of an accuracy (Wilson's score interval).

    Parameters
    ----------
    right, samples : int
        Number of right answers, and of answers.
    """
    interval = binomtest(right, samples).proportion_ci(confidence_level=0.95, method="wilson")
    return float(interval.low), float(interval.high)
