import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from neurocircuit import PoolSizes, crosscheck, mely_circuit
from neurocircuit.analysis import photograph_experiment, tilt_displays, tilt_drive, tilt_experiment
from neurocircuit.plotting import (
    plot_convergence,
    plot_device_differences,
    plot_device_times,
    plot_display,
    plot_map,
    plot_orientation_map,
    plot_tilt_curve,
    plot_trajectories,
    style,
)
from neurocircuit.stimuli import CentreSurround

CHANNELS = 7
SIZES = PoolSizes(1, 3, 5)
GEOMETRY = CentreSurround(field=9, centre=3, surround=7)


@pytest.fixture(scope="module")
def tilt():
    circuit = mely_circuit(CHANNELS, sizes=SIZES)
    return tilt_experiment(circuit, (10, 20, 50), geometry=GEOMETRY, channels=CHANNELS, steps=12)


@pytest.fixture(scope="module")
def photograph():
    picture = np.random.default_rng(3).random((20, 18))
    return photograph_experiment(mely_circuit(4, sizes=SIZES), picture, channels=4, steps=3)


@pytest.fixture(scope="module")
def report():
    drive = tilt_drive([20], GEOMETRY, CHANNELS)
    return crosscheck(mely_circuit(CHANNELS, sizes=SIZES), drive, ["torch", "numpy"], steps=3)


@pytest.fixture
def ax():
    return Figure().subplots()


def lines(ax):
    return {line.get_label(): line.get_xydata().T for line in ax.get_lines()}


def test_tilt_curve_draws_both_curves_against_the_angle(tilt, ax):
    plot_tilt_curve(tilt, ax)
    np.testing.assert_array_equal(lines(ax)["circuit"], [tilt.surround_angle, tilt.tilt_shift])
    np.testing.assert_array_equal(lines(ax)["human observers"], [tilt.surround_angle, tilt.human_shift])
    assert f"r = {tilt.attrs['pearson_r']:.3f}" in ax.get_title(loc="left") + ax.get_title()


def test_trajectories_are_those_of_the_channels_nearest_to_the_orientations(tilt, ax):
    plot_trajectories(tilt, ax, 50, [60, 91])
    chosen = tilt.sel(surround_angle=50)
    assert len(lines(ax)) == 4
    np.testing.assert_array_equal(lines(ax)["I, prefers 60°"], [tilt.time, chosen.h1[:, 2]])
    np.testing.assert_array_equal(lines(ax)["O, prefers 90°"], [tilt.time, chosen.h2[:, 3]])


def test_trajectories_at_an_angle_that_was_not_run_are_refused(tilt, ax):
    with pytest.raises(KeyError):
        plot_trajectories(tilt, ax, 33)


def test_convergence_draws_one_line_an_angle_and_the_tolerance(tilt, ax):
    plot_convergence(tilt, ax)
    assert len(ax.get_lines()) == 4
    np.testing.assert_array_equal(ax.get_lines()[1].get_ydata(), tilt.change[1:, 1])
    assert lines(ax)["settled below this"][1] == pytest.approx(1e-5)
    assert ax.get_yscale() == "log"


def test_display_shows_degrees_and_bars_that_point_along_the_orientation(ax):
    display = tilt_displays([45])[0]
    plot_display(display, ax)
    np.testing.assert_array_equal(np.asarray(ax.images[0].get_array()), 180 * display)
    bars = ax.collections[0]
    steep = np.rad2deg(np.arctan2(bars.V, bars.U))
    assert set(np.round(steep[~np.isnan(steep)]).astype(int)) == {45, 90}


def test_device_differences_and_times_are_those_of_the_report(report):
    left, right = Figure().subplots(1, 2)
    plot_device_differences(report, left)
    np.testing.assert_array_equal(lines(left)["h1, largest"][0], report.max_difference.sel(state="h1"))
    np.testing.assert_array_equal(lines(left)["h2, RMS"][0], report.rms_difference.sel(state="h2"))
    plot_device_times(report, right)
    np.testing.assert_allclose([bar.get_width() for bar in right.patches], report.seconds)


def test_maps_are_the_given_values(photograph):
    first, second = Figure().subplots(1, 2)
    plot_map(photograph.energy_before_total, first, title="Energy", label="sum")
    np.testing.assert_array_equal(np.asarray(first.images[0].get_array()), photograph.energy_before_total)
    plot_orientation_map(photograph.orientation_after, photograph.energy_after_total, second, title="Orientation")
    np.testing.assert_array_equal(np.asarray(second.images[0].get_array()), photograph.orientation_after)


def test_every_axis_label_has_a_unit(tilt, report):
    axes = Figure().subplots(2, 3).ravel()
    plot_display(tilt_displays([20])[0], axes[0])
    plot_tilt_curve(tilt, axes[1])
    plot_trajectories(tilt, axes[2], 20)
    plot_convergence(tilt, axes[3])
    plot_device_differences(report, axes[4])
    plot_device_times(report, axes[5])
    labels = [text for ax in axes for text in (ax.get_xlabel(), ax.get_ylabel()) if text]
    units = ("(pixels)", "(degrees)", "(ms)", "(1/ms)", "(dimensionless)", "(s)")
    assert len(labels) == 10
    assert all(label.endswith(units) for label in labels)


def test_plotting_changes_no_result(tilt, photograph, report):
    before = tilt.copy(deep=True), photograph.copy(deep=True), report.copy(deep=True)
    axes = Figure().subplots(1, 4)
    plot_tilt_curve(tilt, axes[0])
    plot_convergence(tilt, axes[1])
    plot_device_differences(report, axes[2])
    plot_orientation_map(photograph.orientation_before, photograph.energy_before_total, axes[3], title="")
    assert all(old.identical(new) for old, new in zip(before, (tilt, photograph, report), strict=True))


def test_style_ends_with_its_context():
    before = mpl.rcParams.copy()
    with style():
        assert mpl.rcParams["axes.titlelocation"] == "left"
        assert mpl.rcParams != before
    assert mpl.rcParams == before
