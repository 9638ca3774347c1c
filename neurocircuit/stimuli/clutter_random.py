"""Random numbers of scenes, many scenes at a time: each scene has a stream of its own, which follows from its index."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from neurocircuit.stimuli.splitmix import GAMMA, mix

__all__ = ["WORD", "permutations", "uniform"]

#: Number of seeds.
WORD = 2**64


def uniform(seed: int, which: npt.NDArray[np.uint64], columns: range) -> npt.NDArray[np.float64]:
    """Return numbers in [0, 1), (scene, column): those of a scene are the outputs of a splitmix64 of its own."""
    # Python's whole numbers, because numpy's warn when they overflow.
    keys = np.array([(seed + (column + 1) * int(GAMMA)) % WORD for column in columns], np.uint64)
    words: npt.NDArray[np.uint64] = mix(mix(keys) + which[:, np.newaxis] * GAMMA)
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutations(
    seed: int, which: npt.NDArray[np.uint64], objects: int, cells: int, first: int
) -> npt.NDArray[np.int64]:
    """Return a permutation for every object, uniform over all but the one that leaves every cell where it is."""
    count = objects * cells
    order = uniform(seed, which, range(first, first + count)).reshape(-1, objects, cells).argsort(-1, kind="stable")
    unchanged = (order == np.arange(cells)).all(-1)
    while unchanged.any():
        first += count
        again = np.flatnonzero(unchanged.any(-1))
        drawn = uniform(seed, which[again], range(first, first + count)).reshape(-1, objects, cells)
        order[again] = np.where(unchanged[again, :, np.newaxis], drawn.argsort(-1, kind="stable"), order[again])
        unchanged = (order == np.arange(cells)).all(-1)
    return order
