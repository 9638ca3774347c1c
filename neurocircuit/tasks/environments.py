"""Tasks as Gymnasium environments: one episode a trial, one step of the environment a step of the task."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from neurocircuit.tasks.task import Task
from neurocircuit.tasks.trials import Trials

__all__ = ["REWARDS", "TaskEnvironment"]

#: Reward for the right choice, the wrong one, and an answer before it is due, as in the public code of NeuroGym.
REWARDS = {"correct": 1.0, "wrong": 0.0, "early": -0.1}

Observation = NDArray[np.float32]


class TaskEnvironment(gymnasium.Env[Observation, np.int64]):
    """A task for an agent that acts at every step.

    The observation is the input of the step. Action 0 holds still; action k > 0 is the k-th of the other choices, named
    in ``info["actions"]``. The first action other than 0 ends the trial: with reward ``early`` before the response is
    due, else with ``correct`` or ``wrong``. A trial in which the agent holds still ends with the response, after which
    no answer is due; that is right only where the right choice is 0, as in no-go trials. The grace of `Task` plays no
    part.

    ``reset(options={"coherence": 0.1})`` fixes conditions.

    Parameters
    ----------
    task : Task
        The task.
    step : float, ms, optional
        Length of a step; by default the task's.
    """

    def __init__(self, task: Task, step: float | None = None) -> None:
        self.task = task
        self.step_length = task.step if step is None else step
        self.actions = (0, *(choice for choice in task.choices if choice != 0))
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (task.n_inputs,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(len(self.actions))
        self._trial: Trials | None = None
        self._at = 0
        self._stop = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Draw a new trial and return its first observation."""
        super().reset(seed=seed)
        self._trial = self.task.sample(1, self.np_random, self.step_length, **(options or {}))
        self._at = 0
        self._stop = round(float(self._trial.epochs[self.task.response_epoch][0, 1]) / self.step_length)
        return self._observation(self._trial), self._info(self._trial)

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Act in the current step, and return the next observation, the reward and whether the trial has ended.

        Raises
        ------
        RuntimeError
            If the trial has ended or none was begun: call `reset`.
        ValueError
            If there is no such action.
        """
        if self._trial is None:
            raise RuntimeError("no trial is going on; call `reset` to begin one.")
        if not self.action_space.contains(action):
            raise ValueError(f"`action` is {action!r}; it must be a whole number from 0 to {len(self.actions) - 1}.")
        trial, choice = self._trial, self.actions[int(action)]
        due = bool(trial.during(self.task.response_epoch)[0, self._at])
        self._at += 1
        ended = choice != 0 or self._at == self._stop
        reward = self._reward(trial, choice, due) if ended else 0.0
        info = self._info(trial)
        if ended:
            info["correct"] = reward == REWARDS["correct"]
            self._trial = None
        return self._observation(trial), reward, ended, False, info

    def _reward(self, trial: Trials, choice: int, due: bool) -> float:
        if choice != 0 and not due:
            return REWARDS["early"]
        return REWARDS["correct" if choice == trial.conditions["choice"][0] else "wrong"]

    def _observation(self, trial: Trials) -> Observation:
        # After the last step there is nothing left to see.
        at = min(self._at, trial.n_steps - 1)
        return np.asarray(trial.inputs[0, at] * (self._at < self._stop), np.float32)

    def _info(self, trial: Trials) -> dict[str, Any]:
        at = min(self._at, self._stop - 1)
        return {
            "actions": self.actions,
            "target": float(trial.targets[0, at, 0]),
            **{name: column[0].item() for name, column in trial.conditions.items()},
        }
