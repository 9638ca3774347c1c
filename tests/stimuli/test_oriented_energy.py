import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurocircuit.stimuli import filter_orientations, gabor_pair, oriented_energy

SIDE = 40


def grating(orientation, phase=0.0, wavelength=6.0):
    """A grating whose stripes point `orientation` degrees anticlockwise from horizontal, drawn with y upwards."""
    rows, x = np.mgrid[:SIDE, :SIDE]
    up = -rows
    angle = np.deg2rad(orientation)
    across = -np.sin(angle) * x + np.cos(angle) * up
    return 0.5 + 0.4 * np.cos(2 * np.pi * across / wavelength + phase)


def test_orientations_cover_180_degrees_once():
    np.testing.assert_allclose(filter_orientations(4), [0, 45, 90, 135])


@settings(max_examples=25)
@given(st.floats(0, 180), st.floats(0, 2 * np.pi))
def test_energy_peaks_at_the_orientation_of_a_grating(orientation, phase):
    channels = 12
    centre = oriented_energy(grating(orientation, phase), channels)[:, SIDE // 2, SIDE // 2]
    off = abs(filter_orientations(channels)[centre.argmax()] - orientation)
    # Half the spacing of the channels, and a little for the finite filter.
    assert min(off, 180 - off) <= 90 / channels + 1


def test_energy_of_a_grating_does_not_depend_on_its_phase():
    peaks = [oriented_energy(grating(30, phase), 6)[1, 10:30, 10:30] for phase in np.linspace(0, np.pi, 7)]
    assert np.ptp(peaks) / np.mean(peaks) < 0.1


@given(st.floats(0, 180), st.floats(2, 12))
def test_filters_have_no_mean(orientation, wavelength):
    for part in gabor_pair(orientation, wavelength):
        assert abs(part.sum()) < 1e-12


def test_energy_lies_on_the_contour():
    edge = np.full((SIDE, SIDE), 0.2)
    edge[12:] = 0.8
    energy = oriented_energy(edge, 8)
    assert energy.shape == (8, SIDE, SIDE)
    assert np.unravel_index(energy[:, :, SIDE // 2].argmax(), (8, SIDE)) in ((0, 11), (0, 12))
    assert energy[:, 30:].max() < 1e-6


def test_energy_is_the_filters_applied_pixel_by_pixel():
    photograph = np.random.default_rng(0).random((20, 22))
    even, odd = gabor_pair(60.0, 4.0)
    half = len(even) // 2
    found = oriented_energy(photograph, 3, 4.0)
    # Channel 1 of 3 prefers 60 degrees; the interior needs no border.
    window = np.empty((20 - 2 * half, 22 - 2 * half))
    for y in range(window.shape[0]):
        for x in range(window.shape[1]):
            patch = photograph[y : y + 2 * half + 1, x : x + 2 * half + 1]
            window[y, x] = np.sqrt((patch * even).sum() ** 2 + (patch * odd).sum() ** 2)
    inside = found[1, half:-half, half:-half]
    largest = (window / inside).mean()
    np.testing.assert_allclose(inside * largest, window, atol=1e-12)


def test_energy_ignores_brightness_and_is_relative_to_the_largest():
    photograph = 0.4 * grating(70)
    energy = oriented_energy(photograph, 4)
    assert energy.max() == 1
    assert energy.min() >= 0
    np.testing.assert_allclose(oriented_energy(photograph + 0.3, 4), energy, atol=1e-12)


@pytest.mark.parametrize(
    ("photograph", "options", "message"),
    [
        (np.full((SIDE, SIDE), 0.7), {}, "no contrast"),
        (np.zeros((SIDE, SIDE, 3)), {}, "shape"),
        (np.full((SIDE, SIDE), np.nan), {}, "NaN or outside 0 to 1"),
        (np.full((SIDE, SIDE), 255), {}, "divide 8-bit levels by 255"),
        (grating(0)[:5], {}, "reaches 8 to each side"),
        (grating(0), {"wavelength": 1}, "`wavelength` is 1"),
        (grating(0), {"channels": 1}, "`channels` is 1"),
        (grating(0), {"channels": 2.0}, "`channels` is 2.0"),
    ],
)
def test_what_has_no_energy_is_refused(photograph, options, message):
    with pytest.raises(ValueError, match=message):
        oriented_energy(photograph, **options)
