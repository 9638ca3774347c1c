import numpy as np
import pytest
from brian2 import ms
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr

from neurocircuit import PoolSizes, mely_circuit, simulate
from neurocircuit.analysis import (
    FIXED_POINT_TILT,
    HUMAN_TILT,
    pearson_r,
    rms_error,
    size_tuning,
    tilt_displays,
    tilt_drive,
    tilt_experiment,
    tilt_shift,
)
from neurocircuit.stimuli import CentreSurround, decode, encode

CHANNELS = 9
GEOMETRY = CentreSurround(field=13, centre=3, surround=11)


def small_circuit(**changes):
    return mely_circuit(CHANNELS, sizes=PoolSizes(1, 3, 11), **changes)


def run(angles=(20, 50), **options):
    return tilt_experiment(small_circuit(), angles, geometry=GEOMETRY, channels=CHANNELS, **options)


def test_displays_turn_the_surround_back_from_a_vertical_centre():
    displays = tilt_displays([0, 45, 90])
    assert displays.shape == (3, 51, 51)
    np.testing.assert_array_equal(displays[:, 25, 25], 0.5)
    np.testing.assert_allclose(displays[:, 12, 25], [0.5, 0.25, 0])


def test_drive_is_the_published_code_of_the_displays():
    np.testing.assert_array_equal(tilt_drive([10, 80]), encode(tilt_displays([10, 80]), 25, "circular", 0.4))


@given(st.floats(0, 1), st.floats(0, 1))
def test_shift_is_the_difference_of_the_decoded_orientations_wrapped(first, second):
    output, drive = (encode(np.array([[value]]), 25)[:, 0, 0] for value in (first, second))
    turned = 180 * (decode(output) - decode(drive))
    while turned > 90:
        turned -= 180
    while turned <= -90:
        turned += 180
    shift = float(tilt_shift(output, drive))
    assert -90 < shift <= 90
    assert min(abs(shift - turned), 180 - abs(shift - turned)) < 1e-9


def test_shift_across_the_end_of_the_range_is_small():
    output, drive = (encode(np.array([[value]]), 25)[:, 0, 0] for value in (0.02, 0.98))
    assert 0 < float(tilt_shift(output, drive)) < 10
    assert -10 < float(tilt_shift(drive, output)) < 0


def test_silent_output_signals_no_orientation():
    with pytest.raises(ValueError, match="without any response"):
        tilt_shift(np.zeros(25), np.ones(25))


def test_circuit_that_ends_silent_is_an_error_that_names_the_angles():
    # With a leak of 1 and a step of tau, the drive-less output is exactly zero after one step.
    dead = small_circuit(sigma=1.0, gamma=0.0, delta=0.0)
    with pytest.raises(ValueError, match=r"silent at the centre.*surround angles 20, 50 degrees"):
        tilt_experiment(dead, (20, 50), geometry=GEOMETRY, channels=CHANNELS, steps=1, step=6 * ms)


def test_experiment_equals_decoding_the_last_state_of_a_full_simulation():
    result = run(steps=30)
    drive = tilt_drive((20, 50), GEOMETRY, CHANNELS)
    full = simulate(small_circuit(), drive, steps=30, record="all")
    expected = [180 * (decode(o) - decode(d)) for o, d in zip(full.h2[-1, :, :, 6, 6], drive[:, :, 6, 6], strict=True)]
    np.testing.assert_allclose(result.tilt_shift, expected, atol=1e-10)
    np.testing.assert_allclose(result.h1, full.h1[result.step_count.values, :, :, 6, 6], atol=1e-14)
    np.testing.assert_array_equal(result.drive, drive[:, :, 6, 6])


@pytest.mark.parametrize(("steps", "every", "kept"), [(30, 4, 3), (31, 4, 1), (8, 100, 8), (12, 1, 1)])
def test_last_sample_is_the_final_state(steps, every, kept):
    result = run(steps=steps, every=every)
    np.testing.assert_array_equal(result.step_count, np.arange(0, steps + 1, kept))


def test_change_is_the_difference_between_samples_per_ms():
    result = run(steps=12, every=4, step=0.5 * ms)
    gap = max(np.abs(result[name][3] - result[name][2]).values[1].max() for name in ("h1", "h2"))
    assert float(result.change[3, 1]) == pytest.approx(gap / 2)
    assert np.isnan(result.change[0]).all()


def test_mirrored_surround_gives_the_opposite_shift():
    result = run((-30, 0, 30), steps=60)
    np.testing.assert_allclose(result.tilt_shift[0], -result.tilt_shift[2], atol=1e-10)
    np.testing.assert_allclose(result.tilt_shift[1], 0, atol=1e-10)
    assert abs(float(result.tilt_shift[2])) > 0.1


def test_human_curve_is_known_at_its_own_angles_only():
    assert HUMAN_TILT.at([20, 90]) == pytest.approx([2.6835, -0.4699])
    assert np.isnan(HUMAN_TILT.at([25, -10])).all()
    result = run((15, 20), steps=4)
    np.testing.assert_array_equal(result.human_shift, [np.nan, 2.6835])
    assert result.attrs["rms_error"] == pytest.approx(abs(float(result.tilt_shift[1]) - 2.6835))


def test_known_fixed_points_correlate_with_the_human_curve_as_published():
    human = HUMAN_TILT.shift
    assert pearson_r(FIXED_POINT_TILT["code"].shift, human) == pytest.approx(0.815, abs=1e-3)
    assert pearson_r(FIXED_POINT_TILT["archived"].shift, human) == pytest.approx(0.8365, abs=1e-3)


def test_comparison_of_curves_equals_scipy_and_the_formula(rng):
    model, human = rng.random((2, 12))
    human[[3, 7]] = np.nan
    known = np.isfinite(human)
    assert pearson_r(model, human) == pytest.approx(pearsonr(model[known], human[known])[0])
    total = sum((m - h) ** 2 for m, h in zip(model[known], human[known], strict=True))
    assert rms_error(model, human) == pytest.approx((total / 10) ** 0.5)


def test_correlation_with_a_flat_curve_is_undefined():
    assert np.isnan(pearson_r([1, 1, 1], [1, 2, 3]))
    assert np.isnan(pearson_r([1], [2]))
    assert np.isnan(rms_error([1, 2], [np.nan, np.nan]))


def test_response_rises_with_patch_size_then_falls_past_the_near_surround():
    circuit = mely_circuit(CHANNELS, sizes=PoolSizes(1, 5, 13))
    tuned = size_tuning(circuit, [1, 3, 5, 9, 13], field=21, channels=CHANNELS, steps=300)
    assert tuned.h2.dims == ("patch_size",)
    assert tuned.h2.values.argmax() == 2
    assert (np.diff(tuned.h2.values[:3]) > 0).all()
    assert (np.diff(tuned.h2.values[2:]) < 0).all()


def test_size_tuning_reads_the_channel_of_the_patch_at_the_centre():
    sizes, circuit = [1, 4], small_circuit()
    tuned = size_tuning(circuit, sizes, value=0.25, field=13, channels=CHANNELS, steps=5)
    displays = np.full((2, 13, 13), np.nan)
    displays[0, 6, 6] = 0.25
    displays[1, 4:8, 4:8] = 0.25
    full = simulate(circuit, encode(displays, CHANNELS), steps=5)
    np.testing.assert_allclose(tuned.h2, full.h2[-1, :, 2, 6, 6], atol=1e-14)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"angles": ()}, "`angles`"),
        ({"angles": (10, 91)}, "-90 to 90"),
        ({"angles": (np.nan,)}, "`angles`"),
        ({"every": 0}, "`every` is 0"),
        ({"steps": 0}, "`steps` is 0"),
        ({"device": "abacus"}, "`device` is 'abacus'"),
    ],
)
def test_impossible_experiment_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        run(**options)


def test_size_tuning_without_sizes_is_refused():
    with pytest.raises(ValueError, match="`sizes` is empty"):
        size_tuning(small_circuit(), [], channels=CHANNELS)
