"""The slow competition of many images at once, run until it comes to rest.

Euler's method on the circuit's own right-hand side. The sum of n positive units relaxes n times as fast as a unit, and
n falls from half of all units to a few, so each image has a step of its own that grows while units drop out. From rest
such a step keeps the order of the units as the differential equation does: two units at the same activity differ by
their currents alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from neurocircuit.circuits import competing_units_circuit

__all__ = ["Competition", "compete"]

FloatArray = npt.NDArray[np.float64]

#: Step, as a share of the shortest time constant; at 1 the sum of the rates is at its equilibrium after one step.
SHARE = 0.2
#: A run is at rest if no unit moves by more than this share of the largest current in one time constant.
TOLERANCE = 1e-7
#: Runs are ended after so many time constants.
LONGEST = 1000.0
# Elements worked on at once, so that they stay in the caches, and steps between two looks at what has come to rest.
_CHUNK, _LOOK = 1 << 16, 20


@dataclass(frozen=True, eq=False)
class Competition:
    """How the hidden units ended, image by image.

    Parameters
    ----------
    activity : (image, hidden) array
        The activity h at the end.
    positive_at : (time, image) array of int
        How many units were positive at the times asked for.
    decision_time : (image,) array
        Time in ms after which the set of positive units was the final one.
    settled : (image,) array of bool
        Whether the units came to rest.
    """

    activity: FloatArray
    positive_at: npt.NDArray[np.int64]
    decision_time: FloatArray
    settled: npt.NDArray[np.bool_]


@torch.no_grad()
def compete(
    currents: FloatArray, *, start: FloatArray | None = None, times: Sequence[float] = (), **parameters: Any
) -> Competition:
    """Let the hidden units compete until they come to rest.

    Parameters
    ----------
    currents : (image, hidden) array
        Currents I, finite.
    start : (image, hidden) array, optional
        Activity at the start; by default rest, which is 0.
    times : sequence of float
        Times in ms at which the positive units are counted.
    **parameters
        Values that replace the defaults of `neurocircuit.circuits.CompetingUnitsParameters`, by name.

    Raises
    ------
    ValueError
        If currents or start are not as described, or a parameter is not allowed.
    """
    currents = _images("currents", currents)
    begin = np.zeros_like(currents) if start is None else _images("start", start)
    if begin.shape != currents.shape:
        raise ValueError(f"`start` has the shape {begin.shape}; the currents have {currents.shape}.")
    if not all(0 < time < np.inf for time in times):
        raise ValueError(f"`times` is {tuple(times)!r}; it must hold positive times in ms.")
    size = max(1, _CHUNK // currents.shape[1])
    chunks = [slice(first, first + size) for first in range(0, len(currents), size)]
    parts = [
        _Run(currents[chunk], begin[chunk], times, parameters).finish()
        for chunk in tqdm(chunks, desc="competition", unit="chunk", disable=None, leave=False)
    ]
    return Competition(
        np.concatenate([part.activity for part in parts]),
        np.concatenate([part.positive_at for part in parts], axis=1),
        np.concatenate([part.decision_time for part in parts]),
        np.concatenate([part.settled for part in parts]),
    )


class _Run:
    """Some images, of which those that still move are advanced."""

    def __init__(self, currents: FloatArray, start: FloatArray, times: Sequence[float], parameters: Any) -> None:
        circuit = competing_units_circuit(currents.shape[1], **parameters)
        values = circuit.parameters.as_floats()
        self.rate, self.tau, self.w_inh = circuit.rhs(), values["tau"], values["w_inh"]
        self.times = torch.tensor(list(times), dtype=torch.float64)[:, None]
        self.moving = torch.arange(len(currents))
        self.drive = torch.from_numpy(currents)[:, :, None, None]
        self.h = torch.from_numpy(start.copy())[:, :, None, None]
        self.limit = TOLERANCE * self.drive.abs().amax(1).squeeze((1, 2)) / self.tau
        self.time = torch.zeros(len(currents), dtype=torch.float64)
        self.positive = self.h > 0
        self.decided = torch.zeros_like(self.time)
        self.found = Competition(
            np.zeros(currents.shape),
            np.zeros((len(self.times), len(currents)), dtype=np.int64),
            np.zeros(len(currents)),
            np.zeros(len(currents), dtype=bool),
        )

    def finish(self) -> Competition:
        """Advance all images until they are at rest, or for the longest time."""
        while len(self.moving):
            for _ in range(_LOOK):
                change = self._advance()
            settled = change.abs().amax(1).squeeze((1, 2)) <= self.limit
            self._leave(settled | (self.time >= LONGEST * self.tau), settled)
        return self.found

    def _advance(self) -> torch.Tensor:
        """Take one step, and return the rate of change before it."""
        change = self.rate({"h": self.h}, {"drive": self.drive})["h"]
        longest = SHARE * self.tau
        # Units on their way to be positive count too: from rest, all with a positive current.
        count = (self.positive | (self.h + longest * change > 0)).sum(1, keepdim=True)
        step = longest / (1 + self.w_inh * (count - 1).clamp(min=0))
        self.h = self.h + step * change
        positive = self.h > 0
        later = self.time + step.squeeze((1, 2, 3))
        changed = (positive != self.positive).any(1).squeeze((1, 2))
        self.decided = torch.where(changed, later, self.decided)
        self._count(positive, (self.time < self.times) & (self.times <= later))
        self.time, self.positive = later, positive
        return change

    def _leave(self, ended: torch.Tensor, settled: torch.Tensor) -> None:
        """Keep the results of the images that ended, and go on with the others."""
        gone = self.moving[ended]
        self.found.activity[gone] = self.h[ended, :, 0, 0]
        self.found.decision_time[gone] = self.decided[ended]
        self.found.settled[gone] = settled[ended]
        # What has come to rest stays as it is at the times not yet passed.
        self._count(self.positive, ended & (self.time < self.times))
        stay = ~ended
        self.moving, self.drive, self.h, self.limit = (
            values[stay] for values in (self.moving, self.drive, self.h, self.limit)
        )
        self.time, self.positive, self.decided = self.time[stay], self.positive[stay], self.decided[stay]

    def _count(self, positive: torch.Tensor, now: torch.Tensor) -> None:
        """Keep the number of positive units where it is `now` (time, image) one of the times asked for."""
        place, item = now.nonzero(as_tuple=True)
        if len(place):
            self.found.positive_at[place, self.moving[item]] = positive[item].sum((1, 2, 3))


def _images(name: str, values: FloatArray) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or 0 in array.shape or not np.all(np.isfinite(array)):
        raise ValueError(f"`{name}` has the shape {array.shape}; it must be a finite array (image, hidden).")
    return array
