import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import i0

from neurocircuit.stimuli import decode, encode, preferred_values

values = st.floats(0, 1)


def one_pixel(value, *options, **named):
    return encode(np.array([[value]]), *options, **named)[:, 0, 0]


def test_preferred_values_include_both_ends():
    np.testing.assert_allclose(preferred_values(25), [k / 24 for k in range(25)])


@given(values, st.integers(2, 30), st.floats(0.2, 3))
def test_circular_code_is_the_von_mises_density_over_its_maximum(value, channels, scale):
    kappa = 1 / scale**2
    density = [np.exp(kappa * np.cos(2 * np.pi * (value - k / (channels - 1)))) / i0(kappa) for k in range(channels)]
    np.testing.assert_allclose(
        one_pixel(value, channels, "circular", scale), np.array(density) / max(density), atol=1e-9
    )


@given(values, st.integers(2, 30), st.floats(0.1, 1))
def test_gaussian_code_is_the_normal_density_over_its_maximum(value, channels, scale):
    density = np.array([np.exp(-(((value - k / (channels - 1)) / scale) ** 2) / 2) for k in range(channels)])
    np.testing.assert_allclose(one_pixel(value, channels, "gaussian", scale), density / density.max(), atol=1e-12)


def test_responses_are_divided_by_one_maximum_over_the_whole_display():
    display = np.array([[0.5, 0.51], [np.nan, 0.2]])
    together = encode(display, 25)
    assert together.max() == 1
    assert together[:, 0, 1].max() < 1
    assert not together[:, 1, 0].any()


@given(st.floats(0.0, 1.0))
def test_vector_average_returns_the_encoded_value_up_to_the_doubled_end_channel(value):
    # The first and last channel prefer the same orientation, so the sum leans towards it: by at most 2 degrees here,
    # and not at all once the doubled vector is taken out.
    responses = one_pixel(value, 25)
    off = (decode(responses) - value + 0.5) % 1 - 0.5
    assert abs(off) < 2 / 180
    single = np.sum(responses[:-1] * np.exp(2j * np.pi * np.arange(24) / 24))
    assert abs((np.angle(single) / (2 * np.pi) - value + 0.5) % 1 - 0.5) < 1e-5


@pytest.mark.parametrize("value", [0.25, 0.5, 0.75])
def test_vector_average_is_the_phase_of_the_complex_sum(value):
    responses = one_pixel(value, 13, "circular", 0.8)
    total = sum(r * np.exp(2j * np.pi * k / 12) for k, r in enumerate(responses))
    assert decode(responses) == pytest.approx(np.angle(total) / (2 * np.pi) % 1, abs=1e-12)


@given(st.floats(0.4, 0.6))
def test_mean_returns_a_value_encoded_away_from_the_ends(value):
    assert decode(one_pixel(value, 25, "gaussian", 0.1), "mean") == pytest.approx(value, abs=1e-3)


@given(values, st.sampled_from(["circular", "gaussian"]))
def test_argmax_returns_the_value_within_half_a_channel(value, code):
    found = decode(one_pixel(value, 25, code, 0.4), "argmax")
    off = abs(found - value)
    assert min(off, 1 - off) <= 0.5 / 24 + 1e-9


def test_decoding_works_along_any_axis(rng):
    responses = rng.random((3, 7, 4))
    np.testing.assert_allclose(decode(responses, axis=1), decode(np.moveaxis(responses, 1, -1)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.full((3, 3), np.nan), 5), "every pixel is NaN"),
        ((np.full((3, 3), 1.5), 5), "values from 1.5 to 1.5"),
        ((np.zeros(3), 5), "the shape"),
        ((np.zeros((3, 3)), 1), "`channels` is 1"),
        ((np.zeros((3, 3)), 5, "linear"), "`code` is 'linear'"),
        ((np.zeros((3, 3)), 5, "circular", 0), "`scale` is 0"),
    ],
)
def test_what_cannot_be_encoded_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        encode(*arguments)


@pytest.mark.parametrize(
    ("responses", "decoder", "message"),
    [
        (np.zeros(5), "vector_average", "without any response"),
        ([1, np.nan], "mean", "NaN or infinite"),
        ([1, 2], "median", "`decoder` is 'median'"),
    ],
)
def test_what_cannot_be_decoded_is_refused(responses, decoder, message):
    with pytest.raises(ValueError, match=message):
        decode(responses, decoder)
