"""Averages by condition, and principal components, against plain computations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurocircuit.analysis.state_space import condition_averages, state_space


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 12), st.integers(1, 8), st.booleans(), st.integers(0, 100))
def test_components_are_the_eigenvectors_of_the_covariance(samples, units, normalise, seed):
    values = np.random.default_rng(seed).standard_normal((samples, units)) @ np.diag(np.arange(1, units + 1))
    found = state_space(values, normalise=normalise)
    spread = values.std(axis=0) if normalise else np.ones(units)
    covariance = np.cov(((values - values.mean(axis=0)) / spread).T).reshape(units, units)
    kept = len(found.components)
    assert kept == min(samples, units)
    expected = np.sort(np.linalg.eigvalsh(covariance))[::-1]
    np.testing.assert_allclose(found.variance, expected[:kept], atol=1e-10)
    np.testing.assert_allclose(covariance @ found.components.T, found.components.T * found.variance, atol=1e-9)
    np.testing.assert_allclose(found.components @ found.components.T, np.eye(kept), atol=1e-12)
    np.testing.assert_allclose(found.explained.sum(), 1)
    ratio = np.trace(covariance) ** 2 / np.trace(covariance @ covariance)
    assert found.participation_ratio == pytest.approx(ratio)


def test_projection_and_reconstruction_are_inverse_within_the_space(rng):
    values = rng.standard_normal((4, 5, 2)) @ rng.standard_normal((2, 9)) + rng.standard_normal(9)
    found = state_space(values, 2, normalise=True)
    coordinates = found.project(values)
    assert coordinates.shape == (4, 5, 2)
    np.testing.assert_allclose(found.reconstruct(coordinates), values, atol=1e-12)
    assert found.explained.sum() == pytest.approx(1)
    direction = rng.standard_normal(9)
    np.testing.assert_allclose(
        found.project(values[0, 0] + direction) - coordinates[0, 0], found.project_direction(direction), atol=1e-12
    )


def test_a_unit_that_never_changes_has_no_part_and_no_nan(rng):
    values = np.column_stack([rng.standard_normal(10), np.full(10, 3.0)])
    found = state_space(values, 1, normalise=True)
    np.testing.assert_allclose(found.components, [[1, 0]], atol=1e-12)


def test_the_number_kept_does_not_change_the_shares(rng):
    values = rng.standard_normal((30, 6))
    few, all_of_them = state_space(values, 2), state_space(values)
    np.testing.assert_allclose(few.explained, all_of_them.explained[:2])
    assert few.participation_ratio == all_of_them.participation_ratio


def test_averages_are_those_of_the_trials_of_every_combination(rng):
    values = rng.standard_normal((60, 3, 2))
    table = {"context": rng.integers(0, 2, 60), "coherence": rng.choice([-0.5, 0.1, 0.5], 60)}
    found = condition_averages(values, table, step=10.0)
    assert found.dims == ("condition", "time", "unit")
    np.testing.assert_array_equal(found.time, [0, 10, 20])
    for one in found:
        own = (table["context"] == one.context.item()) & (table["coherence"] == one.coherence.item())
        np.testing.assert_allclose(one, values[own].mean(axis=0))
        assert one.n_trials == own.sum()
    assert found.n_trials.sum() == 60
    alone = condition_averages(values, table, ["context"])
    assert alone.context.values.tolist() == [0, 1]
    assert "coherence" not in alone.coords


@pytest.mark.parametrize(
    ("values", "table", "by", "message"),
    [
        (np.zeros((2, 3)), {"a": [0, 1]}, None, "`values` has the shape"),
        (np.zeros((2, 3, 1)), {"a": [0, 1]}, ["b"], "`by` names 'b'; the conditions are a"),
        (np.zeros((2, 3, 1)), {"a": [0]}, None, "there are 2 trials"),
        (np.zeros((2, 3, 1)), {"a": [0, np.nan]}, None, "NaN in 'a'"),
        (np.zeros((2, 3, 1)), {}, None, "names no condition"),
    ],
)
def test_wrong_conditions_are_refused(values, table, by, message):
    with pytest.raises(ValueError, match=message):
        condition_averages(values, table, by)


@pytest.mark.parametrize(
    ("values", "components", "message"),
    [
        (np.zeros(5), None, "at least two samples"),
        (np.full((4, 2), np.nan), None, "must be finite"),
        (np.ones((4, 2)), None, "same in every sample"),
        (np.arange(8.0).reshape(4, 2), 3, "`components` is 3; it must be from 1 to 2"),
        (np.arange(8.0).reshape(4, 2), 0, "`components` is 0"),
    ],
)
def test_wrong_activity_is_refused(values, components, message):
    with pytest.raises(ValueError, match=message):
        state_space(values, components)
