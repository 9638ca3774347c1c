"""The search finds fixed points that are known, and says what it did not find."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import random_network

from neurocircuit.analysis.exact_networks import rank_one_network
from neurocircuit.analysis.fixed_points import distinct_points, find_fixed_points, rate_of_change, sample_starts
from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.networks import run_network


@pytest.mark.parametrize("form", ["current", "rate"])
@pytest.mark.parametrize("activation", ["sigmoid", "relu", "tanh", "softplus"])
def test_the_rate_of_change_is_that_of_a_step_of_the_network(rng, form, activation):
    network = random_network(rng, 7, gain=0.9, form=form, activation=activation).replace(start=rng.uniform(0, 1, 7))
    inputs = rng.standard_normal(2)
    found = rate_of_change(network)(torch.tensor(network.start), torch.as_tensor(inputs)).numpy()
    states = run_network(network, inputs[None, None]).states[0]
    np.testing.assert_allclose(found, (states[1] - states[0]) / network.step, atol=1e-13)


@pytest.mark.parametrize("seed", [0, 1])
def test_all_starts_on_a_network_of_rank_one_end_on_its_three_fixed_points(rng, seed):
    exact = rank_one_network(200, 1.5, seed=seed)
    starts = rng.uniform(-2, 2, (16, 1)) * exact.points[1] + 0.5 * rng.standard_normal((16, 200))
    found = find_fixed_points(exact.network, starts, iterations=300)
    assert found["kind"].values.tolist() == ["fixed"] * 16
    away = np.abs(found["state"].values[:, None] - exact.points).max(axis=2)
    assert away.min(axis=1).max() < 1e-10
    points = distinct_points(found)
    assert points.sizes["point"] == 3
    assert points["n_starts"].values.sum() == 16
    for start, point in enumerate(points["point_of_start"].values):
        np.testing.assert_allclose(points["state"][point], found["state"][start], atol=1e-10)


def test_newton_alone_also_finds_them(rng):
    exact = rank_one_network(50, 2.0, tau=20.0)
    found = find_fixed_points(exact.network, rng.standard_normal((16, 50)), iterations=0)
    np.testing.assert_array_equal(found["q"] <= 1e-20, True)
    away = np.abs(found["state"].values[:, None] - exact.points).max(axis=2)
    assert away.min(axis=1).max() < 1e-10
    np.testing.assert_allclose(found["distance"] > 0, True)


@settings(deadline=None, max_examples=10)
@given(st.sampled_from(["current", "rate"]), st.sampled_from(["sigmoid", "tanh", "softplus"]), st.integers(0, 1000))
def test_the_network_rests_at_what_is_called_a_fixed_point(form, activation, seed):
    rng = np.random.default_rng(seed)
    network, inputs = random_network(rng, 7, gain=0.9, form=form, activation=activation), rng.standard_normal(2)
    found = find_fixed_points(network, rng.uniform(0, 1, (3, 7)), inputs, iterations=50)
    for state, kind, q, residual in zip(found.state.values, found.kind.values, found.q, found.residual, strict=True):
        states = run_network(network.replace(start=state), np.tile(inputs, (1, 1, 1))).states[0]
        change = (states[1] - states[0]) / network.step
        assert (kind == "fixed") == (q <= found.attrs["fixed"])
        np.testing.assert_allclose(q, 0.5 * (change**2).sum(), atol=1e-14)
        np.testing.assert_allclose(residual, np.abs(change).max(), atol=1e-13)


def test_a_line_of_fixed_points_is_found_from_everywhere(rng):
    # Two units that excite each other just enough: the sum decays, the difference stays.
    network = RateNetwork(
        weights=[[0.5, -0.5], [-0.5, 0.5]],
        input_weights=np.zeros((2, 1)),
        output_weights=np.ones((1, 2)),
        bias=[3.0, 3.0],
        tau=20.0,
        step=1.0,
        activation="relu",
    )
    starts = 3 + rng.uniform(-1, 1, (20, 2))
    for iterations in (0, 100):
        found = find_fixed_points(network, starts, iterations=iterations)
        assert set(found["kind"].values) == {"fixed"}
        np.testing.assert_allclose(found["state"].sum("unit"), 6, atol=1e-9)
        assert np.ptp(found["state"].values[:, 0]) > 0.5


def test_what_is_not_found_is_reported_too(rng):
    # A constant push without a limit: the network has no fixed point at all.
    network = RateNetwork(
        weights=[[1.0]],
        input_weights=[[1.0]],
        output_weights=[[1.0]],
        bias=[1.0],
        tau=10.0,
        step=1.0,
        activation="relu",
    )
    found = find_fixed_points(network, np.array([[1.0], [5.0]]), iterations=20)
    assert found["kind"].values.tolist() == ["none", "none"]
    np.testing.assert_allclose(found["residual"], 0.1)
    assert distinct_points(found).sizes["point"] == 0
    assert distinct_points(found)["point_of_start"].values.tolist() == [-1, -1]
    assert distinct_points(found, kinds=("none",)).sizes["point"] >= 1


def test_starts_come_from_the_trajectories(rng):
    states = rng.standard_normal((3, 4, 5))
    starts = sample_starts(states, 6, seed=1)
    flat = states.reshape(-1, 5)
    assert all((flat == start).all(axis=1).any() for start in starts)
    assert len(np.unique(starts, axis=0)) == 6
    np.testing.assert_array_equal(starts, sample_starts(states, 6, seed=1))
    spread = sample_starts(np.zeros((1, 2, 1000)) + np.arange(2)[None, :, None], 200, spread=0.5, seed=0)
    assert np.std(spread - spread.round()) > 0.1
    assert sample_starts(states, 100).shape == (100, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"starts": np.zeros((2, 3))}, r"`starts` has the shape \(2, 3\)"),
        ({"starts": np.full((2, 7), np.nan)}, "must be finite"),
        ({"starts": np.zeros(7)}, "`starts`"),
        ({"inputs": np.zeros(3)}, r"`inputs` has the shape \(3,\)"),
        ({"iterations": -1}, "`iterations` is -1"),
        ({"learning_rate": 0}, "`learning_rate` 0"),
        ({"fixed": 1e-3, "slow": 1e-6}, "0 < fixed <= slow"),
    ],
)
def test_wrong_arguments_are_refused(rng, change, message):
    arguments = {"starts": np.zeros((2, 7)), **change}
    with pytest.raises(ValueError, match=message):
        find_fixed_points(random_network(rng, 7, gain=0.9), **arguments)


@pytest.mark.parametrize(
    "arguments", [(np.zeros((2, 3)), 1), (np.zeros((1, 2, 3)), 0), (np.full((1, 2, 3), np.inf), 1)]
)
def test_wrong_trajectories_are_refused(arguments):
    with pytest.raises(ValueError, match=r"`states`|`n` is"):
        sample_starts(*arguments)
    found = find_fixed_points(rank_one_network(5).network, np.zeros((1, 5)), iterations=0)
    with pytest.raises(ValueError, match="any of fixed, slow and none"):
        distinct_points(found, kinds=("stable",))
