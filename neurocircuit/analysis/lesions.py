"""What a network still does without some units or projections, or for a window of time; and matched random lesions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from neurocircuit.analysis.ctrnn_outputs import network_outputs
from neurocircuit.circuits.perturbation import Lesion, Perturbation, chosen_units
from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.intervals import accuracy_interval
from neurocircuit.tables import Row
from neurocircuit.tasks import Scores, Task, Trials

__all__ = ["lesion_table", "matched_units", "perturbation_table", "projection_lesions", "score_network"]

Mask = npt.NDArray[np.bool_]


def score_network(
    network: RateNetwork,
    task: Task,
    trials: Trials,
    perturbations: Sequence[Perturbation] = (),
) -> Scores:
    """Run a network on trials without noise of its own, whole or perturbed, and score its answers.

    Parameters
    ----------
    network : RateNetwork
        The network.
    task : Task
        What scores.
    trials : Trials
        Trials of that task, at the network's step.
    perturbations : sequence of Lesion or Pulse
        What is done to the network.

    Raises
    ------
    ValueError
        If task, trials and network do not fit together.
    """
    return task.score(network_outputs(network, trials, perturbations), trials)


def projection_lesions(network: RateNetwork, start: float = 0.0, stop: float = np.inf) -> dict[str, Lesion]:
    """Return the lesions of the four projections between excitatory (E) and inhibitory (I) units, by name.

    Parameters
    ----------
    network : RateNetwork
        A network under Dale's law.
    start, stop : float
        When they are cut, in ms.

    Raises
    ------
    ValueError
        If the network has no sign of units.
    """
    if network.excitatory is None:
        raise ValueError("`network` has no excitatory and inhibitory units; give one trained under Dale's law.")
    kinds = {"E": network.excitatory, "I": ~network.excitatory}
    return {
        f"{pre}->{post}": Lesion(kinds[post], kinds[pre], start=start, stop=stop) for pre in kinds for post in kinds
    }


def matched_units(network: RateNetwork, units: Any, seed: int | np.random.Generator = 0) -> Mask:
    """Draw as many excitatory and as many inhibitory units as a set has, from those outside it.

    Parameters
    ----------
    network : RateNetwork
        The network; without Dale's law, only the number of units is matched.
    units : array of bool or int
        The set.
    seed : int or Generator
        Where the randomness comes from.

    Returns
    -------
    (unit,) bool array

    Raises
    ------
    ValueError
        If there are not as many of a kind outside the set.
    """
    inside, rng = chosen_units("units", units, network.n_units), np.random.default_rng(seed)
    excitatory = np.ones(network.n_units, dtype=bool) if network.excitatory is None else network.excitatory
    drawn = np.zeros(network.n_units, dtype=bool)
    for kind in (excitatory, ~excitatory):
        wanted, rest = int((inside & kind).sum()), np.flatnonzero(~inside & kind)
        if wanted > len(rest):
            raise ValueError(
                f"`units` has {wanted} units of one kind and only {len(rest)} are left outside; use a smaller set."
            )
        drawn[rng.choice(rest, wanted, replace=False)] = True
    return drawn


def perturbation_table(
    network: RateNetwork,
    task: Task,
    trials: Trials,
    perturbations: Mapping[str, Perturbation | Sequence[Perturbation]],
) -> list[Row]:
    """Score a network whole and under every perturbation.

    Parameters
    ----------
    network, task, trials
        As for `score_network`; the network runs without noise.
    perturbations : mapping from name to Lesion, Pulse or several of them
        For example `projection_lesions`.

    Returns
    -------
    list of rows
        ``perturbation`` ("none" first), ``accuracy``, its 95 % interval ``low`` and ``high``.

    Raises
    ------
    ValueError
        If task, trials and network do not fit together.
    """
    rows = []
    for name, given in {"none": (), **perturbations}.items():
        several = (given,) if isinstance(given, Perturbation) else tuple(given)
        rows.append({"perturbation": name, **_accuracy(score_network(network, task, trials, several))})
    return rows


def lesion_table(
    network: RateNetwork,
    task: Task,
    trials: Trials,
    groups: Mapping[str, Any],
    *,
    controls: int = 10,
    start: float = 0.0,
    stop: float = np.inf,
    seed: int | np.random.Generator = 0,
) -> list[Row]:
    """Silence groups of units, and as often random units of the same number and kind.

    Parameters
    ----------
    network, task, trials
        As for `score_network`; the network runs without noise.
    groups : mapping from name to array of bool or int
        Sets of units.
    controls : int
        Random sets for each group; drawn from outside the group, so that a group of more than half of a kind has none.
    start, stop : float
        When the units are silent, in ms.
    seed : int or Generator
        Where the random sets come from.

    Returns
    -------
    list of rows
        ``group`` ("none" first), ``units``, ``inhibitory`` (their number), ``accuracy``, its 95 % interval ``low`` and
        ``high``, and ``control``, ``control_sd``, mean and standard deviation of the accuracy over the random sets; NaN
        where there is none.

    Raises
    ------
    ValueError
        If `controls` is negative, or task, trials, network and groups do not fit together.
    """
    if controls < 0:
        raise ValueError(f"`controls` is {controls!r}; it must be at least 0.")
    rng = np.random.default_rng(seed)
    inhibitory = np.zeros(network.n_units, dtype=bool) if network.excitatory is None else ~network.excitatory

    def score(units: Mask) -> Scores:
        cut = (Lesion.of_units(units, start, stop),) if units.any() else ()
        return score_network(network, task, trials, cut)

    rows = []
    for name, units in {"none": np.zeros(network.n_units, dtype=bool), **groups}.items():
        mask = chosen_units("groups", units, network.n_units)
        fits = mask.any() and all((mask & kind).sum() <= (~mask & kind).sum() for kind in (inhibitory, ~inhibitory))
        sets = [matched_units(network, mask, rng) for _ in range(controls if fits else 0)]
        others = [float(score(chosen).accuracy) for chosen in sets]
        rows.append(
            {
                "group": name,
                "units": int(mask.sum()),
                "inhibitory": int((mask & inhibitory).sum()),
                **_accuracy(score(mask)),
                "control": float(np.mean(others)) if others else np.nan,
                "control_sd": float(np.std(others)) if others else np.nan,
            }
        )
    return rows


def _accuracy(scores: Scores) -> dict[str, float]:
    low, high = accuracy_interval(int(scores.correct.sum()), len(scores.correct))
    return {"accuracy": float(scores.accuracy), "low": low, "high": high}
