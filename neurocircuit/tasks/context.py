"""Context-dependent integration: which of two noisy stimuli counts is said by a cue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from neurocircuit.tasks.conditions import Condition, Table
from neurocircuit.tasks.epochs import Layout
from neurocircuit.tasks.evidence import EvidenceTask, noisy, per_noise, refuse_conditions, sign_or_guess
from neurocircuit.tasks.task import Signals

__all__ = ["ContextIntegration"]


@dataclass(frozen=True, kw_only=True)
class ContextIntegration(EvidenceTask):
    """The task of Mante et al. (2013) with choices -1 and 1: the sign of the motion or of the colour, as cued.

    The conditions are ``context`` (0: motion counts, 1: colour), ``coherence_motion`` and ``coherence_colour`` (signed,
    -1 to 1). From them follow ``congruent`` and ``incongruent``: whether the stimulus that does not count favours the
    right choice or the other; both are False if it favours neither. A coherence of 0 has a random right choice. The
    settings are those of `EvidenceTask`, and those below.

    Parameters
    ----------
    coherences : tuple of float
        Signed coherences to draw from, for either modality; those of pycog.

    Raises
    ------
    TypeError, ValueError
        If a setting is impossible.
    """

    name: ClassVar[str] = "mante"
    tutorial_settings: ClassVar[Mapping[str, Any] | None] = {
        "step": 1.0,
        "fixation": 50.0,
        "stimulus": 200.0,
        "delay": 0.0,
        "response": 250.0,
        "grace": 0.0,
        "noise": 1.0,
        "fixation_cue": False,
        "coherences": (-0.5, 0.5),
    }

    coherences: tuple[float, ...] = (-0.5, -0.15, -0.05, 0.05, 0.15, 0.5)

    @property
    def conditions(self) -> dict[str, Condition]:
        """``context`` (0 or 1), ``coherence_motion`` and ``coherence_colour`` (-1 to 1)."""
        coherence = Condition(self.coherences, -1.0, 1.0)
        return {"context": Condition((0, 1)), "coherence_motion": coherence, "coherence_colour": coherence}

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the stimuli and the cues."""
        return ("motion", "colour", "context_motion", "context_colour")

    def _derive(self, table: Table, rng: np.random.Generator) -> Table:
        motion, colour = table["coherence_motion"], table["coherence_colour"]
        counts = np.where(table["context"] == 0, motion, colour)
        other = np.where(table["context"] == 0, colour, motion)
        choice = sign_or_guess(counts, rng)
        return {"congruent": other * choice > 0, "incongruent": other * choice < 0, "choice": choice}

    def _signals(self, layout: Layout, table: Table, rng: np.random.Generator) -> Signals:
        shown, inside = layout.during("stimulus"), layout.inside()
        signals = {
            name: noisy(table[f"coherence_{name}"], shown, layout, self.noise, rng) for name in ("motion", "colour")
        }
        for value, name in enumerate(("context_motion", "context_colour")):
            signals[name] = (inside & (table["context"] == value)[:, None]).astype(np.float32)
        return signals

    def evidence_per_noise(self, evidence: NDArray[np.float64], **conditions: Any) -> NDArray[np.float64]:
        """Return coherences over the noise of a sample."""
        refuse_conditions(self, conditions)
        return per_noise(evidence, self.noise)
