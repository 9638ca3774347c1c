"""Tasks by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from neurocircuit.errors import BackendUnavailableError
from neurocircuit.tasks.context import ContextIntegration
from neurocircuit.tasks.dmts import DelayedMatchToSample
from neurocircuit.tasks.gonogo import GoNoGo
from neurocircuit.tasks.memory import ParametricWorkingMemory
from neurocircuit.tasks.multisensory import MultisensoryIntegration
from neurocircuit.tasks.perceptual import PerceptualDecision, ReactionTimeDecision, VariablePerceptualDecision
from neurocircuit.tasks.task import Task, Variant

if TYPE_CHECKING:
    from neurocircuit.tasks.environments import TaskEnvironment

__all__ = ["TASKS", "make_environment", "make_task"]

#: Every task by its name.
TASKS: Mapping[str, type[Task]] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            GoNoGo,
            DelayedMatchToSample,
            ContextIntegration,
            PerceptualDecision,
            VariablePerceptualDecision,
            ReactionTimeDecision,
            ParametricWorkingMemory,
            MultisensoryIntegration,
        )
    }
)


def make_task(name: str, variant: Variant = "standard", **settings: Any) -> Task:
    """Make a task.

    Parameters
    ----------
    name : str
        One of `TASKS`.
    variant : {"standard", "tutorial"}
        The tutorial's variant is exactly that of the CT-RNN tutorial of the CSHL course; ``gonogo``, ``dmts`` and
        ``mante`` have one.
    **settings
        Settings of the standard variant, such as ``stimulus=400.0``.

    Returns
    -------
    Task
        The task.

    Raises
    ------
    TypeError, ValueError
        If the name, the variant or a setting is unknown, or a setting is impossible.
    """
    if name not in TASKS:
        raise ValueError(f"`name` is {name!r}; the tasks are {', '.join(TASKS)}.")
    kind = TASKS[name]
    if variant == "tutorial":
        if kind.tutorial_settings is None:
            have = ", ".join(key for key, value in TASKS.items() if value.tutorial_settings is not None)
            raise ValueError(f"`variant` is 'tutorial', but the tutorial has no {name}; it has {have}.")
        if settings:
            raise ValueError(
                f"`variant` is 'tutorial', which fixes every setting, but {', '.join(settings)} is given; "
                "use variant='standard' to change settings."
            )
        return kind(**kind.tutorial_settings)
    if variant != "standard":
        raise ValueError(f"`variant` is {variant!r}; it must be 'standard' or 'tutorial'.")
    known = [entry.name for entry in fields(kind)]
    if unknown := [key for key in settings if key not in known]:
        raise ValueError(f"`{unknown[0]}` is not a setting of task {name}; those are {', '.join(known)}.")
    return kind(**settings)


def make_environment(task: Task, step: float | None = None) -> TaskEnvironment:
    """Make a Gymnasium environment of a task, for reinforcement learning.

    Parameters
    ----------
    task : Task
        The task.
    step : float, ms, optional
        Length of a step; by default the task's.

    Returns
    -------
    TaskEnvironment
        The environment; one episode is one trial.

    Raises
    ------
    BackendUnavailableError
        If gymnasium is not installed.
    """
    try:
        from neurocircuit.tasks.environments import TaskEnvironment
    except ModuleNotFoundError as error:
        if error.name != "gymnasium":
            raise
        raise BackendUnavailableError(
            "environments need gymnasium, which is not installed. In a clone of neurocircuit: pip install '.[gym]'."
        ) from error
    return TaskEnvironment(task, step)
