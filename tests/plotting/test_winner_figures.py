"""The figure of winners draws the numbers of the study."""

import numpy as np
import pytest

from neurocircuit.analysis.winner_tables import winner_tables
from neurocircuit.analysis.winners import ode_study
from neurocircuit.plasticity import initial_weights
from neurocircuit.plotting.winners import plot_winners


@pytest.fixture(scope="module")
def study():
    images = np.random.default_rng(0).standard_normal((24, 10))
    return ode_study(initial_weights(8, 10, 1), images, n_images=20, inhibitions=(0.5, 1.5))


def test_every_panel_draws_its_part_of_the_study(study):
    figure = plot_winners(study)
    shares, counts, decisions, assignment = figure.axes
    tables = winner_tables(study)
    for container, start in zip(shares.containers, study["start"].values, strict=True):
        rows = [row for row in tables["winners"] if row["start"] == start]
        np.testing.assert_array_equal(container.lines[0].get_ydata(), [row["same_winner"] for row in rows])
        ends = np.array([segment[:, 1] for segment in container.lines[2][0].get_segments()])
        np.testing.assert_allclose(ends, [[row["low"], row["high"]] for row in rows], atol=1e-12)
    rest = study.sel(start="rest")
    for line, strength in zip(counts.lines, (0.5, 1.5), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), study["time"].values)
        mean = rest["positive_at"].sel(inhibition=strength).values.mean(1)
        np.testing.assert_allclose(line.get_ydata(), mean)
    (points,) = decisions.lines
    np.testing.assert_array_equal(points.get_xdata(), study["margin"].values)
    np.testing.assert_array_equal(points.get_ydata(), rest["decision_time"].sel(inhibition=1.5).values)
    drawn = [line.get_ydata() for line in assignment.lines[:3]]
    names = ("winner_learns", "kth_unlearns", "all_as_rule")
    np.testing.assert_array_equal(drawn, [[row[name] for row in tables["assignment"]] for name in names])
    assert all(ax.get_xlabel() and ax.get_ylabel() for ax in figure.axes)


def test_a_study_without_strong_inhibition_is_drawn_too(study):
    figure = plot_winners(study.sel(inhibition=[0.5]))
    assert not figure.axes[2].lines
