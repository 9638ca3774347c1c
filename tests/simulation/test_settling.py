"""A run says whether it settled, cycles or still moves, and stops when it leaves the finite numbers."""

import warnings

import numpy as np
import pytest
from brian2 import ms
from naive import mely, mely_step

from neurocircuit import (
    NonFiniteError,
    PoolSizes,
    SettlingWarning,
    StepSizeWarning,
    mely_circuit,
    simulate,
)
from neurocircuit.simulation import describe_settling
from neurocircuit.stimuli.population import encode

CIRCUIT = mely_circuit(4, sizes=PoolSizes(1, 3, 7))
DEVICES = ("torch", "numpy")


@pytest.fixture
def drive(rng):
    return rng.random((2, 4, 9, 10))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("record", ["all", "last"])
def test_the_residual_is_the_largest_rate_of_change_at_the_end(record, device, drive):
    result = simulate(CIRCUIT, drive, step=0.5 * ms, steps=30, record=record, device=device)
    end = [values[-1] for values in mely(drive, 0.5, 30, sizes=(1, 3, 7))]
    later = mely_step(*end, drive, 1.0, sizes=(1, 3, 7))
    for state, now, then in zip(("h1", "h2"), end, later, strict=True):
        expected = np.abs(then - now).max((1, 2, 3))  # the change in an Euler step of 1 ms
        np.testing.assert_allclose(result["residual"].sel(state=state).values, expected, rtol=0, atol=1e-12)
    assert result["residual"].attrs["units"] == "1/ms"


@pytest.mark.parametrize("device", DEVICES)
def test_a_run_that_still_moves_has_not_converged(device, drive):
    result = simulate(CIRCUIT, drive, steps=20, device=device)
    np.testing.assert_array_equal(result["converged"].values, [0, 0])
    np.testing.assert_array_equal(result["period"].values, [0, 0])
    assert describe_settling(result).startswith("2 of 2 not settled")


@pytest.mark.parametrize("device", DEVICES)
def test_a_run_at_its_fixed_point_has_converged(device, drive):
    result = simulate(CIRCUIT, drive, steps=800, device=device)
    np.testing.assert_array_equal(result["converged"].values, [1, 1])
    np.testing.assert_array_equal(result["period"].values, [1, 1])
    assert result["residual"].max() < 1e-5
    assert describe_settling(result).startswith("2 of 2 at a fixed point")
    i, o = result["h1"].values[-1], result["h2"].values[-1]
    next_i, next_o = mely_step(i, o, drive, 1.0, sizes=(1, 3, 7))
    assert np.abs(next_i - i).max() < 1e-5
    assert np.abs(next_o - o).max() < 1e-5


def test_each_stimulus_of_a_batch_is_judged_alone(drive):
    settled = simulate(CIRCUIT, drive[:1], steps=800)
    start = {name: np.concatenate([settled[name].values[-1], drive[1:]]) for name in ("h1", "h2")}
    result = simulate(CIRCUIT, drive, steps=5, start=start)
    np.testing.assert_array_equal(result["converged"].values, [1, 0])
    np.testing.assert_array_equal(result["period"].values, [1, 0])


@pytest.mark.parametrize(("factor", "expected"), [(1.001, 1), (0.999, 0)])
def test_the_tolerance_decides_and_a_slow_approach_is_no_cycle(factor, expected, drive):
    # Late in a run every change shrinks from step to step; just above the tolerance it must not pass for a cycle.
    residual = simulate(CIRCUIT, drive[:1], steps=100)["residual"].max().item()
    result = simulate(CIRCUIT, drive[:1], steps=100, tolerance=factor * residual)
    assert result["converged"].item() == expected
    assert result["period"].item() == expected
    assert result["converged"].attrs["tolerance"] == factor * residual


def tilt_drive(degrees):
    """The published display of one centre orientation, 51 x 51 pixels, written out; 25 channels."""
    display = np.full((51, 51), np.nan)
    display[9:41, 9:41] = 0.5 - degrees / 180
    display[21:29, 21:29] = 0.5
    return encode(display, 25, "circular", 0.4)


@pytest.mark.parametrize(("update", "period"), [("simultaneous", 4), ("staggered", 2)])
def test_the_hgru_step_blows_up_into_a_cycle_and_both_warnings_say_so(update, period):
    """At step = eta/eps**2 the published circuit cycles; the maxima are those of the independent implementation."""
    circuit = mely_circuit(25)
    step = circuit.leak_cancelling_step(circuit.parameters)
    assert step / ms == pytest.approx(24)
    drive = np.stack([tilt_drive(0), tilt_drive(10), tilt_drive(20)])
    with (
        pytest.warns(StepSizeWarning, match=r"`step` is 24 ms, at or above eta/eps\*\*2 = 24 ms.*cycles"),
        pytest.warns(SettlingWarning, match=f"ended in a cycle: 3 of 3 in a cycle of {period} steps"),
    ):
        result = simulate(circuit, drive, step=step, steps=64, record="all", update=update)
    np.testing.assert_array_equal(result["period"].values, 3 * [period])
    np.testing.assert_array_equal(result["converged"].values, [0, 0, 0])
    o, i = (result[name].values[-4:].max((2, 3, 4)) for name in ("h2", "h1"))
    if update == "simultaneous":
        # Two steps high and two steps silent, whichever of the four comes last.
        for item, high in enumerate((100.6, 98.8, 98.8)):
            turns = [np.roll(o[:, item], turn) for turn in range(4)]
            assert any(np.allclose(turn, [high, high, 0, 0], rtol=0, atol=0.05) for turn in turns), o[:, item]
            turns = [np.roll(i[:, item], turn) for turn in range(4)]
            assert any(np.allclose(turn, [18, 0, 0, 18], rtol=0, atol=1e-9) for turn in turns), i[:, item]
    else:
        np.testing.assert_allclose(o[:2], o[2:], rtol=1e-9)
        assert np.all(np.abs(o[0] - o[1]) > 1)


@pytest.mark.parametrize(("step", "warned"), [(23.9, False), (24, True), (30, True)])
def test_the_step_warning_starts_at_the_hgrus_step(step, warned, drive):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        simulate(CIRCUIT, drive, step=step * ms, steps=1)
    assert any(issubclass(w.category, StepSizeWarning) for w in caught) == warned


def test_the_default_step_warns_of_nothing(drive):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        simulate(CIRCUIT, drive, steps=50)


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("all", r"state `h1` of mely is not finite after step 1, at 0\.5 ms \(step size 0\.5 ms"),
        (3, r"state `h1` of mely is not finite after step 3, at 1\.5 ms"),
        ("last", r"state `h1` of mely is not finite after step 6, at 3 ms"),
    ],
)
def test_leaving_the_finite_numbers_is_an_error_that_names_state_time_and_step(device, record, message, drive):
    huge = np.full_like(drive, 1e308)
    with pytest.raises(NonFiniteError, match=message):
        simulate(CIRCUIT, huge, step=0.5 * ms, steps=6, start="zeros", record=record, device=device)


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
@pytest.mark.parametrize("device", DEVICES)
def test_one_stimulus_of_a_batch_is_enough(device, drive):
    drive[1, 2, 3, 4] = 1e308
    with pytest.raises(NonFiniteError, match=r"state `h[12]` of mely is not finite"):
        simulate(CIRCUIT, drive, steps=4, start="zeros", device=device)


@pytest.mark.parametrize("device", DEVICES)
def test_large_but_finite_is_not_called_infinite(device, drive):
    circuit = CIRCUIT.lesioned("U", "T").with_parameters(drive_gain=1.0)
    result = simulate(circuit, np.full_like(drive, 1e307), steps=3, start="zeros", record="all", device=device)
    assert np.isfinite(result["h1"].values).all()
    assert result["h1"].values[1].max() == pytest.approx(1e307 / 6)
