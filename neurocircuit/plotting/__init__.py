"""Figures from results; nothing is computed here."""

from neurocircuit.plotting.devices import plot_device_differences, plot_device_times
from neurocircuit.plotting.photograph import plot_map, plot_orientation_map
from neurocircuit.plotting.style import COLOURS, style
from neurocircuit.plotting.tilt import plot_convergence, plot_display, plot_tilt_curve, plot_trajectories

__all__ = [
    "COLOURS",
    "plot_convergence",
    "plot_device_differences",
    "plot_device_times",
    "plot_display",
    "plot_map",
    "plot_orientation_map",
    "plot_tilt_curve",
    "plot_trajectories",
    "style",
]
