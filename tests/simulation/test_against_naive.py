"""The torch simulation against the published equations written again in numpy, and against the exact flow."""

import numpy as np
import pytest
import torch
from brian2 import ms
from naive import PUBLISHED, gaussian_lags, mely, mely_step, two_pools
from scipy.integrate import solve_ivp

from neurocircuit import PoolSizes, mely_circuit, simulate, trajectory, two_pool_circuit
from neurocircuit.connectivity import Annulus, Dense, Mixture, circulant_gaussian, uniform_channels

SIZES = (1, 3, 7)
SMALL = PoolSizes(*SIZES)


@pytest.mark.parametrize("boundary", ["zero", "reflect", "periodic"])
def test_every_step_is_the_published_euler_step(boundary, rng):
    drive = rng.random((2, 4, 9, 10))
    result = simulate(mely_circuit(4, sizes=SMALL, boundary=boundary), drive, steps=60, record="all")
    i, o = mely(drive, 1.0, 60, sizes=SIZES, boundary=boundary)
    np.testing.assert_allclose(result["h1"].values, i, rtol=0, atol=1e-12)
    np.testing.assert_allclose(result["h2"].values, o, rtol=0, atol=1e-12)


def test_every_parameter_enters_where_the_equation_has_it(rng):
    drive = rng.random((1, 5, 9, 10))
    changes = {
        name: value * factor
        for (name, value), factor in zip(PUBLISHED.items(), 1 + 0.3 * rng.standard_normal(len(PUBLISHED)), strict=True)
    }
    changes["zeta"] = 0.4
    quantities = {**changes, "eta": changes["eta"] * ms, "tau": changes["tau"] * ms}
    result = simulate(mely_circuit(5, sizes=SMALL, **quantities), drive, step=0.7 * ms, steps=40, record="all")
    i, o = mely(drive, 0.7, 40, sizes=SIZES, **changes)
    np.testing.assert_allclose(result["h1"].values, i, rtol=0, atol=1e-12)
    np.testing.assert_allclose(result["h2"].values, o, rtol=0, atol=1e-12)


@pytest.mark.parametrize("pool", ["U", "T", "P", "Q"])
def test_a_lesioned_pool_is_zero(pool, rng):
    drive = rng.random((1, 4, 9, 10))
    result = simulate(mely_circuit(4, sizes=SMALL).lesioned(pool), drive, steps=40)
    i, o = mely(drive, 1.0, 40, sizes=SIZES, lesions=(pool,))
    np.testing.assert_allclose(result["h1"].values[-1], i[-1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(result["h2"].values[-1], o[-1], rtol=0, atol=1e-12)


def test_a_staggered_update_gives_o_the_new_i(rng):
    drive = rng.random((1, 4, 9, 10))
    circuit = mely_circuit(4, sizes=SMALL, zeta=0.5)
    result = simulate(circuit, drive, steps=20, record="all", update="staggered")
    i, o = mely(drive, 1.0, 20, sizes=SIZES, zeta=0.5, staggered=True)
    np.testing.assert_allclose(result["h1"].values, i, rtol=0, atol=1e-12)
    np.testing.assert_allclose(result["h2"].values, o, rtol=0, atol=1e-12)
    simultaneous = simulate(circuit, drive, steps=20, record="all")
    assert abs(result["h2"] - simultaneous["h2"]).max() > 1e-3


@pytest.mark.parametrize("boundary", ["zero", "reflect", "periodic"])
def test_the_two_pool_reduction_takes_dense_kernels(boundary, rng):
    drive = rng.random((2, 3, 8, 9))
    inhibition, excitation = rng.random((3, 3, 5, 5)) / 75, rng.random((3, 3, 3, 3)) / 27
    circuit = two_pool_circuit(Dense(inhibition, boundary), Dense(excitation, boundary), alpha=0.7, mu=1.2)
    result = simulate(circuit, drive, steps=50, record="all")
    h1, h2 = two_pools(drive, 1.0, 50, inhibition, excitation, boundary, alpha=0.7, mu=1.2)
    np.testing.assert_allclose(result["h1"].values, h1, rtol=0, atol=1e-12)
    np.testing.assert_allclose(result["h2"].values, h2, rtol=0, atol=1e-12)


def test_the_two_pool_reduction_takes_mixtures(rng):
    drive = rng.random((1, 4, 8, 9))
    inhibition = Mixture(((0.25, uniform_channels(4)), (0.75, Annulus(3, 7))))
    excitation = Mixture(((0.5, Annulus(1, 3)), (0.5, circulant_gaussian(4, 0.15))))
    result = simulate(two_pool_circuit(inhibition, excitation), drive, steps=50)
    far, near = np.ones((7, 7)), np.ones((3, 3))
    far[2:5, 2:5], near[1, 1] = 0, 0
    w_i = 0.75 / 40 * np.eye(4)[:, :, None, None] * far
    w_i[:, :, 3, 3] += 0.25 / 4
    w_e = 0.5 / 8 * np.eye(4)[:, :, None, None] * near
    lags = gaussian_lags(4)
    w_e[:, :, 1, 1] += 0.5 * np.array([[lags[(pre - post) % 4] for pre in range(4)] for post in range(4)])
    h1, h2 = two_pools(drive, 1.0, 50, w_i, w_e)
    np.testing.assert_allclose(result["h1"].values[-1], h1[-1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(result["h2"].values[-1], h2[-1], rtol=0, atol=1e-12)


# Gains so small that inhibition never reaches the drive: no unit meets the corner of the rectification.
WEAK = {"alpha": 0.05, "mu": 0.1, "beta": 0.05, "nu": 0.05, "gamma": 0.4, "delta": 0.4}


def smooth_problem():
    """A small problem whose solution is smooth."""
    y, x = np.mgrid[:6, :7]
    drive = np.stack([1 + 0.2 * np.cos(0.8 * x + k) * np.sin(0.6 * y) for k in range(4)])
    return mely_circuit(4, sizes=PoolSizes(1, 3, 5), **WEAK), drive


def exact_state(drive, duration, **changes):
    """Integrate the naive right-hand side tightly. The derivative is the change in an Euler step of 1 ms."""
    shape = drive.shape

    def derivative(_, flat):
        i, o = flat.reshape(2, *shape)
        new_i, new_o = mely_step(i, o, drive, 1.0, sizes=(1, 3, 5), **changes)
        return np.concatenate([(new_i - i).ravel(), (new_o - o).ravel()])

    start = np.concatenate([drive.ravel(), drive.ravel()])
    solution = solve_ivp(derivative, (0, duration), start, method="DOP853", rtol=1e-11, atol=1e-12)
    return solution.y[:, -1].reshape(2, *shape)


def test_the_right_hand_side_is_the_published_one(rng):
    drive, i, o = rng.random((3, 1, 4, 9, 10))
    states = {"h1": torch.from_numpy(i), "h2": torch.from_numpy(o)}
    found = mely_circuit(4, sizes=SMALL).rhs()(states, {"drive": torch.from_numpy(drive)})
    new_i, new_o = mely_step(i, o, drive, 1.0, sizes=SIZES)
    np.testing.assert_allclose(found["h1"].numpy(), new_i - i, rtol=0, atol=1e-13)
    np.testing.assert_allclose(found["h2"].numpy(), new_o - o, rtol=0, atol=1e-13)


def test_eulers_error_halves_with_the_step():
    circuit, drive = smooth_problem()
    i, o = exact_state(drive, 24, **WEAK)
    errors = []
    for h in (1.0, 0.5, 0.25):
        last = simulate(circuit, drive, step=h * ms, steps=round(24 / h)).isel(time=-1, batch=0)
        errors.append(max(abs(last["h1"].values - i).max(), abs(last["h2"].values - o).max()))
    ratios = np.array(errors[:-1]) / errors[1:]
    assert np.all((ratios > 1.8) & (ratios < 2.5)), (errors, ratios)


def test_higher_schemes_stay_first_order_because_pools_are_frozen_and_say_so():
    circuit, drive = smooth_problem()
    i, _ = exact_state(drive, 24, **WEAK)
    errors = []
    for h in (1.0, 0.5):
        with pytest.warns(UserWarning, match="`method` is 'rk4', but pools are held constant within a step"):
            last = simulate(circuit, drive, step=h * ms, steps=round(24 / h), method="rk4").isel(time=-1, batch=0)
        errors.append(abs(last["h1"].values - i).max())
    assert 1.8 < errors[0] / errors[1] < 2.5, errors


def final_activity(circuit, drive, steps, **parameters):
    for count, states in enumerate(trajectory(circuit, drive, step=1.0, parameters=parameters)):
        if count == steps:
            return states["h2"][0, 1, 4, 4]
    raise AssertionError


@pytest.mark.parametrize("name", ["alpha", "beta", "nu", "eta"])
def test_gradients_with_respect_to_parameters_are_those_of_the_naive_circuit(name, rng):
    drive, eps = rng.random((1, 4, 9, 10)), 1e-5
    value = torch.tensor(PUBLISHED[name], dtype=torch.float64, requires_grad=True)
    final_activity(mely_circuit(4, sizes=SMALL), torch.from_numpy(drive), 30, **{name: value}).backward()

    def naive(shift):
        return mely(drive, 1.0, 30, sizes=SIZES, **{name: PUBLISHED[name] + shift})[1][-1][0, 1, 4, 4]

    expected = (naive(eps) - naive(-eps)) / (2 * eps)
    assert abs(expected) > 1e-4
    assert value.grad.item() == pytest.approx(expected, rel=1e-5)


def test_the_gradient_with_respect_to_the_drive_is_that_of_the_naive_circuit(rng):
    drive, direction, eps = rng.random((1, 4, 9, 10)), rng.standard_normal((1, 4, 9, 10)), 1e-6
    tensor = torch.tensor(drive, requires_grad=True)
    final_activity(mely_circuit(4, sizes=SMALL), tensor, 30).backward()

    def naive(amount):
        return mely(drive + amount * direction, 1.0, 30, sizes=SIZES)[1][-1][0, 1, 4, 4]

    expected = (naive(eps) - naive(-eps)) / (2 * eps)
    assert (tensor.grad.numpy() * direction).sum() == pytest.approx(expected, rel=1e-4)


# More than 16384 elements are worked on in tiles: of several channels, of one channel, and with a remainder.
@pytest.mark.parametrize("shape", [(2, 20, 41, 43), (1, 2, 130, 131)])
def test_working_in_tiles_changes_no_bit(shape, rng):
    circuit, drive = mely_circuit(shape[1], sizes=SMALL), torch.from_numpy(rng.random(shape))
    ends = []
    for wants_gradient in (False, True):  # a gradient switches the tiles off
        alpha = torch.tensor(1.0, dtype=torch.float64, requires_grad=wants_gradient)
        states_at = trajectory(circuit, drive, step=1.0, parameters={"alpha": alpha})
        ends.append([next(states_at) for _ in range(4)][-1])
    for name in ("h1", "h2"):
        assert torch.equal(ends[0][name], ends[1][name].detach())
    i, _ = mely(drive.numpy()[:1], 1.0, 3, sizes=SIZES)
    np.testing.assert_allclose(ends[0]["h1"][:1].numpy(), i[-1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 4, 9, 10), (1, 20, 41, 43)], ids=["small", "in tiles"])
def test_one_drive_from_several_starts(shape, rng):
    circuit, drive = mely_circuit(shape[1], sizes=SMALL), torch.from_numpy(rng.random(shape))
    start = {name: torch.from_numpy(rng.random((2, *shape[1:]))) for name in ("h1", "h2")}
    states_at = trajectory(circuit, drive, step=1.0, start=start)
    next(states_at)
    found = next(states_at)
    for item in range(2):
        i, o = mely_step(start["h1"][item].numpy(), start["h2"][item].numpy(), drive[0].numpy(), 1.0, sizes=SIZES)
        np.testing.assert_allclose(found["h1"][item].numpy(), i, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found["h2"][item].numpy(), o, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 4, 9, 10), (3, 20, 41, 43)])
def test_a_stimulus_does_not_know_the_others_of_its_batch(shape, rng):
    circuit, drive = mely_circuit(shape[1], sizes=SMALL), rng.random(shape)
    together = simulate(circuit, drive, steps=12)
    for item in range(3):
        alone = simulate(circuit, drive[item], steps=12)
        np.testing.assert_array_equal(together["h2"].values[:, item], alone["h2"].values[:, 0])
        np.testing.assert_array_equal(together["residual"].values[:, item], alone["residual"].values[:, 0])


def test_single_precision_is_close_to_double(rng):
    circuit, drive = mely_circuit(4, sizes=SMALL), rng.random((2, 4, 9, 10))
    double, single = (simulate(circuit, drive, steps=100, dtype=dtype) for dtype in ("float64", "float32"))
    assert single["h2"].dtype == np.float32
    assert double["h2"].dtype == np.float64
    gap = abs(single["h2"] - double["h2"]).max().item()
    assert 0 < gap < 1e-4
