"""Fixed points, spectral radii and cycles, against closed forms."""

import math
from itertools import islice

import numpy as np
import pytest
import torch
from brian2 import ms

from neurocircuit import PoolSizes, mely_circuit, simulate, two_pool_circuit
from neurocircuit.analysis.stability import fixed_point, leading_eigenvalue, stability_map
from neurocircuit.connectivity import Annulus, Mixture, circulant_gaussian, uniform_channels
from neurocircuit.errors import ConvergenceError
from neurocircuit.simulation import trajectory

UPDATES = ("simultaneous", "staggered")
LEAK = 0.25 / 6  # epsilon**2 / eta of the published parameters, per ms


def mixing_circuit(channels=3, **changes):
    """A circuit whose pools are means over channels, so that a uniform drive keeps every unit the same."""
    return two_pool_circuit(uniform_channels(channels), uniform_channels(channels), **changes)


def patterned_circuit():
    inhibition = Mixture(((0.25, uniform_channels(3)), (0.75, Annulus(3, 7))))
    return two_pool_circuit(inhibition, Mixture(((0.5, Annulus(1, 3)), (0.5, circulant_gaussian(3, 0.15)))))


def uniform_fixed_point(drive, alpha=1.0, mu=1.0, gain=4.5, gamma=1.0, leak=0.25):
    """Activity of every unit of `mixing_circuit`: leak h2 = gamma h1, leak h1 = gain drive - (alpha h1 + mu) h2."""
    ratio = gamma / leak
    a, b, c = alpha * ratio, leak + mu * ratio, -gain * drive
    h1 = (-b + math.sqrt(b * b - 4 * a * c)) / (2 * a)
    return h1, ratio * h1


def uniform_eigenvalue(h1, h2, h, update, alpha=1.0, mu=1.0):
    """Eigenvalue of largest modulus of the step of h1 and h2 that are the same in every unit."""
    to_h1 = np.array([[1 - h * (LEAK + alpha * h2 / 6), -h * (alpha * h1 + mu) / 6], [0, 1]])
    to_h2 = np.array([[1, 0], [h / 6, 1 - h * LEAK]])
    both = to_h1 + to_h2 - np.eye(2) if update == "simultaneous" else to_h2 @ to_h1
    values = np.linalg.eigvals(both)
    return values[np.abs(values).argmax()]


@pytest.mark.parametrize("drive", [0.2, 1.0])
def test_the_fixed_point_of_a_uniform_field_is_the_root_of_its_quadratic(drive):
    found = fixed_point(mixing_circuit(), np.full((3, 2, 2), drive))
    assert found.residual <= 1e-10
    for state, expected in zip(found.states.values(), uniform_fixed_point(drive), strict=True):
        np.testing.assert_allclose(state.numpy(), expected, rtol=1e-8)


@pytest.mark.parametrize("method", ["arnoldi", "dense"])
@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("step", [6.0, 24.0])
def test_the_leading_eigenvalue_of_a_uniform_field_is_that_of_two_units(step, update, method):
    # Alone, a unit's own shunt and leak make the other eigenvalues; none of them is larger at these steps.
    drive = np.full((3, 2, 2), 0.5)
    point = fixed_point(mixing_circuit(), drive)
    found = leading_eigenvalue(mixing_circuit(), drive, point.states, step=step, update=update, method=method)
    h1, h2 = uniform_fixed_point(0.5)
    own = 1 - step * (LEAK + h2 / 6)
    expected = uniform_eigenvalue(h1, h2, step, update)
    assert abs(found) == pytest.approx(max(abs(expected), abs(own)), rel=1e-7)


@pytest.mark.parametrize("step", [1.0, 24.0, 60.0])
def test_without_pools_the_eigenvalue_is_the_share_that_is_kept(step):
    circuit = mixing_circuit().lesioned("c1", "c2")
    drive = np.ones((3, 2, 2))
    point = fixed_point(circuit, drive)
    assert point.states["h1"].numpy() == pytest.approx(18.0)
    found = leading_eigenvalue(circuit, drive, point.states, step=step)
    assert found == pytest.approx(1 - step * LEAK, abs=1e-9)


@pytest.mark.parametrize("update", UPDATES)
def test_arnoldi_and_the_whole_jacobian_agree_on_a_patterned_field(update, rng):
    circuit, drive = patterned_circuit(), rng.random((3, 6, 6))
    point = fixed_point(circuit, drive)
    found = [
        leading_eigenvalue(circuit, drive, point.states, step=12.0, update=update, method=method)
        for method in ("arnoldi", "dense")
    ]
    assert abs(found[0]) == pytest.approx(abs(found[1]), rel=1e-8)


@pytest.mark.parametrize("update", UPDATES)
def test_a_small_perturbation_grows_by_the_spectral_radius(update, rng):
    circuit, drive = patterned_circuit(), rng.random((3, 6, 6))
    point = fixed_point(circuit, drive).states
    step = 6.0
    radius = abs(leading_eigenvalue(circuit, drive, point, step=step, update=update))
    field = torch.from_numpy(drive[None])
    off = {name: torch.from_numpy(rng.standard_normal(values.shape)) for name, values in point.items()}
    for _ in range(300):
        # Power iteration by finite differences: scaled back to 1e-7 before every step.
        size = max(values.abs().max().item() for values in off.values()) / 1e-7
        start = {name: point[name] + values / size for name, values in off.items()}
        after = next(islice(trajectory(circuit, field, step=step, start=start, update=update), 1, None))
        off = {name: after[name] - point[name] for name in point}
    growth = max(values.abs().max().item() for values in off.values()) / 1e-7
    assert growth == pytest.approx(radius, rel=1e-3)


def test_the_fixed_point_is_where_a_long_run_of_small_steps_ends(rng):
    circuit, drive = mely_circuit(3, sizes=PoolSizes(1, 3, 5)), rng.random((3, 6, 6))
    end = simulate(circuit, drive, steps=800)
    point = fixed_point(circuit, drive)
    for name, values in point.states.items():
        np.testing.assert_allclose(end[name].values[-1], values.numpy(), rtol=0, atol=1e-8)


def test_the_map_is_stable_where_runs_settle_and_cycles_where_it_is_not(rng):
    drive = rng.random((3, 6, 6))
    found = stability_map(patterned_circuit(), drive, [0.003, 1.0], [1.0, 24.0])
    assert found["radius"].dims == ("update", "gain", "step")
    assert found.attrs["leak_cancelling_step_ms"] == pytest.approx(24)
    np.testing.assert_array_equal(found["escaped"].values, (found["radius"] > 1).values)
    np.testing.assert_array_equal(found["period"].values == 1, (found["radius"] < 1).values)
    np.testing.assert_array_equal((found["radius"] > 1).sel(gain=1.0).values, [[False, True], [False, True]])


@pytest.mark.parametrize("update", UPDATES)
def test_the_map_has_the_radius_and_the_period_of_each_run(update):
    # Uniform: at the step eta/epsilon**2 two units alternate as the full circuit does.
    drive = np.full((3, 2, 2), 1.0)
    found = stability_map(mixing_circuit(), drive, [2.0], [24.0], updates=[update])
    h1, h2 = uniform_fixed_point(1.0, alpha=2.0, mu=2.0)
    expected = uniform_eigenvalue(h1, h2, 24.0, update, alpha=2.0, mu=2.0)
    own = 1 - 24 * (LEAK + 2 * h2 / 6)
    assert found["radius"].item() == pytest.approx(max(abs(expected), abs(own)), rel=1e-7)
    assert found["period"].item() == {"simultaneous": 4, "staggered": 2}[update]
    assert found["escaped"].item() == 1


def test_bad_input_is_refused_by_name():
    circuit, drive = mixing_circuit(), np.ones((3, 2, 2))
    point = fixed_point(circuit, drive).states
    with pytest.raises(ValueError, match="`drive` has the shape"):
        fixed_point(circuit, np.ones((2, 3, 2, 2)))
    with pytest.raises(ValueError, match="`drive` has the shape"):
        fixed_point(circuit, np.full((3, 2, 2), np.nan))
    with pytest.raises(ValueError, match="`tolerance` is 0"):
        fixed_point(circuit, drive, tolerance=0)
    with pytest.raises(ValueError, match="`method` is 'power'; it must be one of auto, arnoldi, dense"):
        leading_eigenvalue(circuit, drive, point, step=1.0, method="power")
    with pytest.raises(TypeError, match="`step` is"):
        leading_eigenvalue(circuit, drive, point, step=1 * ms)
    for argument, values in (("gains", ([], [1.0])), ("gains", ([-1.0], [1.0])), ("steps", ([1.0], [math.nan]))):
        with pytest.raises(ValueError, match=f"`{argument}` is"):
            stability_map(circuit, drive, *values)


def test_no_fixed_point_is_an_error_that_says_how_close_it_came():
    # Without a leak the drive is integrated for ever.
    circuit = mixing_circuit(epsilon=0.0, sigma=0.0).lesioned("c1", "c2")
    with pytest.raises(ConvergenceError, match=r"no fixed point of mely_two_pool was found: .* 0\.75 per ms"):
        fixed_point(circuit, np.ones((3, 2, 2)))
