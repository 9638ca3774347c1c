"""Training on the trials of a cognitive task: their loss, their objective, and the stream they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from neurocircuit.training.evaluation import Objective
from neurocircuit.training.seeding import Purpose, derived_seed
from neurocircuit.training.sources import Batch, StreamSource

if TYPE_CHECKING:
    from neurocircuit.tasks import Task, Trials

__all__ = ["draw_trials", "masked_mse", "trial_objective", "trial_stream"]

#: Draws after which trials that are hardly ever drawn are given up.
_MOST_DRAWS = 64


def masked_mse(outputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Return the squared error, averaged over the outputs and the weighted time steps of a trial, then over trials.

    Every trial counts the same, however many of its steps have weight, so that the mean over several batches is the
    mean over their trials.

    Parameters
    ----------
    outputs, targets : (trial, time, output) tensors
        What the network answered, and what it should.
    mask : (trial, time) tensor
        Weight of every time step, at least 0.

    Returns
    -------
    () tensor
        The loss.

    Raises
    ------
    ValueError
        If the shapes do not fit exactly (nothing is broadcast), or a trial has no weight at all.

    Examples
    --------
    >>> targets = torch.tensor([[[1.0], [1.0], [0.0]]])
    >>> float(masked_mse(torch.zeros(1, 3, 1), targets, torch.tensor([[1.0, 0.0, 1.0]])))
    0.5
    """
    if outputs.shape != targets.shape or outputs.ndim != 3:
        raise ValueError(
            f"`outputs` has shape {tuple(outputs.shape)} and `targets` {tuple(targets.shape)}; both must be "
            "(trial, time, output) of the same sizes. Was the network built for this task?"
        )
    if mask.shape != targets.shape[:2]:
        raise ValueError(f"`mask` has shape {tuple(mask.shape)}; it must be (trial, time), {tuple(targets.shape[:2])}.")
    weight = mask.sum(1)
    if not bool((weight > 0).all()):
        raise ValueError(f"`mask` has no weight in trial {int((weight <= 0).nonzero()[0, 0])}; no step of it counts.")
    error = (outputs - targets).square().mean(2)
    return ((error * mask).sum(1) / weight).mean()


def trial_objective(task: Task) -> Objective:
    """Return the objective of a task: `masked_mse` of its targets, and correct as the task's score says.

    Parameters
    ----------
    task : Task
        The task that made the trials.

    Returns
    -------
    Objective
        For the batches of `trial_stream`.
    """
    return Objective(_loss, partial(_correct, task))


def _loss(outputs: Tensor, targets: tuple[Tensor, Tensor, Trials]) -> Tensor:
    wanted, mask, _ = targets
    return masked_mse(outputs, wanted, mask)


def _correct(task: Task, outputs: Tensor, targets: tuple[Tensor, Tensor, Trials]) -> Tensor:
    answers = outputs.detach().to("cpu", torch.float64).numpy()
    return torch.from_numpy(np.asarray(task.score(answers, targets[2]).correct, dtype=bool))


def trial_stream(task: Task, *, step: float, block: int = 64, keep: Mapping[str, Any] | None = None) -> StreamSource:
    """Return fresh trials of a task for ever.

    Trial i of a seed is trial ``i % block`` of the draw whose generator follows from the seed and ``i // block``. It
    therefore does not depend on which other trials are asked for. Batches of `block` trials cost one draw each; a
    smaller share of a block, such as that of one of several processes, costs the draw of the whole block.

    Parameters
    ----------
    task : Task
        Draws the trials.
    step : float
        Time step, ms.
    block : int
        Trials that are drawn together; another number gives other trials.
    keep : mapping from condition to value, optional
        Only trials whose conditions have these values, such as ``{"incongruent": True}``; the others are drawn and
        dropped.

    Returns
    -------
    StreamSource
        Its inputs are the trials' inputs; its targets are (targets, mask, trials), as `trial_objective` takes them.

    Raises
    ------
    ValueError
        If `block` is below 1; when trials are drawn, if the task refuses the step, or there are no such trials.
    """
    if block < 1:
        raise ValueError(f"`block` is {block!r}; it must be at least 1.")
    return StreamSource(partial(_batch, task, step, block, dict(keep or {})))


def _batch(task: Task, step: float, block: int, keep: Mapping[str, Any], seed: int, indices: list[int]) -> Batch:
    parts = []
    for number, group in groupby(indices, lambda index: index // block):
        generator = np.random.default_rng(derived_seed(seed, Purpose.TRIALS, number))
        drawn = draw_trials(task, block, generator, step, keep)
        parts.append(drawn.select(np.array([index % block for index in group])))
    trials = _joined(parts)
    inputs, targets, mask = (torch.from_numpy(values) for values in (trials.inputs, trials.targets, trials.mask))
    return inputs, (targets, mask, trials)


def draw_trials(
    task: Task, n: int, seed: int | np.random.Generator, step: float, keep: Mapping[str, Any] | None = None
) -> Trials:
    """Draw trials until there are enough whose conditions have some values.

    Parameters
    ----------
    task : Task
        Draws the trials.
    n : int
        Number of trials.
    seed : int or numpy Generator
        Of the draws.
    step : float
        Time step, ms.
    keep : mapping from condition to value, optional
        As in `trial_stream`.

    Raises
    ------
    ValueError
        If the task has no such condition, or hardly any such trials.
    """
    generator, wanted = np.random.default_rng(seed), dict(keep or {})
    parts: list[Trials] = []
    for _ in range(_MOST_DRAWS):
        drawn = task.sample(n, generator, step)
        if unknown := [name for name in wanted if name not in drawn.conditions]:
            raise ValueError(
                f"`keep` has {unknown}, which task {task.name} does not have; its conditions are "
                f"{', '.join(drawn.conditions)}."
            )
        columns = [drawn.conditions[name] == value for name, value in wanted.items()]
        chosen = np.logical_and.reduce([np.ones(n, bool), *columns])
        if chosen.any():
            parts.append(drawn.select(chosen))
        if sum(part.n_trials for part in parts) >= n:
            return _joined(parts).select(slice(n))
    raise ValueError(
        f"`keep` is {wanted}, but hardly any trials of task {task.name} are such: {sum(p.n_trials for p in parts)} of "
        f"{_MOST_DRAWS * n}. Check the values."
    )


def _joined(parts: list[Trials]) -> Trials:
    """Return the trials of several draws as one."""
    first = parts[0]
    if len(parts) == 1:
        return first
    return replace(
        first,
        inputs=np.concatenate([part.inputs for part in parts]),
        targets=np.concatenate([part.targets for part in parts]),
        mask=np.concatenate([part.mask for part in parts]),
        conditions={name: np.concatenate([part.conditions[name] for part in parts]) for name in first.conditions},
        epochs={name: np.concatenate([part.epochs[name] for part in parts]) for name in first.epochs},
    )
