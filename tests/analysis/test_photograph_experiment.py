import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import correlate

from neurocircuit import PoolSizes, mely_circuit, simulate
from neurocircuit.analysis import dominant_orientation, photograph_experiment
from neurocircuit.stimuli import oriented_energy

CHANNELS = 6


@pytest.fixture(scope="module")
def photograph():
    return np.random.default_rng(1).random((22, 24))


@pytest.fixture(scope="module")
def circuit():
    return mely_circuit(CHANNELS, sizes=PoolSizes(1, 3, 9))


@pytest.fixture(scope="module")
def result(circuit, photograph):
    return photograph_experiment(circuit, photograph, channels=CHANNELS, steps=10)


def test_energy_before_is_the_drive_and_after_is_the_final_output(circuit, photograph, result):
    drive = oriented_energy(photograph, CHANNELS)
    np.testing.assert_array_equal(result.energy_before, drive)
    np.testing.assert_allclose(result.energy_after, simulate(circuit, drive, steps=10).h2[0, 0], atol=1e-14)
    np.testing.assert_allclose(result.energy_after_total, result.energy_after.values.sum(0))


def test_tuned_suppression_is_the_mean_of_the_final_output_over_the_far_annulus(result):
    annulus = np.ones((9, 9))
    annulus[3:6, 3:6] = 0
    for output, found in zip(result.energy_after.values, result.tuned_suppression.values, strict=True):
        expected = correlate(output, annulus / annulus.sum(), mode="constant")
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_lesioned_suppression_is_zero(circuit, photograph):
    result = photograph_experiment(circuit.lesioned("T"), photograph, channels=CHANNELS, steps=3)
    assert result.tuned_suppression.shape == (CHANNELS, 22, 24)
    assert not result.tuned_suppression.values.any()


@pytest.mark.parametrize("orientation", [0.0, 37.5, 90.0, 172.5])
def test_dominant_orientation_is_that_of_a_symmetric_tuning_curve(orientation):
    preferred = np.arange(12) * 15.0
    tuning = np.exp(2 * np.cos(2 * np.deg2rad(preferred - orientation)))
    energy = xr.DataArray(tuning[:, None], dims=("channel", "x"), coords={"orientation": ("channel", preferred)})
    off = float(dominant_orientation(energy)[0]) - orientation
    assert (off + 90) % 180 - 90 == pytest.approx(0, abs=1e-4)


def test_result_says_how_it_was_made_and_carries_units(result):
    assert {"parameters", "versions", "equations", "step_ms"} <= result.attrs.keys()
    assert result.orientation_after.attrs["units"] == "degrees"
    assert all("units" in result[name].attrs for name in ("energy_before", "energy_after", "tuned_suppression"))
    assert set(np.unique(result.converged)) <= {0, 1}
