"""Tilt illusion curves: of human observers, of the model as it is known, and how well two curves agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FIXED_POINT_TILT", "HUMAN_TILT", "SURROUND_ANGLES", "TiltCurve", "pearson_r", "rms_error"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TiltCurve:
    """A tilt illusion curve: shifts in degrees at surround angles in degrees, and where it comes from."""

    surround_angle: tuple[float, ...]
    shift: tuple[float, ...]
    source: str

    def at(self, angles: Any) -> FloatArray:
        """Return the shift at every angle; NaN where the curve has no point."""
        known = dict(zip(self.surround_angle, self.shift, strict=True))
        return np.array([known.get(float(angle), np.nan) for angle in angles])


#: Surround angles of the published figure in degrees, measured from the orientation of the centre.
SURROUND_ANGLES = tuple(float(angle) for angle in range(0, 91, 10))

#: Human observers.
HUMAN_TILT = TiltCurve(
    SURROUND_ANGLES,
    (-0.1828, 1.8141, 2.6835, 1.9971, 0.4897, -0.3965, -0.3221, -0.6937, -0.5778, -0.4699),
    "O'Toole and Wenderoth (1977), recovered from the vector path of a figure of the authors' public code "
    "(contextual_model); reading error about 0.02 degrees",
)

_INDEPENDENT = "independent implementation of the authors' public code, step 1 ms, 400 steps, by preset"

#: The model's own curve at its fixed point, by preset, to check a run against. At 0 and 90 degrees symmetry makes it 0.
FIXED_POINT_TILT: Mapping[str, TiltCurve] = MappingProxyType(
    {
        "code": TiltCurve(
            SURROUND_ANGLES,
            (0, 3.2555, 2.3043, 0.5105, -0.2552, -0.3890, -0.4705, -0.4456, -0.2709, 0),
            _INDEPENDENT,
        ),
        "archived": TiltCurve(
            SURROUND_ANGLES,
            (0, 4.0185, 2.8519, 0.9723, 0.1769, 0.0288, -0.1269, -0.2039, -0.1491, 0),
            _INDEPENDENT,
        ),
    }
)


def pearson_r(model: Any, human: Any) -> float:
    """Return the correlation of two curves over the points where both are known; NaN if it is undefined."""
    both = _both(model, human)
    if both.shape[1] < 2 or np.any(np.ptp(both, axis=1) == 0):
        return float("nan")
    return float(np.corrcoef(both)[0, 1])


def rms_error(model: Any, human: Any) -> float:
    """Return the root of the mean squared difference of two curves; NaN if they share no point."""
    both = _both(model, human)
    return float(np.sqrt(np.mean((both[0] - both[1]) ** 2))) if both.shape[1] else float("nan")


def _both(model: Any, human: Any) -> FloatArray:
    curves = np.array([model, human], dtype=np.float64)
    return curves[:, np.isfinite(curves).all(0)]
