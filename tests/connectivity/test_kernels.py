"""A kernel's three forms - convolution, synapses, fast operator - agree with a direct sum and with each other."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from neurocircuit.connectivity import (
    Annulus,
    Box,
    ChannelMixing,
    Dense,
    LateralKernel,
    Mixture,
    as_operator,
    box_sum,
    circulant_gaussian,
    discontinuous,
    gaussian,
    uniform_channels,
)

BOUNDARIES = ("zero", "reflect", "periodic")
NUMPY_PAD = {
    "zero": {"mode": "constant"},
    "reflect": {"mode": "reflect"},
    "periodic": {"mode": "wrap"},
}


def direct_sum(weights, field, boundary):
    """Sum every neighbour's value times its weight, one offset after the other. Field [channel, y, x]."""
    half = weights.shape[-1] // 2
    padded = np.pad(field, ((0, 0), (half, half), (half, half)), **NUMPY_PAD[boundary])
    result = np.zeros_like(field)
    _, height, width = field.shape
    for dy in range(2 * half + 1):
        for dx in range(2 * half + 1):
            result += np.einsum("ab,byx->ayx", weights[:, :, dy, dx], padded[:, dy : dy + height, dx : dx + width])
    return result


def synapse_sum(kernel, field):
    table = kernel.as_synapses(field.shape)
    result = np.zeros(field.size)
    np.add.at(result, table.post, table.weight * field.ravel()[table.pre])
    return result.reshape(field.shape)


def operator_sum(kernel, field):
    pool = as_operator(kernel, torch.float64, "cpu")(torch.from_numpy(field)[None])
    return np.broadcast_to(pool.numpy()[0], field.shape)


def assert_forms_agree(kernel, field):
    expected = direct_sum(kernel.as_kernel(field.shape[0]), field, kernel.boundary)
    np.testing.assert_allclose(synapse_sum(kernel, field), expected, rtol=0, atol=1e-13)
    np.testing.assert_allclose(operator_sum(kernel, field), expected, rtol=0, atol=1e-13)


@st.composite
def fields_and_kernels(draw):
    channels, height, width = draw(st.integers(1, 5)), draw(st.integers(2, 9)), draw(st.integers(2, 9))
    boundary = draw(st.sampled_from(BOUNDARIES))
    numbers = np.random.default_rng(draw(st.integers(0, 999)))
    # The largest odd size whose half-width is still smaller than the field.
    sizes = st.integers(0, min(height, width) - 1).map(lambda half: 2 * half + 1)

    def dense(size):
        return Dense(numbers.standard_normal((channels, channels, size, size)), boundary)

    def one(name):
        size = draw(sizes)
        if name == "annulus" and size > 1:
            return Annulus(draw(st.integers(0, size // 2 - 1)) * 2 + 1, size, boundary)
        spread = draw(st.floats(0.05, 2))
        return {
            "box": lambda: Box(size, boundary),
            "annulus": lambda: Box(size, boundary),
            "uniform": lambda: uniform_channels(channels),
            "circulant": lambda: circulant_gaussian(channels, spread),
            "discontinuous": lambda: discontinuous(channels, spread),
            "gaussian": lambda: gaussian(channels, size, spread, boundary),
            "dense": lambda: dense(size),
            "mixing": lambda: ChannelMixing(tuple(numbers.standard_normal(channels))),
        }[name]()

    names = st.sampled_from(
        ["box", "annulus", "uniform", "circulant", "discontinuous", "gaussian", "dense", "mixing", "mixture"]
    )
    name = draw(names)
    if name == "mixture":
        parts = draw(
            st.lists(st.sampled_from(["box", "annulus", "uniform", "circulant", "dense"]), min_size=1, max_size=3)
        )
        kernel = Mixture(tuple((float(numbers.standard_normal()), one(part)) for part in parts))
    else:
        kernel = one(name)
    return kernel, numbers.standard_normal((channels, height, width))


@given(fields_and_kernels())
def test_the_three_forms_are_equal(case):
    kernel, field = case
    assert_forms_agree(kernel, field)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("size", [1, 3, 7, 13])
def test_a_box_is_scipys_uniform_filter(size, boundary, rng):
    field = rng.standard_normal((3, 8, 11))
    mode = {"zero": "constant", "reflect": "mirror", "periodic": "wrap"}[boundary]
    expected = ndimage.uniform_filter(field, (0, size, size), mode=mode)
    np.testing.assert_allclose(operator_sum(Box(size, boundary), field), expected, rtol=0, atol=1e-13)
    np.testing.assert_allclose(synapse_sum(Box(size, boundary), field), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_an_annulus_is_the_mean_over_its_own_pixels(boundary, rng):
    field = rng.standard_normal((2, 9, 10))
    footprint = np.ones((7, 7))
    footprint[2:5, 2:5] = 0
    mode = {"zero": "constant", "reflect": "mirror", "periodic": "wrap"}[boundary]
    expected = ndimage.correlate(field, footprint[None] / 40, mode=mode)
    np.testing.assert_allclose(operator_sum(Annulus(3, 7, boundary), field), expected, rtol=0, atol=1e-13)
    np.testing.assert_allclose(synapse_sum(Annulus(3, 7, boundary), field), expected, rtol=0, atol=1e-13)


def test_weights_are_post_by_pre_and_correlate():
    weights = np.zeros((2, 2, 3, 3))
    weights[1, 0, 0, 2] = 5.0  # into channel 1, from channel 0, one pixel up and one to the right
    field = np.zeros((2, 6, 6))
    field[0, 2, 4] = 1.0
    expected = np.zeros((2, 6, 6))
    expected[1, 3, 3] = 5.0
    for form in (operator_sum, synapse_sum):
        np.testing.assert_array_equal(form(Dense(weights), field), expected)


@pytest.mark.parametrize(
    "kernel",
    [
        Box(5),
        Annulus(1, 9),
        Annulus(9, 29),
        uniform_channels(6),
        circulant_gaussian(6, 0.15),
        discontinuous(6, 0.15),
        gaussian(6, 5, 1.2),
    ],
    ids=repr,
)
def test_the_weights_of_one_unit_sum_to_one(kernel):
    np.testing.assert_allclose(kernel.as_kernel(6).sum(axis=(1, 2, 3)), 1, rtol=1e-14)


@pytest.mark.parametrize("channels", [1, 2, 5, 6, 25])
def test_circulant_gaussian_follows_the_published_recipe(channels):
    """A normal density on linspace(0, 1, K) about its middle element, normalised, rolled to a peak at lag 0."""
    position = np.linspace(0, 1, channels)
    density = np.exp(-0.5 * ((position - position[channels // 2]) / 0.15) ** 2)
    density /= density.sum()
    weights = np.array(circulant_gaussian(channels, 0.15).by_lag)
    for lag in range(channels):
        assert weights[lag] == pytest.approx(density[(channels // 2 + lag) % channels], rel=1e-13), lag
    assert weights.argmax() == 0


def test_circulant_gaussian_couples_neighbours_across_the_seam():
    kernel = circulant_gaussian(25, 0.15).matrix()
    own, next_one, far = kernel[0, 0], kernel[0, 24], kernel[0, 12]
    assert own > next_one > far
    assert next_one == pytest.approx(kernel[12, 11], rel=1e-14)


def test_discontinuous_keeps_the_peak_and_shares_the_rest():
    weights = np.array(discontinuous(6, 0.15).by_lag)
    position = np.linspace(0, 1, 6)
    density = np.exp(-0.5 * ((position - position[3]) / 0.15) ** 2)
    peak = (density / density.sum()).max()
    np.testing.assert_allclose(weights, [peak] + 5 * [(1 - peak) / 5], rtol=1e-13)


@pytest.mark.parametrize("size", [3, 9, 15])
@pytest.mark.parametrize("form", [operator_sum, synapse_sum])
def test_zero_padding_is_not_renormalised(size, form):
    field = np.ones((1, 20, 20))
    pool = form(Box(size), field)
    half = size // 2
    assert pool[0, 10, 10] == pytest.approx(1, rel=1e-13)
    assert pool[0, 0, 0] == pytest.approx(((half + 1) / size) ** 2, rel=1e-13)
    assert pool[0, 0, 10] == pytest.approx((half + 1) / size, rel=1e-13)


@pytest.mark.parametrize("boundary", ["reflect", "periodic"])
def test_the_other_boundaries_keep_a_constant_field_constant(boundary):
    field = np.full((2, 12, 13), 0.7)
    for kernel in (Box(9, boundary), Annulus(3, 11, boundary), gaussian(2, 5, 1.0, boundary)):
        np.testing.assert_allclose(operator_sum(kernel, field), 0.7, rtol=1e-13)
        np.testing.assert_allclose(synapse_sum(kernel, field), 0.7, rtol=1e-13)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("build", [lambda b: Box(3, b), lambda b: Annulus(1, 5, b), lambda b: gaussian(2, 3, 1.0, b)])
def test_spatial_operators_are_differentiable(build, boundary, rng):
    field = torch.tensor(rng.standard_normal((2, 2, 5, 6)), requires_grad=True)
    assert torch.autograd.gradcheck(as_operator(build(boundary), torch.float64, "cpu"), field)


@pytest.mark.parametrize(
    "kernel",
    [
        uniform_channels(3),
        circulant_gaussian(3, 0.3),
        Mixture(((0.4, uniform_channels(3)), (0.6, Annulus(1, 3)))),
    ],
    ids=["uniform", "circulant", "mixture"],
)
def test_channel_operators_are_differentiable(kernel, rng):
    field = torch.tensor(rng.standard_normal((2, 3, 4, 3)), requires_grad=True)
    assert torch.autograd.gradcheck(as_operator(kernel, torch.float64, "cpu"), field)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_box_sums_stay_accurate_in_float32(boundary, rng):
    field = torch.from_numpy(rng.random((1, 2, 200, 200)))
    exact = box_sum(field, 29, boundary)
    single = box_sum(field.float(), 29, boundary).double()
    assert ((single - exact).abs() / exact).max().item() < 1e-4


def test_box_sum_takes_any_leading_axes(rng):
    field = torch.from_numpy(rng.random((4, 31, 33)))
    batch = box_sum(field[None], 29, "zero")
    assert batch.shape == (1, 4, 31, 33)
    torch.testing.assert_close(box_sum(field, 29, "zero"), batch[0], rtol=0, atol=0)


def test_a_kernel_of_zeros_has_no_synapses():
    table = Dense(np.zeros((2, 2, 3, 3))).as_synapses((2, 4, 4))
    assert [len(part) for part in table] == [0, 0, 0]


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: Box(4), ValueError, "`size` is 4; it must be an odd number of pixels"),
        (lambda: Box(0), ValueError, "`size` is 0; it must be an odd number"),
        (lambda: Box(-3), ValueError, "`size` is -3"),
        (lambda: Box(3.0), TypeError, "`size` is 3.0; it must be an odd whole number"),
        (lambda: Box(True), TypeError, "`size` is True"),
        (lambda: Box(3, "mirror"), ValueError, "`boundary` is 'mirror'; it must be one of zero, reflect, periodic"),
        (lambda: Annulus(2, 9), ValueError, "`inner` is 2"),
        (lambda: Annulus(1, 8), ValueError, "`outer` is 8"),
        (lambda: Annulus(9, 9), ValueError, "`inner` is 9 and `outer` is 9; the inner square must be smaller"),
        (lambda: Annulus(11, 9), ValueError, "`inner` is 11 and `outer` is 9"),
        (lambda: Annulus(1, 9, "wrap"), ValueError, "`boundary` is 'wrap'"),
        (lambda: ChannelMixing(()), ValueError, "`by_lag` is"),
        (lambda: ChannelMixing((1.0, float("nan"))), ValueError, "`by_lag` is .* one finite weight per channel"),
        (lambda: Dense(np.ones((2, 2, 3))), ValueError, r"`weights` has the shape \(2, 2, 3\)"),
        (lambda: Dense(np.ones((2, 3, 3, 3))), ValueError, "`weights` has the shape .* expected"),
        (lambda: Dense(np.ones((2, 2, 4, 4))), ValueError, "expected square kernels of odd size"),
        (lambda: Dense(np.ones((2, 2, 3, 5))), ValueError, "expected square kernels of odd size"),
        (lambda: Dense(np.full((1, 1, 3, 3), np.inf)), ValueError, "`weights` has values that are not finite"),
        (lambda: Dense(np.ones((1, 1, 3, 3)), "same"), ValueError, "`boundary` is 'same'"),
        (lambda: Mixture(()), ValueError, "`parts` is empty"),
        (lambda: Mixture(((float("inf"), Box(3)),)), ValueError, "`parts` has the weights"),
        (lambda: Mixture(((1, Box(3)), (1, Box(3, "reflect")))), ValueError, "`parts` mix the boundary rules"),
        (lambda: uniform_channels(0), ValueError, "`channels` is 0"),
        (lambda: circulant_gaussian(2.5, 0.1), ValueError, "`channels` is 2.5"),
        (lambda: circulant_gaussian(4, 0), ValueError, "`spread` is 0; it must be positive"),
        (lambda: discontinuous(4, float("nan")), ValueError, "`spread` is nan"),
        (lambda: gaussian(4, 6, 1.0), ValueError, "`size` is 6"),
        (lambda: gaussian(4, 5, -1.0), ValueError, "`spread` is -1.0"),
        (lambda: gaussian(0, 5, 1.0), ValueError, "`channels` is 0"),
    ],
)
def test_bad_arguments_are_refused_by_name(build, error, message):
    with pytest.raises(error, match=message):
        build()


@pytest.mark.parametrize("shape", [(1, 4, 9), (1, 9, 4)])
def test_a_pool_as_wide_as_the_field_is_refused(shape):
    with pytest.raises(ValueError, match="`kernel` reaches 4 pixels to each side, but the field is only"):
        Box(9).as_synapses(shape)
    Box(9).check_field((1, 5, 5))


@pytest.mark.parametrize(
    "kernel",
    [uniform_channels(3), circulant_gaussian(3, 0.2), gaussian(3, 3, 1.0), Mixture(((1.0, uniform_channels(3)),))],
    ids=["uniform", "circulant", "dense", "mixture"],
)
def test_another_number_of_channels_is_refused(kernel):
    with pytest.raises(ValueError, match="3 channels but the field has 4"):
        kernel.as_synapses((4, 6, 6))


def test_an_unknown_kernel_has_no_operator():
    class Unknown(LateralKernel):
        boundary = "zero"
        half_width = 0

        def as_kernel(self, channels):
            return np.ones((channels, channels, 1, 1))

        def latex(self, source):
            return source

    with pytest.raises(TypeError, match="`kernel` is a Unknown"):
        as_operator(Unknown(), torch.float64, "cpu")


def test_dense_weights_cannot_change_under_a_kernel():
    weights = np.ones((1, 1, 3, 3))
    kernel = Dense(weights)
    weights[:] = 2
    assert kernel.as_kernel(1).max() == 1
    with pytest.raises(ValueError, match="read-only"):
        kernel.weights[0, 0, 0, 0] = 3
