"""Go/no-go: answer one stimulus, hold still after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from neurocircuit.tasks.conditions import Condition, Table
from neurocircuit.tasks.epochs import Duration, Layout, Uniform
from neurocircuit.tasks.evidence import noisy
from neurocircuit.tasks.task import DECISION_THRESHOLD, Signals, Task
from neurocircuit.tasks.trials import Trials

__all__ = ["GoNoGo"]


@dataclass(frozen=True, kw_only=True)
class GoNoGo(Task):
    """Go/no-go with choices 1 (go) and 0 (no-go); the condition is ``go``.

    The settings of `Task`, and those below. The tutorial's variant is a detection task: a no-go trial has no stimulus
    (Kim, Li and Sejnowski 2019).

    Parameters
    ----------
    stimulus, delay : Duration, ms
        Time of the stimulus, and from its end to the response.
    noise : float
        Standard deviation of the noise on the stimulus at a step of 1 ms (see `NOISE_STEP`).
    nogo_stimulus : bool
        Whether a no-go trial has a stimulus of its own, on a second channel.

    Raises
    ------
    TypeError, ValueError
        If a setting is impossible.
    """

    name: ClassVar[str] = "gonogo"
    choices: ClassVar[tuple[int, ...]] = (0, 1)
    tutorial_settings: ClassVar[Mapping[str, Any] | None] = {
        "step": 1.0,
        "fixation": 50.0,
        "stimulus": 25.0,
        "delay": 0.0,
        "response": 25.0,
        "grace": 0.0,
        "noise": 0.0,
        "fixation_cue": False,
        "nogo_stimulus": False,
    }

    stimulus: Duration = 200.0
    delay: Duration = field(default=Uniform(200.0, 400.0))
    noise: float = 0.1
    nogo_stimulus: bool = True

    @property
    def conditions(self) -> dict[str, Condition]:
        """``go``: 1 or 0."""
        return {"go": Condition((0, 1))}

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the stimuli."""
        return ("go", "nogo") if self.nogo_stimulus else ("go",)

    def _durations(self) -> dict[str, Duration]:
        return {
            "fixation": self.fixation,
            "stimulus": self.stimulus,
            "delay": self.delay,
            "response": self.response,
        }

    def _derive(self, table: Table, rng: np.random.Generator) -> Table:
        return {"choice": table["go"]}

    def _signals(self, layout: Layout, table: Table, rng: np.random.Generator) -> Signals:
        shown = layout.during("stimulus")
        strength = {"go": table["go"], "nogo": 1 - table["go"]}
        return {name: noisy(strength[name], shown, layout, self.noise, rng) for name in self.channels}

    def _choose(self, output: NDArray[np.float64], trials: Trials) -> NDArray[np.int64]:
        return (self._mean_response(output, trials) > DECISION_THRESHOLD).astype(np.int64)

    def _chosen(self, output: NDArray[np.float64]) -> NDArray[np.bool_]:
        return output >= DECISION_THRESHOLD

    def _tutorial_rule(self, mean: NDArray[np.float64], choice: NDArray[Any]) -> NDArray[np.bool_]:
        # A mean between the two thresholds is wrong whatever the trial.
        return np.where(choice == 1, mean > 0.8, mean < 0.2)
