"""The locally connected layer agrees with loops written out from its definition, and with a convolution when tied."""

from __future__ import annotations

import copy
import dataclasses
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from neurocircuit.cells import LocalGeometry, LocallyConnected2d, locally_connected2d
from neurocircuit.cells.local import MAX_DENSE_WEIGHTS
from neurocircuit.training import seeded

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


@st.composite
def geometries(draw):
    """Sizes of which every kernel fits its padded input."""
    groups = draw(st.integers(1, 3))
    channels = [groups * draw(st.integers(1, 2)) for _ in range(2)]
    pairs = {
        name: (draw(st.integers(least, most)), draw(st.integers(least, most)))
        for name, least, most in (("kernel_size", 1, 3), ("stride", 1, 3), ("padding", 0, 2), ("dilation", 1, 2))
    }
    reach = [gap * (size - 1) + 1 for gap, size in zip(pairs["dilation"], pairs["kernel_size"], strict=True)]
    least = [max(1, far - 2 * around) for far, around in zip(reach, pairs["padding"], strict=True)]
    input_size = tuple(size + draw(st.integers(0, 4)) for size in least)
    return LocalGeometry(*channels, input_size=input_size, groups=groups, **pairs)


def options(geometry):
    return {name: getattr(geometry, name) for name in ("stride", "padding", "dilation", "groups")}


def layer_of(geometry, **more):
    sizes = (geometry.in_channels, geometry.out_channels, geometry.kernel_size, geometry.input_size)
    return LocallyConnected2d(*sizes, **options(geometry), **{"seed": 0, "dtype": torch.float64} | more)


def by_definition(field, kernels, bias, geometry):
    """Sum over every pixel of every window that lies within the image, one number at a time."""
    batch, _, height, width = field.shape
    rows, columns, units, channels = kernels.shape[:4]
    out = np.zeros((batch, units, rows, columns))
    for y, x, unit, channel, i, j in itertools.product(*(range(size) for size in kernels.shape)):
        at_y = y * geometry.stride[0] + i * geometry.dilation[0] - geometry.padding[0]
        at_x = x * geometry.stride[1] + j * geometry.dilation[1] - geometry.padding[1]
        if 0 <= at_y < height and 0 <= at_x < width:
            seen = unit // (units // geometry.groups) * channels + channel
            out[:, unit, y, x] += kernels[y, x, unit, channel, i, j] * field[:, seen, at_y, at_x]
    return out + (0 if bias is None else bias)


def assert_close(found, expected, tolerance):
    found, expected = torch.as_tensor(found), torch.as_tensor(expected)
    assert found.shape == expected.shape
    assert (found.double() - expected.double()).abs().max() <= tolerance * max(1.0, expected.abs().max())


@settings(max_examples=80)
@given(
    geometry=geometries(),
    batch=st.integers(1, 3),
    bias=st.booleans(),
    dtype=st.sampled_from(list(TOLERANCE)),
    channels_last=st.booleans(),
)
def test_agrees_with_the_definition(geometry, batch, bias, dtype, channels_last):
    layer = layer_of(geometry, bias=bias, dtype=dtype)
    rng = torch.Generator().manual_seed(1)
    field = torch.randn(batch, geometry.in_channels, *geometry.input_size, dtype=dtype, generator=rng)
    if channels_last:
        field = field.to(memory_format=torch.channels_last)
    with torch.no_grad():
        found = layer(field)
        kernels = layer.kernels().double().numpy()
        expected = by_definition(
            field.double().numpy(), kernels, layer.bias.double().numpy() if bias else None, geometry
        )
    assert found.dtype == dtype
    assert found.shape[2:] == layer.output_size
    assert_close(found, expected, TOLERANCE[dtype])


@settings(max_examples=60)
@given(geometry=geometries(), bias=st.booleans())
def test_with_tied_weights_output_and_gradients_are_those_of_the_convolution(geometry, bias):
    with seeded(0):
        conv = nn.Conv2d(
            geometry.in_channels, geometry.out_channels, geometry.kernel_size, bias=bias, **options(geometry)
        ).double()
        field = torch.randn(2, geometry.in_channels, *geometry.input_size, dtype=torch.float64, requires_grad=True)
    layer = LocallyConnected2d.from_conv2d(conv, geometry.input_size)
    expected = conv(field)
    assert_close(layer(field).detach(), expected.detach(), 1e-12)
    error = torch.linspace(-1, 2, expected.numel(), dtype=torch.float64).view_as(expected)
    of_conv = torch.autograd.grad(expected, [field, *conv.parameters()], error)
    of_layer = torch.autograd.grad(layer(field), [field, *layer.parameters()], error)
    assert_close(of_layer[0], of_conv[0], 1e-12)
    # What is shared is the sum over the positions of what is not.
    assert_close(layer.kernels(of_layer[1]).sum((0, 1)), of_conv[1], 1e-11)
    if bias:
        assert_close(of_layer[2].sum((1, 2)), of_conv[2], 1e-11)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"stride": (2, 1)},
        {"padding": (1, 2)},
        {"dilation": (1, 2)},
        {"groups": 2},
        {"stride": (1, 2), "padding": (2, 0), "dilation": (2, 1), "groups": 2},
        {"bias": False},
    ],
    ids=str,
)
def test_gradients_are_those_of_finite_differences(more):
    layer = LocallyConnected2d(2, 2, (2, 3), (3, 5), seed=0, dtype=torch.float64, **more)
    rng = torch.Generator().manual_seed(1)
    field = torch.randn(2, 2, 3, 5, dtype=torch.float64, generator=rng, requires_grad=True)
    bias = [] if layer.bias is None else [layer.bias]

    def apply(field, weight, *bias):
        return locally_connected2d(field, weight, bias[0] if bias else None, layer.geometry)

    assert torch.autograd.gradcheck(apply, (field, layer.weight, *bias))


def test_a_gradient_is_computed_only_where_it_is_wanted():
    layer, field = LocallyConnected2d(2, 3, 2, 4, seed=0), torch.ones(1, 2, 4, 4)
    layer(field).sum().backward()
    both = layer.weight.grad.clone(), layer.bias.grad.clone()
    layer.requires_grad_(False)
    field.requires_grad_(True)
    layer.zero_grad()
    layer(field).sum().backward()
    assert field.grad is not None
    assert layer.weight.grad is None
    # For an error of one everywhere, the gradient of a weight is its input, and that of a bias is one.
    assert (both[0] == 1).all()
    assert (both[1] == 1).all()


@settings(max_examples=30)
@given(geometry=geometries(), bias=st.booleans())
def test_has_exactly_the_weights_within_the_windows(geometry, bias):
    layer = layer_of(geometry, bias=bias)
    (height, width), (rows, columns) = layer.output_size, geometry.kernel_size
    units = geometry.out_channels * height * width
    assert layer.weight.numel() == units * geometry.in_channels // geometry.groups * rows * columns
    assert layer.kernels().shape == (
        height, width, geometry.out_channels, geometry.in_channels // geometry.groups, rows, columns
    )  # fmt: skip
    assert sum(p.numel() for p in layer.parameters()) == layer.weight.numel() + (units if bias else 0)


def test_starts_with_the_fan_in_of_a_unit_as_a_convolution_does():
    layer = LocallyConnected2d(8, 8, 3, 20, groups=2, seed=0)
    with seeded(0):
        conv = nn.Conv2d(8, 512, 3, groups=2)
    bound = 1 / np.sqrt(4 * 9)
    for ours, theirs in zip(layer.parameters(), conv.parameters(), strict=True):
        assert 0.98 * bound < float(ours.detach().abs().max()) <= bound
        assert float(ours.detach().std()) == pytest.approx(float(theirs.detach().std()), rel=0.05)
        assert float(ours.detach().std()) == pytest.approx(bound / np.sqrt(3), rel=0.02)
    # So that an input of unit variance gives an output of 1/3 plus a bias of bound^2 / 3.
    out = layer(torch.randn(200, 8, 20, 20, generator=torch.Generator().manual_seed(1)))
    assert float(out.detach().var()) == pytest.approx((1 + bound**2) / 3, rel=0.05)


def test_the_start_follows_from_the_seed_and_touches_no_global_state():
    before = torch.get_rng_state()
    first, same, other = (LocallyConnected2d(2, 3, 3, 5, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.weight, same.weight)
    assert torch.equal(first.bias, same.bias)
    assert not torch.equal(first.weight, other.weight)
    generator = torch.Generator().manual_seed(1)
    one, two = (LocallyConnected2d(2, 3, 3, 5, seed=generator) for _ in range(2))
    assert torch.equal(one.weight, first.weight)
    assert not torch.equal(one.weight, two.weight)
    one.reset_parameters(2)
    assert torch.equal(one.weight, other.weight)


def test_without_a_seed_the_start_is_that_of_torchs_generator():
    layers = []
    for seed in (3, 3, 4):
        with seeded(seed):
            layers.append(LocallyConnected2d(2, 3, 3, 5))
    assert torch.equal(layers[0].weight, layers[1].weight)
    assert not torch.equal(layers[0].weight, layers[2].weight)


@settings(max_examples=30)
@given(geometry=geometries(), bias=st.booleans())
def test_as_one_matrix_it_has_the_same_output_and_nothing_outside_the_windows(geometry, bias):
    layer = layer_of(geometry, bias=bias)
    before = torch.get_rng_state()
    dense = layer.to_dense()
    assert torch.equal(torch.get_rng_state(), before)
    field = torch.randn(3, geometry.in_channels, *geometry.input_size, dtype=torch.float64)
    torch.set_rng_state(before)
    assert_close(dense(field.flatten(1)).detach(), layer(field).flatten(1).detach(), 1e-12)
    # Weights that look at the padding reach no pixel, so there may be fewer than the layer has, but never more.
    assert torch.count_nonzero(dense.weight) <= layer.weight.numel()
    if geometry.padding == (0, 0):
        assert torch.count_nonzero(dense.weight) == layer.weight.numel()


def test_a_matrix_that_would_be_too_large_is_refused():
    layer = LocallyConnected2d(10, 20, 3, 30, seed=0)
    with pytest.raises(ValueError, match=rf"9000 x 15680 weights; at most {MAX_DENSE_WEIGHTS}.*smaller layer"):
        layer.to_dense()


def test_training_never_connects_what_is_outside_the_windows():
    layer = LocallyConnected2d(2, 3, 3, 6, seed=0)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
    absent = layer.to_dense().weight == 0
    before = layer.weight.detach().clone()
    for _ in range(3):
        optimizer.zero_grad()
        layer(torch.randn(8, 2, 6, 6, generator=torch.Generator().manual_seed(1))).square().sum().backward()
        optimizer.step()
    assert (layer.weight != before).all()
    assert (layer.to_dense().weight[absent] == 0).all()


class LargestTensor(TorchDispatchMode):
    """Remembers the bytes of the largest memory of any tensor that an operation returns."""

    largest = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        out = function(*arguments, **(keywords or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor):
                self.largest = max(self.largest, leaf.untyped_storage().nbytes())
        return out


@pytest.mark.parametrize("more", [{}, {"stride": 2}, {"padding": 1}, {"dilation": 2}, {"groups": 2}], ids=str)
def test_no_copy_of_all_windows_is_ever_made(more):
    layer = LocallyConnected2d(8, 4, 5, 24, seed=0, **more)
    field = torch.randn(128, 8, 24, 24, generator=torch.Generator().manual_seed(1)).requires_grad_()
    with LargestTensor() as forwards:
        out = layer(field)
    with LargestTensor() as backwards:
        out.backward(torch.ones_like(out))
    height, width = layer.output_size
    every_window = 4 * len(field) * height * width * 25 * 8
    padded = 4 * len(field) * 8 * int(np.prod(layer.geometry.padded_size))
    allowed = max(padded, 4 * layer.weight.numel(), 2 * every_window // height)
    assert allowed < every_window / 2
    assert field.nbytes <= forwards.largest <= allowed
    assert field.nbytes <= backwards.largest <= allowed


def test_what_is_kept_for_the_backward_pass_is_no_more_than_inputs_and_weights():
    kept = []
    layer = LocallyConnected2d(2, 3, 3, 8, seed=0)
    field = torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(1)).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.data_ptr()) or tensor, lambda t: t):
        layer(field)
    assert set(kept) == {field.data_ptr(), layer.weight.data_ptr()}


def test_the_output_is_channels_last_and_so_is_what_follows_it():
    layer, field = LocallyConnected2d(2, 3, 3, 8, seed=0), torch.ones(4, 2, 8, 8, requires_grad=True)
    out = layer(field)
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert nn.functional.max_pool2d(out, 2).is_contiguous(memory_format=torch.channels_last)


def test_any_strides_of_field_and_error_give_the_same():
    layer = LocallyConnected2d(3, 4, 3, (6, 7), padding=1, seed=0, dtype=torch.float64)
    rng = torch.Generator().manual_seed(1)
    wide = torch.randn(5, 3, 12, 14, dtype=torch.float64, generator=rng)[:, :, ::2, ::2]
    error = torch.randn(1, 4, 1, 7, dtype=torch.float64, generator=rng).expand(5, 4, 6, 7)
    plain = wide.contiguous().requires_grad_()
    strided = wide.detach().requires_grad_()
    expected = torch.autograd.grad(layer(plain), [plain, *layer.parameters()], error.contiguous())
    found = torch.autograd.grad(layer(strided), [strided, *layer.parameters()], error)
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.equal(ours, theirs)


def test_an_empty_batch_gives_an_empty_output_and_no_gradient():
    layer, field = LocallyConnected2d(2, 3, 3, 8, padding=1, seed=0), torch.zeros(0, 2, 8, 8, requires_grad=True)
    out = layer(field)
    assert out.shape == (0, 3, 8, 8)
    out.sum().backward()
    assert torch.count_nonzero(layer.weight.grad) == 0


def test_two_calls_give_the_same_bytes():
    layer, field = LocallyConnected2d(3, 4, 3, 9, seed=0), torch.randn(6, 3, 9, 9)
    first, second = (torch.autograd.grad(layer(field).square().sum(), layer.weight)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_a_second_derivative_is_refused():
    layer, field = LocallyConnected2d(2, 3, 2, 4, seed=0), torch.ones(1, 2, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(field).square().sum(), field, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_under_autocast_output_is_of_lower_precision_and_gradients_are_not():
    layer = LocallyConnected2d(3, 4, 3, 8, padding=1, seed=0)
    field = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1)).requires_grad_()
    plain = layer(field)
    expected = torch.autograd.grad(plain.square().sum(), [field, *layer.parameters()])
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(field)
    assert found.dtype == torch.bfloat16
    assert_close(found.float().detach(), plain.detach(), 0.02)
    gradients = torch.autograd.grad(found.float().square().sum(), [field, *layer.parameters()])
    for ours, theirs in zip(gradients, expected, strict=True):
        assert ours.dtype == torch.float32
        assert_close(ours, theirs, 0.05)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_of_lower_precision_compute_in_it(dtype):
    layer = LocallyConnected2d(3, 4, 3, 8, seed=0, dtype=dtype)
    full = copy.deepcopy(layer).float()
    field = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1)).to(dtype)
    assert layer(field).dtype == dtype
    assert_close(layer(field).float().detach(), full(field.float()).detach(), 0.02)


# Torch looks at the gradient of what the uncompiled part returns, and warns itself.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_a_compiled_network_gives_the_same():
    network = nn.Sequential(LocallyConnected2d(2, 3, 3, 8, seed=0), nn.ReLU(), LocallyConnected2d(3, 2, 3, 6, seed=1))
    field = torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(1)).requires_grad_()
    compiled = torch.compile(network, backend="aot_eager")
    leaves = [field, *network.parameters()]
    expected = torch.autograd.grad(network(field).square().sum(), leaves)
    found = torch.autograd.grad(compiled(field).square().sum(), leaves)
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.equal(ours, theirs)


def test_wrapped_for_several_processes_it_gives_the_same(tmp_path):
    layer, field = LocallyConnected2d(2, 3, 3, 8, seed=0), torch.ones(4, 2, 8, 8)
    expected = torch.autograd.grad(layer(field).square().sum(), list(layer.parameters()))
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        nn.parallel.DistributedDataParallel(layer)(field).square().sum().backward()
    finally:
        torch.distributed.destroy_process_group()
    for parameter, gradient in zip(layer.parameters(), expected, strict=True):
        assert torch.equal(parameter.grad, gradient)


def test_copies_and_saved_weights_give_the_same(tmp_path):
    layer, field = LocallyConnected2d(2, 3, 3, 8, stride=2, seed=0), torch.ones(1, 2, 8, 8)
    torch.save(layer.state_dict(), tmp_path / "weights.pt")
    loaded = LocallyConnected2d(2, 3, 3, 8, stride=2, seed=1)
    loaded.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(loaded(field), layer(field))
    assert torch.equal(copy.deepcopy(layer)(field), layer(field))


def test_without_memory_it_still_has_its_sizes():
    layer = LocallyConnected2d(128, 256, 2, 4, device="meta")
    assert layer.weight.device.type == "meta"
    assert layer(torch.zeros(2, 128, 4, 4, device="meta")).shape == (2, 256, 3, 3)


@pytest.mark.parametrize("legacy", [None, "dense"])
def test_without_memory_no_numbers_are_drawn(legacy):
    generator = torch.Generator().manual_seed(1)
    before = generator.get_state(), torch.get_rng_state()
    with torch.device("meta"):
        for seed in (generator, None):
            # On the CPU, 10^12 weights would fit into no machine.
            layer = LocallyConnected2d(10_000, 10_000, 2, 100, legacy=legacy, seed=seed)
            assert layer.weight.numel() > 10**12
    assert torch.equal(generator.get_state(), before[0])
    assert torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")
@pytest.mark.parametrize("legacy", [None, "dense"])
def test_a_gpu_starts_and_computes_as_the_cpu_does(legacy):
    more = {} if legacy else {"stride": (1, 2), "padding": (1, 0), "dilation": (2, 1), "groups": 2}
    here, there = (
        LocallyConnected2d(4, 6, 3, (9, 8), legacy=legacy, seed=0, dtype=torch.float64, device=device, **more)
        for device in ("cpu", "cuda")
    )
    for ours, theirs in zip(here.parameters(), there.parameters(), strict=True):
        assert torch.equal(ours, theirs.cpu())
    field = torch.randn(5, 4, 9, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    moved = field.detach().cuda().requires_grad_()
    expected, found = here(field), there(moved)
    assert found.device.type == "cuda"
    assert_close(found.detach().cpu(), expected.detach(), 1e-12)
    error = torch.linspace(-1, 2, expected.numel(), dtype=torch.float64).view_as(expected)
    of_cpu = torch.autograd.grad(expected, [field, *here.parameters()], error)
    of_gpu = torch.autograd.grad(found, [moved, *there.parameters()], error.cuda())
    for ours, theirs in zip(of_cpu, of_gpu, strict=True):
        assert_close(theirs.cpu(), ours, 1e-12)


def test_prints_its_sizes_and_what_is_no_default():
    plain = LocallyConnected2d(3, 10, 3, 32, seed=0)
    sizes = "kernel_size=(3, 3), input_size=(32, 32), output_size=(30, 30)"
    assert repr(plain) == f"LocallyConnected2d(3, 10, {sizes})"
    other = LocallyConnected2d(4, 8, 3, 9, stride=2, padding=(1, 0), dilation=2, groups=2, bias=False, seed=0)
    assert other.extra_repr() == (
        "4, 8, kernel_size=(3, 3), input_size=(9, 9), output_size=(4, 3), stride=(2, 2), padding=(1, 0), "
        "dilation=(2, 2), groups=2, bias=False"
    )


@pytest.mark.parametrize("name", ["in_channels", "out_channels", "kernel_size", "input_size", "stride", "dilation"])
@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (-1, ValueError), (2.0, TypeError), (True, TypeError)])
def test_sizes_that_are_no_positive_whole_numbers_are_refused(name, value, error):
    sizes = {"in_channels": 2, "out_channels": 2, "kernel_size": 3, "input_size": 8} | {name: value}
    with pytest.raises(error, match=rf"`{name}` is {value!r}; it must be .*at least 1"):
        LocallyConnected2d(**sizes)


def test_sizes_and_seed_may_be_numpys_whole_numbers():
    plain = LocallyConnected2d(2, 4, (3, 2), 8, stride=2, padding=1, groups=2, seed=3)
    sizes = np.int64(2), np.int32(4), (np.int64(3), 2), np.uint8(8)
    of_numpy = LocallyConnected2d(*sizes, stride=np.int64(2), padding=np.int64(1), groups=np.int64(2), seed=np.int64(3))
    assert repr(of_numpy) == repr(plain)
    assert of_numpy.geometry == plain.geometry
    assert torch.equal(of_numpy.weight, plain.weight)
    numbers = [getattr(of_numpy.geometry, field.name) for field in dataclasses.fields(LocalGeometry)]
    assert {type(number) for number in tree_leaves(numbers)} == {int}


def test_a_negative_padding_is_refused():
    with pytest.raises(ValueError, match="`padding` is -1; it must be at least 0"):
        LocallyConnected2d(2, 2, 3, 8, padding=-1)


def test_more_than_two_numbers_are_refused():
    with pytest.raises(ValueError, match=r"`stride` is \(1, 1, 1\); it must be one whole number or two"):
        LocallyConnected2d(2, 2, 3, 8, stride=(1, 1, 1))


@pytest.mark.parametrize("more", [{"padding": 1}, {"kernel_size": 4, "dilation": 2}])
def test_a_kernel_larger_than_the_padded_input_is_refused(more):
    sizes = {"kernel_size": 8, "input_size": (5, 20)} | more
    with pytest.raises(ValueError, match=r"`kernel_size` is .* reaches over \d pixels along y.*only [57]\. Use"):
        LocallyConnected2d(2, 2, **sizes)


@pytest.mark.parametrize(("channels", "name"), [((3, 4), "in_channels"), ((4, 3), "out_channels")])
def test_groups_that_do_not_divide_are_refused(channels, name):
    with pytest.raises(ValueError, match=rf"`groups` is 2, which does not divide `{name}`, 3\. Use a common divisor"):
        LocallyConnected2d(*channels, 3, 8, groups=2)


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (1, 2, 8, 9), (2, 8, 8)])
@pytest.mark.parametrize("legacy", [None, "dense"])
def test_images_of_another_size_than_the_weights_are_refused(shape, legacy):
    layer = LocallyConnected2d(2, 2, 3, 8, legacy=legacy, seed=0)
    with pytest.raises(ValueError, match=r"`field` has the shape .*made for \(batch, 2 channels, 8, 8\).*`input_size`"):
        layer(torch.zeros(shape))


def test_weights_and_biases_of_another_shape_are_refused():
    geometry = LocalGeometry(2, 2, 3, 8)
    with pytest.raises(ValueError, match=r"`weight` has the shape \(1,\); expected \(6, 6, 2, 3, 3, 2\)"):
        locally_connected2d(torch.zeros(1, 2, 8, 8), torch.zeros(1), None, geometry)
    with pytest.raises(ValueError, match=r"`bias` has the shape \(2,\); expected \(2, 6, 6\)"):
        locally_connected2d(torch.zeros(1, 2, 8, 8), torch.zeros(geometry.weight_shape), torch.zeros(2), geometry)


def test_a_field_of_another_precision_is_refused():
    layer = LocallyConnected2d(2, 2, 3, 8, seed=0)
    with pytest.raises(TypeError, match=r"`field` is torch\.float64 but `weight` torch\.float32; convert one"):
        layer(torch.zeros(1, 2, 8, 8, dtype=torch.float64))


@pytest.mark.parametrize("legacy", [None, "dense"])
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128, torch.int64, torch.bool])
def test_numbers_that_are_not_real_and_floating_are_refused(dtype, legacy):
    with pytest.raises(TypeError, match=rf"`dtype` is {dtype}; it must be a floating type of real numbers"):
        LocallyConnected2d(2, 2, 3, 8, dtype=dtype, legacy=legacy)
    layer = LocallyConnected2d(2, 2, 3, 8, legacy=legacy, seed=0)
    with pytest.raises(TypeError, match=rf"`field` is {dtype}; it must be a floating type of real numbers"):
        layer(torch.zeros(1, 2, 8, 8, dtype=dtype))


@pytest.mark.parametrize("autocast", [False, True])
def test_complex_weights_are_refused_by_the_operation(autocast):
    geometry = LocalGeometry(2, 2, 3, 8)
    weight = torch.zeros(geometry.weight_shape, dtype=torch.complex64)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        with pytest.raises(TypeError, match=r"`field` is torch\.complex64; it must be a floating type"):
            locally_connected2d(torch.zeros(1, 2, 8, 8, dtype=torch.complex64), weight, None, geometry)
        with pytest.raises(TypeError, match=r"`field` is torch\..* but `weight` torch\.complex64"):
            locally_connected2d(torch.zeros(1, 2, 8, 8), weight, None, geometry)


def test_a_complex_convolution_is_refused():
    with pytest.raises(TypeError, match=r"`dtype` is torch\.complex64"):
        LocallyConnected2d.from_conv2d(nn.Conv2d(2, 2, 3, dtype=torch.complex64), 8)


@pytest.mark.parametrize(("seed", "error"), [(1.5, TypeError), (True, TypeError), ("1", TypeError), (-1, ValueError)])
def test_a_seed_that_is_none_is_refused(seed, error):
    with pytest.raises(error, match=rf"`seed` is {seed!r}; it must be .*at least 0"):
        LocallyConnected2d(2, 2, 3, 8, seed=seed)


@pytest.mark.parametrize("more", [{"padding": "same"}, {"padding": 1, "padding_mode": "reflect"}])
def test_a_convolution_with_another_padding_is_refused(more):
    with pytest.raises(ValueError, match=r"`conv` has padding_mode=.*only zeros are possible"):
        LocallyConnected2d.from_conv2d(nn.Conv2d(2, 2, 3, **more), 8)


def test_what_is_no_convolution_is_refused():
    with pytest.raises(TypeError, match=r"`conv` is a Linear; it must be a torch\.nn\.Conv2d"):
        LocallyConnected2d.from_conv2d(nn.Linear(2, 2), 8)


def test_a_convolution_that_does_not_fit_the_images_is_refused():
    with pytest.raises(ValueError, match=r"`kernel_size` is \(3, 3\).*only 2"):
        LocallyConnected2d.from_conv2d(nn.Conv2d(2, 2, 3), 2)
