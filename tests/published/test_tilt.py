"""The published results: the tilt illusion, its lesions, size tuning, and agreement of the devices at full size.

The expected shifts are those of an independent implementation of the authors' public code (contextual_model), and of
the authors' archived scores; degrees at surround angles 0, 10, ... 90.
"""

import numpy as np
import pytest
from brian2 import ms

from neurocircuit import available_devices, mely_circuit, simulate
from neurocircuit.analysis.tilt import HUMAN_TILT, pearson_r, size_tuning, tilt_drive, tilt_experiment, tilt_shift

#: O'Toole and Wenderoth (1977), recovered from a figure of the authors' public code.
HUMAN = [-0.1828, 1.8141, 2.6835, 1.9971, 0.4897, -0.3965, -0.3221, -0.6937, -0.5778, -0.4699]

FIXED_POINT = {
    "code": [0, 3.2555, 2.3043, 0.5105, -0.2552, -0.3890, -0.4705, -0.4456, -0.2709, 0],
    "archived": [0, 4.0185, 2.8519, 0.9723, 0.1769, 0.0288, -0.1269, -0.2039, -0.1491, 0],
}
LESIONED = {
    "T": [0, -1.311, -2.413, -3.416, -4.063, -4.261, -3.958, -3.033, -1.604, 0],
    "U": [0, 4.757, 6.023, 5.342, 4.625, 4.011, 3.347, 2.382, 1.194, 0],
}
#: Shifts of the published scheme (step 3 ms, 100 steps), whose end is a little different on every machine.
PUBLISHED_SCHEME = {
    "code": [0.02, 3.03, 2.20, 0.455, -0.296, -0.429, -0.507, -0.470, -0.283, 0],
    "archived": [-0.01, 3.69, 2.69, 0.889, 0.121, -0.022, -0.171, -0.234, -0.164, 0],
}
#: Six random parameter draws the authors scored (their archive's row number: values, Pearson r with the human curve).
ARCHIVED_NAMES = ("alpha", "beta", "mu", "nu", "gamma", "delta")
ARCHIVED_ROWS = {
    12: ((0.614459451994, 0.406019616194, 1.860504526276, 1.176182645532, 0.442482272393, 0.274005315591), 0.656372),
    14: ((0.734306864428, 0.553880821129, 1.207969766642, 5.339830857933, 3.024901891205, 0.1547289419), 0.730532),
    16: ((1.11950658942, 0.10593416218, 1.81421492267, 1.340039577998, 0.828917200179, 2.776234832904), 0.844730),
    24: ((1.388861844927, 0.076185834801, 0.612955383806, 1.124958496779, 2.128430942713, 8.659486151032), 0.784857),
    33: ((0.50229220332, 0.574198766201, 0.619890252033, 1.152287667663, 1.596165935987, 1.788554675531), 0.754956),
    40: ((1.341841146497, 0.091349599423, 4.0384561275, 0.999280464345, 0.421762714274, 2.131283422251), 0.871528),
}

needs_compiler = pytest.mark.skipif(bool(available_devices()["cpp"]), reason=available_devices()["cpp"] or "-")
CENTRE = [(k, 25, 25) for k in range(25)]


@pytest.fixture(scope="module")
def fixed_point():
    """The tilt experiment of the preset `code` at its fixed point."""
    return tilt_experiment(mely_circuit(25), step=1 * ms, steps=400)


def shifts(circuit, drive=None, **options):
    drive = tilt_drive() if drive is None else drive
    result = simulate(circuit, drive, units=CENTRE, **options)
    return tilt_shift(result["h2"].isel(time=-1).values, drive[:, :, 25, 25])


def test_the_display_and_its_code_are_the_published_ones():
    """Written out again: squares of 32 and 8 pixels on 51 x 51, von Mises tuning of concentration 1 / 0.4**2."""
    drive = tilt_drive()
    preferred = np.linspace(0, 1, 25)
    for item, angle in enumerate(range(0, 91, 10)):
        value = np.full((51, 51), np.nan)
        value[9:41, 9:41] = (90 - angle) / 180
        value[21:29, 21:29] = 0.5
        tuned = np.exp((np.cos(2 * np.pi * (value - preferred[:, None, None])) - 1) / 0.4**2)
        np.testing.assert_allclose(drive[item], np.where(np.isnan(value), 0, tuned), rtol=0, atol=1e-13)


def test_the_human_curve_is_the_recovered_one():
    np.testing.assert_array_equal(HUMAN_TILT.shift, HUMAN)
    np.testing.assert_array_equal(HUMAN_TILT.surround_angle, np.arange(0, 91, 10))


def test_the_fixed_point_is_the_published_tilt_curve(fixed_point):
    np.testing.assert_array_equal(fixed_point["surround_angle"].values, np.arange(0, 91, 10))
    np.testing.assert_allclose(fixed_point["tilt_shift"].values, FIXED_POINT["code"], rtol=0, atol=2e-3)
    np.testing.assert_array_equal(fixed_point["human_shift"].values, HUMAN)
    assert fixed_point.attrs["pearson_r"] == pytest.approx(0.815, abs=1e-3)
    assert fixed_point.attrs["pearson_r"] == pytest.approx(np.corrcoef(FIXED_POINT["code"], HUMAN)[0, 1], abs=1e-3)
    rms = np.sqrt(np.mean(np.subtract(FIXED_POINT["code"], HUMAN) ** 2))
    assert fixed_point.attrs["rms_error"] == pytest.approx(rms, abs=1e-3)


def test_the_fixed_point_is_one(fixed_point):
    np.testing.assert_array_equal(fixed_point["converged"].values, 1)
    np.testing.assert_array_equal(fixed_point["period"].values, 1)
    assert fixed_point["residual"].max() < 1e-5
    highest = fixed_point["h2"].isel(time=-1).max("channel")
    assert highest.sel(surround_angle=0).item() == pytest.approx(1.963, abs=1e-3)
    assert highest.sel(surround_angle=90).item() == pytest.approx(6.236, abs=1e-3)


def test_the_illusion_builds_up_as_published(fixed_point):
    """Attraction first, repulsion later: shifts at 10 degrees after 20, 100 and 300 ms, and at 50 degrees early."""
    drive = fixed_point["drive"].sel(surround_angle=10).values
    for time, expected in ((20, 1.25), (100, 2.77), (300, 3.26)):
        output = fixed_point["h2"].sel(time=time, surround_angle=10).values
        assert tilt_shift(output, drive) == pytest.approx(expected, abs=0.006), time
    early = tilt_shift(
        fixed_point["h2"].sel(surround_angle=50).values, fixed_point["drive"].sel(surround_angle=50).values
    )
    assert early.min() < -1


def test_the_archived_preset_has_its_own_fixed_point():
    found = shifts(mely_circuit(25, "archived"))
    np.testing.assert_allclose(found, FIXED_POINT["archived"], rtol=0, atol=2e-3)
    assert pearson_r(found, HUMAN) == pytest.approx(0.8365, abs=1e-3)


@pytest.mark.parametrize(("pool", "sign"), [("T", -1), ("U", 1)])
def test_without_t_there_is_no_repulsion_and_without_u_no_attraction(pool, sign):
    found = shifts(mely_circuit(25).lesioned(pool))
    np.testing.assert_allclose(found, LESIONED[pool], rtol=0, atol=5e-3)
    assert np.all(sign * found[1:-1] > 1)


def test_six_archived_rows_of_the_authors_have_their_scores():
    circuit = mely_circuit(25)
    sets = [
        circuit.parameters.replace(**dict(zip(ARCHIVED_NAMES, values, strict=True)))
        for values, _ in ARCHIVED_ROWS.values()
    ]
    drive = tilt_drive()
    result = simulate(circuit, drive, step=3 * ms, steps=100, units=CENTRE, parameter_sets=sets)
    curves = tilt_shift(result["h2"].isel(time=-1).values, drive[:, :, 25, 25])
    scores = [np.corrcoef(curve, HUMAN)[0, 1] for curve in curves]
    np.testing.assert_allclose(scores, [score for _, score in ARCHIVED_ROWS.values()], rtol=0, atol=1e-3)


@pytest.mark.parametrize(("preset", "score"), [("code", 0.8175), ("archived", 0.8418)])
def test_the_published_scheme_is_close_to_its_curve_but_has_not_settled(preset, score):
    """Step 3 ms oscillates, so only the digits that do not depend on rounding can be compared."""
    drive = tilt_drive()
    result = simulate(mely_circuit(25, preset), drive, step=3 * ms, steps=100, units=CENTRE)
    found = tilt_shift(result["h2"].isel(time=-1).values, drive[:, :, 25, 25])
    np.testing.assert_allclose(found, PUBLISHED_SCHEME[preset], rtol=0, atol=0.04)
    assert pearson_r(found, HUMAN) == pytest.approx(score, abs=2e-3)
    assert not result["converged"].values.any()


def test_a_units_response_rises_with_the_patch_then_falls_past_the_near_surround():
    response = size_tuning(mely_circuit(25), sizes=(1, 3, 5, 7, 9, 11, 15, 21, 29))
    assert np.all(response["converged"].values == 1)
    output = response["h2"]
    assert output["patch_size"].values[output.values.argmax()] == 9
    assert np.all(np.diff(output.sel(patch_size=slice(1, 9)).values) > 0)
    assert np.all(np.diff(output.sel(patch_size=slice(9, 29)).values) < 0)


@needs_compiler
@pytest.mark.slow
def test_cpp_has_the_published_fixed_point_and_equals_torch_at_full_size():
    drive = tilt_drive()
    found, expected = (simulate(mely_circuit(25), drive, device=device) for device in ("cpp", "torch"))
    for name in ("h1", "h2"):
        np.testing.assert_allclose(found[name].values, expected[name].values, rtol=0, atol=1e-10)
    shift = tilt_shift(found["h2"].values[-1, :, :, 25, 25], drive[:, :, 25, 25])
    np.testing.assert_allclose(shift, FIXED_POINT["code"], rtol=0, atol=2e-3)


@pytest.mark.slow
def test_brian2_numpy_equals_torch_at_full_size():
    drive = tilt_drive([20.0])
    found, expected = (simulate(mely_circuit(25), drive, device=device, record=50) for device in ("numpy", "torch"))
    for name in ("h1", "h2"):
        np.testing.assert_allclose(found[name].values, expected[name].values, rtol=0, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("device", ["numpy", pytest.param("cpp", marks=needs_compiler)])
def test_in_the_published_scheme_devices_agree_over_the_first_twenty_steps(device):
    """At a step of 3 ms the circuit is chaotic: from step 32 on a difference of 1e-15 has grown past 1e-10."""
    options = {"step": 3 * ms, "steps": 20, "record": 4}
    found, expected = (simulate(mely_circuit(25), tilt_drive([20.0]), device=d, **options) for d in (device, "torch"))
    for name in ("h1", "h2"):
        np.testing.assert_allclose(found[name].values, expected[name].values, rtol=0, atol=1e-10)


def test_the_published_scheme_is_chaotic_and_a_step_of_1_ms_is_not():
    circuit, drive = mely_circuit(25), tilt_drive([20.0])
    gaps = {}
    for step in (1, 3):
        options = {"step": step * ms, "steps": 100, "record": 20}
        disturbed = drive.copy()
        disturbed[0, 12, 25, 25] += 1e-14
        # The drive enters the equation at every step; here only the start is disturbed.
        start = {"h1": disturbed, "h2": drive}
        plain, moved = simulate(circuit, drive, **options), simulate(circuit, drive, start=start, **options)
        gaps[step] = abs(plain["h2"] - moved["h2"]).max(("batch", "channel", "y", "x")).values
    assert gaps[1].max() < 1e-12
    assert gaps[3][1] < 1e-10
    assert gaps[3][-1] > 1e-6
