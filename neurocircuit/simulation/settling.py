"""Did a run settle? The rate of change at its end, and whether the end lies on a short cycle.

Both are properties of the last states, so they are found in one place for every device: the right-hand side gives the
rate of change, and some more steps of the same scheme show whether the states return.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr

from neurocircuit.equations import ParameterSet
from neurocircuit.simulation.problem import FloatArray, Problem
from neurocircuit.simulation.torch import trajectory

__all__ = ["MAX_PERIOD", "Settling", "describe_settling", "settling"]

#: Longest cycle, in steps, that is looked for.
MAX_PERIOD = 16


class Settling(NamedTuple):
    """How a run ended.

    Parameters
    ----------
    residual : (state, batch) array
        Largest rate of change over the field, per ms.
    period : (batch,) array
        1 at a fixed point, p on a cycle of p steps, 0 when the states do not return within `MAX_PERIOD` steps.
    """

    residual: FloatArray
    period: np.ndarray


@torch.no_grad()
def settling(problem: Problem, parameters: ParameterSet, final: Mapping[str, FloatArray], tolerance: float) -> Settling:
    """Return how a run ended that left the states `final`, ``[batch, channel, y, x]``.

    A stimulus is at a fixed point if no state changes by more than `tolerance` per ms. It is on a cycle of p steps if
    after p more steps no state is further than ``tolerance * p * step`` from where it was, and than a hundredth of the
    largest excursion in between: a slow approach to a fixed point returns nowhere.
    """
    circuit = problem.circuit.with_parameters(**parameters.quantities())
    rhs = circuit.rhs()
    names = circuit.system.states
    residual = np.zeros((len(names), len(problem.drive)))
    period = np.zeros(len(problem.drive), dtype=np.int64)
    for item in range(len(problem.drive)):
        drive = torch.from_numpy(np.array(problem.drive[item : item + 1]))
        states = {name: torch.from_numpy(np.array(final[name][item : item + 1], dtype=np.float64)) for name in names}
        change = rhs(states, {"drive": drive})
        residual[:, item] = [change[name].abs().max().item() for name in names]
        if residual[:, item].max() < tolerance:
            period[item] = 1
            continue
        further = trajectory(
            circuit, drive, step=problem.step, start=states, method=problem.method, update=problem.update
        )
        excursion = 0.0
        for count, later in enumerate(further):
            moved = max((later[name] - states[name]).abs().max().item() for name in names)
            if count and moved < min(tolerance * count * problem.step, 0.01 * excursion):
                period[item] = count
            if period[item] or count == MAX_PERIOD:
                break
            excursion = max(excursion, moved)
    return Settling(residual, period)


def describe_settling(result: xr.Dataset) -> str:
    """Return one sentence on whether the runs of a result settled, cycle or still move."""
    period, tolerance = result["period"].values.ravel(), result["converged"].attrs["tolerance"]
    largest = float(result["residual"].max())
    counts = []
    for value in np.unique(period):
        what = {0: "not settled", 1: "at a fixed point"}.get(int(value), f"in a cycle of {value} steps")
        counts.append(f"{int((period == value).sum())} of {period.size} {what}")
    return f"{'; '.join(counts)} (largest rate of change {largest:.2g} per ms, tolerance {tolerance:g} per ms)"
