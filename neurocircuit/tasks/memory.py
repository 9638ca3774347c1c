"""Parametric working memory: whether the first vibration was faster than the second."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurocircuit.tasks.conditions import Condition, Table
from neurocircuit.tasks.epochs import Duration, Layout, Uniform
from neurocircuit.tasks.evidence import noisy
from neurocircuit.tasks.task import Signals, Task

__all__ = ["ParametricWorkingMemory"]


@dataclass(frozen=True, kw_only=True)
class ParametricWorkingMemory(Task):
    """Comparison of two frequencies with choices 1 (the first is higher) and -1; conditions ``first`` and ``second``.

    Frequencies, their difference and the two channels, rising and falling with frequency from 0.2 to 1, are those of
    pycog (Song et al. 2016, after Romo's vibrotactile task). If only one frequency is given, the other differs by
    `difference`. The settings are those of `Task`, and those below.

    Parameters
    ----------
    first, delay, second : Duration, ms
        Times of the two stimuli, and between them.
    noise : float
        Standard deviation of the noise on each channel at a step of 1 ms (see `NOISE_STEP`).
    frequencies : tuple of float, Hz
        What is drawn from, ascending.
    difference : float, Hz
        Difference of the two frequencies of a trial.

    Raises
    ------
    TypeError, ValueError
        If a setting is impossible.
    """

    name: ClassVar[str] = "memory"

    first: Duration = 500.0
    delay: Duration = field(default=Uniform(500.0, 1500.0))
    second: Duration = 500.0
    noise: float = 0.1
    frequencies: tuple[float, ...] = (10.0, 14.0, 18.0, 22.0, 26.0, 30.0, 34.0)
    difference: float = 8.0

    def __post_init__(self) -> None:
        span = max(self.frequencies, default=0.0) - min(self.frequencies, default=0.0)
        if not 0 < self.difference <= span:
            raise ValueError(
                f"`difference` is {self.difference!r} Hz; it must be greater than 0 and at most the span of "
                f"`frequencies`, {span:g} Hz."
            )
        if not self._pairs().size:
            raise ValueError(f"no two `frequencies` {self.frequencies} are {self.difference:g} Hz apart.")
        super().__post_init__()

    @property
    def conditions(self) -> dict[str, Condition]:
        """``first`` and ``second``: frequencies within the range of `frequencies`."""
        frequency = Condition(self.frequencies, min(self.frequencies), max(self.frequencies))
        return {"first": frequency, "second": frequency}

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the stimuli."""
        return ("rising", "falling")

    def _durations(self) -> dict[str, Duration]:
        return {
            "fixation": self.fixation,
            "first": self.first,
            "delay": self.delay,
            "second": self.second,
            "response": self.response,
        }

    def _pairs(self) -> NDArray[np.float64]:
        """Return all pairs of frequencies that differ by `difference`, in both orders: (pair, 2)."""
        low = [f for f in self.frequencies if np.isclose(f + self.difference, self.frequencies).any()]
        return np.array([pair for f in low for pair in ((f, f + self.difference), (f + self.difference, f))])

    def _draw(self, n: int, rng: np.random.Generator, given: Table) -> Table:
        pairs = self._pairs()[rng.integers(0, len(self._pairs()), n)]
        table = {"first": pairs[:, 0], "second": pairs[:, 1]}
        upward = rng.integers(0, 2, n) == 1
        for name, other in (("first", "second"), ("second", "first")):
            if name in given and other not in given:
                table[other] = self._partner(given[name], upward)
        table |= given
        if (equal := table["first"] == table["second"]).any():
            raise ValueError(
                f"`first` and `second` are both {table['first'][equal][0]:g} Hz in {int(equal.sum())} trials; they "
                "must differ, or there is no right choice."
            )
        return table

    def _partner(self, frequency: NDArray[np.float64], upward: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return frequencies that differ by `difference`, in the drawn direction where both stay within range."""
        low, high = min(self.frequencies), max(self.frequencies)
        above, below = frequency + self.difference, frequency - self.difference
        stuck = (above > high) & (below < low)
        if stuck.any():
            raise ValueError(
                f"no frequency from {low:g} to {high:g} Hz is {self.difference:g} Hz from {frequency[stuck][0]:g} Hz; "
                "give both `first` and `second`."
            )
        return np.where((upward & (above <= high)) | (below < low), above, below)

    def _derive(self, table: Table, rng: np.random.Generator) -> Table:
        return {"choice": np.sign(table["first"] - table["second"]).astype(np.int64)}

    def _signals(self, layout: Layout, table: Table, rng: np.random.Generator) -> Signals:
        low, high = min(self.frequencies), max(self.frequencies)
        signals: Signals = {}
        for channel, start, sign in (("rising", low, 1), ("falling", high, -1)):
            parts = [
                noisy(
                    0.2 + 0.8 * sign * (table[name] - start) / (high - low),
                    layout.during(name),
                    layout,
                    self.noise,
                    rng,
                )
                for name in ("first", "second")
            ]
            signals[channel] = np.sum(parts, axis=0)
        return signals
