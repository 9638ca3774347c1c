"""Bad input stops at the door: an error that names the argument, and never a number."""

import numpy as np
import pytest
from brian2 import ms, volt

from neurocircuit import PoolSizes, generate_program, mely_circuit, simulate, two_pool_circuit
from neurocircuit.circuits import default_excitation, default_inhibition
from neurocircuit.connectivity import Box, gaussian, uniform_channels

CIRCUIT = mely_circuit(4, sizes=PoolSizes(1, 3, 7))
DRIVE = np.full((2, 4, 9, 10), 0.5)


def with_value(value):
    drive = DRIVE.copy()
    drive[1, 2, 3, 4] = value
    return drive


@pytest.mark.parametrize("device", ["torch", "numpy", "cpp"])
@pytest.mark.parametrize(
    ("drive", "message"),
    [
        (DRIVE[0, 0], r"`drive` has the shape \(9, 10\); expected \(batch, channel, y, x\)"),
        (DRIVE[None], r"`drive` has the shape \(1, 2, 4, 9, 10\)"),
        (1.0, r"`drive` has the shape \(\)"),
        (np.zeros((0, 4, 9, 10)), r"`drive` has the shape \(0, 4, 9, 10\)"),
        (DRIVE[:, :3], r"`pool_u` mixes 4 channels but the field has 3"),
        (np.moveaxis(DRIVE, 1, -1), r"`pool_u` mixes 4 channels but the field has 9 .*expected \(channel, y, x\)"),
        (with_value(np.nan), "`drive` has 1 values that are NaN or infinite; it must be finite"),
        (with_value(np.inf), "`drive` has 1 values that are NaN or infinite"),
        (with_value(-np.inf), "`drive` has 1 values that are NaN or infinite"),
        (DRIVE[..., :3], "`pool_t` reaches 3 pixels to each side, but the field is only 9 x 3 pixels"),
        (DRIVE[:, :, :3], "`pool_t` reaches 3 pixels to each side, but the field is only 3 x 10 pixels"),
    ],
    ids=[
        "rank 2",
        "rank 5",
        "number",
        "no stimulus",
        "channels",
        "channels last",
        "NaN",
        "inf",
        "-inf",
        "narrow",
        "low",
    ],
)
def test_a_bad_drive_is_refused(device, drive, message):
    with pytest.raises(ValueError, match=message):
        simulate(CIRCUIT, drive, steps=2, device=device)


@pytest.mark.parametrize("drive", ["photograph.png", [[["a"]]], DRIVE * 1j, [[[1.0, 2.0], [3.0]]], None])
@pytest.mark.filterwarnings("ignore:Casting complex")
def test_a_drive_that_is_not_numbers_is_refused_by_name(drive):
    with pytest.raises((ValueError, TypeError), match="`drive`"):
        simulate(CIRCUIT, drive, steps=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": 1}, r"`step` is 1; it must be one time with its unit, such as 1\*ms"),
        ({"step": 1 * volt}, "`step` is .*; it must be one time with its unit"),
        ({"step": "1*ms"}, r"`step` is '1\*ms'; it must be one time"),
        ({"step": np.array([1, 2]) * ms}, "`step` is .*; it must be one time"),
        ({"step": 0 * ms}, "`step` is .*; it must be positive and finite"),
        ({"step": -1 * ms}, "`step` is .*; it must be positive and finite"),
        ({"step": float("nan") * ms}, "`step` is .*; it must be positive and finite"),
        ({"step": float("inf") * ms}, "`step` is .*; it must be positive and finite"),
        ({"steps": 0}, "`steps` is 0; it must be a whole number of steps, at least 1"),
        ({"steps": -3}, "`steps` is -3"),
        ({"steps": 1.5}, "`steps` is 1.5"),
        ({"steps": True}, "`steps` is True"),
        ({"steps": "10"}, "`steps` is '10'"),
        ({"method": "leapfrog"}, "`method` is 'leapfrog'; it must be one of euler, rk2"),
        ({"device": "gpu"}, "`device` is 'gpu'; it must be one of numpy, cython, cpp, cuda, torch"),
        ({"device": "torchvision"}, "`device` is 'torchvision'"),
        ({"dtype": "float16"}, "`dtype` is 'float16'; it must be one of float64, float32"),
        ({"dtype": "float32", "device": "numpy"}, "`dtype` is 'float32'; on the device 'numpy' it must be 'float64'"),
        ({"record": 0}, "`record` is 0; it must be 'all', 'last' or a number"),
        ({"record": 3}, "`record` is 3; .* from 1 to 2"),
        ({"record": "first"}, "`record` is 'first'"),
        ({"record": 1.5}, "`record` is 1.5"),
        ({"record": True}, "`record` is True"),
        ({"units": []}, r"`units` is \[\]"),
        ({"units": [3, 4]}, "`units` is"),
        ({"units": [(1, 2)]}, "`units` is"),
        ({"units": [(1.0, 2.0, 3.0)]}, "`units` is"),
        ({"units": [(0, 0, 0), (4, 0, 0)]}, r"`units` has \(4, 0, 0\), outside the field \(4, 9, 10\)"),
        ({"units": [(0, 9, 0)]}, r"`units` has \(0, 9, 0\), outside"),
        ({"units": [(0, 0, -1)]}, r"`units` has \(0, 0, -1\), outside"),
        ({"start": "noise"}, "`start` is 'noise'; it must be 'drive', 'zeros' or a mapping"),
        ({"start": 0.0}, "`start` is 0.0"),
        ({"start": {"h1": DRIVE, "h2": DRIVE[:, :2]}}, r"`start\['h2'\]` has the shape \(2, 2, 9, 10\)"),
        ({"start": {"h1": DRIVE, "h2": np.stack(3 * [DRIVE[0]])}}, r"`start\['h2'\]` has the shape \(3, 4, 9, 10\)"),
        ({"start": {"h1": with_value(np.nan), "h2": DRIVE}}, r"`start\['h1'\]` has 1 values that are NaN"),
        ({"update": "later"}, "`update` is 'later'; it must be one of simultaneous, staggered"),
        ({"pools": "slow"}, "`pools` is 'slow'; it must be one of fast, explicit"),
        ({"pools": "slow", "device": "numpy"}, "`pools` is 'slow'"),
        ({"tolerance": float("nan")}, "`tolerance` is nan"),
        ({"tolerance": -1.0}, "`tolerance` is -1.0"),
    ],
)
def test_a_bad_option_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        simulate(CIRCUIT, DRIVE, **{"steps": 2, **options})


def test_a_start_that_lacks_a_state_is_refused_without_printing_its_fields():
    with pytest.raises(ValueError, match="`start`") as caught:
        simulate(CIRCUIT, DRIVE, steps=2, start={"h1": DRIVE})
    assert "'h1'" in str(caught.value)
    assert len(str(caught.value)) < 400


def test_the_published_pools_need_a_field_wider_than_fourteen_pixels():
    simulate(mely_circuit(2), np.ones((2, 15, 15)), steps=1)
    with pytest.raises(ValueError, match="`pool_t` reaches 14 pixels to each side, but the field is only 14 x 15"):
        simulate(mely_circuit(2), np.ones((2, 14, 15)), steps=1)


@pytest.mark.parametrize("kernel", [gaussian(3, 3, 1.0), uniform_channels(3)], ids=["dense", "channels"])
def test_a_two_pool_circuit_refuses_another_number_of_channels(kernel):
    with pytest.raises(ValueError, match=r"`pool_c2` .*3 channels but the field has 4"):
        simulate(two_pool_circuit(Box(3), kernel), DRIVE, steps=1)


def test_a_program_is_written_for_generated_devices_only(tmp_path):
    with pytest.raises(ValueError, match="`device` is 'numpy'; it must be 'cuda' or 'cpp'"):
        generate_program(CIRCUIT, DRIVE, str(tmp_path), device="numpy")
    with pytest.raises(ValueError, match="`drive` has 1 values that are NaN"):
        generate_program(CIRCUIT, with_value(np.nan), str(tmp_path), device="cpp")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("build", [default_inhibition, default_excitation])
def test_the_default_kernels_refuse_an_unknown_preset(build):
    with pytest.raises(ValueError, match="`preset` is 'paper'; it must be one of code"):
        build(4, "paper")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": (1, 9, 29)}, "`sizes` is"),
        ({"boundary": "wrap"}, "`boundary` is 'wrap'; it must be one of zero, reflect, periodic"),
        ({"omega": 0.0}, "is 0.0; it must be positive and finite"),
    ],
)
def test_bad_options_of_the_circuit_are_refused_by_name(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        mely_circuit(4, **options)


@pytest.mark.parametrize("channels", [0, -2, 2.5, True])
def test_a_bad_number_of_channels_is_refused(channels):
    with pytest.raises(ValueError, match=f"`channels` is {channels}; it must be a whole number, at least 1"):
        mely_circuit(channels)
