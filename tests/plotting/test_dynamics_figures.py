"""Figures of state spaces, choices, connections and lesions draw the numbers they are given."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from neurocircuit.analysis.chronometric import chronometric
from neurocircuit.analysis.psychometric import fit_psychometric
from neurocircuit.plotting.psychometric import plot_chronometric, plot_psychometric
from neurocircuit.plotting.selectivity import plot_connectivity, plot_currents, plot_lesions
from neurocircuit.plotting.state_space import plot_eigenvalues, plot_fixed_points, plot_state_space


@pytest.fixture
def ax():
    return Figure().subplots()


def test_trajectories_share_a_colour_by_condition(ax, rng):
    coords = {"choice": ("condition", [-1, 1, 1]), "context": ("condition", [0, 0, 1])}
    values = xr.DataArray(rng.standard_normal((3, 5, 3)), coords, ("condition", "time", "component"))
    plot_state_space(values, ax, colour_by="choice")
    lines = [line for line in ax.lines if len(line.get_xdata()) == 5]
    for line, trajectory in zip(lines, values.values, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), trajectory[:, :2])
    colours = [to_rgba(line.get_color()) for line in lines]
    assert colours[1] == colours[2] != colours[0]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["-1", "1"]


def test_points_are_marked_by_their_kind_and_the_line_goes_through_their_mean(ax):
    points, kinds = np.array([[0.0, 0.0], [2.0, 2.0], [1.0, 4.0]]), ["fixed", "slow", "fixed"]
    plot_fixed_points(points, kinds, ax, direction=[1.0, 0.0])
    drawn = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    assert drawn["fixed"] == [[0, 0], [1, 4]]
    assert drawn["slow"] == [[2, 2]]
    np.testing.assert_allclose(np.mean(drawn["slowest mode"], axis=0), [1, 2])
    np.testing.assert_allclose(np.ptp(drawn["slowest mode"], axis=0), [4, 0])
    plot_fixed_points(points, kinds, ax, direction=[np.nan, np.nan])
    assert len(ax.lines) == 5


def test_eigenvalues_are_drawn_per_second(ax):
    over = ("point", "mode")
    spectrum = xr.Dataset({"eigenvalue_real": (over, [[-0.05, 0.0]]), "eigenvalue_imaginary": (over, [[0.01, -0.01]])})
    plot_eigenvalues({"motion": spectrum}, ax)
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[-50, 10], [0, -10]])


def test_a_psychometric_curve_has_its_shares_fit_and_band(ax, rng):
    evidence = rng.choice([-0.2, 0.1, 0.4], 300)
    fit = fit_psychometric(evidence, rng.random(300) < 0.5 + evidence, resamples=20)
    plot_psychometric({"motion": fit}, ax)
    np.testing.assert_allclose(ax.lines[0].get_xydata(), np.column_stack([fit.level, fit.positive / fit.trials]))
    x, y = ax.lines[1].get_data()
    np.testing.assert_allclose(y, fit.curve(x))
    low, high = fit.band(x)
    edges = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert edges.min() == pytest.approx(low.min())
    assert edges.max() == pytest.approx(high.max())


def test_reaction_times_of_both_answers_have_their_intervals(ax, rng):
    times = chronometric([0.1, 0.1, 0.5, 0.5], [100.0, 200.0, 150.0, 170.0], np.array([True, True, True, False]))
    plot_chronometric(times, ax)
    drawn = {container.get_label(): container[0].get_ydata() for container in ax.containers}
    np.testing.assert_array_equal(drawn["correct"], [150, 150])
    np.testing.assert_array_equal(drawn["wrong"], [np.nan, 170])


def test_weights_are_sorted_on_symmetric_limits(ax):
    weights = np.array([[0.0, -3.0, 1.0], [2.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    plot_connectivity(weights, [2, 0, 1], ax, n_excitatory=2)
    (image,) = ax.images
    np.testing.assert_array_equal(image.get_array(), weights[[2, 0, 1]][:, [2, 0, 1]])
    assert image.get_clim() == (-3, 3)
    assert ax.lines[0].get_xdata()[0] == 1.5


def test_currents_are_means_over_trials_and_units_with_their_sum(ax, rng):
    dims = ("trial", "time", "unit")
    currents = xr.Dataset({name: (dims, rng.random((2, 3, 4))) for name in ("excitatory", "inhibitory")})
    plot_currents(currents, ax, step=10.0)
    drawn = {line.get_label(): line.get_xydata() for line in ax.lines}
    np.testing.assert_array_equal(drawn["sum"][:, 0], [0, 10, 20])
    expected = currents.excitatory.values.mean((0, 2))
    np.testing.assert_allclose(drawn["excitatory"][:, 1], expected)
    np.testing.assert_allclose(drawn["sum"][:, 1], expected + currents.inhibitory.values.mean((0, 2)))


def test_lesions_are_drawn_with_intervals_and_controls(ax):
    rows = [
        {"group": "none", "accuracy": 0.9, "low": 0.8, "high": 0.95, "control": np.nan, "control_sd": np.nan},
        {"group": "gates", "accuracy": 0.5, "low": 0.4, "high": 0.6, "control": 0.8, "control_sd": 0.1},
    ]
    plot_lesions(rows, ax)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["none", "gates"]
    lesion, control = ax.containers
    np.testing.assert_allclose(lesion[0].get_xdata(), [0.9, 0.5])
    ends = [segment[:, 0] for segment in lesion[2][0].get_segments()]
    np.testing.assert_allclose(ends, [[0.8, 0.95], [0.4, 0.6]])
    np.testing.assert_array_equal(control[0].get_xdata(), [np.nan, 0.8])
    alone = plot_lesions([{"name": "E->E", "accuracy": 0.5, "low": 0.4, "high": 0.6}], Figure().subplots(), name="name")
    assert len(alone.containers) == 1
