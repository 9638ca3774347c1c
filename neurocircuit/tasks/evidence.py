"""Noisy evidence, and the best that any observer can make of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from neurocircuit.tasks.epochs import Duration, Layout, Uniform, longest, shortest
from neurocircuit.tasks.task import NOISE_STEP, Task

__all__ = ["EvidenceTask", "ideal_accuracy", "noisy", "per_noise", "refuse_conditions", "sign_or_guess"]


@dataclass(frozen=True, kw_only=True)
class EvidenceTask(Task):
    """A task whose difficulty is noise: the settings of `Task`, and those below.

    Parameters
    ----------
    stimulus, delay : Duration, ms
        Time of the stimulus, and from its end to the response.
    noise : float
        Standard deviation of the noise on each channel at a step of 1 ms (see `NOISE_STEP`).
    """

    stimulus: Duration = 800.0
    delay: Duration = field(default=Uniform(100.0, 300.0))
    noise: float = 1.0

    @abstractmethod
    def evidence_per_noise(self, evidence: NDArray[np.float64], **conditions: Any) -> NDArray[np.float64]:
        """Return the evidence for the choice in a sample of `NOISE_STEP`, over its standard deviation."""

    def _durations(self) -> dict[str, Duration]:
        return {
            "fixation": self.fixation,
            "stimulus": self.stimulus,
            "delay": self.delay,
            "response": self.response,
        }


def noisy(
    mean: ArrayLike, shown: NDArray[np.bool_], layout: Layout, noise: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return a constant signal in independent Gaussian noise, 0 outside the steps in which it is shown.

    Parameters
    ----------
    mean : (trial,) array
        The signal.
    shown : (trial, time) bool array
        When there is one.
    noise : float
        Standard deviation of a sample at a step of `NOISE_STEP`; with a step h it is ``noise*sqrt(NOISE_STEP/h)``.

    Returns
    -------
    (trial, time) float32 array
        Signal and noise.
    """
    signal = np.asarray(mean, np.float32)[:, None]
    if noise == 0:
        return np.asarray(signal * shown, np.float32)
    deviation = np.float32(noise * np.sqrt(NOISE_STEP / layout.step))
    return np.asarray((signal + deviation * rng.standard_normal(shown.shape, np.float32)) * shown, np.float32)


def sign_or_guess(evidence: NDArray[Any], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the sign of each number, and either sign with equal chance for 0."""
    guess = 2 * rng.integers(0, 2, len(evidence)) - 1
    return np.where(evidence == 0, guess, np.sign(evidence)).astype(np.int64)


def ideal_accuracy(
    task: Task, evidence: ArrayLike, duration: float | None = None, **conditions: Any
) -> NDArray[np.float64]:
    """Return the accuracy of an observer who weighs every sample of the stimulus: no network can do better.

    Evidence of mean m in independent noise of standard deviation s, over n samples, allows an accuracy of
    ``Phi(m sqrt(n)/s)``. Because `noise` scales with the step, it depends on the duration and not on the step.

    Parameters
    ----------
    task : Task
        ``perceptual`` (all three kinds), ``mante`` or ``multisensory``.
    evidence : array
        Coherences (in ``mante``, of the modality that counts), or frequencies in ``multisensory``.
    duration : float, ms, optional
        How long the stimulus lasts; needed where it is random.
    **conditions
        ``modality`` in ``multisensory`` (0 visual, 1 auditory, 2 both).

    Returns
    -------
    array
        Probability of a right choice, in the shape of `evidence`; 0.5 where there is no evidence.

    Raises
    ------
    ValueError
        If the task has no noisy evidence, a coherence is not finite, or the duration is missing or not positive.
    """
    if not isinstance(task, EvidenceTask):
        raise ValueError(f"task {task.name} has no ideal observer here; perceptual, mante and multisensory have.")
    values = np.asarray(evidence, np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"`evidence` is {evidence!r}; it must be finite.")
    time = _stimulus_time(task.durations["stimulus"], duration)
    ratio = np.abs(task.evidence_per_noise(values, **conditions))
    return np.asarray(norm.cdf(ratio * np.sqrt(time / NOISE_STEP)), np.float64)


def _stimulus_time(stimulus: Duration, duration: float | None) -> float:
    if duration is None and shortest(stimulus) != longest(stimulus):
        raise ValueError(f"`duration` must be given, because the stimulus is random: {stimulus}.")
    time = shortest(stimulus) if duration is None else float(duration)
    if not (np.isfinite(time) and time > 0):
        raise ValueError(f"`duration` is {duration!r} ms; it must be finite and greater than 0.")
    return time


def per_noise(mean: NDArray[np.float64], noise: float) -> NDArray[np.float64]:
    """Return evidence in units of the noise of a sample; without noise any evidence is enough."""
    if noise == 0:
        return np.where(mean == 0, 0.0, np.inf)
    return mean / noise


def refuse_conditions(task: Task, conditions: Mapping[str, Any]) -> None:
    """Refuse conditions that the ideal observer of a task does not take."""
    if conditions:
        raise ValueError(
            f"the ideal observer of {task.name} takes no `{next(iter(conditions))}`; give the evidence only."
        )
