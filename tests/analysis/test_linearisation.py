"""Jacobians, spectra, line attractors and selection vectors against closed forms."""

from functools import partial

import numpy as np
import pytest
import torch
from small_networks import random_network

from neurocircuit.analysis.exact_networks import rank_one_network
from neurocircuit.analysis.linearisation import line_attractor, linearise
from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.equations import compile_step

SLOPES = {
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)) * (1 - 1 / (1 + np.exp(-a))),
    "relu": lambda a: (a > 0).astype(float),
    "tanh": lambda a: 1 - np.tanh(a) ** 2,
    "softplus": lambda a: 1 / (1 + np.exp(-a)),
}

twenty_units = partial(random_network, n=20, gain=1.5, inputs=3, activation="sigmoid")


@pytest.mark.parametrize("form", ["current", "rate"])
@pytest.mark.parametrize("activation", SLOPES)
def test_the_jacobian_is_the_closed_form(rng, form, activation):
    network = twenty_units(rng, form=form, activation=activation)
    states, inputs = rng.standard_normal((4, 20)), rng.standard_normal(3)
    found = linearise(network, states, inputs)
    for state, jacobian, by_input in zip(states, found.jacobian, found.input_jacobian, strict=True):
        eye, tau = np.eye(20), network.tau[:, None]
        if form == "current":
            expected, effect = (-eye + network.weights * SLOPES[activation](state)) / tau, network.input_weights / tau
        else:
            slope = SLOPES[activation](network.weights @ state + network.drive(inputs))[:, None]
            expected, effect = (-eye + slope * network.weights) / tau, slope * network.input_weights / tau
        np.testing.assert_allclose(jacobian, expected, atol=1e-14)
        np.testing.assert_allclose(by_input, effect, atol=1e-14)


@pytest.mark.parametrize("form", ["current", "rate"])
def test_modes_are_eigenvectors_sorted_and_scaled(rng, form):
    found = linearise(twenty_units(rng, form=form), rng.standard_normal((3, 20)))
    for jacobian, values, right, left in zip(found.jacobian, found.eigenvalues, found.right, found.left, strict=True):
        np.testing.assert_allclose(jacobian @ right, right * values, atol=1e-12)
        np.testing.assert_allclose(left @ jacobian, values[:, None] * left, atol=1e-11)
        np.testing.assert_allclose(left @ right, np.eye(20), atol=1e-8)
        np.testing.assert_allclose(np.linalg.norm(right, axis=0), 1)
        assert (np.diff(values.real) <= 1e-12).all()
    np.testing.assert_allclose(found.time_constants, -1 / found.eigenvalues.real)
    np.testing.assert_allclose(found.frequencies, 1000 * found.eigenvalues.imag / (2 * np.pi))


@pytest.mark.parametrize("form", ["current", "rate"])
@pytest.mark.parametrize("step", [0.1, 1.0, 5.0])
def test_the_eigenvalues_of_one_euler_step_are_one_plus_the_step_times_those_of_the_equation(rng, form, step):
    network, state = twenty_units(rng, form=form).replace(step=step), rng.standard_normal(20)
    advance = compile_step(network.system())
    weights, tau = torch.as_tensor(network.weights), torch.as_tensor(network.tau)

    def next_state(x):
        rates = torch.sigmoid(x) if form == "current" else x
        values = {network.state: x, "rec": weights @ rates, "drive": torch.as_tensor(network.drive(np.zeros(3)))}
        return advance({**values, "tau": tau}, torch.tensor(step, dtype=torch.float64))[network.state]

    jacobian = torch.func.jacrev(next_state)(torch.as_tensor(state)).numpy()
    found = linearise(network, state[None])
    expected = np.linalg.eigvals(jacobian)
    away = np.abs(found.map_eigenvalues[0][:, None] - expected)
    assert away.min(axis=1).max() < 1e-13
    assert away.min(axis=0).max() < 1e-13


@pytest.mark.parametrize("tau", [1.0, 20.0])
def test_the_eigenvalues_of_a_network_of_rank_one_are_exact(tau):
    exact = rank_one_network(200, 1.5, tau=tau)
    found = linearise(exact.network, exact.points)
    np.testing.assert_allclose(found.eigenvalues[:, 0], exact.leading, atol=1e-10)
    np.testing.assert_allclose(found.eigenvalues[:, 1:], -1 / tau, atol=1e-10)
    assert exact.leading[0] == pytest.approx(0.5 / tau)
    assert (exact.leading[1:] < 0).all()
    # At the origin the unstable direction is m, which is that of the other two points.
    line = line_attractor(found)
    cosine = line.direction @ exact.points[1] / np.linalg.norm(exact.points[1])
    assert abs(cosine[0]) == pytest.approx(1, abs=1e-10)


def test_the_origin_of_a_random_network_is_stable_below_a_gain_of_one(rng):
    def growth(gain):
        draws = []
        for _ in range(5):
            network = RateNetwork(
                weights=gain * rng.standard_normal((200, 200)) / np.sqrt(200),
                input_weights=np.zeros((200, 1)),
                output_weights=np.zeros((1, 200)),
                tau=1.0,
                step=0.1,
                activation="tanh",
            )
            draws.append(linearise(network, np.zeros((1, 200))).eigenvalues[0, 0].real)
        return np.mean(draws)

    for gain in (0.8, 1.2):
        assert growth(gain) == pytest.approx(gain - 1, abs=0.1)


def integrator(angle=0.0):
    """Two linear units with a line attractor along (1, -1), or with a rotation instead."""
    rotation = np.array([[0.0, angle], [-angle, 0.0]])
    return RateNetwork(
        weights=np.array([[0.5, -0.5], [-0.5, 0.5]]) * (angle == 0) + rotation,
        input_weights=[[1.0, 1.0, 0.0], [-1.0, 1.0, 0.0]],
        output_weights=np.ones((1, 2)),
        bias=[3.0, 3.0],
        tau=20.0,
        step=1.0,
        activation="relu",
    )


def test_the_selection_vector_takes_the_input_along_the_line_only():
    line = line_attractor(linearise(integrator(), [[3.0, 3.0], [2.0, 4.0]]))
    np.testing.assert_allclose(line.eigenvalues, 0, atol=1e-15)
    np.testing.assert_allclose(np.abs(line.direction @ [1, -1]), np.sqrt(2))
    np.testing.assert_allclose((line.selection * line.direction).sum(axis=1), 1)
    np.testing.assert_allclose(np.abs(line.input_alignment), [[1, 0, 0]] * 2, atol=1e-12)
    np.testing.assert_allclose(np.abs(line.input_gain), [[np.sqrt(2) / 20, 0, 0]] * 2, atol=1e-12)
    assert line.direction[0] @ line.direction[1] > 0


def test_a_rotation_has_no_line():
    found = linearise(integrator(0.5), [[3.0, 3.0]])
    np.testing.assert_allclose(found.frequencies[0], np.array([1, -1]) * 1000 * 0.5 / 20 / (2 * np.pi))
    line = line_attractor(found)
    assert np.isnan(line.eigenvalues).all()
    assert np.isnan(line.direction).all()


def test_no_points_have_no_modes_and_no_line(tmp_path):
    found = linearise(integrator(), np.zeros((0, 2)))
    assert (found.points.shape, found.jacobian.shape, found.input_jacobian.shape) == ((0, 2), (0, 2, 2), (0, 2, 3))
    assert (found.eigenvalues.shape, found.right.shape, found.left.shape) == ((0, 2), (0, 2, 2), (0, 2, 2))
    assert found.time_constants.shape == found.map_eigenvalues.shape == (0, 2)
    found.to_dataset().to_netcdf(tmp_path / "spectrum.nc", engine="h5netcdf")
    line = line_attractor(found)
    assert (line.eigenvalues.shape, line.direction.shape, line.selection.shape) == ((0,), (0, 2), (0, 2))
    assert (line.input_gain.shape, line.input_alignment.shape) == ((0, 3), (0, 3))


def test_a_defective_mode_has_no_left_vector():
    network = integrator().replace(weights=[[0.0, 1.0], [0.0, 0.0]])
    found = linearise(network, [[3.0, 3.0]])
    assert np.isnan(found.left).any()


def test_a_spectrum_can_be_saved(rng, tmp_path):
    found = linearise(twenty_units(rng), rng.standard_normal((2, 20)))
    dataset = found.to_dataset()
    dataset.to_netcdf(tmp_path / "spectrum.nc", engine="h5netcdf")
    joined = dataset.eigenvalue_real + 1j * dataset.eigenvalue_imaginary
    np.testing.assert_array_equal(joined, found.eigenvalues)
    np.testing.assert_allclose(dataset.map_modulus, np.abs(1 + found.eigenvalues))


@pytest.mark.parametrize(
    ("points", "inputs", "name"),
    [(np.zeros((1, 3)), None, "points"), (np.zeros(2), None, "points"), (np.full((1, 2), np.inf), None, "points"),
     (np.zeros((1, 2)), np.zeros(2), "inputs")],
)  # fmt: skip
def test_wrong_arguments_are_refused(points, inputs, name):
    with pytest.raises(ValueError, match=f"`{name}` has the shape"):
        linearise(integrator(), points, inputs)
