"""Modulated stacks: their two equations, the operations under them, sizes, connections, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from neurocircuit.cells import ModulatedStack, ModulatedStackSettings, modulate, modulate_image, upward_window
from neurocircuit.cells.modulated_operation import (
    convolution,
    linear_over_steps,
    pooled_maximum,
    transposed_convolution,
)

SMALL = ModulatedStackSettings(input_size=13, channels=(2, 3), kernel=3, pools=(2, 2), hidden=5)


def numbers(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed), requires_grad=True)


def test_a_layer_is_biased_before_and_gains_after_rectification():
    drive = torch.tensor([-1.0, 0.5, 2.0])
    bias, gain = torch.tensor([2.0, -1.0, 1.0]), torch.tensor([1.0, 3.0, -2.0])
    assert modulate(drive).tolist() == [0, 0.5, 2]
    assert modulate(drive, bias=bias).tolist() == [1, 0, 3]
    # A gain below -1 makes the output negative.
    assert modulate(drive, gain=gain).tolist() == [0, 2, -2]
    assert modulate(drive, bias, gain).tolist() == [2, 0, -3]


def test_an_image_is_modulated_and_cut_off_at_0_and_1():
    image = torch.tensor([0.0, 0.25, 0.5, 1.0])
    assert modulate_image(image) is image
    assert modulate_image(image, bias=torch.tensor([0.5, -1, 0.25, 3])).tolist() == [0.5, 0, 0.75, 1]
    assert modulate_image(image, gain=torch.tensor([5.0, 1, -3, 9])).tolist() == [0, 0.5, 0, 1]
    # The bias is gained too.
    assert modulate_image(image, torch.full((4,), 0.25), torch.full((4,), 0.5)).tolist() == [0.375, 0.75, 1, 1]


def gradients(out, *inputs):
    """The gradients of a sum with fixed random factors."""
    factors = torch.randn(out.shape, dtype=out.dtype, generator=torch.Generator().manual_seed(9))
    return torch.autograd.grad((out * factors).sum(), inputs)


def same(found, expected, *inputs):
    """Assert that two results and their gradients are the same but for rounding."""
    torch.testing.assert_close(found, expected)
    for own, theirs in zip(gradients(found, *inputs), gradients(expected, *inputs), strict=True):
        torch.testing.assert_close(own, theirs)


SIZES = st.integers(1, 3)


@given(batch=SIZES, below=SIZES, above=SIZES, kernel=SIZES, more=st.integers(0, 5), data=st.data())
def test_convolutions_are_torchs_with_their_gradients(batch, below, above, kernel, more, data):
    padding = data.draw(st.integers(0, kernel - 1))
    field, weight = numbers(batch, below, kernel + more, kernel + more), numbers(above, below, kernel, kernel, seed=1)
    bias = numbers(above, seed=2)
    expected = F.conv2d(field, weight, bias, padding=padding)
    same(convolution(field, weight, bias, padding), expected, field, weight, bias)


@given(batch=SIZES, below=SIZES, above=SIZES, kernel=st.integers(1, 7), stride=st.integers(1, 5), pixels=SIZES)
def test_transposed_convolutions_are_torchs_with_their_gradients(batch, below, above, kernel, stride, pixels):
    field, weight = numbers(batch, below, pixels, pixels), numbers(below, above, kernel, kernel, seed=1)
    bias = numbers(above, seed=2)
    expected = F.conv_transpose2d(field, weight, bias, stride=stride)
    same(transposed_convolution(field, weight, bias, stride), expected, field, weight, bias)
    # Flows are summed in place.
    with torch.no_grad():
        expected = expected + 1
    torch.testing.assert_close(transposed_convolution(field, weight, bias, stride).add_(1), expected)


@given(batch=SIZES, channels=SIZES, pool=SIZES, more=st.integers(0, 4), levels=st.booleans())
def test_the_pooled_maximum_is_torchs_also_where_pixels_are_equal(batch, channels, pool, more, levels):
    field = numbers(batch, channels, pool + more, pool + more)
    if levels:
        field = field.detach().round().requires_grad_()
    found, expected = pooled_maximum(field, pool), F.max_pool2d(field, pool)
    assert torch.equal(found, expected)
    assert torch.equal(*gradients(found, field), *gradients(expected, field))


def test_gradients_of_full_connections_are_summed_over_steps():
    weight, bias, source = numbers(4, 3), numbers(4, seed=1), numbers(2, 3, seed=2)

    def three_steps(connect):
        first = connect(source)
        # The second step depends on the first one, the third on both.
        second = connect(first[:, :3].tanh())
        return torch.cat([first, second, connect(first[:, 1:] * second[:, :3])])

    connect = linear_over_steps(weight, bias)
    found = three_steps(connect)
    same(found, three_steps(lambda source: F.linear(source, weight, bias)), weight, bias, source)
    # Once more along the same graph, and in part.
    again = three_steps(connect)
    kept = torch.autograd.grad(again.sum(), (weight, bias), retain_graph=True)
    for one, other in zip(kept, torch.autograd.grad(again.sum(), (weight, bias)), strict=True):
        assert torch.equal(one, other)
    (only,) = torch.autograd.grad(three_steps(connect)[:2].sum(), source)
    torch.testing.assert_close(only, weight.sum(0).expand(2, 3))


@pytest.mark.parametrize(
    ("operation", "shapes"),
    [
        (lambda field, weight, bias: convolution(field, weight, bias, 1), [(2, 2, 4, 4), (3, 2, 3, 3), (3,)]),
        (
            lambda field, weight, bias: transposed_convolution(field, weight, bias, 2),
            [(2, 2, 2, 2), (2, 1, 5, 5), (1,)],
        ),
        (lambda field: pooled_maximum(field, 2), [(2, 2, 5, 5)]),
        (lambda source, weight, bias: two_steps(linear_over_steps(weight, bias), source), [(2, 3), (3, 3), (3,)]),
    ],
    ids=["convolution", "transposed", "pooling", "full"],
)
def test_second_derivatives_are_right(operation, shapes):
    inputs = tuple(numbers(*shape, seed=seed) for seed, shape in enumerate(shapes))
    assert torch.autograd.gradgradcheck(operation, inputs)


def two_steps(connect, source):
    return connect(connect(source).tanh())


def test_full_connections_forget_the_steps_of_a_pass_that_failed():
    weight, bias, source = numbers(4, 3), numbers(4, seed=1), numbers(2, 3, seed=2)
    connect = linear_over_steps(weight, bias)
    out = connect(source.tanh())
    handle = source.register_hook(lambda gradient: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        out.sum().backward(retain_graph=True)
    handle.remove()
    (found,) = torch.autograd.grad(out.sum(), weight)
    torch.testing.assert_close(found, source.tanh().sum(0).expand(4, 3))


def test_full_connections_whose_weights_changed_before_the_backward_pass_are_refused():
    weight, bias, source = numbers(4, 3), numbers(4, seed=1), numbers(2, 3, seed=2)
    out = linear_over_steps(weight, bias)(source)
    with torch.no_grad():
        weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


def test_under_autocast_operations_are_torchs():
    field, weight, bias = (values.detach().float() for values in (numbers(2, 3), numbers(4, 3), numbers(4)))
    with torch.autocast("cpu"):
        assert linear_over_steps(weight.requires_grad_(), bias)(field).dtype == torch.bfloat16
        assert convolution(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2), torch.ones(1)).dtype == torch.bfloat16


@pytest.mark.parametrize(("source", "target", "window"), [(32, 100, (7, 3)), (9, 100, (20, 10)), (9, 96, (16, 10))])
def test_upward_windows_have_the_published_sizes(source, target, window):
    assert upward_window(source, target) == window


@given(source=st.integers(1, 60), more=st.integers(0, 200))
def test_upward_windows_fill_the_target_and_overlap_by_half_a_stride(source, more):
    kernel, stride = upward_window(source, source + more)
    assert (source - 1) * stride + kernel == source + more
    assert kernel >= 1.5 * stride or (kernel, stride) == (more + 1, 1)
    # One more and they would not.
    assert source + more - (source - 1) * (stride + 1) < 1.5 * (stride + 1)


def test_no_upward_window_leads_to_fewer_pixels():
    with pytest.raises(ValueError, match="`source` is 9 and `target` 8; the source must have from 1"):
        upward_window(9, 8)


def test_connections_have_the_published_names_and_ends():
    found = ModulatedStackSettings(flags="1111").connections()
    assert len(found) == 18
    gains = [(row.name, row.source, row.target, row.pathway) for row in found if row.modulation == "gain"]
    assert gains == [
        ("c1xg", "conv1", "input", "top-down"),
        ("c2xg", "conv2", "input", "top-down"),
        ("fc1xg", "fc", "input", "top-down"),
        ("c1c1g", "conv1", "conv1", "lateral"),
        ("c2c1g", "conv2", "conv1", "top-down"),
        ("fc1c1g", "fc", "conv1", "top-down"),
        ("c2c2g", "conv2", "conv2", "lateral"),
        ("fc1c2g", "fc", "conv2", "top-down"),
        ("fc1fc1g", "fc", "fc", "lateral"),
    ]
    assert [row.name[:-1] for row in found if row.modulation == "bias"] == [name[:-1] for name, *_ in gains]


@pytest.mark.parametrize(
    ("flags", "number"), [("1111", 18), ("0111", 9), ("1110", 6), ("1101", 12), ("1010", 3), ("1100", 0), ("0011", 0)]
)
def test_only_live_connections_are_made_unless_all_are_asked_for(flags, number):
    stack = ModulatedStack(replace(SMALL, flags=flags))
    names = {connection.name for connection in stack.settings.connections()}
    assert len(names) == number
    assert {name for name, _ in stack.named_children()} == names | {"conv1", "conv2", "fc1"}
    whole = ModulatedStack(replace(SMALL, flags=flags, compat=True)).settings.connections()
    assert len(whole) == 18
    assert {connection.name for connection in whole if connection.live} == names


def test_weights_start_as_published():
    torch.manual_seed(0)
    stack = ModulatedStack(ModulatedStackSettings(hidden=64))
    for name, layer in stack.named_children():
        if isinstance(layer, torch.nn.ConvTranspose2d):
            fan_in = layer.weight[0].numel()
            assert 0 < layer.bias.abs().max() <= fan_in**-0.5
            bound = fan_in**-0.5
        else:
            assert not layer.bias.any()
            receptive = layer.weight[0, 0].numel()
            bound = (6 / (receptive * sum(layer.weight.shape[:2]))) ** 0.5
        assert 0.9 * bound < layer.weight.abs().max() <= bound, name


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        (
            {"flags": "011"},
            ValueError,
            "`flags` is '011'; it must be four of 0 and 1, for bias, gain, lat",
        ),
        ({"flags": "0121"}, ValueError, "`flags` is '0121'"),
        ({"flags": 111}, TypeError, "`flags` is 111; it must be text"),
        ({"channels": ()}, ValueError, "`channels` is empty"),
        ({"channels": 8}, TypeError, "`channels` is 8; it must be a tuple"),
        ({"channels": "88"}, TypeError, "`channels` is '88'; it must be a tuple"),
        ({"channels": (8, 0)}, ValueError, "`channels` is 0; it must be at least 1"),
        ({"pools": (3,)}, ValueError, r"`pools` is \(3,\) and `channels` \(2, 3\)"),
        ({"kernel": 4}, ValueError, "`kernel` is 4; it must be odd"),
        ({"hidden": 1.5}, TypeError, "`hidden` is 1.5; it must be an integer"),
        ({"compat": 1}, TypeError, "`compat` is 1; it must be True or False"),
        ({"input_size": 7}, ValueError, "`input_size` is 7, too small for conv2: its input has 2 pixels"),
        ({"pools": (2, 4)}, ValueError, r"too small for conv2: .* pools over 4"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, error, match):
    with pytest.raises(error, match=match):
        replace(SMALL, **changes)


def test_a_flow_that_the_flags_do_not_allow_is_refused():
    stack = ModulatedStack(replace(SMALL, flags="0111", compat=True))
    state = stack.sweep(torch.zeros(1, 1, 13, 13), stack.rise(1, torch.zeros(1, 1, 13, 13)), lambda layer: {})
    with pytest.raises(ValueError, match=r"`modulation` is 'bias' and `layer` 'fc'.*flags 0111"):
        stack.flow(state, "fc", "bias")


@pytest.mark.parametrize("question", [ModulatedStack.shape, ModulatedStack.modulations])
def test_unknown_layers_are_refused(question):
    with pytest.raises(ValueError, match="`layer` is 'conv3'; this network has input, conv1, conv2, fc"):
        question(ModulatedStack(SMALL), "conv3")
