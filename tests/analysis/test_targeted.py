"""Targeted dimensionality reduction finds the directions that were planted."""

import numpy as np
import pytest

from neurocircuit.analysis.targeted import targeted_axes

NAMES = ("choice", "motion", "colour", "context")


def planted(rng, *, noise=0.3, trials=600, units=40, mix=0.0):
    """Rates that code four variables along known directions, strongest at known times."""
    directions = np.linalg.qr(rng.standard_normal((units, 4)))[0].T
    directions[1] += mix * directions[0]
    motion, colour = rng.choice([-0.5, -0.15, 0.15, 0.5], (2, trials))
    context = rng.choice([-1, 1], trials)
    choice = np.sign(np.where(context < 0, motion, colour) + 0.2 * rng.standard_normal(trials))
    variables = dict(zip(NAMES, (choice, motion, colour, context), strict=True))
    time = np.arange(0, 500, 10.0)
    courses = [np.exp(-((time - centre) ** 2) / (2 * 80**2)) for centre in (425, 125, 225, 325)]
    rates = sum(
        values[:, None, None] / np.abs(values).max() * course[None, :, None] * direction
        for values, course, direction in zip(variables.values(), courses, directions, strict=True)
    )
    # One scale for all units, so that the z-score does not turn the directions.
    return 5 + rates + noise * rng.standard_normal((trials, len(time), units)) / np.sqrt(5), variables, directions


def test_planted_axes_are_recovered_with_their_signs_and_times(rng):
    rates, variables, directions = planted(rng)
    found = targeted_axes(rates, 10.0, variables)
    assert found.names == NAMES
    assert ((found.vectors * found.scale) @ directions.T).argmax(axis=1).tolist() == [0, 1, 2, 3]
    recovered = found.vectors * found.scale
    cosines = (recovered * directions).sum(axis=1) / np.linalg.norm(recovered, axis=1)
    assert (cosines > 0.97).all()
    np.testing.assert_allclose(found.peak, [400, 100, 200, 300], atol=50)
    np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(4), atol=1e-12)


def test_without_noise_the_coefficients_are_exact(rng):
    rates, variables, directions = planted(rng, noise=0.0)
    found = targeted_axes(rates, 10.0, variables, active=0.0)
    width = 5
    courses = [np.exp(-((np.arange(0, 500, 10.0) - c) ** 2) / (2 * 80**2)) for c in (425, 125, 225, 325)]
    for row, (direction, course) in enumerate(zip(directions, courses, strict=True)):
        expected = course.reshape(-1, width).mean(axis=1)[:, None] * direction / found.scale
        np.testing.assert_allclose(found.coefficients[:, row], expected, atol=1e-10)
    # No interaction was planted.
    np.testing.assert_allclose(found.coefficients[:, 4:10], 0, atol=1e-10)
    assert len(found.regressors) == 11


def test_an_axis_loses_what_it_shares_with_those_before_it(rng):
    rates, variables, directions = planted(rng, noise=0.0, mix=0.8)
    first = targeted_axes(rates, 10.0, variables, active=0.0)
    assert abs(first.axes[1] @ (directions[0] / first.scale)) < 1e-8 * np.linalg.norm(directions[0] / first.scale)
    order = ("motion", "choice", "colour", "context")
    other = targeted_axes(rates, 10.0, variables, active=0.0, order=order)
    assert other.names == order
    motion = directions[1] / other.scale
    assert other.axes[0] @ motion / np.linalg.norm(motion) == pytest.approx(1, abs=1e-8)


def test_projections_grow_with_the_variable(rng):
    rates, variables, _ = planted(rng)
    found = targeted_axes(rates, 10.0, variables)
    coordinates = found.project(rates)
    for k, name in enumerate(NAMES[1:], start=1):
        at = int(found.peak[k] / 10)
        assert np.corrcoef(coordinates[:, at : at + 5, k].mean(axis=1), variables[name])[0, 1] > 0.7


def test_quiet_units_have_no_part(rng):
    rates, variables, _ = planted(rng)
    quiet = np.concatenate([rates, 5 + 1e-4 * rng.standard_normal((*rates.shape[:2], 3))], axis=2)
    found = targeted_axes(quiet, 10.0, variables)
    assert found.active.tolist() == [True] * 40 + [False] * 3
    np.testing.assert_allclose(found.axes[:, 40:], 0, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rates": np.zeros((4, 5))}, "`rates` has the shape"),
        ({"step": 0.0}, "`bin_width` is 50"),
        ({"step": 30.0}, "whole number of steps"),
        ({"bin_width": 1e4}, "at most the 50 samples"),
        ({"order": ("choice",)}, "`order` is"),
        ({"active": 1.0}, "`active` is 1"),
    ],
)
def test_wrong_arguments_are_refused(rng, change, message):
    rates, variables, _ = planted(rng, trials=50)
    arguments = {"rates": rates, "step": 10.0, "variables": variables, **change}
    with pytest.raises(ValueError, match=message):
        targeted_axes(arguments.pop("rates"), arguments.pop("step"), arguments.pop("variables"), **arguments)


def test_variables_that_depend_on_each_other_or_never_change_are_refused(rng):
    rates, variables, _ = planted(rng, trials=100)
    with pytest.raises(ValueError, match="cannot be told apart"):
        targeted_axes(rates, 10.0, {**variables, "again": variables["motion"]})
    with pytest.raises(ValueError, match="not always the same"):
        targeted_axes(rates, 10.0, {**variables, "constant": np.ones(100)})
    with pytest.raises(ValueError, match="has 'short'"):
        targeted_axes(rates, 10.0, {**variables, "short": np.arange(3)})
