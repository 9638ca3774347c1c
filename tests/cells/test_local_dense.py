"""The notebook's dense layer: starts as its code does, computes what it computes, and does not stay local."""

from __future__ import annotations

import math

import pytest
import torch

from neurocircuit.cells import LocallyConnected2d
from neurocircuit.cells.local_dense import window_weights


def dense(*sizes, seed=0, **more):
    return LocallyConnected2d(*sizes, legacy="dense", seed=seed, **more)


def outside(layer):
    """Mask of the weights outside the windows, from the definition."""
    mask = torch.ones_like(layer.weight, dtype=torch.bool)
    height, width = layer.geometry.kernel_size
    for y in range(layer.output_size[0]):
        for x in range(layer.output_size[1]):
            mask[:, y : y + height, x : x + width, :, y, x] = False
    return mask


def backward(layer, batch=16):
    """Fill the gradients from a random input and a random error."""
    rng = torch.Generator().manual_seed(1)
    geometry = layer.geometry
    out = layer(torch.randn(batch, geometry.in_channels, *geometry.input_size, generator=rng))
    out.backward(torch.randn(out.shape, generator=rng))


def test_at_the_start_it_is_zero_outside_the_windows_and_nowhere_else():
    layer = dense(2, 3, (2, 3), (5, 6))
    assert layer.weight.shape == (2, 5, 6, 3, 4, 4)
    assert torch.equal(layer.weight == 0, outside(layer))


def test_the_view_of_the_windows_is_theirs_by_pixel():
    layer = dense(2, 3, (2, 3), (5, 6))
    kernels = layer.kernels().detach()
    assert kernels.shape == (4, 4, 3, 2, 2, 3)
    for y in range(4):
        for x in range(4):
            window = layer.weight.detach()[:, y : y + 2, x : x + 3, :, y, x]
            assert torch.equal(kernels[y, x], window.permute(3, 0, 1, 2))
    assert kernels.untyped_storage().data_ptr() == layer.weight.untyped_storage().data_ptr()


def test_at_the_start_its_output_is_that_of_the_local_layer_with_the_same_kernels():
    layer = dense(2, 3, (2, 3), (5, 6), dtype=torch.float64)
    local = LocallyConnected2d(2, 3, (2, 3), (5, 6), seed=1, dtype=torch.float64)
    with torch.no_grad():
        local.kernels().copy_(layer.kernels())
        local.bias.copy_(layer.bias)
        field = torch.randn(4, 2, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
        assert (layer(field) - local(field)).abs().max() <= 1e-13


def test_trained_its_output_is_that_of_a_fully_connected_layer():
    layer = dense(2, 3, (2, 3), (5, 6), dtype=torch.float64)
    rng = torch.Generator().manual_seed(2)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(layer.weight.shape, dtype=torch.float64, generator=rng))
        field = torch.randn(4, 2, 5, 6, dtype=torch.float64, generator=rng)
        matrix = layer.weight.reshape(2 * 5 * 6, 3 * 4 * 4)
        expected = (field.flatten(1) @ matrix).view(4, 3, 4, 4) + layer.bias
        assert (layer(field) - expected).abs().max() <= 1e-13
        assert torch.equal(layer.to_dense().weight, matrix.T)


@pytest.mark.parametrize(("channels", "size"), [(3, 3), (32, 3), (64, 2)])
def test_its_weights_start_too_large_by_the_root_of_the_channels(channels, size):
    # torch's own initialiser, on the slices of one position that the notebook gives it
    kernels = dense(channels, 8, size, 12).kernels().detach()
    drawn = torch.empty(channels, size, size)
    bounds = []
    for seed in range(8):
        torch.nn.init.kaiming_uniform_(drawn, generator=torch.Generator().manual_seed(seed))
        bounds.append(float(drawn.abs().max()))
    assert float(kernels.abs().max()) == pytest.approx(max(bounds), rel=0.03)
    assert float(kernels.std()) == pytest.approx(math.sqrt(2 / size**2), rel=0.02)
    right = math.sqrt(2 / (channels * size**2))
    assert float(kernels.std()) / right == pytest.approx(math.sqrt(channels), rel=0.02)


def test_its_biases_start_within_one_by_the_root_of_the_positions():
    bias = dense(3, 40, 3, 12).bias.detach()
    assert 0.99 / 10 < float(bias.abs().max()) <= 1 / 10
    drawn = torch.empty(40, 10, 10)
    torch.nn.init.kaiming_uniform_(drawn, a=math.sqrt(5), generator=torch.Generator().manual_seed(0))
    assert float(bias.std()) == pytest.approx(float(drawn.std()), rel=0.03)


def test_the_gradient_leaks_to_every_weight_outside_the_windows():
    layer = dense(3, 4, 3, 8)
    backward(layer)
    gradient = layer.weight.grad
    assert (gradient[outside(layer)] != 0).all()
    # Inputs and errors being alike everywhere, so is the gradient: what is outside has its share of the weights.
    share = 1 - float(window_weights(gradient, (3, 3)).square().sum() / gradient.square().sum())
    assert share == pytest.approx(1 - 9 / 64, rel=0.02)


def test_after_one_step_it_is_fully_connected():
    layer = dense(3, 4, 3, 8)
    absent = outside(layer)
    optimizer = torch.optim.Adam(layer.parameters(), lr=3e-4)
    backward(layer)
    optimizer.step()
    connected = layer.weight.detach()[absent]
    assert (connected != 0).all()
    # Adam's first step is the learning rate, whatever the gradient.
    assert float(connected.square().mean().sqrt()) == pytest.approx(3e-4, rel=1e-3)


def test_the_start_follows_from_the_seed():
    first, same, other = (dense(2, 3, 3, 6, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.weight, same.weight)
    assert torch.equal(first.bias, same.bias)
    assert not torch.equal(first.weight, other.weight)


def test_without_biases_it_works_where_the_notebook_does_not():
    layer = dense(2, 3, 3, 6, bias=False)
    assert layer.bias is None
    assert layer(torch.zeros(1, 2, 6, 6)).count_nonzero() == 0


def test_prints_that_it_is_dense():
    assert repr(dense(2, 3, 3, 6)).endswith("output_size=(4, 4), legacy='dense')")


@pytest.mark.parametrize(("name", "value"), [("stride", 2), ("padding", 1), ("dilation", 2), ("groups", 2)])
def test_what_the_notebooks_layer_has_not_is_refused(name, value):
    with pytest.raises(ValueError, match=rf"`{name}` is .*`legacy='dense'` has only .*Leave out `{name}`"):
        dense(2, 2, 3, 8, **{name: value})


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="`legacy` is 'sparse'; it must be None or one of dense"):
        LocallyConnected2d(2, 2, 3, 8, legacy="sparse")
