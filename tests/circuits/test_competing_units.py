"""Slow competition: fixed points in closed form, who survives, the same numbers on every device, bad input refused."""

from itertools import combinations

import numpy as np
import pytest
from brian2 import ms
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from neurocircuit import available_devices, crosscheck, simulate
from neurocircuit.circuits import competing_units_circuit, learning_activation, survivors
from neurocircuit.circuits.competing_units import COMPETING_UNITS
from neurocircuit.equations import equations_latex

needs_compiler = pytest.mark.skipif(bool(available_devices()["cpp"]), reason=available_devices()["cpp"] or "-")


def run(currents, *, start="zeros", steps=2000, step=0.5, record="last", device="torch", pools="fast", **parameters):
    """Return the activity, [time, hidden], for the currents of one image."""
    currents = np.asarray(currents, dtype=float)
    begin = start if isinstance(start, str) else {"h": np.reshape(start, (-1, 1, 1))}
    result = simulate(
        competing_units_circuit(len(currents), **parameters),
        currents[:, None, None],
        start=begin,
        step=step * ms,
        steps=steps,
        record=record,
        device=device,
        pools=pools,
    )
    return result["h"].values[:, 0, :, 0, 0]


def naive(currents, steps, step, start=None, w_inh=1.5, tau=10.0):
    """Euler's method on Eq. 8 as printed: every unit adds up the rates of all the others."""
    h = np.zeros(len(currents)) if start is None else np.array(start, dtype=float)
    states = [h]
    for _ in range(steps):
        change = np.empty_like(h)
        for mu in range(len(h)):
            others = sum(max(h[nu], 0.0) for nu in range(len(h)) if nu != mu)
            change[mu] = (currents[mu] - w_inh * others - h[mu]) / tau
        h = h + step * change
        states.append(h)
    return np.array(states)


@pytest.mark.parametrize(("device", "pools"), [("torch", "fast"), ("numpy", "fast"), ("numpy", "explicit")])
@pytest.mark.parametrize("hidden", [6, 70], ids=["links", "synaptic total"])
def test_every_step_is_the_equation_as_printed(device, pools, hidden, rng):
    currents, start = rng.standard_normal((2, hidden)) + 0.5
    found = run(currents, start=start, steps=40, step=0.1, record="all", device=device, pools=pools, w_inh=0.8)
    expected = naive(currents, 40, 0.1, start, w_inh=0.8)
    assert (expected[1:] > 0).any(0).sum() >= 2
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("device", ["cython", "cpp"])
@pytest.mark.parametrize("pools", ["fast", "explicit"])
@pytest.mark.parametrize("hidden", [6, 70], ids=["links", "synaptic total"])
def test_compiled_devices_compute_the_equation_as_printed(device, pools, hidden, rng):
    currents, start = rng.standard_normal((2, hidden)) + 0.5
    found = run(currents, start=start, steps=40, step=0.1, record="all", device=device, pools=pools)
    np.testing.assert_allclose(found, naive(currents, 40, 0.1, start), rtol=0, atol=1e-10)


def test_crosscheck_finds_no_difference_between_torch_and_brian2(rng):
    circuit = competing_units_circuit(8)
    report = crosscheck(
        circuit,
        rng.standard_normal((2, 8, 1, 1)),
        ["torch", "numpy"],
        start="zeros",
        step=0.5 * ms,
        steps=100,
        tolerance=1e-10,
    )
    assert float(report["max_difference"].max()) <= 1e-10


@settings(max_examples=30)
@given(st.floats(0.0, 0.9), st.floats(0.1, 5.0), st.floats(0.0, 1.0))
def test_two_units_come_to_the_fixed_point_of_closed_form(w_inh, largest, share):
    second = share * largest
    if abs(share - w_inh) < 0.05:  # at the border between one and two survivors the approach takes ever longer
        return
    if share > w_inh:
        expected = np.array([largest - w_inh * second, second - w_inh * largest]) / (1 - w_inh**2)
    else:
        expected = np.array([largest, second - w_inh * largest])
    found = run([largest, second], w_inh=w_inh, step=4, steps=600)[-1]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    assert survivors([largest, second], w_inh) == (found > 0).sum()


@pytest.mark.parametrize(("w_inh", "alive"), [(0.79, 2), (0.81, 1), (1.0, 1), (1.5, 1), (5.0, 1)])
def test_the_winner_takes_all_once_inhibition_exceeds_the_ratio_of_the_currents(w_inh, alive):
    found = run([1.0, 0.8], w_inh=w_inh, step=1, steps=8000)[-1]
    assert (found > 0).sum() == survivors([1.0, 0.8], w_inh) == alive
    assert found[0] > 0


def test_without_input_and_rates_every_unit_decays_exponentially(rng):
    start = -rng.random(4)
    found = run(np.zeros(4), start=start, steps=50, step=1, record="all")
    factor = (1 - 1 / 10) ** np.arange(51)
    np.testing.assert_allclose(found, factor[:, None] * start, rtol=1e-12)


def test_one_unit_alone_is_a_leaky_integrator():
    found = run([2.0], steps=50, step=1, record="all", tau=20 * ms)[:, 0]
    np.testing.assert_allclose(found, 2.0 * (1 - (1 - 1 / 20) ** np.arange(51)), rtol=1e-12)


def test_a_winner_that_is_there_first_keeps_out_a_larger_current():
    first = run([1.0, 0.8], start=[0.0, 0.8], w_inh=1.5)[-1]
    np.testing.assert_allclose(first, [1.0 - 1.5 * 0.8, 0.8], atol=1e-9)
    # With w_inh * 0.8 < 1 the inhibition no longer suffices.
    assert run([1.0, 0.8], start=[0.0, 0.8], w_inh=1.2)[-1].argmax() == 0


def fixed_points(currents, w_inh):
    """Return all fixed points, by trying every set of positive units."""
    units, found = range(len(currents)), []
    for size in range(len(currents) + 1):
        for alive in map(list, combinations(units, size)):
            matrix = w_inh * np.ones((size, size)) + (1 - w_inh) * np.eye(size)
            h = np.array(currents, dtype=float)
            h[alive] = np.linalg.solve(matrix, h[alive])
            silent = [unit for unit in units if unit not in alive]
            h[silent] -= w_inh * h[alive].sum()
            if (h[alive] > 0).all() and (h[silent] <= 0).all():
                found.append(h)
    return found


@given(
    arrays(float, st.integers(2, 6), elements=st.integers(-40, 100), unique=True), st.sampled_from([0, 0.2, 0.6, 0.9])
)
def test_weak_inhibition_has_one_fixed_point_whose_survivors_are_predicted(currents, w_inh):
    (only,) = fixed_points(currents / 50, w_inh)
    assert (only > 0).sum() == survivors(currents / 50, w_inh)
    # Survivors are the units with the largest currents.
    assert set(np.flatnonzero(only > 0)) == set(np.argsort(-currents)[: survivors(currents / 50, w_inh)])


@settings(max_examples=40)
@given(arrays(float, st.integers(2, 8), elements=st.integers(-40, 100), unique=True), st.floats(0, 4))
def test_from_rest_the_order_of_the_currents_is_the_order_of_the_activity_at_all_times(currents, w_inh):
    states = run(currents / 50, w_inh=w_inh, step=0.3, steps=100, record=10)
    order = np.argsort(currents)
    assert (np.diff(states[1:, order], axis=1) > 0).all()


def test_survivors_are_counted_image_by_image():
    currents = np.array([[[1.0, 0.9, 0.1], [-1.0, -2.0, -3.0]]])
    assert survivors(currents, 0.5).tolist() == [[2, 0]]
    assert survivors(currents, 0.0).tolist() == [[3, 0]]
    assert survivors(currents, 1.0).tolist() == [[1, 0]]


def test_the_equation_and_its_pool_are_typeset_from_the_code():
    assert equations_latex(COMPETING_UNITS) == (
        r"\frac{dh}{dt} &= \frac{I - w_{\mathrm{inh}} \left(S - \left[h\right]_+\right) - h}{\tau}"
    )
    (pool,) = competing_units_circuit(5).pools
    assert pool.latex("h") == r"\sum_{k'} \left(\left[h\right]_+\right)_{xyk'}"


def test_the_activation_has_the_three_values_of_equation_9_and_their_borders():
    h = np.array([[-1e-9, 0.0, 0.3], [0.5, 0.5 + 1e-9, 7.0]])
    found = learning_activation(h, threshold=0.5, delta=0.4)
    assert found.tolist() == [[0.0, -0.4, -0.4], [-0.4, 1.0, 1.0]]
    assert learning_activation([0.0, 1e-9], threshold=0.0, delta=0.0).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: competing_units_circuit(0), "`channels` is 0; it must be a whole number, at least 1"),
        (lambda: competing_units_circuit(3, w_inh=-0.1), "`w_inh` is -0.1; it must be at least 0"),
        (lambda: competing_units_circuit(3, tau=0 * ms), "`tau` is .*; it must be greater than 0 ms"),
        (lambda: competing_units_circuit(3, tau=10), "`tau` is 10; it must be a quantity in units of time"),
        (lambda: competing_units_circuit(3, w=1), "`w` is not a parameter of CompetingUnitsParameters"),
        (
            lambda: simulate(competing_units_circuit(3), np.ones((4, 1, 1))),
            "`pool_s` mixes 3 channels but the field has 4",
        ),
        (lambda: learning_activation([1.0], threshold=-1, delta=0.4), "`threshold` is -1; it must be a finite number"),
        (lambda: learning_activation([1.0], threshold=1, delta=np.nan), "`delta` is nan; it must be a finite number"),
        (lambda: learning_activation([np.nan], threshold=1, delta=0.4), "`activity` has 1 values that are NaN"),
        (lambda: survivors([np.inf, 1.0], 0.5), "`currents` has 1 values that are NaN or infinite"),
        (lambda: survivors([1.0], -0.5), "`w_inh` is -0.5; it must be a finite number, at least 0"),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
