"""Multisensory integration: whether the rate of flashes, clicks or both is above a boundary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from neurocircuit.tasks.conditions import Condition, Table
from neurocircuit.tasks.epochs import Duration, Layout
from neurocircuit.tasks.evidence import EvidenceTask, noisy, per_noise
from neurocircuit.tasks.task import Signals

__all__ = ["MultisensoryIntegration"]

VISUAL, AUDITORY, BOTH = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class MultisensoryIntegration(EvidenceTask):
    """Rate discrimination with choices 1 (above the boundary) and -1, from one sense or both.

    The conditions are ``frequency`` and ``modality`` (0 visual, 1 auditory, 2 both). Each sense has two channels,
    rising and falling with frequency; a sense that is not stimulated is silent. Frequencies, boundary and the scale of
    the channels are those of pycog (Song et al. 2016, after Raposo et al. 2014). The settings are those of
    `EvidenceTask`, and those below.

    Parameters
    ----------
    frequencies : tuple of float, Hz
        What is drawn from.
    boundary : float, Hz
        Frequency that separates the choices; none of `frequencies`.

    Raises
    ------
    TypeError, ValueError
        If a setting is impossible.
    """

    name: ClassVar[str] = "multisensory"

    stimulus: Duration = 1000.0
    frequencies: tuple[float, ...] = tuple(float(frequency) for frequency in range(6, 20))
    boundary: float = 12.5

    def __post_init__(self) -> None:
        if len(set(self.frequencies)) < 2:
            raise ValueError(f"`frequencies` is {self.frequencies}; the channels need at least two different ones.")
        super().__post_init__()
        self._check_frequencies(np.asarray(self.frequencies))

    @property
    def conditions(self) -> dict[str, Condition]:
        """``frequency`` within the range of `frequencies`, and ``modality``: 0, 1 or 2."""
        return {
            "frequency": Condition(self.frequencies, min(self.frequencies), max(self.frequencies)),
            "modality": Condition((VISUAL, AUDITORY, BOTH)),
        }

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the stimuli."""
        return ("visual_rising", "visual_falling", "auditory_rising", "auditory_falling")

    def _derive(self, table: Table, rng: np.random.Generator) -> Table:
        self._check_frequencies(table["frequency"])
        return {"choice": np.sign(table["frequency"] - self.boundary).astype(np.int64)}

    def _signals(self, layout: Layout, table: Table, rng: np.random.Generator) -> Signals:
        shown = layout.during("stimulus")
        rising, falling = self._strengths(table["frequency"])
        signals: Signals = {}
        for sense, value in (("visual", VISUAL), ("auditory", AUDITORY)):
            on = shown & np.isin(table["modality"], (value, BOTH))[:, None]
            signals[f"{sense}_rising"] = noisy(rising, on, layout, self.noise, rng)
            signals[f"{sense}_falling"] = noisy(falling, on, layout, self.noise, rng)
        return signals

    def _strengths(self, frequency: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what the rising and the falling channel carry."""
        low, high = min(self.frequencies), max(self.frequencies)
        return 0.5 + 0.6 * (frequency - low) / (high - low), 0.5 + 0.6 * (high - frequency) / (high - low)

    def evidence_per_noise(self, evidence: NDArray[np.float64], **conditions: Any) -> NDArray[np.float64]:
        """Return how far frequencies are from the boundary, over the noise; ``modality`` is needed."""
        if set(conditions) != {"modality"}:
            raise ValueError(f"the conditions given are {sorted(conditions)}; `modality` must be given, and only that.")
        both = self.conditions["modality"].check("modality", conditions["modality"], 1)[0] == BOTH
        rising, falling = self._strengths(evidence)
        at_boundary = np.subtract(*self._strengths(np.asarray(self.boundary)))
        # The noises of two channels add; two senses are two independent measurements.
        senses = 2 if both else 1
        return per_noise(rising - falling - at_boundary, np.sqrt(2 / senses) * self.noise)

    def _check_frequencies(self, frequencies: NDArray[np.float64]) -> None:
        if (frequencies == self.boundary).any():
            raise ValueError(f"a frequency equals the `boundary` of {self.boundary:g} Hz, which has no right choice.")
