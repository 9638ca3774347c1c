"""Random numbers that follow from a seed and a place, and from nothing that ran before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["Purpose", "derived_seed", "permutation", "seeded"]


class Purpose(IntEnum):
    """What random numbers are for; the same seed gives each purpose its own."""

    ORDER = 1
    AUGMENTATION = 2
    STEP = 3
    VALIDATION = 4
    EVALUATION = 5
    TRIALS = 6


def derived_seed(seed: int, purpose: Purpose, *place: int) -> int:
    """Return a seed of 32 bits for a purpose at a place, such as (epoch, index); it repeats only by rare chance."""
    return int(_sequence(seed, purpose, *place).generate_state(1)[0])


def permutation(size: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the order of `size` samples in one epoch, an array of `size` integers."""
    return np.random.default_rng(_sequence(seed, Purpose.ORDER, epoch)).permutation(size)


def _sequence(seed: int, *place: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed, spawn_key=place)


@contextmanager
def seeded(seed: int, device: str | torch.device = "cpu") -> Iterator[None]:
    """Seed torch's global generators inside the block, and put their state back at its end.

    Build a model inside it: initialisers of torch modules take no generator.

    Parameters
    ----------
    seed : int
        At least 0.
    device : str or torch.device
        With a CUDA device its generator is seeded and restored too.

    Examples
    --------
    >>> with seeded(7):
    ...     first = torch.nn.Linear(3, 2)
    >>> with seeded(7):
    ...     second = torch.nn.Linear(3, 2)
    >>> torch.equal(first.weight, second.weight)
    True
    """
    where = torch.device(device)
    on_gpu = where.type == "cuda"
    with torch.random.fork_rng(devices=[where] if on_gpu else []):
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            with torch.cuda.device(where):
                torch.cuda.manual_seed(seed)
        yield
