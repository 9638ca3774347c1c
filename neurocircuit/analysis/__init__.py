"""From simulations and training to findings: illusions, tuning, what networks learned. Nothing is plotted here."""

from neurocircuit.analysis.chronometric import above_ideal, chronometric
from neurocircuit.analysis.context import CONTEXTS, ContextDynamics, context_dynamics, context_psychometrics
from neurocircuit.analysis.ctrnn_outputs import network_outputs
from neurocircuit.analysis.ctrnn_recipes import CTRNN_RECIPES, FRESH_TRIALS, CTRNNRecipe
from neurocircuit.analysis.ctrnn_sweep import SweepPoint, run_sweep, sweep_map, sweep_points
from neurocircuit.analysis.ctrnn_training import TrainedTask, build_ctrnn, iterations_to, load_trained, train_task
from neurocircuit.analysis.currents import ei_balance, ei_currents, paradoxical_effect
from neurocircuit.analysis.evidence import input_gradient, occlusion_map
from neurocircuit.analysis.exact_networks import GROUPS, RankOne, context_integrator, rank_one_network
from neurocircuit.analysis.fixed_points import distinct_points, find_fixed_points, rate_of_change, sample_starts
from neurocircuit.analysis.inspection import gradient_flow, hgru_activity, hgru_gates, kernel_summary
from neurocircuit.analysis.lesions import lesion_table, perturbation_table, projection_lesions, score_network
from neurocircuit.analysis.linearisation import Linearisation, LineAttractor, line_attractor, linearise
from neurocircuit.analysis.marker_distance import (
    DistanceRule,
    DistanceScore,
    fit_histogram,
    fit_window,
    marker_distance_score,
)
from neurocircuit.analysis.pathfinder import (
    PATHFINDER_MODELS,
    accuracy_by_path_length,
    accuracy_by_steps,
    build_network,
    distance_baseline,
    evaluate_network,
    load_network,
    train_network,
)
from neurocircuit.analysis.pathfinder_recipes import FRESH_SEED, PATHFINDER_RECIPES, PathfinderRecipe
from neurocircuit.analysis.photograph import dominant_orientation, photograph_experiment
from neurocircuit.analysis.psychometric import PsychometricFit, cumulative_gaussian, fit_psychometric
from neurocircuit.analysis.selectivity import (
    cluster_units,
    d_prime,
    fractional_variance,
    mean_weights,
    sort_units,
    task_variance,
)
from neurocircuit.analysis.siegert import brunel_rates, siegert_rate
from neurocircuit.analysis.spiking_transfer import TransferResult, transfer_experiment
from neurocircuit.analysis.stability import FixedPoint, fixed_point, leading_eigenvalue, stability_map
from neurocircuit.analysis.state_space import StateSpace, condition_averages, state_space
from neurocircuit.analysis.targeted import TargetedAxes, targeted_axes
from neurocircuit.analysis.task_curves import (
    TEST_COHERENCES,
    EvidenceSeries,
    TaskCurves,
    curve_trials,
    evidence_series,
    task_curves,
)
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
    "CONTEXTS",
    "CTRNN_RECIPES",
    "FIXED_POINT_TILT",
    "FRESH_SEED",
    "FRESH_TRIALS",
    "GROUPS",
    "HUMAN_TILT",
    "PATHFINDER_MODELS",
    "PATHFINDER_RECIPES",
    "SURROUND_ANGLES",
    "TEST_COHERENCES",
    "TILT_CHANNELS",
    "CTRNNRecipe",
    "ContextDynamics",
    "DistanceRule",
    "DistanceScore",
    "EvidenceSeries",
    "FixedPoint",
    "LineAttractor",
    "Linearisation",
    "PathfinderRecipe",
    "PsychometricFit",
    "RankOne",
    "StateSpace",
    "SweepPoint",
    "TargetedAxes",
    "TaskCurves",
    "TiltCurve",
    "TrainedTask",
    "TransferResult",
    "above_ideal",
    "accuracy_by_path_length",
    "accuracy_by_steps",
    "brunel_rates",
    "build_ctrnn",
    "build_network",
    "chronometric",
    "cluster_units",
    "condition_averages",
    "context_dynamics",
    "context_integrator",
    "context_psychometrics",
    "cumulative_gaussian",
    "curve_trials",
    "d_prime",
    "distance_baseline",
    "distinct_points",
    "dominant_orientation",
    "ei_balance",
    "ei_currents",
    "evaluate_network",
    "evidence_series",
    "find_fixed_points",
    "fit_histogram",
    "fit_psychometric",
    "fit_window",
    "fixed_point",
    "fractional_variance",
    "gradient_flow",
    "hgru_activity",
    "hgru_gates",
    "input_gradient",
    "iterations_to",
    "kernel_summary",
    "leading_eigenvalue",
    "lesion_table",
    "line_attractor",
    "linearise",
    "load_network",
    "load_trained",
    "marker_distance_score",
    "mean_weights",
    "network_outputs",
    "occlusion_map",
    "paradoxical_effect",
    "pearson_r",
    "perturbation_table",
    "photograph_experiment",
    "projection_lesions",
    "rank_one_network",
    "rate_of_change",
    "rms_error",
    "run_sweep",
    "sample_starts",
    "score_network",
    "siegert_rate",
    "size_tuning",
    "sort_units",
    "stability_map",
    "state_space",
    "sweep_map",
    "sweep_points",
    "targeted_axes",
    "task_curves",
    "task_variance",
    "tilt_displays",
    "tilt_drive",
    "tilt_experiment",
    "tilt_shift",
    "train_network",
    "train_task",
    "transfer_experiment",
]
