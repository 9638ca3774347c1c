"""The scrambling of 64 bits on which streams of random numbers of images and scenes rest."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["GAMMA", "mix"]

#: Step from one state of splitmix64 to the next.
GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def mix(words: Any) -> Any:
    """Scramble 64 bits, of one word or of each of an array: the finaliser of splitmix64."""
    words = (words ^ (words >> np.uint64(30))) * _MIX_1
    words = (words ^ (words >> np.uint64(27))) * _MIX_2
    return words ^ (words >> np.uint64(31))
