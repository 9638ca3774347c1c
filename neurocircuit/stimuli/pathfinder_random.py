"""Random numbers of a Pathfinder image: a stream of its own, compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

from neurocircuit.stimuli.splitmix import GAMMA, mix

__all__ = ["below", "compiled", "seed_stream", "uniform"]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile with numba, keeping the function's type."""
    return cast(Function, numba.njit(cache=True, nogil=True)(function))


_mix = compiled(mix)


@compiled
def seed_stream(state: Any, seed: Any, index: Any) -> None:
    """Start the stream of one image: four words, each a one-to-one function of the index."""
    for word in range(4):
        state[word] = _mix(_mix(np.uint64(seed) + np.uint64(word + 1) * GAMMA) + np.uint64(index))


@compiled
def uniform(state: Any) -> Any:
    """Return a number in [0, 1) by xoshiro256**."""
    word = state[1] * np.uint64(5)
    word = ((word << np.uint64(7)) | (word >> np.uint64(57))) * np.uint64(9)
    shifted = state[1] << np.uint64(17)
    state[2] ^= state[0]
    state[3] ^= state[1]
    state[1] ^= state[2]
    state[0] ^= state[3]
    state[2] ^= shifted
    state[3] = (state[3] << np.uint64(45)) | (state[3] >> np.uint64(19))
    return np.float64(word >> np.uint64(11)) * 2.0**-53


@compiled
def below(state: Any, limit: int) -> int:
    """Return a whole number from 0 to `limit` - 1."""
    return int(uniform(state) * limit)
