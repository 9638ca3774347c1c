"""Delayed match to sample: whether two stimuli, one after the other, are the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from neurocircuit.tasks.conditions import Condition, Table
from neurocircuit.tasks.epochs import Duration, Layout, Uniform
from neurocircuit.tasks.evidence import noisy
from neurocircuit.tasks.task import Signals, Task

__all__ = ["DelayedMatchToSample"]


@dataclass(frozen=True, kw_only=True)
class DelayedMatchToSample(Task):
    """Delayed match to sample with choices 1 (same) and -1 (different); the conditions are ``first`` and ``second``.

    The settings of `Task`, and those below. A stimulus is -1 or 1. In the standard form both stimuli come on the same
    two channels, one for each value, so that the first must be remembered; the tutorial gives the first and the second
    stimulus a signed channel each, which makes it an exclusive-or in time (Kim, Li and Sejnowski 2019).

    Parameters
    ----------
    first, delay, second, wait : Duration, ms
        Times of the two stimuli, between them, and from the second to the response.
    after : Duration, ms
        Time after the response in which the output must have returned to 0.
    noise : float
        Standard deviation of the noise on the stimuli at a step of 1 ms (see `NOISE_STEP`).
    signed_channels : bool
        Whether the channels are those of the tutorial.

    Raises
    ------
    TypeError, ValueError
        If a setting is impossible.
    """

    name: ClassVar[str] = "dmts"
    tutorial_settings: ClassVar[Mapping[str, Any] | None] = {
        "step": 1.0,
        "fixation": 50.0,
        "first": 50.0,
        "delay": 10.0,
        "second": 50.0,
        "wait": 10.0,
        "response": 100.0,
        "after": 30.0,
        "grace": 0.0,
        "noise": 0.0,
        "fixation_cue": False,
        "signed_channels": True,
    }

    first: Duration = 300.0
    delay: Duration = field(default=Uniform(300.0, 700.0))
    second: Duration = 300.0
    wait: Duration = 0.0
    after: Duration = 0.0
    noise: float = 0.1
    signed_channels: bool = False

    @property
    def conditions(self) -> dict[str, Condition]:
        """``first`` and ``second``: -1 or 1."""
        return {"first": Condition((-1, 1)), "second": Condition((-1, 1))}

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the stimuli."""
        return ("first", "second") if self.signed_channels else ("stimulus_minus", "stimulus_plus")

    def _durations(self) -> dict[str, Duration]:
        return {
            "fixation": self.fixation,
            "first": self.first,
            "delay": self.delay,
            "second": self.second,
            "wait": self.wait,
            "response": self.response,
            "after": self.after,
        }

    def _derive(self, table: Table, rng: np.random.Generator) -> Table:
        choice = table["first"] * table["second"]
        return {"match": choice == 1, "choice": choice}

    def _signals(self, layout: Layout, table: Table, rng: np.random.Generator) -> Signals:
        shown = {name: layout.during(name) for name in ("first", "second")}
        if self.signed_channels:
            return {name: noisy(table[name], shown[name], layout, self.noise, rng) for name in shown}
        return {
            channel: np.sum(
                [noisy(table[name] == value, shown[name], layout, self.noise, rng) for name in shown], axis=0
            )
            for channel, value in zip(self.channels, (-1, 1), strict=True)
        }

    def _tutorial_rule(self, mean: NDArray[np.float64], choice: NDArray[Any]) -> NDArray[np.bool_]:
        # The published rule takes the magnitude, and so never looks at the choice.
        return np.abs(mean) > 0.8
