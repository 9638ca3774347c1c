"""Figures of training runs draw the numbers they are given."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from neurocircuit.plotting import (
    plot_accuracy,
    plot_contact_sheet,
    plot_learning_curves,
    plot_marker_distances,
)
from neurocircuit.stimuli import DIFFICULTIES, pathfinder_batch


def test_learning_curves_show_the_evaluations_of_every_run_and_name_each_model_once():
    lines = [{"step": 1}, {"step": 2, "validation_accuracy": 0.6}, {"step": 4, "validation_accuracy": 0.9}]
    axes = plot_learning_curves({"hgru": [lines, lines], "feedforward": [lines]}, Figure().subplots())
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [[2, 0.6], [4, 0.9]])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["hgru", "feedforward"]


def test_accuracies_are_drawn_with_their_intervals_over_their_coordinate():
    values = {"accuracy": ("length", [0.7, 0.8]), "low": ("length", [0.6, 0.75]), "high": ("length", [0.75, 0.9])}
    curve = xr.Dataset(values, coords={"length": ("length", [3, 5], {"long_name": "paddles of a path"})})
    axes = plot_accuracy({"hgru": curve}, Figure().subplots())
    (container,) = axes.containers
    np.testing.assert_allclose(container[0].get_xydata(), [[3, 0.7], [5, 0.8]])
    ends = [segment[:, 1] for segment in container[2][0].get_segments()]
    np.testing.assert_allclose(ends, [[0.6, 0.75], [0.75, 0.9]])
    assert axes.get_xlabel() == "paddles of a path"


def test_a_contact_sheet_has_every_image_with_the_sign_of_its_label():
    batch = pathfinder_batch(DIFFICULTIES["small"], 0, range(5))
    axes = plot_contact_sheet(batch, Figure().subplots(), columns=3)
    assert [text.get_text() == "+" for text in axes.texts] == (batch.labels == 1).tolist()
    side = batch.images.shape[1]
    np.testing.assert_array_equal(axes.images[0].get_array()[:side, :side], batch.images[0])


def test_marker_distances_are_counted_apart_for_both_labels():
    batch = pathfinder_batch(DIFFICULTIES["small"], 0, range(40))
    axes = plot_marker_distances(batch, Figure().subplots(), bins=5)
    drawn = [patch.get_xy()[:, 1] for patch in axes.patches]
    for label, heights in zip((1, 0), drawn, strict=True):
        expected, _ = np.histogram(
            batch.marker_distance[batch.labels == label], np.histogram_bin_edges(batch.marker_distance, 5)
        )
        assert set(expected) <= set(heights)
