"""From simulations to findings: illusions, tuning and maps. Nothing is plotted here."""

from neurocircuit.analysis.photograph import dominant_orientation, photograph_experiment
from neurocircuit.analysis.tilt import (
    TILT_CHANNELS,
    size_tuning,
    tilt_displays,
    tilt_drive,
    tilt_experiment,
    tilt_shift,
)
from neurocircuit.analysis.tilt_curves import (
    FIXED_POINT_TILT,
    HUMAN_TILT,
    SURROUND_ANGLES,
    TiltCurve,
    pearson_r,
    rms_error,
)

__all__ = [
    "FIXED_POINT_TILT",
    "HUMAN_TILT",
    "SURROUND_ANGLES",
    "TILT_CHANNELS",
    "TiltCurve",
    "dominant_orientation",
    "pearson_r",
    "photograph_experiment",
    "rms_error",
    "size_tuning",
    "tilt_displays",
    "tilt_drive",
    "tilt_experiment",
    "tilt_shift",
]
