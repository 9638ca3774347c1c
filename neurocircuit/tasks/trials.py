"""What a task hands out: trials with their conditions and epochs, and the scores of answers to them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from neurocircuit.intervals import accuracy_interval
from neurocircuit.tables import Row
from neurocircuit.versions import package_versions

__all__ = ["Scores", "Trials"]

FloatArray = NDArray[np.float32]
# Epochs are whole steps, up to the rounding of a product with the step.
ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class Trials:
    """A batch of trials: what the network sees, what it should answer, and where that counts.

    Parameters
    ----------
    inputs : (trial, time, input) float32 array
        Value k is held over the k-th step.
    targets : (trial, time, output) float32 array
        What the output should be at the end of the k-th step.
    mask : (trial, time) float32 array
        Weight of each step in the loss; 0 after the end of a trial shorter than the longest.
    conditions : mapping from name to (trial,) array
        One column a name, ``choice`` (the right answer) among them.
    epochs : mapping from name to (trial, 2) array, ms
        Start and stop, in order; they may not overlap, and lie within the trial.
    step : float, ms
        Length of a step.
    input_names, output_names : tuple of str
        Names of the channels.
    task : str
        Name of the task.
    grace : float, ms
        First part of the response that counts neither in the mask nor in the score.

    Raises
    ------
    ValueError
        If shapes disagree, a number is not finite, the grace is negative, or epochs overlap or exceed the trial.
    """

    inputs: FloatArray
    targets: FloatArray
    mask: FloatArray
    conditions: Mapping[str, NDArray[Any]]
    epochs: Mapping[str, NDArray[np.float64]]
    step: float
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    task: str
    grace: float = 0.0

    def __post_init__(self) -> None:
        for name in ("inputs", "targets", "mask"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.float32))
        if not (math.isfinite(self.step) and self.step > 0):
            raise ValueError(f"`step` is {self.step!r} ms; it must be finite and greater than 0.")
        if not (math.isfinite(self.grace) and self.grace >= 0):
            raise ValueError(f"`grace` is {self.grace!r} ms; it must be finite and at least 0.")
        if self.inputs.ndim != 3:
            raise ValueError(f"`inputs` has shape {self.inputs.shape}; it must be (trial, time, input).")
        n, steps = self.inputs.shape[:2]
        expected = {
            "inputs": (n, steps, len(self.input_names)),
            "targets": (n, steps, len(self.output_names)),
            "mask": (n, steps),
        }
        for name, shape in expected.items():
            _check_array(name, getattr(self, name), shape)
        for name, column in self.conditions.items():
            _check_array(f"conditions[{name!r}]", column, (n,))
        _check_epochs(self.epochs, n, steps * self.step)

    @property
    def n_trials(self) -> int:
        """Number of trials."""
        return int(self.inputs.shape[0])

    @property
    def n_steps(self) -> int:
        """Number of steps of the longest trial."""
        return int(self.inputs.shape[1])

    @property
    def time(self) -> NDArray[np.float64]:
        """Start of every step in ms."""
        return np.asarray(np.arange(self.n_steps) * self.step, np.float64)

    def during(self, epoch: str, grace: float = 0.0) -> NDArray[np.bool_]:
        """Return which steps belong to an epoch, but for its first `grace` ms: (trial, time).

        Raises
        ------
        ValueError
            If there is no such epoch.
        """
        if epoch not in self.epochs:
            raise ValueError(f"`epoch` is {epoch!r}; the epochs of {self.task} are {', '.join(self.epochs)}.")
        start, stop = (self.epochs[epoch].T - ROUNDING)[..., None]
        return np.asarray((self.time >= start + grace) & (self.time < stop))

    def scored(self, epoch: str) -> NDArray[np.bool_]:
        """Return which steps of an epoch an answer is read from, all but its grace: (trial, time).

        Raises
        ------
        ValueError
            If there is no such epoch, or a trial has no such step.
        """
        steps = self.during(epoch, self.grace)
        if (empty := ~steps.any(1)).any():
            raise ValueError(
                f"no step of epoch {epoch!r} is left after the grace of {self.grace:g} ms in {int(empty.sum())} of "
                f"{self.n_trials} trials, so that no answer can be read; make the epoch longer or the grace shorter."
            )
        return steps

    def select(self, index: Any) -> Trials:
        """Return some of the trials: a slice, an array of indices or a boolean array of (trial,)."""
        rows = np.arange(self.n_trials)[index]
        if rows.ndim != 1:
            raise ValueError(f"`index` is {index!r}; it must keep the trial axis, as in [{index}].")
        return replace(
            self,
            inputs=self.inputs[rows],
            targets=self.targets[rows],
            mask=self.mask[rows],
            conditions={name: column[rows] for name, column in self.conditions.items()},
            epochs={name: times[rows] for name, times in self.epochs.items()},
        )

    def to_dataset(self) -> xr.Dataset:
        """Return the trials as an xarray data set.

        Returns
        -------
        xarray.Dataset
            ``inputs``, ``targets``, ``mask`` over ``trial``, ``time`` (ms), ``input`` and ``output``; ``epoch_times``
            (ms) over ``trial``, ``epoch`` and ``bound``; the conditions as coordinates of ``trial``.
        """
        epoch_times = np.stack(list(self.epochs.values()), 1)
        data = {
            "inputs": (("trial", "time", "input"), self.inputs),
            "targets": (("trial", "time", "output"), self.targets),
            "mask": (("trial", "time"), self.mask, {"long_name": "weight in the loss"}),
            "epoch_times": (("trial", "epoch", "bound"), epoch_times, {"units": "ms"}),
        }
        coords: dict[str, Any] = {
            "time": ("time", self.time, {"units": "ms"}),
            "input": list(self.input_names),
            "output": list(self.output_names),
            "epoch": list(self.epochs),
            "bound": ["start", "stop"],
        }
        # A condition may share its name with an axis or a variable of the data set.
        coords |= {
            name if name not in data | coords else f"condition_{name}": ("trial", np.asarray(column))
            for name, column in self.conditions.items()
        }
        attributes = {"task": self.task, "step_ms": self.step, "grace_ms": self.grace}
        attributes["versions"] = json.dumps(package_versions())
        return xr.Dataset(data, coords, attributes)


@dataclass(frozen=True, eq=False)
class Scores:
    """Answers to trials, judged.

    Parameters
    ----------
    choice : (trial,) int array
        The answer; in a task of two choices -1 or 1, and 0 where there is none.
    correct : (trial,) bool array
        Whether it is the right one.
    reaction_time : (trial,) float array, ms
        From the start of the response epoch until the output reaches the threshold; NaN where it does not.
    """

    choice: NDArray[np.int64]
    correct: NDArray[np.bool_]
    reaction_time: NDArray[np.float64]

    @property
    def accuracy(self) -> float:
        """Fraction of right answers."""
        return float(self.correct.mean())

    def by(self, trials: Trials, *names: str) -> list[Row]:
        """Return one row for each combination of conditions, in ascending order; a single row without names.

        Parameters
        ----------
        trials : Trials
            The trials that were answered.
        *names : str
            Names of conditions.

        Returns
        -------
        list of dict
            The conditions, ``n``, ``accuracy``, its Wilson 95 % interval ``low`` to ``high``, and ``reaction_time``,
            the mean over trials that have one (NaN if none does).

        Raises
        ------
        ValueError
            If there is no such condition, or the numbers of trials differ.
        """
        if trials.n_trials != len(self.correct):
            raise ValueError(f"`trials` holds {trials.n_trials} trials, but {len(self.correct)} were scored.")
        if unknown := [name for name in names if name not in trials.conditions]:
            raise ValueError(
                f"`names` has {', '.join(unknown)}; the conditions of {trials.task} are {', '.join(trials.conditions)}."
            )
        if not names:
            return [self._row(np.ones(trials.n_trials, bool))]
        # As strings or mixed numbers a joint array would lose the type of a column.
        columns = [np.unique(trials.conditions[name], return_inverse=True) for name in names]
        groups = np.stack([inverse for _, inverse in columns], 1)
        rows = []
        for group in np.unique(groups, axis=0):
            values = {name: column[0][i].item() for name, column, i in zip(names, columns, group, strict=True)}
            rows.append(values | self._row((groups == group).all(1)))
        return rows

    def _row(self, chosen: NDArray[np.bool_]) -> Row:
        n, right = int(chosen.sum()), int(self.correct[chosen].sum())
        low, high = accuracy_interval(right, n)
        times = self.reaction_time[chosen]
        times = times[np.isfinite(times)]
        mean = float(times.mean()) if times.size else math.nan
        return {"n": n, "accuracy": right / n, "low": low, "high": high, "reaction_time": mean}


def _check_array(name: str, values: ArrayLike, shape: tuple[int, ...]) -> None:
    array = np.asarray(values)
    if array.shape != shape:
        raise ValueError(f"`{name}` has shape {array.shape}; the other arrays and names call for {shape}.")
    if 0 in shape:
        raise ValueError(f"`{name}` has shape {shape}; there must be at least one trial, step and channel.")
    if not np.isfinite(array).all():
        raise ValueError(f"`{name}` holds {int((~np.isfinite(array)).sum())} numbers that are not finite.")


def _check_epochs(epochs: Mapping[str, NDArray[np.float64]], n: int, length: float) -> None:
    before = ("the start of the trial", np.zeros(n))
    for name, times in epochs.items():
        _check_array(f"epochs[{name!r}]", times, (n, 2))
        start, stop = times.T
        if (stop < start).any():
            raise ValueError(f"`epochs[{name!r}]` stops before it starts in trial {int((stop < start).argmax())}.")
        early = start < before[1] - ROUNDING
        if early.any():
            k = int(early.argmax())
            raise ValueError(
                f"`epochs[{name!r}]` starts at {start[k]:g} ms in trial {k} and overlaps {before[0]}, which stops at "
                f"{before[1][k]:g} ms; epochs follow each other in the order of the mapping."
            )
        before = (f"epoch {name!r}", stop)
    if (late := before[1] > length + ROUNDING).any():
        raise ValueError(
            f"{before[0]} stops at {before[1].max():g} ms in trial {int(late.argmax())}, after the trial's end at "
            f"{length:g} ms; make the arrays longer or the epochs shorter."
        )
