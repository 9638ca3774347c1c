"""Perceptual decisions about one noisy stimulus: of fixed or random duration, or answered when ready."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from neurocircuit.tasks.conditions import Condition, Table
from neurocircuit.tasks.epochs import Duration, Layout, TruncatedExponential
from neurocircuit.tasks.evidence import EvidenceTask, noisy, per_noise, refuse_conditions, sign_or_guess
from neurocircuit.tasks.task import Signals
from neurocircuit.tasks.trials import Trials

__all__ = ["PerceptualDecision", "ReactionTimeDecision", "VariablePerceptualDecision"]


@dataclass(frozen=True, kw_only=True)
class PerceptualDecision(EvidenceTask):
    """Which of two noisy stimuli is stronger, with choices -1 (left) and 1 (right); the condition is ``coherence``.

    The two channels carry ``(1 - coherence)/2`` and ``(1 + coherence)/2``, as in pycog (Song et al. 2016), each in
    noise of its own. A coherence of 0 has a random right choice. The settings are those of `EvidenceTask`, and those
    below.

    Parameters
    ----------
    coherences : tuple of float
        Signed coherences to draw from; those of pycog.

    Raises
    ------
    TypeError, ValueError
        If a setting is impossible.
    """

    name: ClassVar[str] = "perceptual"

    coherences: tuple[float, ...] = (-0.512, -0.256, -0.128, -0.064, -0.032, 0.032, 0.064, 0.128, 0.256, 0.512)

    @property
    def conditions(self) -> dict[str, Condition]:
        """``coherence``: -1 to 1."""
        return {"coherence": Condition(self.coherences, -1.0, 1.0)}

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the stimuli."""
        return ("left", "right")

    def _derive(self, table: Table, rng: np.random.Generator) -> Table:
        return {"choice": sign_or_guess(table["coherence"], rng)}

    def _signals(self, layout: Layout, table: Table, rng: np.random.Generator) -> Signals:
        shown = layout.during("stimulus")
        return {
            name: noisy((1 + sign * table["coherence"]) / 2, shown, layout, self.noise, rng)
            for name, sign in zip(self.channels, (-1, 1), strict=True)
        }

    def evidence_per_noise(self, evidence: NDArray[np.float64], **conditions: Any) -> NDArray[np.float64]:
        """Return coherences over the noise of a sample."""
        refuse_conditions(self, conditions)
        # The difference of the channels: their noises add.
        return per_noise(evidence, np.sqrt(2) * self.noise)


@dataclass(frozen=True, kw_only=True)
class VariablePerceptualDecision(PerceptualDecision):
    """`PerceptualDecision` with a stimulus whose end cannot be foreseen; by default as long as in pycog."""

    name: ClassVar[str] = "perceptual_variable"

    stimulus: Duration = field(default=TruncatedExponential(330.0, 80.0, 1500.0))


@dataclass(frozen=True, kw_only=True)
class ReactionTimeDecision(PerceptualDecision):
    """`PerceptualDecision` answered at any time while the stimulus is on: its onset is the go cue.

    The choice is the sign of the output when it first reaches `DECISION_THRESHOLD`. A trial in which it never does, or
    has before the stimulus, has choice 0 and no reaction time. The target is the choice from the onset on, so that
    the output that minimises the squared error is the expected choice given the evidence so far. `delay` and
    `response` are not used.
    """

    name: ClassVar[str] = "perceptual_reaction_time"
    response_epoch: ClassVar[str] = "stimulus"

    def _durations(self) -> dict[str, Duration]:
        return {"fixation": self.fixation, "stimulus": self.stimulus}

    def _reaction_times(self, output: NDArray[np.float64], trials: Trials) -> NDArray[np.float64]:
        times = super()._reaction_times(output, trials)
        early = (self._chosen(output) & trials.during("fixation")).any(1) if "fixation" in trials.epochs else False
        return np.where(early, np.nan, times)

    def _choose(self, output: NDArray[np.float64], trials: Trials) -> NDArray[np.int64]:
        answered = np.isfinite(self._reaction_times(output, trials))
        crossed = self._chosen(output) & trials.during("stimulus")
        first = np.take_along_axis(output, crossed.argmax(1)[:, None], 1)[:, 0]
        return np.where(answered, np.sign(first), 0).astype(np.int64)
