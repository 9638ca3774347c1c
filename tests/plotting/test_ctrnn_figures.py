"""Figures of networks on tasks draw the numbers they are given."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from neurocircuit.plotting.ctrnn import plot_sweep, plot_trial, plot_validation_loss
from neurocircuit.tasks import make_task


def test_a_trial_shows_every_input_its_output_at_the_ends_of_steps_and_targets_where_they_count():
    task = make_task("dmts")
    trials = task.sample(3, 0)
    outputs = np.random.default_rng(1).standard_normal(trials.targets.shape)
    above, below = plot_trial(trials, outputs, 2, Figure().subplots(2))
    for number, name in enumerate(trials.input_names):
        line = next(one for one in above.lines if one.get_label() == name)
        np.testing.assert_array_equal(line.get_xydata(), np.column_stack([trials.time, trials.inputs[2, :, number]]))
    wanted, answered = (next(one for one in below.lines if one.get_label() == n) for n in ("choice, target", "choice"))
    np.testing.assert_allclose(answered.get_xdata(), trials.time + trials.step)
    np.testing.assert_array_equal(answered.get_ydata(), outputs[2, :, 0])
    counts = trials.mask[2] > 0
    assert 0 < counts.sum() < len(counts)
    np.testing.assert_array_equal(wanted.get_ydata()[counts], trials.targets[2, counts, 0])
    assert np.isnan(wanted.get_ydata()[~counts]).all()


def test_validation_losses_are_drawn_for_every_run_and_named_once():
    lines = [{"step": 1, "loss": 9.0}, {"step": 2, "validation_loss": 0.5}, {"step": 4, "validation_loss": 0.3}]
    axes = plot_validation_loss({"balanced": [lines, lines], "unbalanced": [lines]}, Figure().subplots())
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [[2, 0.5], [4, 0.3]])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["balanced", "unbalanced"]


def test_a_sweep_has_rising_axes_its_numbers_and_nothing_where_there_is_none():
    values = np.array([[0.5, np.nan], [0.75, 1.0]])
    sweep = xr.Dataset(
        {"accuracy": (("p_inh", "spectral_radius"), values, {"long_name": "accuracy"})},
        coords={"p_inh": [0.1, 0.2], "spectral_radius": [1.0, 1.5]},
    )
    axes = plot_sweep(sweep.transpose(), "accuracy", Figure().subplots(), limits=(0.5, 1.0))
    np.testing.assert_array_equal(axes.images[0].get_array().filled(np.nan), values)
    assert [text.get_text() for text in axes.texts] == ["0.5", "0.75", "1"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "1.5"]
    assert axes.images[0].origin == "lower"
