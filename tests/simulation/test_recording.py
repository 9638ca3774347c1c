"""Sample k is the state after k steps, whatever is recorded, on every device."""

import json

import numpy as np
import pytest
from brian2 import ms
from naive import mely

from neurocircuit import PoolSizes, mely_circuit, simulate
from neurocircuit.simulation import describe_settling

DEVICES = ("torch", "numpy")
CIRCUIT = mely_circuit(4, sizes=PoolSizes(1, 3, 7))
STATES = ("h1", "h2")


@pytest.fixture(scope="module")
def drive():
    return np.random.default_rng(5).random((2, 4, 9, 10))


@pytest.fixture(scope="module")
def truth(drive):
    return dict(zip(STATES, mely(drive, 1.0, 12, sizes=(1, 3, 7)), strict=True))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("record", "steps_kept"),
    [("all", range(13)), (1, range(13)), (4, [0, 4, 8, 12]), (5, [0, 5, 10]), (12, [0, 12]), ("last", [12])],
)
def test_samples_are_the_states_after_their_number_of_steps(device, record, steps_kept, drive, truth):
    result = simulate(CIRCUIT, drive, steps=12, record=record, device=device)
    kept = list(steps_kept)
    np.testing.assert_array_equal(result["step_count"].values, kept)
    np.testing.assert_allclose(result["time"].values, kept)
    assert result["time"].attrs["units"] == "ms"
    for name in STATES:
        assert result[name].dims == ("time", "batch", "channel", "y", "x")
        np.testing.assert_allclose(result[name].values, truth[name][kept], rtol=0, atol=1e-12)


@pytest.mark.parametrize("device", DEVICES)
def test_one_step_is_enough(device, drive, truth):
    result = simulate(CIRCUIT, drive, steps=1, record="all", device=device)
    np.testing.assert_allclose(result["h1"].values, truth["h1"][:2], rtol=0, atol=1e-12)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("record", ["all", 5, "last"])
def test_only_the_units_asked_for_are_kept(device, record, drive, truth):
    units = [(3, 8, 0), (0, 0, 9), (2, 4, 5)]
    result = simulate(CIRCUIT, drive, steps=12, record=record, units=units, device=device)
    kept = result["step_count"].values
    for name in STATES:
        assert result[name].dims == ("time", "batch", "unit")
        expected = np.stack([truth[name][kept][:, :, c, y, x] for c, y, x in units], -1)
        np.testing.assert_allclose(result[name].values, expected, rtol=0, atol=1e-12)
    for axis, name in enumerate(("channel", "y", "x")):
        np.testing.assert_array_equal(result[name].values, [unit[axis] for unit in units])


@pytest.mark.parametrize("device", DEVICES)
def test_time_is_in_ms_whatever_the_step(device, drive):
    result = simulate(CIRCUIT, drive, step=0.25 * ms, steps=12, record=4, device=device)
    np.testing.assert_allclose(result["time"].values, [0, 1, 2, 3])
    np.testing.assert_array_equal(result["step_count"].values, [0, 4, 8, 12])
    i, _ = mely(drive, 0.25, 12, sizes=(1, 3, 7))
    np.testing.assert_allclose(result["h1"].values, i[::4], rtol=0, atol=1e-12)


@pytest.mark.parametrize("device", DEVICES)
def test_the_start_is_the_drive_zeros_or_given(device, drive):
    rng = np.random.default_rng(0)
    given = {"h1": rng.random((2, 4, 9, 10)), "h2": rng.random((4, 9, 10))}
    for start, first in (
        ("drive", {"h1": drive, "h2": drive}),
        ("zeros", {"h1": 0 * drive, "h2": 0 * drive}),
        (given, {"h1": given["h1"], "h2": np.stack(2 * [given["h2"]])}),
    ):
        result = simulate(CIRCUIT, drive, steps=2, record="all", start=start, device=device)
        for name in STATES:
            np.testing.assert_array_equal(result[name].values[0], first[name])
    leak = 1 - 0.25 / 6
    quiet = simulate(CIRCUIT, 0 * drive, steps=2, record="all", start={"h1": 0 * drive, "h2": drive}, device=device)
    np.testing.assert_allclose(quiet["h2"].values[2], leak**2 * drive, rtol=1e-13)


@pytest.mark.parametrize("device", DEVICES)
def test_one_stimulus_needs_no_batch_axis(device, drive, truth):
    result = simulate(CIRCUIT, drive[0], steps=12, device=device)
    np.testing.assert_allclose(result["h2"].values[0, 0], truth["h2"][12, 0], rtol=0, atol=1e-12)


def test_whatever_numpy_reads_is_a_drive(drive):
    expected = simulate(CIRCUIT, drive, steps=3)["h2"].values
    np.testing.assert_array_equal(simulate(CIRCUIT, drive.tolist(), steps=3)["h2"].values, expected)
    integers = simulate(CIRCUIT, np.ones((4, 9, 10), dtype=int), steps=3)["h2"].values
    np.testing.assert_array_equal(integers, simulate(CIRCUIT, np.ones((4, 9, 10)), steps=3)["h2"].values)


@pytest.mark.parametrize("device", DEVICES)
def test_the_drive_is_left_as_it_was(device, drive):
    copy = drive.copy()
    simulate(CIRCUIT, drive, steps=3, record="all", device=device)
    np.testing.assert_array_equal(drive, copy)


def test_a_result_says_what_made_it(drive):
    result = simulate(CIRCUIT, drive, step=0.5 * ms, steps=3)
    parameters = json.loads(result.attrs["parameters"])
    assert parameters["beta"] == {"value": 3.0, "unit": "1"}
    assert parameters["eta"] == {"value": pytest.approx(6.0), "unit": "ms"}
    assert json.loads(result.attrs["versions"]).keys() >= {"python", "neurocircuit", "brian2", "torch", "numpy"}
    assert (result.attrs["step_ms"], result.attrs["steps"], result.attrs["method"]) == (0.5, 3, "euler")
    assert (result.attrs["device"], result.attrs["dtype"]) == ("torch", "float64")
    assert json.loads(simulate(CIRCUIT.lesioned("T"), drive, steps=1).attrs["pools"])["pool_t"] == "lesioned"
    assert "not settled" in describe_settling(result)


@pytest.mark.parametrize("device", DEVICES)
def test_a_parameter_sweep_equals_separate_runs(device, drive):
    sets = [CIRCUIT.parameters.replace(beta=b, tau=t * ms) for b, t in ((1.0, 6), (3.0, 6), (2.0, 9))]
    sweep = simulate(CIRCUIT, drive, steps=12, record=4, parameter_sets=sets, device=device)
    assert sweep["h2"].dims[0] == "parameter_set"
    np.testing.assert_array_equal(sweep["beta"].values, [1, 3, 2])
    np.testing.assert_allclose(sweep["tau"].values, [6, 6, 9])
    assert "alpha" not in sweep.coords
    for number, (b, t) in enumerate(((1.0, 6), (3.0, 6), (2.0, 9))):
        i, o = mely(drive, 1.0, 12, sizes=(1, 3, 7), beta=b, tau=t)
        np.testing.assert_allclose(sweep["h1"].values[number], i[::4], rtol=0, atol=1e-12)
        np.testing.assert_allclose(sweep["h2"].values[number], o[::4], rtol=0, atol=1e-12)
        alone = simulate(CIRCUIT.with_parameters(beta=b, tau=t * ms), drive, steps=12, record=4, device=device)
        for name in ("h1", "h2", "residual", "converged", "period"):
            np.testing.assert_array_equal(sweep[name].values[number], alone[name].values)
    assert json.loads(sweep.attrs["parameter_sets"])[2]["beta"] == 2


@pytest.mark.parametrize("bad", [[], ["code"], [{"beta": 1}]])
def test_a_sweep_of_something_else_is_refused(bad, drive):
    with pytest.raises(ValueError, match=r"`parameter_sets` is .*; it must hold one or more MelyParameters"):
        simulate(CIRCUIT, drive, steps=1, parameter_sets=bad)
