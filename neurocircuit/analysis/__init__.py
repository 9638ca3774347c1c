"""From simulations to findings: illusions, tuning and maps. Nothing is plotted here."""

from neurocircuit.analysis.evidence import input_gradient, occlusion_map
from neurocircuit.analysis.inspection import gradient_flow, hgru_activity, hgru_gates, kernel_summary
from neurocircuit.analysis.marker_distance import (
    DistanceRule,
    DistanceScore,
    fit_histogram,
    fit_window,
    marker_distance_score,
)
from neurocircuit.analysis.pathfinder import (
    FRESH_SEED,
    PATHFINDER_MODELS,
    PATHFINDER_RECIPES,
    PathfinderRecipe,
    accuracy_by_path_length,
    accuracy_by_steps,
    build_network,
    distance_baseline,
    evaluate_network,
    load_network,
    train_network,
)
from neurocircuit.analysis.photograph import dominant_orientation, photograph_experiment
from neurocircuit.analysis.stability import FixedPoint, fixed_point, leading_eigenvalue, stability_map
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
    "FRESH_SEED",
    "HUMAN_TILT",
    "PATHFINDER_MODELS",
    "PATHFINDER_RECIPES",
    "SURROUND_ANGLES",
    "TILT_CHANNELS",
    "DistanceRule",
    "DistanceScore",
    "FixedPoint",
    "PathfinderRecipe",
    "TiltCurve",
    "accuracy_by_path_length",
    "accuracy_by_steps",
    "build_network",
    "distance_baseline",
    "dominant_orientation",
    "evaluate_network",
    "fit_histogram",
    "fit_window",
    "fixed_point",
    "gradient_flow",
    "hgru_activity",
    "hgru_gates",
    "input_gradient",
    "kernel_summary",
    "leading_eigenvalue",
    "load_network",
    "marker_distance_score",
    "occlusion_map",
    "pearson_r",
    "photograph_experiment",
    "rms_error",
    "size_tuning",
    "stability_map",
    "tilt_displays",
    "tilt_drive",
    "tilt_experiment",
    "tilt_shift",
    "train_network",
]
