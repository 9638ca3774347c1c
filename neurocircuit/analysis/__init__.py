"""From simulations and training to findings: illusions, tuning, what networks learned. Nothing is plotted here."""

from neurocircuit.analysis.chronometric import above_ideal, chronometric
from neurocircuit.analysis.context import CONTEXTS, ContextDynamics, context_dynamics, context_psychometrics
from neurocircuit.analysis.ctrnn_outputs import network_outputs
from neurocircuit.analysis.ctrnn_recipes import CTRNN_RECIPES, FRESH_TRIALS, CTRNNRecipe
from neurocircuit.analysis.ctrnn_sweep import SweepPoint, run_sweep, sweep_map, sweep_points
from neurocircuit.analysis.ctrnn_training import TrainedTask, build_ctrnn, iterations_to, load_trained, train_task
from neurocircuit.analysis.currents import ei_balance, ei_currents, paradoxical_effect
from neurocircuit.analysis.decoders import decode_labels
from neurocircuit.analysis.decoding import decode
from neurocircuit.analysis.decoding_settings import DecodingSettings
from neurocircuit.analysis.evidence import input_gradient, occlusion_map
from neurocircuit.analysis.exact_networks import GROUPS, RankOne, context_integrator, rank_one_network
from neurocircuit.analysis.feedback_alignment import gradient_angles
from neurocircuit.analysis.fixed_points import distinct_points, find_fixed_points, rate_of_change, sample_starts
from neurocircuit.analysis.flow_perturbation import altered_flows, perturb_flows, shuffled_difference
from neurocircuit.analysis.hidden_unit_comparison import (
    PreparedImages,
    compare_hidden_units,
    prepare_images,
    train_bio_units,
)
from neurocircuit.analysis.hidden_unit_recipes import (
    HIDDEN_UNIT_RECIPES,
    PUBLISHED_ACCURACY,
    ComparisonRecipe,
    Passes,
    comparison_recipe,
)
from neurocircuit.analysis.hidden_unit_results import (
    HIDDEN_UNIT_NETWORKS,
    Comparison,
    TrainedModel,
    comparison_dataset,
    comparison_rows,
    confusion,
)
from neurocircuit.analysis.inspection import gradient_flow, hgru_activity, hgru_gates, kernel_summary
from neurocircuit.analysis.lesions import lesion_table, perturbation_table, projection_lesions, score_network
from neurocircuit.analysis.linearisation import Linearisation, LineAttractor, line_attractor, linearise
from neurocircuit.analysis.local_filters import filters_by_position, neighbour_correlation
from neurocircuit.analysis.locally_connected import TrainedSpatial, train_spatial
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
from neurocircuit.analysis.perturbation_experiment import PerturbationSettings, perturbation_experiment
from neurocircuit.analysis.photograph import dominant_orientation, photograph_experiment
from neurocircuit.analysis.psychometric import PsychometricFit, cumulative_gaussian, fit_psychometric
from neurocircuit.analysis.published_recogniser import (
    PublishedArrays,
    PublishedCell,
    published_cells,
    published_summary,
    read_published,
)
from neurocircuit.analysis.recogniser_answers import SceneAnswers, name_targets
from neurocircuit.analysis.recogniser_recipes import RECOGNISER_RECIPES, RECOGNISER_VARIANTS, RecogniserRecipe
from neurocircuit.analysis.recogniser_study import RecogniserStudy, scenes_of, train_recogniser
from neurocircuit.analysis.recogniser_summary import (
    auxiliary_averages,
    functional_importance,
    over_networks,
    over_repeats,
    pool_perturbations,
    pool_variables,
)
from neurocircuit.analysis.selectivity import (
    cluster_units,
    d_prime,
    fractional_variance,
    mean_weights,
    sort_units,
    task_variance,
)
from neurocircuit.analysis.siegert import brunel_rates, siegert_rate
from neurocircuit.analysis.slow_competition import Competition, compete
from neurocircuit.analysis.spatial_cost import training_cost
from neurocircuit.analysis.spatial_recipes import (
    SPATIAL_NETWORKS,
    SPATIAL_RECIPES,
    SpatialRecipe,
    build_spatial,
    spatial_settings,
)
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
from neurocircuit.analysis.winner_tables import winner_checks, winner_tables
from neurocircuit.analysis.winners import ode_study

__all__ = [
    "CONTEXTS",
    "CTRNN_RECIPES",
    "FIXED_POINT_TILT",
    "FRESH_SEED",
    "FRESH_TRIALS",
    "GROUPS",
    "HIDDEN_UNIT_NETWORKS",
    "HIDDEN_UNIT_RECIPES",
    "HUMAN_TILT",
    "PATHFINDER_MODELS",
    "PATHFINDER_RECIPES",
    "PUBLISHED_ACCURACY",
    "RECOGNISER_RECIPES",
    "RECOGNISER_VARIANTS",
    "SPATIAL_NETWORKS",
    "SPATIAL_RECIPES",
    "SURROUND_ANGLES",
    "TEST_COHERENCES",
    "TILT_CHANNELS",
    "CTRNNRecipe",
    "Comparison",
    "ComparisonRecipe",
    "Competition",
    "ContextDynamics",
    "DecodingSettings",
    "DistanceRule",
    "DistanceScore",
    "EvidenceSeries",
    "FixedPoint",
    "LineAttractor",
    "Linearisation",
    "Passes",
    "PathfinderRecipe",
    "PerturbationSettings",
    "PreparedImages",
    "PsychometricFit",
    "PublishedArrays",
    "PublishedCell",
    "RankOne",
    "RecogniserRecipe",
    "RecogniserStudy",
    "SceneAnswers",
    "SpatialRecipe",
    "StateSpace",
    "SweepPoint",
    "TargetedAxes",
    "TaskCurves",
    "TiltCurve",
    "TrainedModel",
    "TrainedSpatial",
    "TrainedTask",
    "TransferResult",
    "above_ideal",
    "accuracy_by_path_length",
    "accuracy_by_steps",
    "altered_flows",
    "auxiliary_averages",
    "brunel_rates",
    "build_ctrnn",
    "build_network",
    "build_spatial",
    "chronometric",
    "cluster_units",
    "compare_hidden_units",
    "comparison_dataset",
    "comparison_recipe",
    "comparison_rows",
    "compete",
    "condition_averages",
    "confusion",
    "context_dynamics",
    "context_integrator",
    "context_psychometrics",
    "cumulative_gaussian",
    "curve_trials",
    "d_prime",
    "decode",
    "decode_labels",
    "distance_baseline",
    "distinct_points",
    "dominant_orientation",
    "ei_balance",
    "ei_currents",
    "evaluate_network",
    "evidence_series",
    "filters_by_position",
    "find_fixed_points",
    "fit_histogram",
    "fit_psychometric",
    "fit_window",
    "fixed_point",
    "fractional_variance",
    "functional_importance",
    "gradient_angles",
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
    "name_targets",
    "neighbour_correlation",
    "network_outputs",
    "occlusion_map",
    "ode_study",
    "over_networks",
    "over_repeats",
    "paradoxical_effect",
    "pearson_r",
    "perturb_flows",
    "perturbation_experiment",
    "perturbation_table",
    "photograph_experiment",
    "pool_perturbations",
    "pool_variables",
    "prepare_images",
    "projection_lesions",
    "published_cells",
    "published_summary",
    "rank_one_network",
    "rate_of_change",
    "read_published",
    "rms_error",
    "run_sweep",
    "sample_starts",
    "scenes_of",
    "score_network",
    "shuffled_difference",
    "siegert_rate",
    "size_tuning",
    "sort_units",
    "spatial_settings",
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
    "train_bio_units",
    "train_network",
    "train_recogniser",
    "train_spatial",
    "train_task",
    "training_cost",
    "transfer_experiment",
    "winner_checks",
    "winner_tables",
]
