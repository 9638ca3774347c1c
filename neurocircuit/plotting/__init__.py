"""Figures from results; nothing is computed here."""

from neurocircuit.plotting.ctrnn import plot_sweep, plot_trial, plot_validation_loss
from neurocircuit.plotting.derivation import plot_cycles, plot_scheme_residuals, plot_schemes
from neurocircuit.plotting.devices import plot_device_differences, plot_device_times
from neurocircuit.plotting.hgru import (
    plot_activity,
    plot_gradient_flow,
    plot_parameter_gradients,
    plot_signed_map,
    plot_time_course,
)
from neurocircuit.plotting.hidden_units import (
    plot_comparison,
    plot_confusion,
    plot_training_curves,
    plot_weight_mosaic,
    plot_weight_mosaics,
)
from neurocircuit.plotting.local_filters import filter_mosaic, plot_gradient_angles, plot_local_filters
from neurocircuit.plotting.pathfinder import plot_contact_sheet, plot_marker_distances
from neurocircuit.plotting.photograph import plot_map, plot_orientation_map
from neurocircuit.plotting.psychometric import plot_chronometric, plot_psychometric
from neurocircuit.plotting.recogniser import plot_decoding, plot_importance
from neurocircuit.plotting.recogniser_scenes import plot_answer, plot_scene, plot_scene_activity
from neurocircuit.plotting.selectivity import plot_connectivity, plot_currents, plot_lesions
from neurocircuit.plotting.spiking import plot_population_rate, plot_raster, plot_rate_and_trace, plot_spiking_output
from neurocircuit.plotting.stability import plot_stability_map
from neurocircuit.plotting.state_space import plot_eigenvalues, plot_fixed_points, plot_state_space
from neurocircuit.plotting.style import COLOURS, style
from neurocircuit.plotting.tilt import plot_convergence, plot_display, plot_tilt_curve, plot_trajectories
from neurocircuit.plotting.training import plot_accuracy, plot_learning_curves

__all__ = [
    "COLOURS",
    "filter_mosaic",
    "plot_accuracy",
    "plot_activity",
    "plot_answer",
    "plot_chronometric",
    "plot_comparison",
    "plot_confusion",
    "plot_connectivity",
    "plot_contact_sheet",
    "plot_convergence",
    "plot_currents",
    "plot_cycles",
    "plot_decoding",
    "plot_device_differences",
    "plot_device_times",
    "plot_display",
    "plot_eigenvalues",
    "plot_fixed_points",
    "plot_gradient_angles",
    "plot_gradient_flow",
    "plot_importance",
    "plot_learning_curves",
    "plot_lesions",
    "plot_local_filters",
    "plot_map",
    "plot_marker_distances",
    "plot_orientation_map",
    "plot_parameter_gradients",
    "plot_population_rate",
    "plot_psychometric",
    "plot_raster",
    "plot_rate_and_trace",
    "plot_scene",
    "plot_scene_activity",
    "plot_scheme_residuals",
    "plot_schemes",
    "plot_signed_map",
    "plot_spiking_output",
    "plot_stability_map",
    "plot_state_space",
    "plot_sweep",
    "plot_tilt_curve",
    "plot_time_course",
    "plot_training_curves",
    "plot_trajectories",
    "plot_trial",
    "plot_validation_loss",
    "plot_weight_mosaic",
    "plot_weight_mosaics",
    "style",
]
