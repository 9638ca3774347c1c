"""The contextual circuit at one size, which several benchmarks time."""

from __future__ import annotations

from dataclasses import dataclass

from neurocircuit import PoolSizes, mely_circuit
from neurocircuit.circuits import Circuit

__all__ = ["MelyCase"]


@dataclass(frozen=True)
class MelyCase:
    """One size of the problem."""

    channels: int
    field: int
    sizes: PoolSizes

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the field, (channel, y, x)."""
        return self.channels, self.field, self.field

    def circuit(self) -> Circuit:
        """Return the four-pool circuit."""
        return mely_circuit(self.channels, sizes=self.sizes)
