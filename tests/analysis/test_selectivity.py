"""Selectivity, mean weights and clusters of units against cases that are known."""

import numpy as np
import pytest

from neurocircuit.analysis.selectivity import (
    cluster_units,
    d_prime,
    fractional_variance,
    mean_weights,
    sort_units,
    task_variance,
)
from neurocircuit.circuits.rate_network import RateNetwork


def test_d_prime_is_the_distance_in_standard_deviations(rng):
    second = np.arange(20_000) % 2 == 1
    values = rng.standard_normal((20_000, 3)) * [1, 2, 1] + np.where(second[:, None], [1.0, -1.0, 0.0], 0.0)
    np.testing.assert_allclose(d_prime(values, second), [1, -0.5, 0], atol=0.05)
    group, rest = values[second], values[~second]
    expected = (group.mean(0) - rest.mean(0)) / np.sqrt((group.var(0, ddof=1) + rest.var(0, ddof=1)) / 2)
    np.testing.assert_allclose(d_prime(values, second), expected)
    np.testing.assert_allclose(d_prime(values, ~second), -expected)


def test_units_without_spread_are_zero_or_infinite():
    values = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 2.0], [1.0, 2.0]])
    assert d_prime(values, np.array([False, False, True, True])).tolist() == [0, np.inf]


def test_units_are_sorted_within_their_populations():
    order = sort_units([0.1, -2.0, 3.0, 0.5, -1.0], [True, True, False, True, False])
    assert order.tolist() == [3, 0, 1, 2, 4]
    assert sort_units([0.1, -2.0, 3.0]).tolist() == [2, 0, 1]


def test_mean_weights_are_those_of_the_pairs(rng):
    n, excitatory = 10, np.arange(10) < 6
    weights = np.abs(rng.standard_normal((n, n))) * (rng.random((n, n)) < 0.8) * np.where(excitatory, 1, -1)
    network = RateNetwork(
        weights=weights,
        input_weights=np.zeros((n, 1)),
        output_weights=np.zeros((1, n)),
        tau=20.0,
        step=1.0,
        excitatory=excitatory,
    )
    pool = np.arange(n) % 2 == 0
    rows = mean_weights(network, pool)
    assert len(rows) == 8
    assert sum(row["pairs"] for row in rows) == n * (n - 1)
    for row in rows:
        pre, post = (excitatory if kind == "E" else ~excitatory for kind in row["projection"].split("->"))
        same = row["pools"] == "within"
        pairs = ((i, j) for i in np.flatnonzero(post) for j in np.flatnonzero(pre))
        values = [weights[i, j] for i, j in pairs if i != j and (pool[i] == pool[j]) == same]
        assert row["pairs"] == len(values)
        assert row["mean"] == pytest.approx(np.mean(values))
        assert row["connected"] == pytest.approx(np.mean(np.array(values) != 0))
        assert row["mean_connected"] == pytest.approx(np.mean([value for value in values if value]))
    assert [row["projection"] for row in mean_weights(network)] == ["E->E", "E->I", "I->E", "I->I"]
    assert [row["projection"] for row in mean_weights(network.replace(excitatory=None))] == ["all->all"]


def test_task_variance_is_that_over_conditions_at_every_time():
    time = np.linspace(0, 1, 5)[None, :, None]
    amplitudes = np.array([-1.0, 0.0, 1.0])[:, None, None]
    constant, coding = 10 * time + 0 * amplitudes, amplitudes + 0 * time
    found = task_variance(
        {"a": np.concatenate([constant, coding], axis=2), "b": np.concatenate([2 * coding] * 2, axis=2)}
    )
    np.testing.assert_allclose(found.sel(task="a"), [0, 2 / 3], atol=1e-15)
    np.testing.assert_allclose(found.sel(task="b"), [8 / 3, 8 / 3])
    np.testing.assert_allclose(fractional_variance(found, "a", "b"), [-1, -0.6])
    silent = task_variance({"a": np.zeros((2, 2, 1)), "b": np.zeros((2, 2, 1))})
    assert np.isnan(fractional_variance(silent, "a", "b")).all()


def test_planted_clusters_are_found_with_their_number(rng):
    pytest.importorskip("sklearn")
    profiles = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.2, 0.2, 1.0]])
    member = np.repeat([0, 1, 2], [20, 12, 8])
    order = rng.permutation(40)
    values = (profiles[member] + 0.05 * rng.random((40, 3)))[order] * rng.uniform(0.5, 5, (40, 1))
    variance = task_variance({"a": np.zeros((2, 1, 45)), "b": np.zeros((2, 1, 45)), "c": np.zeros((2, 1, 45))})
    variance[:, :40] = values.T
    found = cluster_units(variance, range(2, 8), seed=1)
    assert found["cluster"].values[:40].tolist() == member[order].tolist()
    assert found["cluster"].values[40:].tolist() == [-1] * 5
    assert found["count"].values[np.argmax(found["silhouette"].values)] == 3
    np.testing.assert_allclose(found["profile"], profiles, atol=0.1)
    again = cluster_units(variance, range(2, 8), seed=1)
    np.testing.assert_array_equal(again["cluster"], found["cluster"])


def test_wrong_arguments_are_refused():
    values, second = np.zeros((4, 2)), np.array([True, True, False, False])
    for arguments in (
        (values[0], second),
        (values, second[:3]),
        (values, second.astype(int)),
        (values * np.nan, second),
    ):
        with pytest.raises(ValueError, match="`values` has the shape"):
            d_prime(*arguments)
    with pytest.raises(ValueError, match="each group needs at least two"):
        d_prime(values, np.array([True, False, False, False]))
    with pytest.raises(ValueError, match="`index` has the shape"):
        sort_units([1.0, np.nan])
    with pytest.raises(ValueError, match="`averages` has the shapes"):
        task_variance({"a": np.zeros((2, 2, 3)), "b": np.zeros((2, 2, 4))})
    with pytest.raises(ValueError, match="`averages` has the shapes"):
        task_variance({})
    variance = task_variance({"a": np.ones((2, 2, 3))})
    with pytest.raises(ValueError, match="`first` is 'a' and `second` 'c'; the tasks are a"):
        fractional_variance(variance, "a", "c")
    pytest.importorskip("sklearn")
    with pytest.raises(ValueError, match="0 of 3 units"):
        cluster_units(variance)
