"""The filter bank has the statistics of the published file and prefers the orientations it should."""

import numpy as np
import pytest
import torch

from neurocircuit.networks import gabor_bank


def grating(orientation, phase, frequency=0.29, size=7):
    """A grating whose stripes vary along `orientation` (radians)."""
    offset = torch.arange(size, dtype=torch.float64) - size // 2
    y, x = torch.meshgrid(offset, offset, indexing="ij")
    return torch.cos(2 * torch.pi * frequency * (x * np.cos(orientation) + y * np.sin(orientation)) + phase)


def response(bank, image):
    return torch.einsum("kyx,yx->k", bank[:, 0].double(), image)


@pytest.mark.parametrize(("channels", "size"), [(25, 7), (8, 7), (9, 15), (2, 5), (3, 3)])
def test_filters_have_unit_norm_and_all_but_the_disc_zero_mean(channels, size):
    bank = gabor_bank(channels, size)
    assert bank.shape == (channels, 1, size, size)
    assert bank.dtype == torch.float32
    norms = torch.linalg.vector_norm(bank, dim=(1, 2, 3))
    torch.testing.assert_close(norms, torch.ones(channels), atol=1e-6, rtol=0)
    gabors = bank[: 2 * (channels // 2)]
    torch.testing.assert_close(gabors.sum((1, 2, 3)), torch.zeros(len(gabors)), atol=1e-5, rtol=0)


def test_the_last_of_an_odd_number_of_filters_is_a_flat_disc_of_29_pixels():
    disc = gabor_bank()[24, 0]
    inside = disc > 0
    assert inside.sum() == 29
    assert disc[inside].unique().numel() == 1
    assert not disc[~inside].any()


def test_every_filter_prefers_its_own_orientation_in_steps_of_15_degrees():
    bank, finer = gabor_bank()[:24], np.deg2rad(np.arange(0, 180, 5))
    phases = np.arange(0, 2 * np.pi, np.pi / 8)
    amplitude = torch.stack([torch.stack([response(bank, grating(o, p)) for p in phases]).abs().amax(0) for o in finer])
    preferred = np.rad2deg(finer)[amplitude.argmax(0).numpy()]
    np.testing.assert_allclose(preferred, np.tile(np.arange(0, 180, 15), 2))


def test_the_two_phases_are_in_quadrature():
    bank = gabor_bank().double()
    even, odd = bank[:12, 0], bank[12:24, 0]
    torch.testing.assert_close((even * odd).sum((1, 2)), torch.zeros(12, dtype=torch.float64), atol=1e-7, rtol=0)
    torch.testing.assert_close(even, even.flip(1, 2))
    torch.testing.assert_close(odd, -odd.flip(1, 2))
    # One phase answers to the grating's peak at the centre, the other a quarter of a period later.
    for channel in range(12):
        image = [grating(channel * np.pi / 12, phase) for phase in (0, -np.pi / 2)]
        answers = torch.stack([response(gabor_bank(), one)[[channel, channel + 12]] for one in image])
        assert answers[0, 0] > 1
        assert answers[1, 1] > 1
        assert answers[0, 1].abs() < 1e-5
        assert answers[1, 0].abs() < 1e-5


def test_no_channel_is_driven_much_more_than_another():
    """The authors' disc has 200 times the drive of the other channels; ours is like the best-driven of them."""
    pictures = [grating(o, p).clamp(min=0) for o in np.deg2rad(np.arange(0, 180, 15)) for p in (0, 1.5, 3, 4.5)]
    drive = torch.stack([response(gabor_bank(), picture) ** 2 for picture in pictures]).amax(0)
    assert drive[24] < 4 * drive[:24].max()


@pytest.mark.parametrize("channels", [1, 0, 2.5, True])
def test_too_few_filters_are_refused(channels):
    with pytest.raises(ValueError, match="`channels`"):
        gabor_bank(channels)


@pytest.mark.parametrize("size", [4, 1, 7.0])
def test_a_size_without_a_centre_is_refused(size):
    with pytest.raises(ValueError, match=r"`size` is .* odd"):
        gabor_bank(25, size)
