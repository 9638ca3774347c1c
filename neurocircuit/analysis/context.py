"""How a network selects and integrates the cued stimulus: the four claims of Mante et al. (2013), measured.

In each context the input is held at its cue without evidence, and the fixed and slow points along the network's own
trajectories are found and linearised. The claims: the relevant stimulus moves the choice and the other does not; there
is a line of slow points in either context; the selection vector meets the relevant input and not the other, although
the lines are parallel; and one eigenvalue is nearly 0 where all others decay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from neurocircuit.analysis.ctrnn_outputs import check_channels
from neurocircuit.analysis.fixed_points import distinct_points, find_fixed_points, sample_starts
from neurocircuit.analysis.linearisation import Linearisation, LineAttractor, line_attractor, linearise
from neurocircuit.analysis.psychometric import PsychometricFit, fit_psychometric
from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.networks import run_network
from neurocircuit.tables import Row
from neurocircuit.tasks import ContextIntegration, Scores, Trials

__all__ = [
    "CONTEXTS",
    "ContextDynamics",
    "context_dynamics",
    "context_psychometrics",
    "context_rows",
    "direction_similarity",
]

#: The stimulus that counts in each context, by the value of the condition ``context``.
CONTEXTS = ("motion", "colour")

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ContextDynamics:
    """What was found in one context.

    Parameters
    ----------
    context : str
        The stimulus that counts.
    found : Dataset
        From `find_fixed_points`: every start.
    points : Dataset
        From `distinct_points`: fixed and slow points.
    linear : Linearisation
        At the points.
    line : LineAttractor
        At the points.
    integrating : (point,) bool array
        Points whose slowest real mode outlasts the memory asked for.
    relevant, irrelevant : (point,) array
        Modulus of the cosine between the selection vector and the effect of the stimulus that counts, and of the other.
    """

    context: str
    found: xr.Dataset
    points: xr.Dataset
    linear: Linearisation
    line: LineAttractor
    integrating: npt.NDArray[np.bool_]
    relevant: Array
    irrelevant: Array

    @property
    def direction(self) -> Array:
        """Mean direction, of unit length, of the line over the integrating points; NaN without any."""
        if not self.integrating.any():
            return np.full(self.line.direction.shape[1], np.nan)
        mean = self.line.direction[self.integrating].mean(axis=0)
        return np.asarray(mean / np.linalg.norm(mean))

    @property
    def line_share(self) -> float:
        """Share of the variance of the points along the best line through them; NaN for fewer than three points."""
        states = self.points["state"].values
        if len(states) < 3:
            return float("nan")
        variances = np.linalg.svd(states - states.mean(axis=0), compute_uv=False) ** 2
        return float(variances[0] / variances.sum())


def context_dynamics(
    network: RateNetwork,
    task: ContextIntegration,
    *,
    trials: int = 100,
    starts: int = 64,
    spread: float = 0.1,
    memory: float = 10.0,
    seed: int = 0,
    **search: Any,
) -> dict[str, ContextDynamics]:
    """Find and linearise the fixed and slow points of a network in both contexts.

    Parameters
    ----------
    network : RateNetwork
        A network for the task; it runs without noise of its own.
    task : ContextIntegration
        The task.
    trials : int
        Trials a context, from whose trajectories during the stimulus the starts are drawn.
    starts : int
        Starts of the search in each context.
    spread : float
        Noise on the starts; see `sample_starts`.
    memory : float
        Time constant, in units of the median one of the network's units, from which a mode counts as integrating.
    seed : int
        Where trials and starts come from.
    **search
        Arguments of `find_fixed_points`.

    Returns
    -------
    dict from context to ContextDynamics

    Raises
    ------
    ValueError
        If the network does not fit the task, or an argument is out of range.
    """
    check_channels(network, task)
    rng, results = np.random.default_rng(seed), {}
    for value, context in enumerate(CONTEXTS):
        drawn = task.sample(trials, rng, network.step, context=value)
        states = run_network(network, drawn.inputs).states
        shown = drawn.during("stimulus")
        # Sample k + 1 is the state after the step of input k.
        pool = states[:, 1:][shown][None]
        held = _cue(task, context)
        found = find_fixed_points(network, sample_starts(pool, starts, spread=spread, seed=rng), held, **search)
        points = distinct_points(found, kinds=("fixed", "slow"))
        linear = linearise(network, points["state"].values, held)
        line = line_attractor(linear)
        with np.errstate(divide="ignore"):
            integrating = np.abs(1 / line.eigenvalues) >= memory * np.median(network.tau)
        cosine = np.abs(line.input_alignment)
        own, other = (task.input_names.index(name) for name in (context, CONTEXTS[1 - value]))
        results[context] = ContextDynamics(
            context, found, points, linear, line, integrating, cosine[:, own], cosine[:, other]
        )
    return results


def context_rows(dynamics: Mapping[str, ContextDynamics]) -> list[Row]:
    """Return one row a context with what the claims are about.

    Parameters
    ----------
    dynamics : mapping from context to ContextDynamics
        From `context_dynamics`.

    Returns
    -------
    list of rows
        ``context``; ``fixed``, ``slow`` and ``none``, the number of starts by where they led; ``points``, how many
        different ones; ``integrating``, how many of them integrate; ``line_share``; and over the integrating points:
        ``others_growing``, the largest number of modes but the slowest real one that grow (-1 without such points);
        ``time_constant`` and ``next_time_constant``, medians of the two longest in ms, growing modes counted by their
        modulus; ``relevant`` and ``irrelevant``, mean cosines with the selection vector.
    """
    rows = []
    for context, one in dynamics.items():
        kinds = one.found["kind"].values
        # The slowest real mode may itself grow, as at the point between two choices.
        growing = (one.linear.eigenvalues.real > 0).sum(axis=1) - (one.line.eigenvalues > 0)
        chosen, constants = one.integrating, np.sort(np.abs(one.linear.time_constants), axis=1)[:, ::-1]
        rows.append(
            {
                "context": context,
                **{kind: int((kinds == kind).sum()) for kind in ("fixed", "slow", "none")},
                "points": one.points.sizes["point"],
                "integrating": int(chosen.sum()),
                "line_share": one.line_share,
                "others_growing": int(growing[chosen].max()) if chosen.any() else -1,
                **{
                    name: float(reduce(values[chosen])) if chosen.any() else float("nan")
                    for name, reduce, values in (
                        ("time_constant", np.median, constants[:, 0]),
                        ("next_time_constant", np.median, constants[:, 1]),
                        ("relevant", np.mean, one.relevant),
                        ("irrelevant", np.mean, one.irrelevant),
                    )
                },
            }
        )
    return rows


def direction_similarity(dynamics: Mapping[str, ContextDynamics]) -> float:
    """Return the modulus of the cosine between the line attractors of both contexts; NaN without both."""
    first, second = (dynamics[context].direction for context in CONTEXTS)
    return float(abs(first @ second))


def context_psychometrics(trials: Trials, scores: Scores, **fit: Any) -> dict[tuple[str, str], PsychometricFit]:
    """Fit the choice against either stimulus in either context: four curves.

    Parameters
    ----------
    trials : Trials
        Trials of the context task with several coherences.
    scores : Scores
        Answers; trials without a choice are left out.
    **fit
        Arguments of `fit_psychometric`.

    Returns
    -------
    dict from (context, stimulus) to PsychometricFit

    Raises
    ------
    ValueError
        If the trials are not of this task, or there are too few.
    """
    if trials.task != ContextIntegration.name:
        raise ValueError(f"`trials` are of the task {trials.task!r}; they must be of {ContextIntegration.name!r}.")
    fits = {}
    for value, context in enumerate(CONTEXTS):
        chosen = (trials.conditions["context"] == value) & (scores.choice != 0)
        for stimulus in CONTEXTS:
            evidence = trials.conditions[f"coherence_{stimulus}"][chosen]
            fits[context, stimulus] = fit_psychometric(evidence, scores.choice[chosen] > 0, **fit)
    return fits


def _cue(task: ContextIntegration, context: str) -> Array:
    """Return the inputs during a stimulus without evidence."""
    on = {"fixation", f"context_{context}"}
    return np.array([float(name in on) for name in task.input_names])
