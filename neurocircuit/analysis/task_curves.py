"""Psychometric and chronometric curves of a network on a task, and whether they stay below the ideal observer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from neurocircuit.analysis.chronometric import above_ideal, chronometric
from neurocircuit.analysis.psychometric import PsychometricFit, fit_psychometric
from neurocircuit.tables import Row
from neurocircuit.tasks import (
    ContextIntegration,
    EvidenceTask,
    MultisensoryIntegration,
    ParametricWorkingMemory,
    PerceptualDecision,
    Scores,
    Task,
    Trials,
    ideal_accuracy,
)
from neurocircuit.tasks.epochs import longest

__all__ = ["TEST_COHERENCES", "EvidenceSeries", "TaskCurves", "curve_trials", "evidence_series", "task_curves"]

Array = npt.NDArray[np.float64]

#: Coherences of either modality at which a network trained on context-dependent integration is tested.
TEST_COHERENCES = (-0.5, -0.25, -0.15, -0.1, -0.05, 0.05, 0.1, 0.15, 0.25, 0.5)


@dataclass(frozen=True, eq=False)
class EvidenceSeries:
    """One kind of evidence, in the trials that have it."""

    label: str
    """Name of the series."""
    evidence: Array
    """(trial,) signed evidence, of all trials."""
    shown: npt.NDArray[np.bool_]
    """(trial,) which trials belong to the series."""
    counts: bool
    """Whether it decides the right choice."""
    ideal: Callable[[Array], Array] | None
    """Largest accuracy possible at some strengths of the evidence; None if the task has no noise to bound it."""


@dataclass(frozen=True, eq=False)
class TaskCurves:
    """Choices and reaction times against the evidence; each by the label of a series."""

    psychometric: Mapping[str, PsychometricFit]
    """Fits, of trials with a choice."""
    chronometric: Mapping[str, xr.Dataset]
    """Reaction times, of series that count."""
    ideal: tuple[Row, ...]
    """Accuracy at every level of the series that count beside that of the ideal observer; see `above_ideal`."""

    def tables(self) -> dict[str, list[Row]]:
        """Return the fits, and the comparison with the ideal observer, as tables; none that would be empty."""
        found = {
            "psychometric": [{"series": label} | fit.row() for label, fit in self.psychometric.items()],
            "ideal": list(self.ideal),
        }
        return {name: rows for name, rows in found.items() if rows}

    def to_dataset(self) -> xr.Dataset:
        """Return reaction times over ``series`` and ``level``, and choices over ``series`` and ``level_signed``."""
        times = [one.expand_dims(series=[label]) for label, one in self.chronometric.items()]
        choices = [
            xr.Dataset(
                {
                    "positive_choices": ("level_signed", fit.positive),
                    "trials": ("level_signed", fit.trials),
                    "fitted": ("level_signed", fit.curve(fit.level), {"units": "1"}),
                },
                {"level_signed": fit.level},
            ).expand_dims(series=[label])
            for label, fit in self.psychometric.items()
        ]
        parts = [xr.concat(each, "series", join="outer") for each in (times, choices) if each]
        return xr.merge(parts, join="outer", compat="no_conflicts")


def curve_trials(task: Task, n: int, seed: int, step: float) -> Trials:
    """Draw trials for curves: of context-dependent integration at `TEST_COHERENCES`, else as the task draws them."""
    generator = np.random.default_rng(seed)
    given = {}
    if isinstance(task, ContextIntegration):
        given = {f"coherence_{name}": generator.choice(TEST_COHERENCES, n) for name in ("motion", "colour")}
    return task.sample(n, generator, step, **given)


def evidence_series(task: Task, trials: Trials) -> list[EvidenceSeries]:
    """Return the kinds of evidence that a task has; none for go/no-go and delayed match to sample.

    Parameters
    ----------
    task : Task
        The task.
    trials : Trials
        Trials of it.
    """
    found, everywhere = trials.conditions, np.ones(trials.n_trials, bool)
    if isinstance(task, ContextIntegration):
        names = ("motion", "colour")
        return [
            EvidenceSeries(
                f"{shown}, {counting} counts",
                np.asarray(found[f"coherence_{shown}"], float),
                found["context"] == context,
                shown == counting,
                _ideal(task),
            )
            for context, counting in enumerate(names)
            for shown in names
        ]
    if isinstance(task, PerceptualDecision):
        return [EvidenceSeries("coherence", np.asarray(found["coherence"], float), everywhere, True, _ideal(task))]
    if isinstance(task, MultisensoryIntegration):
        evidence = np.asarray(found["frequency"], float) - task.boundary
        return [
            EvidenceSeries(
                name, evidence, found["modality"] == value, True, _ideal(task, task.boundary, modality=value)
            )
            for value, name in enumerate(("visual", "auditory", "both"))
        ]
    if isinstance(task, ParametricWorkingMemory):
        difference = np.asarray(found["first"] - found["second"], float)
        return [EvidenceSeries("first minus second", difference, everywhere, True, None)]
    return []


def _ideal(task: EvidenceTask, boundary: float = 0.0, **conditions: Any) -> Callable[[Array], Array]:
    # Of a stimulus whose length is random the longest, which bounds the others.
    duration = longest(task.durations["stimulus"])

    def accuracy(level: Array) -> Array:
        return ideal_accuracy(task, boundary + np.asarray(level), duration, **conditions)

    return accuracy


def task_curves(task: Task, trials: Trials, scores: Scores, *, resamples: int = 1000, seed: int = 0) -> TaskCurves:
    """Fit the psychometric and chronometric curves of a network.

    Parameters
    ----------
    task : Task
        The task.
    trials : Trials
        Trials of it, such as those of `curve_trials`.
    scores : Scores
        The network's answers.
    resamples : int
        Bootstrap resamples behind every interval.
    seed : int
        Of the resamples.

    Returns
    -------
    TaskCurves
        Without the series in which fewer than two levels of evidence were answered at all.
    """
    fits, times, rows = {}, {}, []
    for series in evidence_series(task, trials):
        answered = series.shown & (scores.choice != 0)
        if len(np.unique(series.evidence[answered])) > 1:
            evidence, choices = series.evidence[answered], scores.choice[answered] > 0
            fits[series.label] = fit_psychometric(evidence, choices, resamples=resamples, seed=seed)
        if not series.counts:
            continue
        evidence, correct = series.evidence[series.shown], scores.correct[series.shown]
        reaction = scores.reaction_time[series.shown]
        times[series.label] = chronometric(evidence, reaction, correct, resamples=resamples, seed=seed)
        if series.ideal is not None:
            rows += [{"series": series.label} | row for row in above_ideal(evidence, correct, series.ideal)]
    return TaskCurves(fits, times, tuple(rows))
