"""The lateral convolution agrees with a sum written out from its definition, whichever way it is computed."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import correlate

from neurocircuit.cells import LateralConv2d, choose_method, lateral_conv2d

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-11}
SCIPY_MODE = {"zero": "constant", "reflect": "mirror", "periodic": "wrap"}


def by_definition(field: torch.Tensor, weight: torch.Tensor, boundary: str) -> np.ndarray:
    """Sum over pre-synaptic channels of scipy's correlation, in float64."""
    field, weight = field.detach().double().numpy(), weight.detach().double().numpy()
    mode = SCIPY_MODE[boundary]
    return np.array(
        [[sum(correlate(x, w, mode=mode) for x, w in zip(item, row, strict=True)) for row in weight] for item in field]
    )


@given(
    batch=st.integers(1, 3),
    pre=st.integers(1, 3),
    post=st.integers(1, 3),
    height=st.integers(4, 13),
    width=st.integers(4, 13),
    half=st.integers(0, 3),
    boundary=st.sampled_from(["zero", "reflect", "periodic"]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    method=st.sampled_from(["direct", "fft", "auto"]),
    seed=st.integers(0, 1000),
)
def test_agrees_with_the_definition(batch, pre, post, height, width, half, boundary, dtype, method, seed):
    rng = torch.Generator().manual_seed(seed)
    field = torch.randn(batch, pre, height, width, dtype=dtype, generator=rng)
    weight = torch.randn(post, pre, 2 * half + 1, 2 * half + 1, dtype=dtype, generator=rng)
    found = lateral_conv2d(weight, (batch, height, width), boundary, method)(field)
    expected = by_definition(field, weight, boundary)
    assert found.dtype == dtype
    assert np.abs(found.numpy() - expected).max() <= TOLERANCE[dtype] * np.abs(expected).max()


@pytest.mark.parametrize("boundary", ["zero", "reflect", "periodic"])
@pytest.mark.parametrize("shape", [(7, 8), (8, 7), (9, 9)])
def test_gradients_of_the_frequency_domain_are_those_of_finite_differences(boundary, shape):
    rng = torch.Generator().manual_seed(0)
    field = torch.randn(2, 2, *shape, dtype=torch.float64, generator=rng, requires_grad=True)
    weight = torch.randn(3, 2, 5, 5, dtype=torch.float64, generator=rng, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, w: lateral_conv2d(w, (2, *shape), boundary, "fft")(x), (field, weight))


def recurrent_loss(method: str, weight: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
    """Return a loss through three uses of one prepared convolution."""
    convolve = lateral_conv2d(weight, (field.shape[0], *field.shape[2:]), "zero", method)
    state = field
    for _ in range(3):
        state = torch.tanh(field + convolve(state))
    return state.square().sum()


def test_gradients_add_up_over_the_steps_of_a_sequence_and_over_passes_through_a_kept_graph():
    rng = torch.Generator().manual_seed(1)
    field = torch.randn(2, 3, 10, 11, dtype=torch.float64, generator=rng, requires_grad=True)
    weight = torch.randn(3, 3, 7, 7, dtype=torch.float64, generator=rng, requires_grad=True)
    expected = torch.autograd.grad(recurrent_loss("direct", weight, field), (field, weight))
    loss = recurrent_loss("fft", weight, field)
    # A pass for the field alone must leave nothing behind for the next.
    torch.autograd.grad(loss, field, retain_graph=True)
    for _ in range(2):
        found = torch.autograd.grad(loss, (field, weight), retain_graph=True)
        for ours, theirs in zip(found, expected, strict=True):
            assert (ours - theirs).abs().max() <= 1e-11 * theirs.abs().max()


@pytest.mark.parametrize("method", ["direct", "fft"])
def test_two_calls_give_the_same_bytes(method):
    rng = torch.Generator().manual_seed(2)
    field, weight = torch.randn(2, 3, 20, 20, generator=rng), torch.randn(3, 3, 9, 9, generator=rng)
    weight.requires_grad_(True)
    first, second = (torch.autograd.grad(recurrent_loss(method, weight, field), weight)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_a_symmetric_kernel_stays_exactly_symmetric_while_it_learns():
    torch.manual_seed(0)
    lateral = LateralConv2d(4, 5, symmetric=True)
    torch.nn.init.normal_(lateral.weight)
    optimizer = torch.optim.Adam(lateral.parameters(), lr=0.1)
    before = lateral.kernel().detach().clone()
    for _ in range(3):
        optimizer.zero_grad()
        lateral(torch.randn(2, 4, 9, 9)).square().mean().backward()
        optimizer.step()
    kernel = lateral.kernel()
    assert torch.equal(kernel, kernel.transpose(0, 1))
    assert not torch.allclose(kernel, before)


def test_under_autocast_the_frequency_domain_stays_in_float32():
    torch.manual_seed(0)
    lateral, field = LateralConv2d(3, 5, method="fft"), torch.randn(2, 3, 12, 12)
    torch.nn.init.normal_(lateral.weight)
    plain = lateral(field)
    with torch.autocast("cpu", torch.bfloat16):
        found = lateral(field.bfloat16())
    assert found.dtype == torch.float32
    assert (found - plain).abs().max() <= 0.02 * plain.abs().max()


def test_a_copy_of_a_layer_convolves_alike():
    torch.manual_seed(0)
    lateral, field = LateralConv2d(2, 3), torch.randn(1, 2, 6, 6)
    torch.nn.init.normal_(lateral.weight)
    assert torch.equal(copy.deepcopy(lateral)(field), lateral(field))


def test_the_choice_follows_the_work_not_the_clock():
    assert choose_method(torch.empty(25, 25, 15, 15), (4, 150, 150)) == "fft"
    assert choose_method(torch.empty(8, 8, 1, 1), (32, 32, 32)) == "direct"
    assert choose_method(torch.empty(1, 1, 3, 3), (1, 8, 8)) == "direct"


@pytest.mark.parametrize("size", [4, 0, -3, 2.0, True])
def test_a_kernel_without_a_centre_is_refused(size):
    with pytest.raises(ValueError, match=r"`kernel_size` is .*odd"):
        LateralConv2d(2, size)


@pytest.mark.parametrize("method", ["direct", "fft"])
def test_a_kernel_that_reaches_beyond_the_field_is_refused(method):
    with pytest.raises(ValueError, match=r"`kernel_size` is 15.*only 7 x 20 pixels; at most 13"):
        LateralConv2d(2, 15, method=method)(torch.zeros(1, 2, 7, 20))


def test_a_kernel_that_is_not_square_is_refused():
    with pytest.raises(ValueError, match="`weight` has the shape"):
        lateral_conv2d(torch.zeros(2, 2, 3, 5), (1, 9, 9))


@pytest.mark.parametrize(("argument", "value"), [("method", "winograd"), ("boundary", "mirror")])
def test_an_unknown_option_is_refused(argument, value):
    with pytest.raises(ValueError, match=f"`{argument}` is '{value}'; it must be one of"):
        LateralConv2d(2, 3, **{argument: value})
    with pytest.raises(ValueError, match=f"`{argument}` is '{value}'; it must be one of"):
        lateral_conv2d(torch.zeros(2, 2, 3, 3), (1, 9, 9), **{argument: value})


def test_channels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"`field` has the shape \(1, 3, 9, 9\).*2 channels"):
        LateralConv2d(2, 3, method="fft")(torch.zeros(1, 3, 9, 9))
