"""Figures of spiking networks draw the spikes, rates and outputs they are given."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from neurocircuit.plotting.spiking import plot_population_rate, plot_raster, plot_rate_and_trace, plot_spiking_output


def make_run(units=7, spikes=40, trials=3, steps=4, seed=0):
    """Return a data set such as `simulate_spiking` returns, of random numbers; inhibitory units lie between others."""
    rng = np.random.default_rng(seed)
    return xr.Dataset(
        {
            "spike_time": ("spike", np.sort(rng.uniform(0, 100, spikes))),
            "spike_unit": ("spike", rng.integers(units, size=spikes)),
            "spike_trial": ("spike", rng.integers(trials, size=spikes)),
            "output": (("trial", "time", "output_name"), rng.normal(size=(trials, steps + 1, 2))),
            "trace": (("recorded", "time", "unit"), rng.random((2, steps + 1, units))),
        },
        {
            "time": 5.0 * np.arange(steps + 1),
            "excitatory": ("unit", np.arange(units) % 3 != 1),
        },
    )


@pytest.fixture
def ax():
    return Figure().subplots()


def drawn(ax):
    """Return all points of the lines of an axes as sorted rows."""
    points = np.concatenate([line.get_xydata() for line in ax.lines])
    return points[np.lexsort(points.T)]


def test_excitatory_rows_lie_below_inhibitory_ones_each_in_the_order_of_its_units(ax):
    run = make_run()
    plot_raster(run, ax)
    excitatory, inhibitory = ax.lines
    # Units 1 and 4 are inhibitory and have the last rows.
    rows = dict(zip((0, 2, 3, 5, 6, 1, 4), range(7), strict=True))
    for line, kind in ((excitatory, run.excitatory), (inhibitory, ~run.excitatory)):
        chosen = kind.values[run.spike_unit.values]
        expected = [
            [time, rows[unit]]
            for time, unit in zip(run.spike_time.values[chosen], run.spike_unit.values[chosen], strict=True)
        ]
        np.testing.assert_array_equal(line.get_xydata(), expected)
    assert excitatory.get_color() != inhibitory.get_color()
    assert max(excitatory.get_ydata()) < min(inhibitory.get_ydata())
    assert ax.get_ylim() == (-1, 7)


@settings(max_examples=30)
@given(st.integers(0, 2), st.integers(1, 9), st.integers(0, 99))
def test_a_raster_has_every_spike_of_the_trial_and_units_asked_for_and_no_other(trial, units, seed):
    run, ax = make_run(units=8, seed=seed), Figure().subplots()
    plot_raster(run, ax, trial=trial, units=units)
    every = max(1, 8 // units)
    shown = [row for row in range(8) if row % every == 0]
    assert set(drawn(ax)[:, 1]) <= set(shown)
    order = [*np.flatnonzero(run.excitatory), *np.flatnonzero(~run.excitatory)]
    wanted = np.isin(run.spike_unit, [order[row] for row in shown]) & (run.spike_trial == trial)
    np.testing.assert_array_equal(np.sort(drawn(ax)[:, 0]), np.sort(run.spike_time.values[wanted]))


def test_without_a_kind_all_units_are_drawn_as_one(ax):
    run = make_run().drop_vars("excitatory")
    plot_raster(run, ax)
    first, second = ax.lines
    np.testing.assert_array_equal(first.get_ydata(), run.spike_unit)
    assert len(second.get_xdata()) == 0


@pytest.mark.parametrize("recorded", [0, 1])
def test_each_unit_is_a_point_of_its_mean_rate_and_mean_trace(ax, rng, recorded):
    run, rates = make_run(), rng.random((5, 7))
    plot_rate_and_trace(rates, run, ax, recorded=recorded)
    diagonal, units = ax.lines
    np.testing.assert_array_equal(diagonal.get_xydata(), [[0, 0], [1, 1]])
    expected = np.column_stack([rates.mean(axis=0), run.trace.values[recorded].mean(axis=0)])
    np.testing.assert_allclose(units.get_xydata(), expected, rtol=1e-12)


def test_outputs_of_both_networks_belong_to_the_same_times_and_are_coloured_by_the_right_choice(ax, rng):
    run, rate_outputs = make_run(trials=4), rng.normal(size=(3, 4, 2))
    plot_spiking_output(rate_outputs, run, [1, -1, 1, -1], ax, trials=2)
    assert len(ax.lines) == 4, "two trials, spiking and rates"
    for trial, (spiking, rate) in enumerate((ax.lines[:2], ax.lines[2:])):
        np.testing.assert_array_equal(spiking.get_xydata(), np.column_stack([run.time, run.output[trial, :, 0]]))
        # Output k of a rate network is that after step k + 1.
        np.testing.assert_array_equal(rate.get_xydata(), np.column_stack([run.time[1:], rate_outputs[trial, :, 0]]))
        assert (spiking.get_linestyle(), rate.get_linestyle()) == ("-", "--")
        assert spiking.get_color() == rate.get_color()
    assert ax.lines[0].get_color() != ax.lines[2].get_color()


def test_no_more_trials_are_drawn_than_the_rate_network_has(ax, rng):
    plot_spiking_output(rng.normal(size=(3, 4, 2)), make_run(trials=4), [1, 0, 1, 0], ax)
    assert len(ax.lines) == 6


def test_the_population_rate_is_drawn_at_its_times(ax):
    run = xr.Dataset({"population_rate": ("time", [3.0, 1.0, 2.0])}, {"time": [200.0, 201.0, 202.0]})
    plot_population_rate(run, ax)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[200, 3], [201, 1], [202, 2]])
    assert "Hz" in ax.get_ylabel()
    assert "ms" in ax.get_xlabel()
